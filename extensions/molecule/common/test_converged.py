# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds of every scenario when it has converged."""

from __future__ import annotations

import os
import re
import subprocess

RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=0", re.MULTILINE)


def test_check_mode_predicts_no_change() -> None:
    scenario = os.environ["MOLECULE_SCENARIO_DIRECTORY"]
    command = ["ansible-playbook", "--check", "--diff", "--inventory", "inventory", "converge.yml"]
    run = subprocess.run(command, cwd=scenario, capture_output=True, text=True, check=False)
    changes = {host: int(changed) for host, changed in RECAP.findall(run.stdout)}
    assert run.returncode == 0 and changes and not any(changes.values()), run.stdout + run.stderr
