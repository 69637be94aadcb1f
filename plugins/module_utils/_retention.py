# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which archives a retention policy keeps, and the gates that stand before anything is removed."""

from __future__ import annotations

import datetime
import re
import socket
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC, Archive, escape_pattern, matches
from ansible_collections.fleetbackup.borg.plugins.module_utils._dialects import DIALECTS, Dialect
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import base_environment
from ansible_collections.fleetbackup.borg.plugins.module_utils._prune_rules import Policy, Selection, select
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import Description, describe
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

#: How far the clocks of a fleet may be apart, in seconds.
CLOCK_TOLERANCE = 60
#: The target's own zone, which a scheduled prune uses too; an unset TZ would be replaced by UTC.
LOCAL_TIME_ZONE = ":/etc/localtime"

#: All counting rules that any supported Borg knows.
RULES = DIALECTS[-1].retention_rules

#: Pairs of which borg refuses the second, or forgets the first: to it the last archives are those of the last seconds.
_EXCLUSIVE = (("keep_last", "keep_secondly"), ("keep_13weekly", "keep_3monthly"))
_INTERVAL = r"[1-9]\d*[Hdwmy]\Z"
_VERDICT = (
    r"(?s)(?:Keeping archive \(rule: (?P<rule>[^)]*)\)|Keeping checkpoint archive|(?P<prune>Would prune|Pruning archive))"
    r".*\[(?P<id>[0-9a-f]{64})\]\Z"
)
#: What may be the first digits of a date at the end of a name.
_BEGUN_DATE = r"(?:\A|[-_.:@+ ])2\d{0,3}(?:[-_.]?\d{1,2}){0,2}\Z"


class Retention(NamedTuple):
    """What is to be kept of which archives.

    :ivar match: only archives whose names match this pattern; None: all.
    :ivar any_series: take the filter at its word.
    :ivar foreign: patterns of the archives of others, of which it must take in none.
    :ivar time_zone: where days begin, as a value of TZ.
    """

    policy: Policy
    match: Optional[str] = None
    any_series: bool = False
    time_zone: str = LOCAL_TIME_ZONE
    foreign: tuple[str, ...] = ()

    def options(self) -> list[str]:
        """The options of ``borg prune``."""
        return [*self.policy.options(), *_filter(self.match)]


def read_policy(parameters: Mapping[str, Any], dialect: Optional[Dialect]) -> Policy:
    """The policy of a module's ``keep_*`` parameters.

    :param dialect: of the installed borg; None where there is none yet.
    :raises Failure: ``invalid_argument``, ``version``.
    """
    counts = {}
    for rule in RULES:
        count = parameters[rule]
        if count is None:
            continue
        if isinstance(count, bool) or count < 0:
            raise Failure("invalid_argument", f"{rule}: {count!r} is no number of archives; give a number such as 7.")
        if dialect is not None and rule not in dialect.retention_rules:
            raise Failure("version", f"{rule}: Borg {dialect.name} does not know this rule; it needs Borg 1.4.1.")
        counts[rule] = count
    for one, other in _EXCLUSIVE:
        if one in counts and other in counts:
            raise Failure(
                "invalid_argument",
                f"{other}: excludes {one}: Borg takes one of them only; leave one out, for example {other}.",
            )
    within = parameters["keep_within"]
    if within is not None and not re.match(_INTERVAL, within):
        raise Failure(
            "invalid_argument",
            f"keep_within: {within!r} is no interval; give a number and H, d, w, m or y, for example '7d'.",
        )
    if not any(counts.values()) and within is None:
        raise Failure(
            "invalid_argument", "No rule keeps anything: give at least one of keep_* more than 0, e.g. keep_daily: 7."
        )
    return Policy(counts, within)


def predict(borg: Borg, retention: Retention) -> Selection:
    """What borg would prune. It takes no lock and touches nothing.

    :raises Failure: ``unsafe``: one of our gates refuses.
    """
    description = _describe(borg, retention.match)
    now = datetime.datetime.now(UTC)
    _check_clock(borg, description, now)
    _check_foreign(borg, description.archives, retention)
    if retention.match is not None and not retention.any_series:
        _check_series(description.archives, retention.match)
    selection = select(description.archives, retention.policy, now, retention.time_zone)
    _check_youth(borg, selection, retention.policy, now)
    return selection


def prune(borg: Borg, retention: Retention, predicted: Selection, *, exactly: bool = False) -> Selection:
    """Let borg prune, if it means to prune what was predicted; what it said it did.

    :param exactly: whether nothing else may go than what was predicted first, for somebody has judged that.
    :raises Failure: ``unsafe``, ``locked`` …
    """
    meant = _verdicts(_run(borg, retention, "--dry-run"))
    if meant != _as_verdicts(predicted):
        judged = {archive.id for archive in predicted.pruned}
        # an archive may have come, or have left the interval, since then
        predicted = predict(borg, retention)
        beyond = [archive.name for archive in predicted.pruned if archive.id not in judged]
        if exactly and beyond:
            raise Failure(
                "unsafe",
                f"{borg.repository}: since it was looked at, others changed the repository, and the policy would now drop {', '.join(beyond[:5])}, too."
                " Nothing was pruned. Try again: what came meanwhile is judged first.",
                retryable=True,
            )
    if meant != _as_verdicts(predicted):
        raise Failure(
            "unsafe",
            f"{borg.repository}: borg would prune other archives than this module predicts: {_disagreement(meant, predicted)}."
            " Perhaps others change the repository right now: try again. If it stays so, please report it with your"
            " version of borg; nothing was pruned.",
        )
    if not predicted.pruned:
        return predicted
    done = _verdicts(_run(borg, retention))
    archives = [archive for archive in predicted.archives() if archive.id in done]
    return Selection(
        [archive for archive in archives if done[archive.id] is None],
        [(archive, rule) for archive in archives for rule in [done[archive.id]] if rule is not None],
    )


def _filter(match: Optional[str]) -> list[str]:
    return [f"--glob-archives={match}"] if match is not None else []


def _describe(borg: Borg, match: Optional[str]) -> Description:
    """The repository with all archives that a policy would judge."""
    description = describe(borg, "--consider-checkpoints", *_filter(match))
    if match is None or match.endswith("*"):
        return description
    # borg prune takes the checkpoints of each matching name too, borg list does not
    others = describe(borg, "--consider-checkpoints", *_filter(f"{match}.checkpoint*")).archives
    known = {archive.id for archive in description.archives}
    more = [archive for archive in others if archive.is_checkpoint and archive.id not in known]
    return description._replace(archives=(*description.archives, *more))


def _check_clock(borg: Borg, description: Description, now: datetime.datetime) -> None:
    """Refuse where time is out of joint: one archive from the future is enough to make ``keep_last: 1`` drop all real
    ones.

    :raises Failure: ``unsafe``.
    """
    latest = now + datetime.timedelta(seconds=CLOCK_TOLERANCE)
    future = [archive.name for archive in description.archives if archive.time > latest]
    if future:
        raise Failure(
            "unsafe",
            f"{borg.repository}: {len(future)} archives lie in the future ({', '.join(future[:3])}): a policy would prefer"
            " them to the real ones. Set the clock right, or remove them with borg_archive; nothing was pruned.",
        )
    if description.last_modified > latest:
        raise Failure(
            "unsafe",
            f"{borg.repository} was last changed at {description.last_modified.isoformat()}, which lies in the future: the"
            " clock of this machine went back. Set it right; nothing was pruned.",
        )


def _check_youth(borg: Borg, selection: Selection, policy: Policy, now: datetime.datetime) -> None:
    """Refuse to drop what ``keep_within`` no longer keeps where it keeps nothing at all.

    :raises Failure: ``unsafe``: the clock is ahead, or backups have stopped.
    """
    since = policy.since(now)
    finished = [archive for archive in selection.archives() if not archive.is_checkpoint]
    if since is None or not selection.pruned or not finished or finished[0].time > since:
        return
    raise Failure(
        "unsafe",
        f"{borg.repository}: keep_within: {policy.within!r} keeps nothing, since the newest archive, {finished[0].name}, is"
        f" {(now - finished[0].time).days} days old: the clock of this machine is ahead, or backups have stopped. Set it"
        " right, or say what to keep without keep_within, for example keep_last: 7; nothing was pruned.",
    )


def _check_foreign(borg: Borg, archives: Sequence[Archive], retention: Retention) -> None:
    """Refuse a policy that takes in what may be somebody else's.

    :raises Failure: ``unsafe``.
    """
    patterns = [_expanded(pattern) for pattern in retention.foreign]
    contested = [archive.name for archive in archives if any(matches(archive.finished_name, pattern) for pattern in patterns)]
    if contested:
        raise Failure(
            "unsafe",
            f"{borg.repository}: {len(contested)} archives that match {retention.match!r} may as well be those of another client or another"
            f" configuration, which calls its own alike: {', '.join(contested[:5])}. One policy would drop archives of both; nothing was changed."
            " Have each of them begin the names of its archives with something of its own, for example archive_name_format:"
            " '{fqdn}-system-{now}' (what there is then stays), or give each a repository of its own.",
            contested_archives=contested,
        )


def _check_series(archives: Sequence[Archive], match: str) -> None:
    """Refuse a filter that takes in another machine whose name begins the same way.

    :raises Failure: ``unsafe``.
    """
    filters = {archive.series: archive.series_filter for archive in archives}
    told = ", ".join(f"{series} ({filters[series]!r})" for series in sorted(filters)[:5])
    if len(filters) > 1:
        raise Failure(
            "unsafe",
            f"match_archives: {match!r} matches {len(filters)} series of archives: {told}. One policy would mix them and"
            " drop archives of each. Narrow it to one, as in brackets, or say allow_any_series: true; nothing was pruned.",
        )
    if not all(_names(match, archive) for archive in archives):
        raise Failure(
            "unsafe",
            f"match_archives: {match!r} matches only archives of {told}, which it does not name in full: perhaps they are"
            " a neighbour's, and those that are meant are not there. If they are meant, write what stands in brackets, or"
            " say allow_any_series: true; nothing was pruned.",
        )


def _names(match: str, archive: Archive) -> bool:
    """Whether a filter names all of what an archive's name begins with; or ends with, where it begins with its date.

    ``web1*`` does not name ``web1-db``, nor ``web-2*`` the machine ``web-2``: it may mean the years of ``web``. Nor does ``*-web1`` name the
    end of ``2026-11-20-db-web1``.
    """
    pattern, stem = _expanded(match), archive.stem
    if not stem:
        return pattern.endswith(escape_pattern(archive.tail))
    literal = re.match(r"(?:[^*?\[]|\[[*?\[]\])*", pattern)
    beginning = re.sub(r"\[(.)\]", r"\1", literal.group()) if literal else ""
    if literal and literal.group() != pattern and beginning == stem:
        return not re.search(_BEGUN_DATE, stem)
    return beginning.startswith(stem)


def _expanded(match: str) -> str:
    """A filter as borg expands it. Source: `borg.helpers.parseformat.replace_placeholders`, 1.2.9 and 1.4.5."""
    if "{" not in match:
        return match
    host, full = socket.gethostname(), socket.getfqdn()
    values = {"hostname": host.split(".")[0], "fqdn": full, "reverse-fqdn": ".".join(reversed(full.split(".")))}
    return match.format(**values, user=base_environment()["USER"])


def _run(borg: Borg, retention: Retention, *options: str) -> Outcome:
    return borg.run("prune", *options, "--list", *retention.options(), environment={"TZ": retention.time_zone})


def _verdicts(outcome: Outcome) -> dict[str, Optional[str]]:
    """The rule that keeps each archive, by its id; None where it is pruned."""
    verdicts = (re.match(_VERDICT, message.text) for message in outcome.log.messages)
    return {
        verdict.group("id"): None if verdict.group("prune") else verdict.group("rule") or "checkpoint"
        for verdict in verdicts
        if verdict
    }


def _as_verdicts(selection: Selection) -> dict[str, Optional[str]]:
    return {**{archive.id: None for archive in selection.pruned}, **{archive.id: rule for archive, rule in selection.kept}}


def _disagreement(meant: Mapping[str, Optional[str]], predicted: Selection) -> str:
    """The first archives that are judged differently."""
    ours = _as_verdicts(predicted)
    names = {archive.id: archive.name for archive in predicted.archives()}
    differing = sorted(names.get(key, key) for key in meant.keys() | ours.keys() if meant.get(key, 0) != ours.get(key, 0))
    return ", ".join(differing[:3])
