# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules as timers of systemd.

Links are made here and not by ``systemctl enable``: that needs no process, and a link whose unit is gone can be removed.
What has to be done is told from the files and from what systemd has loaded, never from what this run did: so a run that
was killed anywhere is repaired by the next.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from typing import Mapping, Optional, Sequence, Union

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Launch
from ansible_collections.fleetbackup.borg.plugins.module_utils._managed_files import ManagedFile, ManagedLink
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import Schedule
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedulers import (
    Scheduler,
    Standing,
    refuse_credentials,
    refuse_strict,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._systemd import Systemd, Unit
from ansible_collections.fleetbackup.borg.plugins.module_utils._units import (
    PREFIX,
    runtime_directory,
    service_name,
    service_text,
    timer_name,
    timer_text,
)


class _Timer:
    """One schedule: what it is made of, and what is wrong with that."""

    def __init__(self, schedule: Schedule, systemd: Systemd, service: Optional[str], timer: Optional[str]) -> None:
        self.schedule = schedule
        self.service, self.name = service_name(schedule.name), timer_name(schedule.name)
        self.runs = schedule.present and schedule.enabled
        path = f"{systemd.directory}/{self.name}"
        self.units = (ManagedFile(f"{systemd.directory}/{self.service}", service), ManagedFile(path, timer))
        self._link = ManagedLink(f"{systemd.directory}/timers.target.wants/{self.name}", path if self.runs else None)
        self._stamp = ManagedFile(f"{systemd.stamps}/stamp-{self.name}", None)
        self.settle()

    def settle(self) -> None:
        """Forget what was wrong: it has been put right."""
        self.outdated: list[Union[ManagedFile, ManagedLink]] = []
        self.reload = self.start = self.stop = False

    def compare(self, live: Mapping[str, Unit], difference: Difference) -> None:
        """Note what differs."""
        self.outdated = [unit for unit in self.units if unit.compare(difference)]
        if self._link.compare(difference):
            self.outdated.append(self._link)
        if not self.schedule.present and self._stamp.compare(difference):
            self.outdated.append(self._stamp)
        timer = live[self.name]
        for name, unit in zip((self.service, self.name), self.units):
            if live[name].outdated and self.schedule.present and unit not in self.outdated:
                self.reload = True
                difference.add(f"{name}: loaded", "an older version", "the present version")
        difference.add(f"{self.name}: active", timer.active, self.runs)
        self.stop = timer.active and not self.runs
        # a timer reads its calendar when it starts
        self.start = self.runs and (not timer.active or timer.outdated or self.units[1] in self.outdated)

    @property
    def has_new_units(self) -> bool:
        """Whether units will be written that systemd has not judged yet."""
        return self.schedule.present and any(unit in self.outdated for unit in self.units)

    @property
    def is_settled(self) -> bool:
        """Whether it stands as it shall."""
        return not (self.outdated or self.reload or self.start or self.stop)


class Timers(Scheduler):
    """The timers of one systemd.

    :param launch: how borgmatic runs.
    :param flock: the absolute path of flock(1).
    :param linger: whether a user's timers shall run while the user is not logged in.
    :param watch: further units to look at; :attr:`live` then has them.
    :ivar live: what systemd knows of the units.
    """

    name = "systemd"

    def __init__(
        self, systemd: Systemd, launch: Launch, flock: str, *, linger: bool = True, watch: Sequence[str] = ()
    ) -> None:
        self._systemd = systemd
        self._launch = launch
        self._flock = flock
        self._linger = linger
        self._watch = tuple(watch)
        self._timers: dict[str, _Timer] = {}
        self.live: dict[str, Unit] = {}
        self._must_linger = False

    def names(self) -> set[str]:
        directory = glob.escape(self._systemd.directory)
        found = [*glob.glob(f"{directory}/{PREFIX}*"), *glob.glob(f"{directory}/timers.target.wants/{PREFIX}*")]
        stems = (os.path.splitext(os.path.basename(path)) for path in found)
        return {stem[len(PREFIX) :] for stem, suffix in stems if suffix in (".service", ".timer")}

    def compare(self, schedules: Sequence[Schedule], difference: Difference) -> None:
        systemd = self._systemd
        if systemd.scope == "user":
            refuse_strict(schedules, "a user's own systemd has no sandbox")
            refuse_credentials(schedules, self._launch, "a user's own systemd can't use the key that decrypts them")
        elif os.geteuid() != 0:
            raise Failure(
                "permission",
                "scope: system needs root. Say become: true, or scope: user for timers of this account's own.",
            )
        self._timers = {schedule.name: _Timer(schedule, systemd, *self._texts(schedule)) for schedule in schedules}
        self._look()
        if any(timer.runs for timer in self._timers.values()):
            self._compare_lingering(difference)
        for timer in self._timers.values():
            timer.compare(self.live, difference)
        self._judge_new_units()
        self._refuse_skipped()

    def apply(self) -> None:
        systemd, timers = self._systemd, list(self._timers.values())
        if self._must_linger:
            systemd.linger()
        self._call("stop", [timer.name for timer in timers if timer.stop])
        gone = [name for timer in timers if not timer.schedule.present for name in (timer.service, timer.name)]
        self._call("reset-failed", [name for name in gone if self.live[name].failed])
        outdated = [file for timer in timers for file in timer.outdated]
        if outdated:
            os.makedirs(systemd.directory, exist_ok=True)
        for file in outdated:
            file.apply()
        if outdated or any(timer.reload for timer in timers):
            systemd.call("daemon-reload")
        self._call("restart", [timer.name for timer in timers if timer.start])
        if not self.names():
            _remove_unless_locked(f"{systemd.runtime}/{runtime_directory(self._launch.account)}")
        for timer in timers:
            timer.settle()
        self._look()

    def standing(self, schedule: Schedule) -> Standing:
        if not schedule.present:
            return Standing()
        timer = self._timers[schedule.name]
        return Standing(
            files=tuple(unit.path for unit in timer.units),
            calendar=schedule.calendar.on_calendar,
            profile=self._profile(schedule),
            next_run=self._next_run(timer) if timer.runs and timer.is_settled else None,
        )

    def _texts(self, schedule: Schedule) -> tuple[Optional[str], Optional[str]]:
        if not schedule.present:
            return None, None
        service = service_text(
            schedule, self._launch, scope=self._systemd.scope, flock=self._flock, profile=self._profile(schedule)
        )
        return service, timer_text(schedule)

    def _profile(self, schedule: Schedule) -> str:
        return "none" if self._systemd.scope == "user" else schedule.profile or "strict"

    def _look(self) -> None:
        names = [name for timer in self._timers.values() for name in (timer.service, timer.name)]
        self.live = self._systemd.show([*names, *self._watch])

    def _compare_lingering(self, difference: Difference) -> None:
        account = self._launch.account.name
        if self._linger and not self._systemd.lingers:
            self._must_linger = True
            difference.add(f"{account}: lingers", False, True)
        elif not self._systemd.is_running:
            raise Failure(
                "other", f"The systemd of {account} does not run, as {account} is not logged in. Say linger: true."
            )

    def _judge_new_units(self) -> None:
        """Have systemd judge what it has not judged yet, before it goes live."""
        new = [timer for timer in self._timers.values() if timer.has_new_units]
        for timer in new:
            if not timer.schedule.calendar.is_portable:
                self._next_elapse(timer)
        # systemd rejects units without their program; in check mode it may not be installed yet
        if not new or not os.path.exists(self._launch.program):
            return
        with tempfile.TemporaryDirectory(prefix="fleetbackup-") as directory:
            paths = []
            for unit in (unit for timer in new for unit in timer.units):
                paths.append(f"{directory}/{os.path.basename(unit.path)}")
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write(unit.text or "")
            self._systemd.verify(paths)

    def _refuse_skipped(self) -> None:
        for timer in self._timers.values():
            service = self.live[timer.service]
            if timer.runs and service.skipped and service.drop_ins:
                raise Failure(
                    "other",
                    f"systemd skipped the last start of {timer.service}: a condition in {service.drop_ins} does not hold."
                    " Take it out: no backup is made.",
                )

    def _next_run(self, timer: _Timer) -> str:
        live = self.live[timer.name]
        if live.active and live.next_run:
            return live.next_run
        if live.active and live.running:  # systemd tells none until the run has ended
            return self._next_elapse(timer)
        raise Failure(
            "other",
            f"{timer.name} has no next run: it is {'started and will not elapse' if live.active else 'not started'}."
            f" See: systemctl{'' if self._systemd.scope == 'system' else ' --user'} status {timer.name}",
        )

    def _next_elapse(self, timer: _Timer) -> str:
        schedule = timer.schedule
        return self._systemd.next_elapse(schedule.calendar.on_calendar, f"schedule {schedule.name}: calendar")

    def _call(self, command: str, names: Sequence[str]) -> None:
        if names:
            self._systemd.call(command, "--", *names)


def _remove_unless_locked(directory: str) -> None:
    """Remove the runtime directory, unless a run is under way, which needs it."""
    try:
        with open(f"{directory}/lock", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory)
    except (FileNotFoundError, BlockingIOError):
        pass
