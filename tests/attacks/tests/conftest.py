# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machines for all tests, and the table at the end."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from machines import INVENTORY, Fleet
from tables import Module, Outcomes

OUTCOMES: Outcomes = {}


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    fleet = Fleet()
    # What fails for want of a program would count as repelled.
    fleet.attacker.check_output("for tool in ssh scp sftp ssh-add ssh-agent ssh-keygen borg python3 timeout; do command -v $tool || exit 1; done")
    return fleet


@pytest.fixture(scope="session")
def outcomes() -> Outcomes:
    return OUTCOMES


@pytest.fixture(scope="session")
def module() -> Module:
    """Run one of our modules on a machine; its result."""
    def run(host: str, action: str, **arguments: Any) -> dict[str, Any]:
        command = ["ansible", host, "-i", str(INVENTORY), "-m", f"fleetbackup.borg.{action}", "-a", json.dumps(arguments), "-o"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return json.loads(said[said.index("{"):])
    return run


def pytest_terminal_summary(terminalreporter) -> None:
    if OUTCOMES:
        terminalreporter.section("attacks and what they achieved")
        width = max(map(len, OUTCOMES))
        for attack, outcome in OUTCOMES.items():
            terminalreporter.write_line(f"{attack!r:<{width + 2}} | {outcome}" if "\n" in attack else f"{attack:<{width + 2}} | {outcome}")
