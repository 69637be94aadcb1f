# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which archives a retention policy keeps, and the gates that stand before anything is removed."""

from __future__ import annotations

import datetime
import re
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC, Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._dialects import DIALECTS, Dialect
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import describe
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

#: How far the clocks of a fleet may be apart, in seconds.
CLOCK_TOLERANCE = 60
#: The target's own zone, which a scheduled prune uses too; an unset TZ would be replaced by UTC.
LOCAL_TIME_ZONE = ":/etc/localtime"

#: All counting rules that any supported Borg knows.
RULES = DIALECTS[-1].retention_rules

_INTERVAL = re.compile(r"[1-9]\d*[Hdwmy]\Z")
_VERDICT = re.compile(
    r"(?:Keeping archive \(rule: (?P<rule>[^)]*)\)|Keeping checkpoint archive|(?P<prune>Would prune|Pruning archive))"
    r".*\[(?P<id>[0-9a-f]{64})\]\Z",
    re.DOTALL,
)


class Policy(NamedTuple):
    """What to keep.

    :ivar counts: rule -> how many.
    :ivar within: keep all that are younger, for example ``7d``.
    """

    counts: Mapping[str, int]
    within: Optional[str] = None

    def options(self) -> list[str]:
        """The options of ``borg prune``."""
        options = [f"--{rule.replace('_', '-')}={count}" for rule, count in self.counts.items()]
        return options + ([f"--keep-within={self.within}"] if self.within else [])


class Selection(NamedTuple):
    """What a policy makes of some archives, newest first.

    :ivar kept: archive and the rule that keeps it.
    """

    pruned: Sequence[Archive]
    kept: Sequence[tuple[Archive, str]]


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
    within = parameters["keep_within"]
    if within is not None and not _INTERVAL.match(within):
        raise Failure(
            "invalid_argument",
            f"keep_within: {within!r} is no interval; give a number and H, d, w, m or y, for example '7d'.",
        )
    if not any(counts.values()) and within is None:
        raise Failure(
            "invalid_argument", "No rule keeps anything: give at least one of keep_* more than 0, e.g. keep_daily: 7."
        )
    return Policy(counts, within)


def check_archives(borg: Borg, match: Optional[str]) -> tuple[str, list[Archive]]:
    """The repository's id and the archives that a policy would judge, unless something is wrong with their times.

    One archive from the future is enough to make ``keep_last: 1`` drop all real ones.

    :raises Failure: ``unsafe``.
    """
    options = [f"--glob-archives={match}"] if match is not None else []
    description = describe(borg, "--consider-checkpoints", *options)
    latest = datetime.datetime.now(UTC) + datetime.timedelta(seconds=CLOCK_TOLERANCE)
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
    return description.id, list(description.archives)


def check_one_series(archives: Sequence[Archive], match: str) -> None:
    """Refuse a filter that takes in another machine whose name begins the same way.

    :raises Failure: ``unsafe``.
    """
    series = sorted({archive.series for archive in archives})
    if len(series) > 1:
        raise Failure(
            "unsafe",
            f"match_archives: {match!r} matches {len(series)} series of archives: {', '.join(series[:5])}. One policy would"
            " mix them and drop archives of each. Narrow it to one (e.g. 'web1-2*' instead of 'web1-*'), or say"
            " allow_mixed_series: true; nothing was pruned.",
        )


def preview(
    borg: Borg, identity: str, archives: Sequence[Archive], policy: Policy, match: Optional[str], time_zone: str
) -> Selection:
    """What borg would prune, in its own words; it takes its lock for a moment and writes nothing.

    :param identity: the repository's id.
    :param archives: those of the repository that match.
    """
    outcome = borg.read(
        "prune",
        "--dry-run",
        "--list",
        *_options(policy, match),
        common=(),
        cached_id=identity,
        environment={"TZ": time_zone},
    )
    return _selection(outcome, archives)


def prune(borg: Borg, archives: Sequence[Archive], policy: Policy, match: Optional[str], time_zone: str) -> Selection:
    """Let borg prune; what it said it did."""
    outcome = borg.run("prune", "--list", *_options(policy, match), environment={"TZ": time_zone})
    return _selection(outcome, archives)


def _options(policy: Policy, match: Optional[str]) -> list[str]:
    return [*policy.options(), *([f"--glob-archives={match}"] if match is not None else [])]


def _selection(outcome: Outcome, archives: Sequence[Archive]) -> Selection:
    by_id = {archive.id: archive for archive in archives}
    pruned, kept = [], []
    for message in outcome.log.messages:
        verdict = _VERDICT.match(message.text)
        archive = by_id.get(verdict.group("id")) if verdict else None
        if verdict is None or archive is None:
            continue
        if verdict.group("prune"):
            pruned.append(archive)
        else:
            kept.append((archive, verdict.group("rule") or "checkpoint"))
    return Selection(pruned, kept)
