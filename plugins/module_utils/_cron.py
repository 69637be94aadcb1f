# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules as files of /etc/cron.d, one each. cron makes up for nothing: a run that was due while the machine was off is
not made later."""

from __future__ import annotations

import glob
import os
import shlex
import time
from typing import Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils import _drill_program as drill_program
from ansible_collections.fleetbackup.borg.plugins.module_utils._calendar import as_utc, next_cron_run
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Launch
from ansible_collections.fleetbackup.borg.plugins.module_utils._managed_files import ManagedFile
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import Schedule
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedulers import (
    Scheduler,
    Standing,
    refuse_credentials,
    refuse_strict,
)

DIRECTORY = "/etc/cron.d"
PREFIX = "fleetbackup-"

_HEAD = "# Managed by Ansible (fleetbackup.borg.borgmatic_schedule): changes made here will be overwritten."
#: The most that cron reads of a line. Source: cron's `cron.h`: MAX_COMMAND, MAX_ENVSTR.
_LONGEST = 998
_DAEMONS = ("cron", "crond")
#: Seconds between the end that is asked for and the one that is forced, as systemd does it.
_KILL_AFTER = 90


class Crontabs(Scheduler):
    """The files in one directory.

    :param launch: how borgmatic runs.
    :param flock: the absolute path of flock(1).
    """

    name = "cron"

    def __init__(self, launch: Launch, flock: str, directory: str = DIRECTORY) -> None:
        self._launch = launch
        self._flock = flock
        self._directory = directory
        self._outdated: dict[str, ManagedFile] = {}
        self._schedules: Sequence[Schedule] = ()

    def names(self) -> set[str]:
        found = glob.glob(f"{glob.escape(self._directory)}/{PREFIX}*")
        return {os.path.basename(path)[len(PREFIX) :] for path in found}

    def compare(self, schedules: Sequence[Schedule], difference: Difference) -> None:
        if os.geteuid() != 0:
            raise Failure("permission", "cron: only root may write below /etc/cron.d. Say become: true.")
        refuse_strict(schedules, "cron has no sandbox")
        refuse_credentials(schedules, self._launch, "cron gives its jobs no credentials")
        self._schedules = schedules
        files = {schedule.name: ManagedFile(self._path(schedule.name), self._text(schedule)) for schedule in schedules}
        if any(schedule.present and schedule.enabled for schedule in schedules) and not daemon_runs():
            raise Failure("other", "cron does not run, so that no backup would be made. Install and start it.")
        self._outdated = {name: file for name, file in files.items() if file.compare(difference)}

    def apply(self) -> None:
        for file in self._outdated.values():
            file.apply()
        self._outdated = {}
        if not self.names() and os.path.lexists(self._lock):
            os.unlink(self._lock)

    def standing(self, schedule: Schedule) -> Standing:
        if not schedule.present:
            return Standing()
        fields = self._fields(schedule)
        waits = schedule.enabled and schedule.name not in self._outdated
        return Standing(
            files=(self._path(schedule.name),),
            calendar=fields,
            profile="none",
            next_run=as_utc(next_cron_run(fields, time.time())) if waits else None,
        )

    @property
    def _lock(self) -> str:
        return "/run/fleetbackup.lock" if self._launch.account.is_root else f"{self._launch.account.home}/.fleetbackup.lock"

    def _path(self, name: str) -> str:
        return f"{self._directory}/{PREFIX}{name}"

    def _program(self, schedule: Schedule) -> list[str]:
        if schedule.drills:
            return drill_program.command("system", self._launch, schedule.configs, schedule.arguments, "--syslog")
        return [self._launch.program, *schedule.borgmatic_arguments("--verbosity", "-2", "--syslog-verbosity", "1")]

    @staticmethod
    def _fields(schedule: Schedule) -> str:
        return schedule.calendar.cron_fields(f"schedule {schedule.name}: calendar")

    def _text(self, schedule: Schedule) -> Optional[str]:
        if not schedule.present:
            return None
        if "." in schedule.name:
            raise Failure(
                "invalid_argument",
                f"schedule {schedule.name}: name: cron ignores files with a dot in their name; for example"
                f" {schedule.name.replace('.', '-')}.",
            )
        launch = self._launch
        # cron would mail what a run prints: it goes to syslog instead
        variables = {"SHELL": "/bin/sh", "MAILTO": "", **launch.environment}
        command = [
            *("nice", "-n", "19", self._flock, "--close", self._lock),
            *("timeout", f"--kill-after={_KILL_AFTER}", str(schedule.timeout)),
            *self._program(schedule),
        ]
        # an unescaped '%' would end the command, for cron looks into no quotes
        shell = " ".join(shlex.quote(word) for word in command).replace("%", "\\%")
        job = f"{self._fields(schedule)} {launch.account.name} {shell}"
        lines = [
            *(_assignment(name, value) for name, value in variables.items()),
            job if schedule.enabled else f"# disabled: {job}",
        ]
        for line in lines:
            if len(line.encode()) > _LONGEST:
                raise Failure(
                    "invalid_argument",
                    f"schedule {schedule.name}: cron reads no line of more than {_LONGEST} bytes. Give fewer or shorter"
                    " configs and arguments, for example one schedule for each configuration.",
                )
        return "\n".join([_HEAD, *lines, ""])


def daemon_runs(proc: str = "/proc") -> bool:
    """Whether some cron runs on this machine."""
    for path in glob.iglob(f"{proc}/[0-9]*/comm"):
        try:
            with open(path, encoding="utf-8") as file:
                if file.read().strip() in _DAEMONS:
                    return True
        except OSError:  # it ended meanwhile
            continue
    return False


def _assignment(name: str, value: str) -> str:
    """A variable of a crontab, which knows quotes but no escapes."""
    if '"' in value and "'" in value:
        raise Failure("invalid_argument", f"cron can't hold the variable {name}: {value!r} has both kinds of quotes.")
    quote = "'" if '"' in value else '"'
    return f"{name}={quote}{value}{quote}"
