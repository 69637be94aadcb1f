# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One systemd: the system's, or a user's own."""

from __future__ import annotations

import os
import re
import time
from typing import NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import Completed, run

_TIMEOUT = 90.0
_LINGER_DIRECTORY = "/var/lib/systemd/linger"
#: Seconds that a user's systemd may take to start once it is allowed to linger.
_START_TIMEOUT = 20.0

_PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "FragmentPath", "DropInPaths", "NeedDaemonReload"),
    *("NextElapseUSecRealtime", "ConditionResult", "ConditionTimestampMonotonic"),
)
_TIME = r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d+)? UTC"


class Unit(NamedTuple):
    """What systemd knows of a unit.

    :ivar active: whether it is started.
    :ivar running: of a timer: whether what it started still runs; systemd then knows no next run.
    :ivar failed: whether it is remembered as failed.
    :ivar enabled: whether it starts at boot.
    :ivar path: its file.
    :ivar drop_ins: the files that change it.
    :ivar outdated: whether its files changed since they were loaded.
    :ivar next_run: of a timer: when it elapses, ISO 8601 in UTC.
    :ivar skipped: whether its last start was skipped by a condition.
    """

    active: bool = False
    running: bool = False
    failed: bool = False
    enabled: bool = False
    path: str = ""
    drop_ins: str = ""
    outdated: bool = False
    next_run: Optional[str] = None
    skipped: bool = False

    @classmethod
    def parse(cls, shown: dict[str, str]) -> Unit:
        """From what ``systemctl show`` prints under TZ=UTC."""
        return cls(
            active=shown.get("ActiveState") in ("active", "activating", "reloading"),
            running=shown.get("SubState") == "running",
            failed=shown.get("ActiveState") == "failed",
            enabled=shown.get("UnitFileState", "").startswith("enabled"),
            path=shown.get("FragmentPath", ""),
            drop_ins=shown.get("DropInPaths", ""),
            outdated=shown.get("NeedDaemonReload") == "yes",
            next_run=_first_time(shown.get("NextElapseUSecRealtime", "")),
            skipped=shown.get("ConditionResult") == "no" and shown.get("ConditionTimestampMonotonic", "0") != "0",
        )


class Systemd:
    """The systemd that looks after one scope.

    :ivar scope: ``system`` or ``user``.
    :ivar directory: where our unit files lie.
    :ivar stamps: where it remembers when a timer elapsed last.
    """

    def __init__(self, scope: str, account: Account) -> None:
        self.scope = scope
        self._account = account
        if scope == "system":
            self.directory, self.stamps = "/etc/systemd/system", "/var/lib/systemd/timers"
        else:
            self.directory = f"{account.home}/.config/systemd/user"
            self.stamps = f"{account.home}/.local/share/systemd/timers"
        self._runtime = "/run" if scope == "system" else f"/run/user/{account.uid}"

    @property
    def runtime(self) -> str:
        """The runtime directory, ``%t`` in units."""
        return self._runtime

    @property
    def is_running(self) -> bool:
        """Whether it answers. A user's own runs while the user is logged in, or lingers."""
        return self.scope == "system" or os.path.exists(f"{self._runtime}/systemd/private")

    @property
    def lingers(self) -> bool:
        """Whether it runs even while nobody is logged in."""
        return self.scope == "system" or os.path.exists(f"{_LINGER_DIRECTORY}/{self._account.name}")

    def linger(self) -> None:
        """Let the user's systemd run from boot on, and wait for it.

        :raises Failure: ``permission``, ``timeout``.
        """
        enabled = run(["loginctl", "enable-linger", self._account.name], timeout=_TIMEOUT)
        if enabled.rc:
            raise Failure(
                "permission",
                f"{self._account.name} may not linger, so its timers would run only while it is logged in. Let root run"
                f" 'loginctl enable-linger {self._account.name}' once, or say linger: false.",
                rc=enabled.rc,
                cmd=enabled.argv,
                stderr=enabled.stderr,
            )
        deadline = time.monotonic() + _START_TIMEOUT
        while not self.is_running:
            if time.monotonic() > deadline:
                raise Failure("timeout", f"The systemd of {self._account.name} did not start within {_START_TIMEOUT:g} seconds.")
            time.sleep(0.1)

    def show(self, names: Sequence[str]) -> dict[str, Unit]:
        """What is known of some units, by name; one process for all."""
        if not names or not self.is_running:
            return {name: Unit() for name in names}
        shown = self.properties(names, _PROPERTIES)
        return {name: Unit.parse(properties) for name, properties in zip(names, shown)}

    def properties(self, names: Sequence[str], wanted: Sequence[str]) -> list[dict[str, str]]:
        """Some properties of each of some units, as systemd prints them; times in UTC."""
        completed = self.call("show", f"--property={','.join(wanted)}", "--", *names)
        blocks = completed.stdout.strip("\n").split("\n\n")
        return [dict(line.partition("=")[::2] for line in block.splitlines()) for block in blocks]

    def call(self, *arguments: str) -> Completed:
        """Run systemctl.

        :raises Failure: ``permission``, ``other``.
        """
        completed = run([*self._program("systemctl"), *arguments], environment=self._environment(), timeout=_TIMEOUT)
        if completed.rc == 0:
            return completed
        said = " ".join(completed.stderr.split())
        denied = re.search(r"denied|authentication required|not permitted", said, re.IGNORECASE)
        raise Failure(
            "permission" if denied else "other",
            f"systemctl {arguments[0]} failed: {said or completed.rc}",
            rc=completed.rc,
            cmd=completed.argv,
            stderr=completed.stderr,
        )

    def verify(self, paths: Sequence[str]) -> None:
        """Have systemd judge unit files that are not live yet.

        :raises Failure: ``invalid_argument`` with systemd's words.
        """
        # %t is looked up, and an account that is not logged in has no runtime directory
        environment = {} if self.scope == "system" else {"XDG_RUNTIME_DIR": os.path.dirname(paths[0])}
        command = [*self._program("systemd-analyze"), "verify", "--man=no", *paths]
        judged = run(command, environment=environment, timeout=_TIMEOUT)
        if judged.rc:
            said = judged.stderr.replace(f"{os.path.dirname(paths[0])}/", "")
            raise Failure(
                "invalid_argument",
                f"systemd rejects the unit: {' '.join(said.split())} Nothing was changed.",
                rc=judged.rc,
                cmd=judged.argv,
                stderr=said,
            )

    def next_elapse(self, expression: str, parameter: str) -> str:
        """When a calendar elapses next, ISO 8601 in UTC.

        :raises Failure: ``invalid_argument``: systemd can't read it, or it never elapses.
        """
        judged = run(["systemd-analyze", "calendar", "--", expression], timeout=_TIMEOUT)
        moment = _first_time(judged.stdout)
        if judged.rc or moment is None:
            reason = "lies in the past for good" if judged.rc == 0 else "is no calendar that systemd can read"
            raise Failure(
                "invalid_argument",
                f"{parameter}: {expression!r} {reason}; for example 'Mon..Fri *-*-* 02:30:00'. Try: systemd-analyze calendar.",
                rc=judged.rc,
                cmd=judged.argv,
                stderr=judged.stderr,
            )
        return moment

    def _program(self, name: str) -> list[str]:
        return [name] if self.scope == "system" else [name, "--user"]

    def _environment(self) -> dict[str, str]:
        # its times are then printed in UTC
        environment = {"TZ": "UTC", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
        if self.scope == "user":
            # where no login set them: sudo, su
            environment["XDG_RUNTIME_DIR"] = self._runtime
            environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={self._runtime}/bus"
        return environment


def _first_time(text: str) -> Optional[str]:
    found = re.search(_TIME, text)
    return f"{found.group(1)}T{found.group(2)}+00:00" if found else None
