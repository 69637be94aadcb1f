# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machines, and what an attack has achieved on them."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import testinfra

HERE = Path(__file__).parent
INVENTORY = HERE.parent / "inventory"
POOL = "/srv/borg"
OWN, OTHER = f"{POOL}/client-a/", f"{POOL}/client-b/"
#: Where a client that got through could leave something.
WATCHED = (POOL, "/tmp", "/home", "/etc/ssh")
SSH = "ssh -F /root/.ssh/fleetbackup_config"
LOGIN = f"{SSH} borg@backup1"
#: For borg on the attacker: it knows nothing of earlier attacks, asks nothing, and refuses nothing that the server might not.
BORG = (
    f"export BORG_RSH='{SSH}' BORG_PASSPHRASE='a passphrase of the tests, client-a' BORG_BASE_DIR=$(mktemp -d)"
    " BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes"
    " BORG_CHECK_I_KNOW_WHAT_I_AM_DOING=YES BORG_DELETE_I_KNOW_WHAT_I_AM_DOING=YES;"
)
#: What only somebody with a shell, or with the victim's files, can print.
TRACES = {"uid=": "ran a command", "The victim's own.": "read the victim's file", "BORG_KEY": "read a key", "SSH-2.0": "reached a port"}
SECONDS = 20

#: An attack tells what it has achieved; nothing, as it should be.
Attack = Callable[["Fleet"], list]


class Fleet:
    def __init__(self) -> None:
        names = ("client-a", "client-b", "backup1")
        self.attacker, self.victim, self.server = (testinfra.get_host(f"ssh://root@{name}?controlpath=/tmp/to-{name}") for name in names)
        self._seen: dict[str, list] | None = None

    def attack(self, command: str) -> list[str]:
        """Run a command as the attacker; what it has achieved."""
        before = self.seen()
        said = self.attempt(command)
        return [*traces(said), *differing(before, self.files())]

    def attempt(self, command: str) -> str:
        """What a command of the attacker says."""
        # Whatever it achieves counts, not how it ends; and of 255, ssh's own, testinfra would think that the machine is lost.
        ran = self.attacker.run(f"timeout {SECONDS} bash -c {shlex.quote(command)} </dev/null || true")
        return ran.stdout + ran.stderr

    def speak(self, calls: list, command: str = "borg serve") -> list:
        """What borg serve answers to a client without manners."""
        ran = self.attacker.run("timeout 30 python3 -c %s %s %s", (HERE / "crafted_client.py").read_text(), command, json.dumps(calls))
        assert ran.rc == 0, ran.stderr
        return json.loads(ran.stdout)

    @contextlib.contextmanager
    def held(self, options: str) -> Iterator[None]:
        """A connection of the attacker that stays open until the end."""
        command = f"sleep 60 | SSH_AUTH_SOCK=/tmp/agent DISPLAY=:9 timeout 60 {SSH} {options}"
        self.attacker.check_output("setsid --fork bash -c %s >/tmp/held 2>&1 </dev/null", command)
        try:
            end = time.monotonic() + SECONDS
            while not self.evidence()["processes"]:
                assert time.monotonic() < end, self.attacker.check_output("cat /tmp/held")
            time.sleep(0.5)
            yield
        finally:
            self.attacker.run("pkill -x sleep; pkill -x ssh")

    def evidence(self, *directories: str) -> dict[str, Any]:
        script = (HERE / "evidence.py").read_text()
        return json.loads(self.server.check_output("python3 -c %s" + " %s" * len(directories), script, *directories))

    def files(self) -> dict[str, list]:
        """What is on the server."""
        self._seen = self.evidence(*WATCHED)["files"]
        return self._seen

    def seen(self) -> dict[str, list]:
        """The same, as it was after the last attack."""
        return self.files() if self._seen is None else self._seen

    def on_server(self, script: str) -> str:
        """Prepare the server, as nobody could from outside."""
        self._seen = None
        return self.server.check_output("bash -euc %s", script)

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Whatever happens to the server, it is undone."""
        saved = self.on_server("mktemp --tmpdir=/root --suffix=.tar")
        places = "/srv/borg /etc/ssh/sshd_config.d /etc/shadow"
        self.on_server(f"tar -cpf {saved} {places}")
        try:
            yield
        finally:
            self.on_server(f"rm -rf /srv/borg /etc/ssh/sshd_config.d; tar -xpf {saved} -C /; rm {saved}; systemctl reload ssh; sleep 0.3")


def traces(said: str) -> list[str]:
    return [achieved for trace, achieved in TRACES.items() if trace in said]


def differing(before: dict[str, list], after: dict[str, list]) -> list[str]:
    return [f"changed {path}" for path in sorted({**before, **after}) if before.get(path) != after.get(path)]
