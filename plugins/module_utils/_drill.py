# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore drill: files of an archive are restored to a scratch place and compared with what the archive recorded, and with
those from which they were made."""

from __future__ import annotations

import datetime
import itertools
import os
import platform
import re
import stat
import time
from typing import Any, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils import _extraction as extraction
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry, printable
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_pick import SHOWN, Pick, Request, inside
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._hard_links import HardLinks
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg
from ansible_collections.fleetbackup.borg.plugins.module_utils._scratch import scratch

PASSED, FAILED = VERDICTS = ("passed", "failed")

#: How often borg is started anew behind a file at which it gave up.
_ROUNDS = 20
#: What borg dies of at damaged data: a file of the repository that is missing is nothing that it foresees.
_DAMAGE = ("integrity", "other")
_CAUSE = r"Data integrity error: .*|\w+Error: .*"
#: 1.4.0 only says that there is something. Source: `borg.archive.Archive.extract_item`, 1.2.4 and 1.4.0.
_ZEROS = r"(?s)(.*): (?:File has damaged \(all-zero\) chunks|backup error\Z)"
_BLOCK = 1 << 20
#: borg lists times in microseconds.
_TIME_TOLERANCE = 2


class _Thrown(extraction.Wanted):
    """What is restored is thrown away: flags such as that of immutable files would keep it."""

    def manner(self) -> list[str]:
        return [*super().manner(), "--noflags"]


class Report(NamedTuple):
    """What a drill found.

    :ivar pick: what was to be restored.
    :ivar time: when it began.
    :ivar compared: how many files were compared with those of this machine.
    :ivar problems: one line each.
    :ivar cut_short: whether there may be more problems than those.
    :ivar duration: seconds.
    :ivar warnings: of borg's, which are no problems of the backup.
    """

    pick: Pick
    time: datetime.datetime
    compared: int
    problems: Sequence[str]
    cut_short: bool
    duration: float
    warnings: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """One of :data:`VERDICTS`."""
        return FAILED if self.problems else PASSED

    def as_result(self) -> dict[str, Any]:
        """For a module's return value, and for a file."""
        picked = self.pick.as_result()
        return {
            **picked,
            "verdict": self.verdict,
            "time": self.time.isoformat(timespec="seconds"),
            "compared": self.compared,
            "problems": list(self.problems[:SHOWN]),
            "truncated": picked["truncated"] or self.cut_short or len(self.problems) > SHOWN,
            "duration": round(self.duration, 1),
        }

    def failure(self, borg: Borg) -> Failure:
        """What a drill that found problems ends with."""
        count = len(self.problems)
        return Failure(
            "integrity",
            f"{borg.repository}::{self.pick.archive.name}: the restore drill found {count} problem{'' if count == 1 else 's'}:"
            f" {'; '.join(self.problems[:3])}{' …' if count > 3 else ''}. What is named here would not come back as it was. See what"
            " borg_check finds, restore other archives, and find out what damaged it; nothing was repaired.",
            **self.as_result(),
        )


def drill(borg: Borg, request: Request, pick: Pick, scratch_directory: str) -> Report:
    """Restore what was picked, and compare it.

    :raises Failure: where borg could not restore at all, or there is no room.
    """
    began, clock = datetime.datetime.now(UTC), time.monotonic()
    with scratch(scratch_directory, pick.sizes) as private:
        # the archive may hold the mode of the directory itself, which would open it to others
        directory = os.path.join(private, "restored")
        os.mkdir(directory)
        restored = _Restored(borg, pick, directory)
        restored.extract()
        problems = [*_witness_problems(request, pick), *restored.problems()]
        compared = 0
        if pick.host == _hostname():
            compared, differing = _compare(restored.sound(), directory)
            problems += differing
    if not pick.files:
        problems.append("the archive holds no file: perhaps its sources were not mounted")
    warnings = [printable(text) for text in restored.warnings]
    return Report(pick, began, compared, problems, restored.cut_short, time.monotonic() - clock, warnings)


class _Restored:
    """What was picked, in a directory.

    :ivar warnings: of borg's, other than those about lost data.
    :ivar cut_short: whether something was not even tried, since so much is damaged.
    """

    def __init__(self, borg: Borg, pick: Pick, directory: str) -> None:
        self._borg = borg
        self._archive = pick.archive
        self._directory = directory
        entries, self._origins = extraction.strip(pick.entries, 0)
        # refuses crafted paths; what is in the way cannot be, the directory is new
        plan = extraction.make_plan(entries, directory, numeric_ids=True)
        chosen = {entry.path for entry in pick.chosen}
        self._plan = plan._replace(outstanding=[entry for entry in plan.entries if entry.path in chosen])
        self._links = HardLinks(plan.entries)
        self._damaged: dict[str, str] = {}
        self._differing: list[Entry] = []
        self.warnings: list[str] = []
        self.cut_short = False

    def extract(self) -> None:
        """Extract it. borg gives up at the first file that is damaged, so it is started anew behind each."""
        wanted = _Thrown(numeric_ids=True)
        plan = self._plan
        for number in itertools.count(1):
            if not plan.outstanding:
                break
            try:
                warnings = extraction.extract(self._borg, self._archive, plan, self._directory, wanted, self._origins)
            except Failure as failure:
                damaged = self._first_missing(plan) if failure.error in _DAMAGE else None
                if damaged is None:
                    raise
                said = re.search(_CAUSE, failure.stderr)
                self._damaged[damaged.path] = said.group(0) if said else failure.msg
                if number == _ROUNDS:
                    self.cut_short = True
                    break
                plan = plan._replace(outstanding=self._behind(plan.outstanding, damaged))
            else:
                self._sort_warnings(warnings)
                break
        if not self.cut_short:
            self._differing = [entry for entry in self._left(self._plan) if not self._is_damaged(entry)]

    def problems(self) -> list[str]:
        """What did not come back as it was."""
        damaged = [f"{printable(path)}: {msg}" for path, msg in self._damaged.items()]
        others = "type, mode, owner, size, time or link differ from what the archive recorded"
        return damaged + [f"{printable(entry.path)}: {others}" for entry in self._differing]

    def sound(self) -> list[Entry]:
        """The files that came back."""
        bad = {entry.path for entry in self._left(self._plan)} | self._damaged.keys()
        return [entry for entry in self._plan.outstanding if entry.kind == "-" and entry.path not in bad]

    def _left(self, plan: extraction.Plan) -> list[Entry]:
        return extraction.left_over(plan, self._directory, numeric_ids=True)

    def _is_damaged(self, entry: Entry) -> bool:
        return entry.path in self._damaged or any(first in self._damaged for first in self._links.firsts(entry))

    def _first_missing(self, plan: extraction.Plan) -> Optional[Entry]:
        """Where borg gave up: it goes through an archive in order, and only files have data."""
        files = [entry for entry in plan.outstanding if entry.kind == "-" and entry.size]
        left = {entry.path for entry in self._left(plan._replace(outstanding=files))}
        return next((entry for entry in files if entry.path in left), None)

    def _behind(self, entries: Sequence[Entry], damaged: Entry) -> list[Entry]:
        """What is left to extract. Directories get their times in the end, and a further name needs the first one."""
        position = entries.index(damaged)
        behind = [entry for entry in entries[position + 1 :] if not self._is_damaged(entry)]
        again = {first for entry in behind for first in self._links.firsts(entry)}
        before = [entry for entry in entries[:position] if entry.kind == "d" or entry.path in again]
        return before + behind

    def _sort_warnings(self, warnings: Sequence[str]) -> None:
        for text in warnings:
            zeros = re.match(_ZEROS, text)
            if zeros:
                self._damaged[zeros.group(1)] = "holds zeros where a repair found no data"
            else:
                self.warnings.append(text)


def _witness_problems(request: Request, pick: Pick) -> list[str]:
    """What is wrong with the file that every archive holds which was made since that file was."""
    if request.witness is None:
        return []
    try:
        planted = os.lstat(request.witness)
    except OSError:
        return [f"{request.witness}: the witness is gone from this machine"]
    held = any(entry.path == inside(request.witness) and _is_unchanged(entry, planted) for entry in pick.entries)
    if held or planted.st_mtime >= pick.archive.time.timestamp():
        return []
    return [f"{request.witness}: the archive does not hold the witness as it has stood here since before it was made"]


def _hostname() -> str:
    """This machine's, as borg records it. Source: `borg.platform.base`, 1.2.9 and 1.4.5."""
    return platform.node().partition(".")[0]


def _compare(entries: Sequence[Entry], directory: str) -> tuple[int, list[str]]:
    """Compare restored files with those of this machine that seem unchanged: how many those are, and what differs."""
    compared, problems = 0, []
    for entry in entries:
        path = os.path.join("/", entry.path)
        try:
            before = os.lstat(path)
            if not _is_unchanged(entry, before):
                continue
            same = _same_content(os.path.join(directory, entry.path), path)
            if _stamp(os.lstat(path)) != _stamp(before):  # somebody writes to it
                continue
        except OSError:  # gone meanwhile, or not to be read by this user
            continue
        compared += 1
        if not same:
            problems.append(
                f"{printable(entry.path)}: its content here is another one, though it has the size and the time of the backup."
                " Either something wrote to it and hid that, or one of the two is damaged"
            )
    return compared, problems


def _is_unchanged(entry: Entry, status: os.stat_result) -> bool:
    same_time = abs(status.st_mtime_ns // 1000 - entry.mtime) <= _TIME_TOLERANCE
    return stat.S_ISREG(status.st_mode) and status.st_size == entry.size and same_time


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _same_content(restored: str, live: str) -> bool:
    with open(restored, "rb") as one, open(live, "rb", opener=_without_waiting) as other:
        while True:
            block = one.read(_BLOCK)
            if block != other.read(_BLOCK):
                return False
            if not block:
                return True


def _without_waiting(path: str, flags: int) -> int:
    """Whoever owns a file may put a pipe in its place at any moment, of which a drill would wait for a writer."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
