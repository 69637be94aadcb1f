# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller: it runs playbooks, and has the bundles."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
INVENTORY = SCENARIO / "inventory"
ESCROW = Path.home() / "fleetbackup-escrow"
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=(\d+)", re.MULTILINE)


class Run(NamedTuple):
    """A run of ansible-playbook.

    :ivar rc: negative where it was killed.
    :ivar steps: what callback/steps.py tells.
    """

    rc: int
    said: str
    steps: list[dict[str, Any]]

    @property
    def changes(self) -> dict[str, int]:
        """How much each host changed."""
        return {host: int(changed) for host, changed, _failed in RECAP.findall(self.said)}

    @property
    def failed(self) -> set[str]:
        """The hosts that failed."""
        return {host for host, _changed, failed in RECAP.findall(self.said) if failed != "0"}

    def errors(self, host: str) -> list[str]:
        """The words of what failed on a host."""
        return [step["error"] for step in self.steps if step["host"] == host and step["failed"] and step["error"]]

    def messages(self, host: str) -> str:
        """What the failures of a host say."""
        return "\n".join(step["msg"] for step in self.steps if step["host"] == host and step["failed"])

    def succeeded(self) -> Run:
        assert self.rc == 0, self.said
        return self


class Playbook:
    """One that runs, maybe beside others.

    :param variables: extra ones.
    :param environment: None takes one away.
    """

    def __init__(
        self, name: str, *options: str, variables: dict[str, Any] | None = None, environment: dict[str, str | None] | None = None
    ) -> None:
        self._steps = tempfile.NamedTemporaryFile()
        said = {
            **os.environ,
            "ANSIBLE_CALLBACK_PLUGINS": str(SCENARIO / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "steps",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "STEPS_FILE": self._steps.name,
            **(environment or {}),
        }
        self._process = subprocess.Popen(
            ["ansible-playbook", "--inventory", INVENTORY, f"fleetbackup.borg.{name}", "--extra-vars", json.dumps(variables or {}), *options],
            env={key: value for key, value in said.items() if value is not None},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )

    def ended(self) -> Run:
        """Wait for its end."""
        said, _none = self._process.communicate()
        with self._steps:
            return Run(self._process.returncode, said, [json.loads(line) for line in self._steps])


def play(name: str, *options: str, variables: dict[str, Any] | None = None, environment: dict[str, str | None] | None = None) -> Run:
    return Playbook(name, *options, variables=variables, environment=environment).ended()


def bundles(host: str = "") -> list[Path]:
    """The files of a host, by name; of all hosts."""
    return sorted(ESCROW.glob(f"{host}*.yml"))


def opened(bundle: Path) -> str:
    """A bundle as its owner reads it."""
    return subprocess.run(["ansible-vault", "view", bundle], capture_output=True, text=True, check=True).stdout


def held(bundle: Path) -> dict[str, Any]:
    """What a bundle tells programs; in this process, for that is much faster."""
    password = Path(os.environ["ANSIBLE_VAULT_PASSWORD_FILE"]).read_bytes().strip()
    return yaml.safe_load(VaultLib([("default", VaultSecret(password))]).decrypt(bundle.read_bytes()))


def fingerprint(directory: Path = ESCROW) -> dict[str, tuple]:
    """What is there, and since when."""
    return {
        path.name: (path.stat().st_mode, path.stat().st_ino, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(directory.iterdir())
    }
