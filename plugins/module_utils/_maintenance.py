# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning and compacting a repository that its clients may only append to, and what must not have happened to it before.

A client in the wrong hands can hide archives, make false ones, and destroy the key; nothing of that is final until the repository is
compacted. So every gate stands before the first change.
"""

from __future__ import annotations

import datetime
import re
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils import _compaction as compaction
from ansible_collections.fleetbackup.borg.plugins.module_utils import _known_repository as known_repository
from ansible_collections.fleetbackup.borg.plugins.module_utils import _retention as retention
from ansible_collections.fleetbackup.borg.plugins.module_utils._archive_inventory import Inventory, InventoryFile
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC, Archive, check_filter
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._prune_rules import Policy, Selection
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import describe
from ansible_collections.fleetbackup.borg.plugins.module_utils._retention import Retention
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

#: An archive bears the time when its backup began. One that is listed for the first time may have begun so long before the last
#: inventory.
LONGEST_BACKUP = datetime.timedelta(days=1)

#: What opening a repository may say when somebody replaced its key. Garbage makes borg die with whatever exception it brings about.
_DESTROYED = ("wrong_passphrase", "key_missing", "key_mismatch", "integrity", "other")
_SHARE = r"(?P<number>\d{1,9})(?P<percent>%?)\Z"
_REPAIR = "bring the key back from its recovery bundle with borg_key and state: imported"


class Most(NamedTuple):
    """How many archives one run may remove.

    :ivar percent: whether the number is the percentage of those that a policy is for.
    """

    number: int
    percent: bool

    @classmethod
    def parse(cls, text: str) -> Most:
        """From text such as ``50%`` or ``20``.

        :raises Failure: ``invalid_argument``.
        """
        match = re.match(_SHARE, text.strip())
        if match is None or (match.group("percent") and int(match.group("number")) > 100):
            raise Failure(
                "invalid_argument", f"most_deletions: {text!r} is neither a number of archives nor a percentage; for example '50%' or 20."
            )
        return cls(int(match.group("number")), bool(match.group("percent")))

    def allows(self, removed: int, total: int) -> bool:
        """Whether so many of so many may go."""
        return removed * 100 <= self.number * total if self.percent else removed <= self.number

    def __str__(self) -> str:
        return f"{self.number}{'%' if self.percent else ''}"


class Rules(NamedTuple):
    """What is wanted, and what is allowed.

    :ivar retentions: what is to be kept of which archives.
    :ivar key_digest: of the repository's key; None: it is not compared.
    :ivar accept_missing: names of archives that may be gone.
    :ivar accept_backdated: names of archives that may be new and claim to be old.
    """

    retentions: tuple[Retention, ...]
    most: Most
    key_digest: Optional[str] = None
    accept_missing: frozenset[str] = frozenset()
    accept_backdated: frozenset[str] = frozenset()

    def check(self, borg: Borg) -> None:
        """Refuse a policy that the installed borg cannot follow.

        :raises Failure: ``version``.
        """
        dialect = borg.dialect()
        for wanted in self.retentions:
            for rule in wanted.policy.counts:
                if rule not in dialect.retention_rules:
                    raise Failure("version", f"{rule}: Borg {dialect.name} does not know this rule; it needs Borg 1.4.1.")


class Plan(NamedTuple):
    """What a run is going to do, once every gate let it pass.

    :ivar before: the last inventory; None: this run is the first.
    :ivar present: the inventory now.
    :ivar selections: what each policy makes of its archives, in the order of the policies.
    :ivar accepted: what is gone, and may be.
    """

    before: Optional[Inventory]
    present: Inventory
    selections: tuple[Selection, ...] = ()
    accepted: tuple[Archive, ...] = ()

    @property
    def pruned(self) -> list[Archive]:
        """What goes."""
        return [archive for selection in self.selections for archive in selection.pruned]

    @property
    def new(self) -> list[Archive]:
        """What came since the last inventory."""
        known = self.before.ids if self.before is not None else frozenset()
        return [archive for archive in self.present.archives if archive.id not in known]

    @property
    def compacts(self) -> bool:
        """Whether there is space to reclaim: also that of a run that was killed when it had pruned."""
        return bool(self.pruned or self.accepted or (self.before is not None and self.before.removing))

    @property
    def changes(self) -> bool:
        """Whether anything differs afterwards."""
        return self.before is None or self.compacts or bool(self.new)

    def idle(self, rules: Rules) -> list[Optional[str]]:
        """The filters that match none of the archives that are there."""
        if not self.present.archives:
            return []
        return [wanted.match for wanted, selection in zip(rules.retentions, self.selections) if not selection.archives()]

    @property
    def unmatched(self) -> list[Archive]:
        """What no policy is for, and so stays."""
        judged = {archive.id for selection in self.selections for archive in selection.archives()}
        return [archive for archive in self.present.archives if archive.id not in judged]

    @property
    def left(self) -> tuple[Archive, ...]:
        """What is there afterwards."""
        going = {archive.id for archive in self.pruned}
        return tuple(archive for archive in self.present.archives if archive.id not in going)


def read_retentions(entries: Sequence[Mapping[str, Any]], floor: str) -> tuple[Retention, ...]:
    """The policies of a module's parameter.

    :param floor: the least interval of which all archives are kept.
    :raises Failure: ``invalid_argument``.
    """
    least = retention.read_policy({**dict.fromkeys(retention.RULES), "keep_within": floor}, None)
    found = []
    for entry in entries:
        policy = retention.read_policy(entry, None)
        foreign = tuple(check_filter(pattern, "foreign_archives") for pattern in entry.get("foreign_archives", ()))
        match, any_series = check_filter(entry["match_archives"]), bool(entry.get("allow_any_series"))
        found.append(Retention(_with_floor(policy, least), match, any_series, foreign=foreign))
    return tuple(found)


def _with_floor(policy: Policy, least: Policy) -> Policy:
    now = datetime.datetime.now(UTC)
    since, latest = policy.since(now), least.since(now)
    if since is not None and latest is not None and since <= latest:
        return policy
    return policy._replace(within=least.within)


def plan(borg: Borg, rules: Rules, before: Optional[Inventory]) -> Plan:
    """Look at the repository, and at everything that must not have happened to it. It takes no lock and touches nothing.

    :param before: the last inventory.
    :raises Failure: ``drift``: another repository; ``unsafe``: another key; archives are gone, in the future, claim to be older than they
        are, or may be somebody else's; too many would go; and every other word that opening may meet.
    """
    check_key(borg, rules.key_digest)
    taken = datetime.datetime.now(UTC)
    description = describe(borg, "--consider-checkpoints")
    archives = tuple(archive for archive in description.archives if not archive.is_checkpoint)
    present = Inventory(description.id, taken, archives)
    _check_future(borg, present)
    if before is None:
        return Plan(None, present)
    _check_same(borg, before, present)
    accepted = _check_missing(borg, before, present, rules.accept_missing)
    _check_backdated(borg, before, present, rules.accept_backdated)
    selections = tuple(retention.predict(borg, wanted) for wanted in rules.retentions)
    _check_judged(borg, present, selections)
    for wanted, selection in zip(rules.retentions, selections):
        _check_most(borg, wanted, selection, rules.most)
    return Plan(before, present, selections, accepted)


def carry_out(borg: Borg, rules: Rules, planned: Plan, file: InventoryFile) -> int:
    """Do what is planned. Killed anywhere, the next run knows what this one was about to prune, and reclaims its space.

    :returns: the bytes freed.
    :raises Failure: ``locked``; ``unsafe`` where more went meanwhile than was planned: that is not made final.
    """
    freed = 0
    archives = planned.present.archives
    if planned.compacts:
        removed = [archive.id for archive in planned.pruned]
        pending = planned.before.removing if planned.before is not None else ()
        file.write(planned.present._replace(removing=tuple(dict.fromkeys([*pending, *removed]))))
        for wanted, selection in zip(rules.retentions, planned.selections):
            if selection.pruned:
                retention.prune(borg, wanted, selection, exactly=True)
        known = [compaction.Known(archive.name, archive.id) for archive in planned.present.archives]
        judged = compaction.manifest(borg)
        there = {archive.id for archive in compaction.inventory(borg, known, [each for each in known if each.id in removed])}
        # what came meanwhile has passed no gate: to the next run it is new
        archives = tuple(archive for archive in archives if archive.id in there)
        freed, _more = compaction.compact(borg, None, judged)
    file.write(planned.present._replace(archives=archives))
    return freed


def check_key(borg: Borg, digest: Optional[str]) -> None:
    """Raise the alarm where the repository's key is another one.

    :param digest: what the key shall have; None: whatever it has.
    :raises Failure: ``unsafe``; where nothing is known of the key, what opening the repository says.
    """
    if digest is None:
        return
    key = known_repository.read_key(borg)
    if key is not None and key.digest == digest:
        return
    words = ""
    if key is None:
        try:
            describe(borg, "--last=1")
        except Failure as failure:
            # the key of such a repository stands on its client, not in it
            if failure.error not in _DESTROYED or failure.msgid == "KeyfileNotFoundError":
                raise
            words = f" Borg's own words: {failure.msg}"
    raise Failure(
        "unsafe",
        f"{borg.repository} has {'another key' if key is not None else 'no key of its own any more, or garbage in its place,'} than the one in"
        f" escrow (digest {digest}). If you did not change it, somebody tampered with it: {_REPAIR}. Nothing was changed.{words}",
    )


def _check_future(borg: Borg, present: Inventory) -> None:
    latest = present.taken + datetime.timedelta(seconds=retention.CLOCK_TOLERANCE)
    future = [archive.name for archive in present.archives if archive.time > latest]
    if future:
        raise Failure(
            "unsafe",
            f"{borg.repository}: {_count(future)} in the future: {_some(future)}. A policy would prefer them to the real ones; nothing was"
            " changed. Look at the clocks of this machine and of the client. If both are right, somebody made them: find out who, and"
            " remove them with borg_archive.",
            future_archives=future,
        )


def _check_same(borg: Borg, before: Inventory, present: Inventory) -> None:
    if before.repository != present.repository:
        raise Failure(
            "drift",
            f"{borg.repository} is the repository {present.repository}, and the last inventory is that of {before.repository}: somebody put"
            " another one in its place. Nothing was changed. If that is as it shall be, move the inventory away, and run again.",
        )


def _check_missing(borg: Borg, before: Inventory, present: Inventory, accepted: frozenset[str]) -> tuple[Archive, ...]:
    gone = before.missing(present.ids)
    missing = [archive.name for archive in gone if archive.name not in accepted]
    if missing:
        raise Failure(
            "unsafe",
            f"{borg.repository}: {_count(missing)} gone since {before.taken:%Y-%m-%d %H:%M} UTC, and nobody pruned them: {_some(missing)}."
            " Compacting would make that final; nothing was changed. Find out who removed them. As long as nothing is compacted, rolling"
            " the repository back brings them back: see docs/maintenance.md. If their loss is meant, accept it by their names.",
            missing_archives=missing,
        )
    return tuple(gone)


def _check_backdated(borg: Borg, before: Inventory, present: Inventory, accepted: frozenset[str]) -> None:
    earliest = before.taken - LONGEST_BACKUP
    new = [archive for archive in present.archives if archive.id not in before.ids]
    backdated = [archive.name for archive in new if archive.time < earliest and archive.name not in accepted]
    if backdated:
        raise Failure(
            "unsafe",
            f"{borg.repository}: {_count(backdated)} new since {before.taken:%Y-%m-%d %H:%M} UTC, and claim to be older: {_some(backdated)}."
            " A policy might drop real ones in their favour; nothing was changed. Find out who made them, and remove them with"
            " borg_archive. If they are as they shall be, such as a backup that took days, accept them by their names.",
            backdated_archives=backdated,
        )


def _check_judged(borg: Borg, present: Inventory, selections: Sequence[Selection]) -> None:
    """Refuse what a policy makes of archives that came after the gates had looked: it might prefer them to real ones."""
    archives = [archive for selection in selections for archive in selection.archives()]
    late = [archive.name for archive in archives if archive.id not in present.ids and not archive.is_checkpoint]
    if late:
        raise Failure(
            "unsafe",
            f"{borg.repository}: {_count(late)} new since this run looked at the repository: {_some(late)}. Nothing was changed. Try again: then"
            " what came is judged first.",
            retryable=True,
        )


def _check_most(borg: Borg, wanted: Retention, selection: Selection, most: Most) -> None:
    going, total = [archive.name for archive in selection.pruned], len(selection.archives())
    if not most.allows(len(going), total):
        raise Failure(
            "unsafe",
            f"{borg.repository}: {len(going)} of {total} archives that match {wanted.match!r} would be pruned, and at most {most} may be:"
            f" {_some(going)}. Nothing was changed. See that the retention is what you want and that these may go; then allow so many"
            f" for this once: {len(going)}.",
            excessive_archives=going,
        )


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} archive{' is' if len(names) == 1 else 's are'}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
