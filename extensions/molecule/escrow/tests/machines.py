# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clients, and what they and their server have."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import testinfra

MANIFEST = (Path(__file__).parents[2] / "common/manifest.py").read_text(encoding="utf-8")
REPOSITORIES = {
    "client1": ("ssh://borg@backup1/./client1", "ssh://borg@backup1/./client1-too"),
    "client2": ("ssh://borg@backup1/./client2",),
}
TIMERS = ("fleetbackup-system-backup.timer", "fleetbackup-system-check.timer")
SERVICE = "fleetbackup-system-backup.service"
# All but what Ansible, Borg and borgmatic remember for themselves.
STATE = r"""
find /etc /root -xdev \( -path /root/.ansible -o -path /root/.cache -o -path /root/.config/borg -o -path /root/.local \) -prune \
  -o \( -type f -o -type l \) -printf '%p %m %T@ %l\n' | sort
systemctl list-unit-files --no-legend 'fleetbackup-*'
"""


class Machine:
    """One that this controller may log in to as root."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.host = testinfra.get_host(f"ssh://root@{name}?controlpath=/tmp/to-{name}")

    def output(self, script: str) -> str:
        """What a script in bash says; it must succeed."""
        return self.host.check_output("bash -euc %s", script)

    def borg(self, passphrase: str, *words: str, more: str = "") -> str:
        """A script with a command of borg, which reaches the server as the client's backups do."""
        way = f"BORG_RSH='ssh -F /root/.ssh/fleetbackup_config' BORG_PASSPHRASE={shlex.quote(passphrase)} BORG_DISPLAY_PASSPHRASE=no {more}"
        return f"{way} borg --lock-wait 60 {shlex.join(words)} </dev/null"

    def is_opened_by(self, passphrase: str, location: str) -> bool:
        """Whether a passphrase opens a repository; where Borg comes to no verdict, because the server is away for example, the test fails."""
        # Of 255, ssh's own, testinfra would think that the machine is lost.
        listing = f"{{ {self.borg(passphrase, '--log-json', 'list', location)} >/dev/null && echo opened || true; }} 2>&1"
        said = self.output(listing)
        assert re.search(r"\bopened$|\bPassphraseWrong\b|\bin decrypt_key_file\b", said), said
        return said.endswith("opened")

    def hold_lock(self, passphrase: str, location: str, *, seconds: int) -> None:
        """Do what a long backup does."""
        script = shlex.quote(self.borg(passphrase, "with-lock", location, "sleep", str(seconds)))
        self.output(f"systemd-run --quiet --collect --unit=long-backup --setenv=HOME=/root bash -c {script}")
        self._await_lock(location, "")

    def release_lock(self, location: str) -> None:
        self.output("systemctl stop long-backup")
        self._await_lock(location, "!")

    def _await_lock(self, location: str, negation: str) -> None:
        path = f"/srv/borg/{location.rpartition('/')[2]}/lock.exclusive"
        Machine("backup1").output(f"until test {negation} -e {path}; do sleep 0.2; done")

    def archives(self, passphrase: str, location: str) -> list[str]:
        return self.output(self.borg(passphrase, "list", "--short", location)).splitlines()

    def back_up(self) -> None:
        """Run the backup as its timer does."""
        ran = self.host.run(f"systemctl start {SERVICE}")
        assert ran.rc == 0, self.host.run(f"journalctl --no-pager --lines=50 --unit={SERVICE}").stdout

    def enabled(self) -> set[str]:
        """Its timers that are enabled and wait for their time."""
        return {timer for timer in TIMERS if self.host.run(f"systemctl is-enabled {timer} && systemctl is-active {timer}").rc == 0}

    def stop_timers(self) -> None:
        self.output(f"systemctl disable --now {' '.join(TIMERS)}")

    def manifest(self, directory: str) -> dict[str, Any]:
        return json.loads(self.host.check_output("python3 -c %s %s", MANIFEST, directory))


def key_on_server(location: str) -> str:
    """Whatever a repository has as its key."""
    return Machine("backup1").output(f"grep -A 20 ^key /srv/borg/{location.rpartition('/')[2]}/config")
