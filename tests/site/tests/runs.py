# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of playbooks, and what came of each of their tasks."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

SCENARIO = Path(__file__).parents[1]
SITE, SERVER, CLIENT = (f"fleetbackup.borg.{name}" for name in ("site", "server", "client"))
#: What every passphrase of the inventory begins with.
SECRET = "a passphrase of the tests"
UNIT = "fleetbackup-killed.scope"


class Result(NamedTuple):
    """What came of a task on a host."""

    play: str
    task: str
    host: str
    outcome: str
    changed: bool
    assumed: bool
    message: str

    @property
    def place(self) -> tuple[str, str, str]:
        return self.host, self.play, self.task


class Run(NamedTuple):
    """A run that is over."""

    rc: int
    output: str
    results: list[Result]

    @property
    def changes(self) -> set[tuple[str, str, str]]:
        return {result.place for result in self.results if result.changed}

    @property
    def bad(self) -> list[Result]:
        return [result for result in self.results if result.outcome != "ok"]

    @property
    def assumptions(self) -> set[tuple[str, str, str]]:
        return {result.place for result in self.results if result.assumed}

    @property
    def converged(self) -> set[str]:
        """The hosts that came through without a change."""
        return {result.host for result in self.results} - {result.host for result in self.results if result.changed or result in self.bad}


class Controller:
    """Runs playbooks, with more inventory than that of the scenario where a test needs it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, playbook: str, *options: str, more: dict[str, Any] | None = None, kill: bool = False) -> Run:
        """Run a playbook; with `kill`, only until it has changed something. No output of any run shows a passphrase."""
        directory = Path(tempfile.mkdtemp(dir=self.directory))
        record, output, inventory = (directory / name for name in ("record", "output", "more.json"))
        record.touch()
        inventory.write_text(json.dumps(more or {}))
        command = ["ansible-playbook", f"--inventory={SCENARIO}/inventory", f"--inventory={inventory}", "-vvv", "--diff", "--forks=15", playbook, *options]
        if kill:
            # Its processes are in sessions of their own, so what ends them all is their control group.
            command = ["systemd-run", "--scope", "--quiet", "--collect", f"--unit={UNIT}", *command]
        with output.open("w") as file:
            process = subprocess.Popen(command, env=environment(record), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
            while kill and process.poll() is None:
                if any(result.changed for result in results(record)):
                    subprocess.run(["systemctl", "kill", "--signal=KILL", UNIT], check=False)
                    break
                time.sleep(0.02)
            rc = process.wait()
        ran = Run(rc, output.read_text(), results(record))
        assert SECRET not in ran.output, [line for line in ran.output.splitlines() if SECRET in line]
        return ran


def environment(record: Path) -> dict[str, str]:
    return {
        # No run meets the connections of an earlier one: in between, machines come and go.
        **os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_SSH_CONTROL_PATH_DIR": str(record.parent), "ANSIBLE_CALLBACK_PLUGINS": str(SCENARIO / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "recorded", "RECORDED_FILE": str(record),
    }


def results(record: Path) -> list[Result]:
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Result(**json.loads(line)) for line in lines if line.endswith("\n")]
