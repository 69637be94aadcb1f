# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machines, reached through the engine: no test depends on their sshd."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

SCENARIO = Path(__file__).parents[1]
MACHINES = ("backup1", "client1", "client2", "client3")
KEYS = "/srv/borg/.ssh/authorized_keys"
#: Names, modes, owners and contents of all that a run may change.
STATE = r"""
places='/etc /home /root /srv /var/lib/dpkg/status /var/lib/systemd'
find $places -path /root/.ansible -prune -o -printf '%p %M %U:%G %l\n' | sort
find $places -path /root/.ansible -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
"""
LOCKED = re.compile(r'command="[^"]*borg serve [^"]*--restrict-to-repository /srv/borg/(?P<repository>[^ "]+)[^"]*",restrict ssh-ed25519 \S+ fleetbackup:\S+')
#: What sshd would say to the clients' account.
TREATMENT = "sshd -T -C user=borg,host=client,addr=192.0.2.1"


def on(machine: str, script: str) -> str:
    """What a script prints; it must succeed."""
    argv = ["docker", "exec", f"{os.environ['LAB_NAME']}-{machine}", "bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{machine}: {script}\n{done.stdout}{done.stderr}"
    return done.stdout


def state() -> dict[str, list[str]]:
    """What is on each machine."""
    return {machine: on(machine, STATE).splitlines() for machine in MACHINES}


def keys() -> list[str]:
    """The lines of the clients on the server, each of them locked up."""
    lines = [line for line in on("backup1", f"cat {KEYS} 2>/dev/null || true").splitlines() if line and not line.startswith("#")]
    assert all(map(LOCKED.fullmatch, lines)), lines
    return lines


def key_file() -> str:
    """The server's file, with what there is to see of it."""
    return on("backup1", f"cat {KEYS}; stat -c '%a %U %G' {KEYS}")


def renew(*machines: str) -> None:
    """Boot machines afresh."""
    subprocess.run(["docker", "rm", "--force", "--volumes", *(f"{os.environ['LAB_NAME']}-{machine}" for machine in machines)],
                   stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["python3", "-m", "lab.fleet", "up", f"{SCENARIO}/inventory"], cwd=SCENARIO.parent, stdout=subprocess.DEVNULL, check=True)
