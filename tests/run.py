# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the tests of the collection: python3 tests/run.py SUITE

Suites: lint, sanity, unit, integration, molecule, all, bench, bench-fleet; machines, machines-down, images, clean for work on the tests
themselves; lab and lab-down for a fleet to play with.
Environment: HOSTS="debian12 debian13", TARGETS="one two" and SCENARIO="one two" narrow a run, KEEP=1 keeps its machines for the
next, LAB_NAME names them (several checkouts can share one Docker Engine).
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import suites
from lab import images
from lab.engine import LabError
from lab.lab import CONTROLLER_HOST, HOSTS, Lab
from report import Outcome, Report, Step

ROOT = Path(__file__).resolve().parents[1]
WITH_TOOLS = ("lint", "unit", "sanity")
TESTS = (*WITH_TOOLS, "integration", "molecule")
BENCHES = ("bench", "bench-fleet")
LAB = ("images", "machines", "machines-down", "lab", "lab-down", "clean")
LAB_NAMES = {"lab": "fleetbackup-lab", "lab-down": "fleetbackup-lab"}
STAYS = ("machines", "lab")
NEXT = """\
Next:
  make lab-shell     # a shell on the controller, in whose home inventory.yml lies; there:
  ansible -i inventory.yml all -m ansible.builtin.ping
  ansible-playbook -i inventory.yml fleetbackup.borg.site --check --diff
  ssh client1
And here: make lab after a change of the collection copies it anew; make lab-down removes everything.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=[*TESTS, "all", *BENCHES, *LAB])
    suite = parser.parse_args().suite
    name = os.environ.get("LAB_NAME") or LAB_NAMES.get(suite, "fleetbackup-test")
    lab = Lab(ROOT, name=name, keep=bool(os.environ.get("KEEP")) or suite in STAYS)
    # A terminated run tidies up as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if suite in LAB:
            return _care_for(lab, suite)
        if suite in BENCHES:
            return _bench(lab, suite)
        return _test(lab, TESTS if suite == "all" else (suite,))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1


def _test(lab: Lab, chosen: tuple[str, ...]) -> int:
    targets = _targets() if "integration" in chosen else []
    scenarios = _scenarios() if "molecule" in chosen else []
    hosts = _hosts() if chosen != ("lint",) else [suites.LINT_HOST]
    report = Report(ROOT / ".cache" / "logs" / lab.name)
    second = _second(lab)
    try:
        report.run("machine", [Step("docker engine", lambda _log: lab.open() or Outcome(), needed=True)])
        if not report.failed:
            _run_lanes(report, {host: _steps(suites.Suites(lab), host, chosen, targets) for host in hosts}, (lab, second), scenarios)
    finally:
        second.close()
        lab.close()
    return report.close()


def _steps(suite: suites.Suites, host: str, chosen: tuple[str, ...], targets: list[str]) -> list[Step]:
    with_tools = [step for name in chosen if name in WITH_TOOLS for step in getattr(suite, name)(host)]
    with_borg = suite.integration(host, targets)
    return [
        *(suite.prepare(host, "tools") if with_tools else []), *with_tools,
        *(suite.prepare(host, "test") if with_borg else []), *with_borg,
    ]


def _run_lanes(report: Report, hosts: dict[str, list[Step]], labs: tuple[Lab, Lab], scenarios: list[str]) -> None:
    """Run the hosts' steps and the scenarios beside each other. The first host that is done makes room for another lane of scenarios."""
    room = threading.Event()
    names = iter(scenarios)

    def run_host(host: str) -> None:
        try:
            report.run(host, hosts[host])
        finally:
            room.set()

    def run_second() -> None:
        room.wait()
        opening = Step("network", lambda _log: labs[1].open() or Outcome(), needed=True)
        report.run("molecule 2", itertools.chain([opening], suites.Suites(labs[1]).molecule(names)))

    work = [lambda: report.run("molecule", suites.Suites(labs[0]).molecule(names)), *(lambda host=host: run_host(host) for host in hosts)]
    threads = [threading.Thread(target=one, daemon=True) for one in [*work, *([run_second] if len(scenarios) > 1 else [])]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _second(lab: Lab) -> Lab:
    """Where the second lane of scenarios has its machines."""
    return Lab(lab.root, name=f"{lab.name}-second", keep=lab.keep)


def _hosts() -> list[str]:
    return _chosen("HOSTS", HOSTS)


def _targets() -> list[str]:
    return _chosen("TARGETS", suites.all_targets(ROOT))


def _scenarios() -> list[str]:
    return _chosen("SCENARIO", suites.all_scenarios(ROOT))


def _chosen(variable: str, known: tuple[str, ...] | list[str]) -> list[str]:
    """The names in an environment variable, or all; an unknown one is an error."""
    names = os.environ.get(variable, "").split() or list(known)
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise LabError(f"{variable}: {' '.join(unknown)} not known; there are: {' '.join(known)}")
    return names


def _care_for(lab: Lab, wish: str) -> int:
    lab.open()
    if wish == "images":
        for host in _hosts():
            print(*(lab.image(host, layer).tag for layer in ("test", "tools", "borg")))
        print(lab.image(CONTROLLER_HOST, "controller").tag)
        lab.close()
    elif wish == "machines":
        for host in _hosts():
            print(lab.machine(host, "test").name)
    elif wish == "lab":
        print(lab.boot_fleet(), NEXT, sep="\n", end="")
    else:
        _second(lab).remove_all()
        lab.remove_all()
        if wish == "clean":
            Lab(ROOT, name=LAB_NAMES["lab"], keep=False).remove_all()
            images.remove_all()
        lab.engine.stop()
    if wish == "clean":
        shutil.rmtree(ROOT / ".cache", ignore_errors=True)
    return 0


def _bench(lab: Lab, wish: str) -> int:
    try:
        lab.open()
        suite = suites.Suites(lab)
        if wish == "bench-fleet":
            return suite.bench_fleet()
        report = Report(ROOT / ".cache" / "logs" / lab.name)
        codes = []
        for host in _hosts():
            report.run(host, suite.prepare(host, "test"))
            codes.append(report.failed or suite.bench(host))
        return max(codes)
    finally:
        lab.close()


if __name__ == "__main__":
    sys.exit(main())
