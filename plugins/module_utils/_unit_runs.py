# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of schedules that systemd starts: each is one invocation of the schedule's service."""

from __future__ import annotations

import glob
import os
import time
from typing import Mapping, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._run import FAILED, SUCCEEDED, Run, Runs
from ansible_collections.fleetbackup.borg.plugins.module_utils._run_log import Entry, Scrubber, entries, words_of
from ansible_collections.fleetbackup.borg.plugins.module_utils._systemd import Systemd
from ansible_collections.fleetbackup.borg.plugins.module_utils._units import PREFIX, service_name

#: Seconds that a unit is given to leave systemd's queue; one that waits for the network may need longer.
_PATIENCE = 5.0
_PROPERTIES = (
    *("ActiveState", "Job", "InvocationID", "Result", "ExecMainCode", "ExecMainStatus", "FragmentPath"),
    *("InactiveExitTimestampMonotonic", "InactiveEnterTimestampMonotonic", "ConditionResult"),
)
#: Begins the id of a run that still waits in systemd's queue; the id of the run before it follows.
_AFTER = "after-"
#: Names the boot; what systemd knew before it is lost.
_BOOT = "/proc/sys/kernel/random/boot_id"
#: What systemd writes where a unit has ended well. Source: `systemd/sd-messages.h`, SD_MESSAGE_UNIT_SUCCESS.
_ENDED_WELL = "7ad2d189f7e94e70a38c781354912448"
#: What exit codes stand for a signal in a shell, and for too long a time in timeout(1).
_SIGNAL, _TOO_LONG = 128, 124
#: ExecMainCode of a process that ended by itself. Source: waitid(2), CLD_EXITED.
_EXITED = "1"


class UnitRuns(Runs):
    """The runs of one systemd's services."""

    name = "systemd"

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd

    def schedules(self) -> set[str]:
        found = glob.glob(f"{glob.escape(self._systemd.directory)}/{PREFIX}*.service")
        return {os.path.basename(path)[len(PREFIX) : -len(".service")] for path in found}

    def under_way(self, schedule: str) -> Optional[Run]:
        shown = self._show(schedule)
        if not _is_under_way(shown):
            return None
        identity = _identity(shown) if _is_active(shown) else _AFTER + shown["InvocationID"]
        return self._run(schedule, identity, shown)._replace(joined=True)

    def start(self, schedule: str) -> Run:
        if not self._systemd.is_running:
            raise Failure(
                "other", "The systemd of this account does not run. Log in, or let root run 'loginctl enable-linger'."
            )
        before = self._show(schedule)["InvocationID"]
        self._systemd.call("start", "--no-block", "--", service_name(schedule))
        deadline = time.monotonic() + _PATIENCE
        while True:
            shown = self._show(schedule)
            if shown["InvocationID"] not in ("", before):
                return self._run(schedule, _identity(shown), shown)
            if not _is_under_way(shown):
                raise self._not_started(schedule, shown)
            if time.monotonic() > deadline:
                return self._run(schedule, _AFTER + before, shown)
            time.sleep(0.1)

    def look(self, schedule: str, identity: str) -> Run:
        shown = self._show(schedule)
        if identity.startswith(_AFTER):
            if shown["InvocationID"] not in ("", identity[len(_AFTER) :]):
                identity = _identity(shown)
            elif not _is_under_way(shown):
                raise self._not_started(schedule, shown)
        return self._run(schedule, identity, shown)

    def _show(self, schedule: str) -> dict[str, str]:
        if not self._systemd.is_running:
            return dict.fromkeys(_PROPERTIES, "")
        shown = self._systemd.properties([service_name(schedule)], _PROPERTIES)
        return {**dict.fromkeys(_PROPERTIES, ""), **(shown[0] if shown else {})}

    def _run(self, schedule: str, identity: str, shown: Mapping[str, str]) -> Run:
        user = "--user-unit" if self._systemd.scope == "user" else "-u"
        run = Run(schedule, identity, log_command=f"journalctl {user} {service_name(schedule)}")
        if identity.startswith(_AFTER):
            return run
        invocation, _at, boot = identity.partition("@")
        of_it = f"_SYSTEMD_INVOCATION_ID={invocation}"
        said = entries(of_it, "+", f"INVOCATION_ID={invocation}", "+", f"USER_INVOCATION_ID={invocation}")
        own = [entry.text for entry in said if entry.fields.get("SYSLOG_IDENTIFIER") == "borgmatic" or entry.is_error]
        run = run._replace(log=Scrubber(words_of(self._command(shown))).lines(own))
        if shown["InvocationID"] == invocation:
            return _as_shown(run, shown)
        return _as_logged(run, said, forgotten=not shown["InvocationID"] and boot == _boot())

    def _command(self, shown: Mapping[str, str]) -> str:
        """What the service executes, from its file: systemctl prints it without its quotes."""
        try:
            with open(shown["FragmentPath"], encoding="utf-8") as file:
                lines = [line for line in file if line.startswith("ExecStart=")]
        except OSError:  # removed meanwhile
            return ""
        return lines[-1].partition("=")[2].replace("$$", "$").replace("%%", "%") if lines else ""

    def _not_started(self, schedule: str, shown: Mapping[str, str]) -> Failure:
        unit = service_name(schedule)
        why = (
            "a condition of the unit does not hold"
            if shown["ConditionResult"] == "no"
            else f"its result is {shown['Result']}"
        )
        option = "" if self._systemd.scope == "system" else " --user"
        return Failure(
            "other", f"{schedule}: systemd did not start {unit}: {why}. See: systemctl{option} status {unit}"
        )


def _is_active(shown: Mapping[str, str]) -> bool:
    return shown["ActiveState"] in ("active", "activating", "deactivating", "reloading")


def _is_under_way(shown: Mapping[str, str]) -> bool:
    return _is_active(shown) or shown["Job"] not in ("", "0")


def _as_shown(run: Run, shown: Mapping[str, str]) -> Run:
    run = run._replace(started=_moment(shown["InactiveExitTimestampMonotonic"]))
    if _is_active(shown):
        return run
    result = SUCCEEDED if shown["Result"] == "success" else FAILED
    ended = _moment(shown["InactiveEnterTimestampMonotonic"])
    return run._replace(result=result, exit_code=_exit_code(shown), ended=ended)


def _exit_code(shown: Mapping[str, str]) -> Optional[int]:
    if shown["Result"] == "timeout":
        return _TOO_LONG
    if not shown["ExecMainStatus"].isdigit() or shown["ExecMainCode"] == "0":
        return None
    return int(shown["ExecMainStatus"]) + (0 if shown["ExecMainCode"] == _EXITED else _SIGNAL)


def _as_logged(run: Run, said: list[Entry], *, forgotten: bool) -> Run:
    """Of a run that a later one has replaced, or that systemd knows no more.

    :param forgotten: whether it was known since the boot. systemd forgets what ended well as soon as no timer holds the
        unit, and never what failed.
    """
    results = [entry.fields["UNIT_RESULT"] for entry in said if "UNIT_RESULT" in entry.fields]
    ended_well = any(entry.fields.get("MESSAGE_ID") == _ENDED_WELL for entry in said)
    if not (results or ended_well or forgotten):
        raise Failure(
            "other",
            f"{run.schedule}: how this run ended is not known any more: a later one has replaced it, or the machine was"
            f" restarted, and the journal does not tell. See: {run.log_command}",
        )
    codes = [entry.fields["EXIT_STATUS"] for entry in said if str(entry.fields.get("EXIT_STATUS")).isdigit()]
    moments = [entry.moment for entry in said]
    return run._replace(
        result=FAILED if results else SUCCEEDED,
        exit_code=int(codes[-1]) if codes else (None if results else 0),
        started=moments[0] if moments else None,
        ended=moments[-1] if moments else None,
    )


def _identity(shown: Mapping[str, str]) -> str:
    return f"{shown['InvocationID']}@{_boot()}"


def _boot() -> str:
    with open(_BOOT, encoding="ascii") as file:
        return file.read().partition("-")[0]


def _moment(monotonic: str) -> Optional[float]:
    """Seconds since 1970 from systemd's microseconds since the boot."""
    if not monotonic.isdigit() or monotonic == "0":
        return None
    return time.time() - time.monotonic() + int(monotonic) / 1e6
