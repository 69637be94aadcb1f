# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks as their user runs them, and the machines that they are about. For tests on the controller."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import testinfra

SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
INVENTORY = SCENARIO / "inventory"
MANIFEST = Path(__file__).with_name("manifest.py").read_text(encoding="utf-8")
SERVICE = "fleetbackup-system-backup.service"
TIMERS = ("fleetbackup-system-backup.timer", "fleetbackup-system-check.timer")
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=(\d+)", re.MULTILINE)


class Run(NamedTuple):
    """A run of ansible-playbook."""

    rc: int
    said: str

    @property
    def changes(self) -> dict[str, int]:
        """How much each host changed."""
        return {host: int(changed) for host, changed, _failed in RECAP.findall(self.said)}

    @property
    def errors(self) -> list[str]:
        """The words of what failed."""
        return re.findall(r'"error": "(\w+)"', self.said)

    @property
    def words(self) -> str:
        """What it said, on one line."""
        return " ".join(self.said.split())

    def succeeded(self) -> Run:
        assert self.rc == 0, self.said
        return self


class Playbook:
    """One that runs, maybe beside others.

    :param variables: extra ones.
    """

    def __init__(self, name: str, *options: str, inventory: Path = INVENTORY, **variables: Any) -> None:
        self._said = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            ["ansible-playbook", "--inventory", inventory, f"fleetbackup.borg.{name}", "--extra-vars", json.dumps(variables), *options],
            env={**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=self._said, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def ended(self) -> Run:
        """Wait for its end."""
        self._process.wait()
        with self._said:
            self._said.seek(0)
            return Run(self._process.returncode, self._said.read())

    def says(self, pattern: str, seconds: float = 60) -> bool:
        """Whether it says something like this before the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            if re.search(pattern, Path(f"/proc/self/fd/{self._said.fileno()}").read_text(encoding="utf-8")):
                return True
            time.sleep(0.2)
        return False

    def killed(self) -> Run:
        """Kill it, with all that it has started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        return self.ended()


def play(name: str, *options: str, inventory: Path = INVENTORY, **variables: Any) -> Run:
    return Playbook(name, *options, inventory=inventory, **variables).ended()


class Machine:
    """One that this controller may log in to as root.

    :param life: tells it from an earlier one of the same name.
    """

    def __init__(self, name: str, life: str = "first") -> None:
        self.host = testinfra.get_host(f"ssh://root@{name}?controlpath=/tmp/to-{name}-{life}")

    def output(self, script: str) -> str:
        """What a script in bash says; it must succeed."""
        return self.host.check_output("bash -euc %s", script)

    def back_up(self) -> None:
        """Run the backup as its timer does."""
        ran = self.host.run(f"systemctl start {SERVICE}")
        assert ran.rc == 0, self.host.run(f"journalctl --no-pager --lines=50 --unit={SERVICE}").stdout

    def archives(self, label: str) -> list[str]:
        """The names of the archives of a repository, as its borgmatic lists them."""
        (listed,) = json.loads(self.output(f"borgmatic --config /etc/borgmatic.d/system.yaml list --repository {label} --json"))
        return [archive["name"] for archive in listed["archives"]]

    def repository_id(self, label: str) -> str:
        (listed,) = json.loads(self.output(f"borgmatic --config /etc/borgmatic.d/system.yaml list --repository {label} --json"))
        return listed["repository"]["id"]

    def enabled(self) -> set[str]:
        """Its timers that are enabled and wait for their time."""
        return {timer for timer in TIMERS if self.host.run(f"systemctl is-enabled {timer} && systemctl is-active {timer}").rc == 0}

    def exists(self, path: str) -> bool:
        return self.host.run("test -e %s", path).rc == 0

    def manifest(self, directory: str) -> dict[str, Any]:
        return json.loads(self.host.check_output("python3 -c %s %s holes", MANIFEST, directory))
