# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a converged fleet costs, beside a play with one ansible.builtin.ping, in one run over real SSH.

Runs on the controller of a lab. Plays take turns, so that whatever else the machine does meets all alike; medians count.
Launches are counted by the clients' Python, runs of borg by the clients' borg. Seconds hold for one machine, ratios for all.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, NamedTuple

TESTS = Path(__file__).resolve().parents[1]
PASSPHRASE = "only-for-the-benchmark"
#: The client's Python notes each launch of a module, its borg each run.
COUNT = r"""
grep -q borg-runs /usr/bin/borg || sed -i '1a open("/run/borg-runs", "a").write("run\\n")' /usr/bin/borg
printf '#!/bin/sh\necho launch >>/run/launches\nexec /usr/bin/python3 "$@"\n' >/usr/local/bin/counted-python
chmod +x /usr/local/bin/counted-python
"""
FEW, MANY = 10, 1000


class Goal(NamedTuple):
    """One figure, what was measured, and what it may be at most."""

    figure: str
    measured: float
    most: float


class Cost(NamedTuple):
    """Seconds of one play: on the clock, and of the controller's CPU."""

    wall: float
    cpu: float


Play = Callable[[], None]


def main() -> int:
    """Boot, converge, measure, print the table, and fail where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=5, help="clients to boot (default: 5)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each play (default: 5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetbackup-bench-") as directory:
        fleet = Fleet(Path(directory), [f"client{number}" for number in range(1, options.clients + 1)])
        try:
            fleet.boot()
            return report(fleet.goals(options.rounds))
        finally:
            fleet.lab("down")


class Fleet:
    """One server and some clients, in a directory with the inventory."""

    def __init__(self, directory: Path, clients: list[str]) -> None:
        self.directory = directory
        self.clients = clients
        self.inventory = directory / "inventory.json"

    def lab(self, *words: str) -> None:
        """Have the lab boot or remove the machines."""
        subprocess.run(["python3", "-m", "lab.fleet", *words], cwd=TESTS, stdout=subprocess.DEVNULL, check=True)

    def boot(self) -> None:
        """Boot bare machines that count, and bring everything about."""
        machine = {"lab_distribution": "debian13", "lab_layer": "borg"}
        config = {
            "source_directories": ["/etc/ssh"],
            "repositories": [{"path": "ssh://borg@backup1/./{{ inventory_hostname }}", "label": "backup1"}],
            "encryption_passphrase": PASSPHRASE,
            "keep_daily": 7,
        }
        variables = {
            "ansible_python_interpreter": "/usr/local/bin/counted-python",
            "borgmatic_configs": [{"name": "system", "config": config}],
            "borgmatic_escrow_directory": str(self.directory / "escrow"),
        }
        write(self.inventory, {
            "borg_servers": {"hosts": {"backup1": {**machine, "ansible_python_interpreter": "/usr/bin/python3"}}},
            "borg_clients": {"hosts": dict.fromkeys(self.clients, machine), "vars": variables},
        })
        write(self.directory / "ping.yml", [
            {"hosts": "borg_clients", "gather_facts": False, "tasks": [{"ansible.builtin.ping": None}]},
        ])
        self.lab("up", str(self.inventory))
        for name in self.clients:
            subprocess.run(["ssh", name, "sh", "-s"], input=COUNT, text=True, check=True)
        self.play("fleetbackup.borg.site")

    def play(self, name: str, *options: str) -> None:
        """Run a playbook; it must succeed."""
        command = ["ansible-playbook", "--inventory", str(self.inventory), "--forks=15", name, *options]
        environment = {**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-1000:]}")

    def goals(self, rounds: int) -> list[Goal]:
        """Measure everything."""
        first = ["--limit", self.clients[0]]
        plays: dict[str, Play] = {
            "ping": lambda: self.play(str(self.directory / "ping.yml"), *first),
            "client": lambda: self.play("fleetbackup.borg.client", *first),
            "clients": lambda: self.play("fleetbackup.borg.client"),
            "few": lambda: self.play("fleetbackup.borg.server", *self._outside(FEW)),
        }
        costs = self._measure(plays, rounds)
        self.play("fleetbackup.borg.server", *self._outside(MANY))
        costs.update(self._measure({"many": lambda: self.play("fleetbackup.borg.server", *self._outside(MANY))}, rounds))
        further = (costs["clients"].cpu - costs["client"].cpu) / (len(self.clients) - 1)
        launches, runs = self._counted(plays["client"])
        print(f"{'play':<34}{'wall s':>8}{'controller CPU s':>18}")
        names = {"ping": "ping, one client", "client": "client, one client", "clients": f"client, {len(self.clients)} clients",
                 "few": f"server, {FEW} clients", "many": f"server, {MANY} clients"}
        for name, cost in costs.items():
            print(f"{names[name]:<34}{cost.wall:>8.2f}{cost.cpu:>18.2f}")
        return [
            Goal("module launches on a converged client", launches, 6),
            Goal("borg runs on a converged client", runs, 1),
            Goal("client / ping, wall", costs["client"].wall / costs["ping"].wall, 4.0),
            Goal("controller CPU s for each further client", further, 0.4),
            Goal(f"server with {MANY} / {FEW} clients, wall", costs["many"].wall / costs["few"].wall, 1.5),
        ]

    def _measure(self, plays: dict[str, Play], rounds: int) -> dict[str, Cost]:
        """Run all plays in turn; the first run of each only warms up."""
        costs: dict[str, list[Cost]] = {name: [] for name in plays}
        for number in range(rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr)
            for name, play in plays.items():
                cost = measured(play)
                costs[name] += [cost] if number else []
        return {name: Cost(*map(statistics.median, zip(*of))) for name, of in costs.items()}

    def _counted(self, play: Play) -> tuple[int, int]:
        """How many modules and how many runs of borg a play starts on the first client."""
        def counts(name: str) -> int:
            shown = subprocess.run(["ssh", self.clients[0], f"cat /run/{name} 2>/dev/null | wc -l"], capture_output=True, check=True)
            return int(shown.stdout)
        before = counts("launches"), counts("borg-runs")
        play()
        return counts("launches") - before[0], counts("borg-runs") - before[1]

    def _outside(self, number: int) -> list[str]:
        """Options that give the server so many clients outside of the inventory."""
        path = self.directory / f"server-{number}.json"
        if not path.exists():
            clients = [{"name": f"outside{index}", "public_keys": [public_key(index)], "repositories": [f"outside{index}"]}
                       for index in range(number)]
            write(path, {"borg_server_clients": clients})
        return ["--extra-vars", f"@{path}"]


def measured(play: Play) -> Cost:
    """What one run costs."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    play()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(time.monotonic() - started, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def public_key(number: int) -> str:
    """A well-formed key that nobody has the other half of."""
    parts = (b"ssh-ed25519", number.to_bytes(32, "big"))
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def write(path: Path, content: object) -> None:
    """Write JSON, which is YAML too."""
    path.write_text(json.dumps(content))


def report(goals: list[Goal]) -> int:
    """Print the table; the exit code."""
    print(f"\n{'figure':<46}{'measured':>10}{'goal':>8}")
    for goal in goals:
        print(f"{goal.figure:<46}{goal.measured:>10.2f}{goal.most:>8.1f}")
    missed = [goal.figure for goal in goals if goal.measured > goal.most]
    print("\n" + (f"missed: {', '.join(missed)}" if missed else "all goals are held"))
    return 1 if missed else 0


if __name__ == "__main__":
    if not shutil.which("ansible-playbook"):
        sys.exit("This runs on the controller of a lab: see make bench.")
    sys.exit(main())
