# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module with nothing to do costs the target, beside ansible.builtin.ping, in one run.

Every module is launched as Ansible launches it, from the same payload, again and again in turn. Own CPU time and that of
the programs it starts (borg, systemctl) are told apart; medians count. Seconds hold for one machine, ratios for all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PING = "ansible.builtin.ping"
#: Own CPU time of a module, as a multiple of a ping's.
LIMIT = 1.25


class Cost(NamedTuple):
    """CPU milliseconds of one launch, and how often it ran borg."""

    own: float
    programs: float
    borg: float


def main() -> int:
    """Measure, print the table, and fail where a module costs more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="launches of each module (default: 15)")
    rounds = parser.parse_args().rounds
    scratch = Path(tempfile.mkdtemp(prefix="fleetbackup-bench-"))
    try:
        make_counting_borg(scratch)
        return report(measure(make_payloads(scratch), rounds, scratch), rounds)
    finally:
        play("absent", scratch)
        shutil.rmtree(scratch)


def make_counting_borg(scratch: Path) -> None:
    """A borg that notes each run of it. It is Python as the real one is, whose version is known without asking it."""
    borg = scratch / "borg"
    lines = [
        "#!/usr/bin/python3", "import os, sys", f"open({str(scratch / 'runs')!r}, 'a').write('run\\n')",
        f"os.execv({shutil.which('borg')!r}, ['borg', *sys.argv[1:]])", "",
    ]
    borg.write_text("\n".join(lines))
    borg.chmod(0o755)


def play(part: str, scratch: Path, **environment: str) -> None:
    """Run the playbook that brings everything into its state, or takes it away."""
    command = ["ansible-playbook", "-i", "localhost,", str(HERE / "converged.yml"), "--tags", part]
    command += ["--extra-vars", json.dumps({"scratch": str(scratch)})]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")


def make_payloads(scratch: Path) -> dict[str, Path]:
    """Converge the machine, then keep what Ansible sends for the second run of each module."""
    play("present", scratch)
    kept = scratch / "payloads"
    play("present", scratch, ANSIBLE_KEEP_REMOTE_FILES="1", ANSIBLE_REMOTE_TMP=str(kept))
    payloads = {path.stem.removeprefix("AnsiballZ_"): path for path in kept.glob("*/AnsiballZ_*.py")}
    return {name: payloads[name] for name in sorted(payloads, key=lambda name: (name != "ping", name))}


def measure(payloads: dict[str, Path], rounds: int, scratch: Path) -> dict[str, Cost]:
    """Launch all payloads in turn, so that whatever else the machine does meets all alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in payloads}
    notes, runs = scratch / "notes", scratch / "runs"
    environment = {**os.environ, "PYTHONPATH": str(HERE / "measure"), "BENCH_NOTES": str(notes)}
    for number in range(rounds):
        print(f"\rround {number + 1} of {rounds}", end="", flush=True)
        for name, payload in payloads.items():
            notes.unlink(missing_ok=True)
            runs.write_text("")
            launch(payload, environment)
            costs[name].append(Cost(*map(float, notes.read_text().split()), len(runs.read_text().split())))
    print()
    return {name: Cost(*map(statistics.median, zip(*of))) for name, of in costs.items()}


def launch(payload: Path, environment: dict[str, str]) -> None:
    """Run a payload as Ansible does; it must succeed and change nothing."""
    command = ["/usr/bin/python3", str(payload)]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0 or json.loads(done.stdout).get("changed"):
        sys.exit(f"{payload.name} did not run as on a converged machine:\n{done.stdout}{done.stderr}")


def report(costs: dict[str, Cost], rounds: int) -> int:
    """Print the table; the exit code."""
    floor = costs["ping"].own
    print(f"CPU milliseconds on the target, medians of {rounds} launches of each, nothing to do\n")
    print(f"{'module':<24}{'own':>8}{'/ ping':>8}{'programs':>10}{'borg runs':>11}")
    for name, cost in costs.items():
        print(f"{name:<24}{cost.own:>8.0f}{cost.own / floor:>8.2f}{cost.programs:>10.0f}{cost.borg:>11.0f}")
    dear = [name for name, cost in costs.items() if cost.own > LIMIT * floor]
    print(f"\nlimit {LIMIT} x ping: " + (f"exceeded by {', '.join(dear)}" if dear else "held by all"))
    return 1 if dear else 0


if __name__ == "__main__":
    sys.exit(main())
