# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that schedules backups on one machine: its scheduler, what another one still has, and the distribution's timer."""

from __future__ import annotations

import glob
import os
from fnmatch import fnmatchcase
from typing import Optional, Sequence, cast

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._distribution_timer import NAME as DISTRIBUTION_TIMER
from ansible_collections.fleetbackup.borg.plugins.module_utils._distribution_timer import DistributionTimer
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_program import program_path
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Launch
from ansible_collections.fleetbackup.borg.plugins.module_utils._managed_files import ManagedProgram
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import find_program
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import Schedule
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedulers import Scheduler, Standing
from ansible_collections.fleetbackup.borg.plugins.module_utils._systemd import Systemd
from ansible_collections.fleetbackup.borg.plugins.module_utils._timers import Timers
from ansible_collections.fleetbackup.borg.plugins.module_utils._units import PREFIX

_SYSTEMD_RUNS = "/run/systemd/system"
_CRON_DIRECTORY = "/etc/cron.d"


def choose(backend: str, scope: str) -> str:
    """The scheduler of this machine, ``systemd`` or ``cron``.

    :param backend: one of these, or ``auto``.
    :param scope: ``system`` or ``user``.
    :raises Failure: ``invalid_argument``, ``other``.
    """
    systemd = os.path.isdir(_SYSTEMD_RUNS)
    if backend == "systemd" and not systemd:
        raise Failure("invalid_argument", "backend: systemd does not run on this machine; say backend: cron.")
    if backend != "cron" and systemd:
        return "systemd"
    if scope == "user":
        raise Failure(
            "invalid_argument",
            "scope: user needs systemd. With cron, root gives scope: system, and the account in user.",
        )
    if not os.path.isdir(_CRON_DIRECTORY):
        raise Failure("other", f"This machine has no scheduler: neither systemd runs nor is there {_CRON_DIRECTORY}. Install cron.")
    return "cron"


class Scheduling:
    """What one module call looks after. First :meth:`compare`, then, where something differs and it is wanted,
    :meth:`apply`.

    :param backend: ``systemd`` or ``cron``.
    :param scope: ``system`` or ``user``.
    :param launch: how borgmatic runs.
    :param linger: whether a user's timers run while the user is not logged in.
    :param keep_distribution_timer: whether a distribution's timer is none of our business.
    """

    def __init__(self, backend: str, scope: str, launch: Launch, *, linger: bool, keep_distribution_timer: bool) -> None:
        flock = find_program("flock")
        if flock is None:
            raise Failure("other", "flock is not installed: runs could not wait for each other. Install util-linux.")
        self._systemd = Systemd(scope, launch.account)
        systemd_runs = os.path.isdir(_SYSTEMD_RUNS)
        self._distribution = None
        if systemd_runs and scope == "system" and not keep_distribution_timer:
            self._distribution = DistributionTimer(self._systemd)
        watch = (DISTRIBUTION_TIMER,) if self._distribution else ()
        self._timers = Timers(self._systemd, launch, flock, linger=linger, watch=watch) if systemd_runs else None
        crontabs: Optional[Scheduler] = None
        # loading what has nothing to do would cost each launch
        if backend == "cron" or (scope == "system" and _has_jobs()):
            from ansible_collections.fleetbackup.borg.plugins.module_utils._cron import Crontabs

            crontabs = Crontabs(launch, flock)
        backends: dict[str, Optional[Scheduler]] = {"systemd": self._timers, "cron": crontabs}
        # choose() has seen to it that there is one
        self._main = cast(Scheduler, backends.pop(backend))
        self._other = next(iter(backends.values()))
        self._program_path = program_path(scope, launch)
        self._program: Optional[ManagedProgram] = None

    def strays(self, schedules: Sequence[Schedule], patterns: Sequence[str]) -> list[Schedule]:
        """The schedules that are there, are not wanted, and have a name that matches a pattern; as absent ones."""
        known = {schedule.name for schedule in schedules}
        there = self._main.names() | (self._other.names() if self._other else set())
        found = (name for name in sorted(there - known) if any(fnmatchcase(name, pattern) for pattern in patterns))
        return [Schedule(name, present=False) for name in found]

    def compare(self, schedules: Sequence[Schedule], difference: Difference) -> None:
        """Note what differs from these schedules; nothing is touched.

        :raises Failure: ``invalid_argument``, ``permission``, ``other``.
        """
        self._compare_program(schedules, difference)
        self._main.compare(schedules, difference)
        if self._other:
            moved = [Schedule(schedule.name, present=False) for schedule in schedules if schedule.name in self._other.names()]
            self._other.compare(moved, difference)
        if self._distribution and self._timers:
            self._distribution.compare(self._timers.live[DISTRIBUTION_TIMER], self._has_ours(schedules), difference)

    def apply(self) -> None:
        """Put right what :meth:`compare` noted. The new scheduler takes over before the other one ends."""
        if self._program and self._program.data is not None:
            self._program.apply()
        self._main.apply()
        if self._other:
            self._other.apply()
        if self._distribution:
            self._distribution.apply()
        if self._program and self._program.data is None:
            self._program.apply()

    def standing(self, schedule: Schedule) -> Standing:
        """How a schedule stands.

        :raises Failure: ``other`` where it shall run and has no next run.
        """
        return self._main.standing(schedule)

    def _compare_program(self, schedules: Sequence[Schedule], difference: Difference) -> None:
        """Note whether the program of restore drills is missing, another one, or needed no more."""
        data, self._program = None, None
        if any(schedule.present and schedule.drills for schedule in schedules):
            # most machines have no such schedule, and should not load what makes it
            from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_zipapp import program

            data = program()
        elif not os.path.lexists(self._program_path) or self._is_run_by_others(schedules):
            return
        managed = ManagedProgram(self._program_path, data)
        self._program = managed if managed.compare(difference) else None

    def _is_run_by_others(self, schedules: Sequence[Schedule]) -> bool:
        """Whether a schedule that this call is not about runs the program."""
        names = {schedule.name for schedule in schedules}
        paths = [*glob.glob(f"{glob.escape(self._systemd.directory)}/{PREFIX}*.service"), *glob.glob(f"{_CRON_DIRECTORY}/{PREFIX}*")]
        others = (path for path in paths if os.path.basename(path)[len(PREFIX) :].removesuffix(".service") not in names)
        return any(_mentions(path, self._program_path) for path in others)

    def _has_ours(self, schedules: Sequence[Schedule]) -> bool:
        """Whether this machine has, or will have, schedules of ours. A call without any prepares for them."""
        absent = {schedule.name for schedule in schedules if not schedule.present}
        there = self._main.names() | (self._other.names() if self._other else set())
        return not schedules or len(absent) < len(schedules) or bool(there - absent)


def _mentions(path: str, text: str) -> bool:
    with open(path, encoding="utf-8", errors="replace") as file:
        return text in file.read()


def _has_jobs() -> bool:
    """Whether cron has any job of ours."""
    return os.path.isdir(_CRON_DIRECTORY) and any(name.startswith(PREFIX) for name in os.listdir(_CRON_DIRECTORY))
