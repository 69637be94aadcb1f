# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The suites: which steps each one consists of, and how a step's result is counted."""

from __future__ import annotations

import itertools
import subprocess
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lab.containers import TREE, Container
from lab.lab import CONTROLLER_HOST, HOSTS, Lab
from report import Outcome, Step

STEP_SECONDS = 1800
COLLECTIONS = "/root"
LINT_HOST = "debian13"
# Where molecule's scenarios are.
SCENARIOS = ("extensions/molecule/*/molecule.yml", "tests/*/molecule.yml")
PLUGINS = "ansible_collections.fleetbackup.borg.plugins"
# Which ansible-core /opt/ansible and /opt/older hold (tests/requirements/ansible.txt and older.txt).
CORES = {"debian12": {"ansible": "2.19", "older": "2.18"}, "debian13": {"ansible": "2.21", "older": "2.20"}}

# Between these, only what has to do with Ansible is tested.
EXTREMES = ("2.18", "2.21")

# Cheapest first. Each is a shell command in the tree's root; the tools stand in PATH.
LINTERS = {
    "shellcheck": "shellcheck .ci/run tests/lab/recipes/*.sh tests/sanity/*.sh",
    "ruff": "ruff check --no-cache .",
    "antsibull-changelog": "antsibull-changelog lint",
    "yamllint": "yamllint --strict .",
    "mypy": f"mypy --cache-dir=/tmp/mypy -p {PLUGINS}.module_utils -p {PLUGINS}.plugin_utils",
    "antsibull-docs": "antsibull-docs lint-collection-docs --plugin-docs .",
    "ansible-lint": "ansible-lint --offline --strict --nocolor",
    "ansible-lint tests": "ansible-lint --offline --strict --nocolor -c tests/integration/.ansible-lint tests/integration",
    "galaxy-importer": "bash tests/sanity/import.sh",
}


class Suites:
    """Builds the steps of each suite for one host; machines are booted by the first step that needs them."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._machines: dict[tuple[str, str], Container] = {}

    def lint(self, host: str) -> list[Step]:
        """Every linter; they run on one host only."""
        if host != LINT_HOST:
            return []
        environment = {"PATH": f"/opt/lint/bin:{_path()}", "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS, "MYPYPATH": COLLECTIONS}
        return [self._tool(host, name, command, environment) for name, command in LINTERS.items()]

    def sanity(self, host: str) -> list[Step]:
        """ansible-test sanity on the newer ansible-core of the host."""
        environment = {"PATH": f"/opt/ansible/bin:{_path()}"}
        return [self._tool(host, f"sanity {CORES[host]['ansible']}", "ansible-test sanity --color no", environment)]

    def unit(self, host: str) -> list[Step]:
        """The unit tests on both ansible-cores of the host. Most of them are about the core of the collection, which knows nothing of Ansible."""
        return [Step(f"unit {core}", lambda log, name=name: self._unit(host, name, log)) for name, core in CORES[host].items()]

    def prepare(self, host: str, layer: str) -> list[Step]:
        """The machine of an image, `tools` or `test`; without it, no further step of the lane makes sense."""
        def boot(_log: IO[bytes]) -> Outcome:
            self._machines[host, layer] = self.lab.machine(host, layer)
            return Outcome()
        return [self._image(host, layer, f"image {layer}"), Step(f"machine {layer}", boot, needed=True)]

    def integration(self, host: str, targets: list[str]) -> list[Step]:
        """One step for each integration target, but for those that need another host only."""
        mine = [name for name in targets if not any(word.startswith("only/") and word != f"only/{host}" for word in aliases(self.lab.root, name))]
        return [Step(f"target {name}", lambda log, name=name: self._target(host, name, log)) for name in mine]

    def molecule(self, scenarios: Iterator[str]) -> Iterator[Step]:
        """One step for each scenario, all on one controller that boots each one's machines afresh. Several lanes may take from one iterator."""
        def boot(_log: IO[bytes]) -> Outcome:
            self._machines["molecule", "controller"] = self.lab.controller()
            return Outcome()
        first = list(itertools.islice(scenarios, 1))
        if first:
            yield from (self._image(host, layer, f"image {layer} {host}") for host in HOSTS for layer in ("bare", "borg"))
            yield self._image(CONTROLLER_HOST, "controller", "image controller")
            yield Step("machine controller", boot, needed=True)
        for name in itertools.chain(first, scenarios):
            yield Step(f"scenario {name}", lambda log, name=name: self._scenario(name, log))

    def bench(self, host: str) -> int:
        """Measure the modules on a host, then restores, the output on this terminal; returns the exit code."""
        machine = self._machines[host, "test"]
        programs = (f"tests/bench/{name}.py" for name in ("modules", "restores"))
        commands = [machine.argv("python3", program, directory=TREE, environment=_controller()) for program in programs]
        return max([subprocess.run(command, check=False).returncode for command in commands])

    def bench_fleet(self) -> int:
        """Measure a fleet, the output on this terminal; returns the exit code."""
        self.lab.image(CONTROLLER_HOST, "borg")
        argv = self.lab.controller().argv("python3", "tests/bench/fleet.py", directory=TREE)
        return subprocess.run(argv, check=False).returncode

    def _image(self, host: str, layer: str, name: str) -> Step:
        def build(_log: IO[bytes]) -> Outcome:
            self.lab.image(host, layer)
            return Outcome()
        return Step(name, build, needed=True)

    def _tool(self, host: str, name: str, command: str, environment: dict[str, str]) -> Step:
        def work(log: IO[bytes]) -> Outcome:
            rc = _execute(self._machines[host, "tools"], ["bash", "-euc", command], environment, log)
            return Outcome(failed=1, note=f"exit code {rc}") if rc else Outcome(passed=1)
        return Step(name, work)

    def _unit(self, host: str, environment: str, log: IO[bytes]) -> Outcome:
        machine = self._machines[host, "tools"]
        results = f"/tmp/unit-{environment}.xml"
        command = [f"/opt/{environment}/bin/python", "-m", "pytest", "-p", "no:cacheprovider", "--junitxml", results, "tests/unit"]
        if CORES[host][environment] not in EXTREMES:
            command.append("--ignore=tests/unit/plugins/module_utils")
        rc = _execute(machine, command, {"PYTHONPATH": COLLECTIONS, "PYTHONDONTWRITEBYTECODE": "1"}, log)
        return _counted(machine, results, rc)

    def _scenario(self, name: str, log: IO[bytes]) -> Outcome:
        machine = self._machines["molecule", "controller"]
        results = f"/tmp/molecule/{name}.xml"
        # The machines of the last scenario stay for whoever wants to look, until the next begins.
        commands = f"rm -f {results}; molecule destroy -s {name}; molecule test -s {name} --destroy=never"
        environment = {
            "MOLECULE_GLOB": next(pattern for pattern in SCENARIOS if (self.lab.root / pattern.replace("*", name)).is_file()),
            "MOLECULE_COMMAND_BORDERS": "false", "ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1",
            # Otherwise each run looks for it on each host.
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
        }
        rc = _execute(machine, ["bash", "-euc", commands], environment, log)
        # One is common to all scenarios; the others are its own.
        return _counted(machine, results, rc, least=2)

    def _target(self, host: str, name: str, log: IO[bytes]) -> Outcome:
        bare = "bare" in aliases(self.lab.root, name)
        machine = self.lab.machine(host, "ansible", fresh=True) if bare else self._machines[host, "test"]
        output = f"/root/output/{name}"
        held = f"{output}.held"
        machine.call("sh", "-c", f"rm -rf {output} {held}; mkdir -p {output}")
        command = ["/opt/ansible/bin/ansible-playbook", "-v", "--diff", "-e", f"target={name}", "-e", f"output_dir={output}",
                   "tests/integration/target.yml"]
        faster = {"ANSIBLE_CONFIG": f"{TREE}/tests/integration/ansible.cfg", "PYTHONPATH": f"{TREE}/tests/integration/compiled"}
        rc = _execute(machine, command, {**_controller(), **faster, "ASSERTED_FILE": held}, log)
        passed = int(machine.call("sh", "-c", f"cat {held} 2>/dev/null || echo 0"))
        note = "bare" if bare else ""
        if rc or not passed:
            return Outcome(passed, 1, note or ("" if rc else "nothing asserted"))
        if bare:
            machine.remove()
        else:
            machine.call("rm", "-rf", output)
        return Outcome(passed, 0, note)


def all_targets(root: Path) -> list[str]:
    """The integration targets that stand for themselves: no `setup_*` role, nothing with the alias `hidden`."""
    directories = sorted((root / "tests/integration/targets").iterdir())
    return [path.name for path in directories if not path.name.startswith("setup_") and "hidden" not in aliases(root, path.name)]


def all_scenarios(root: Path) -> list[str]:
    """The names of molecule's scenarios."""
    return sorted(path.parent.name for pattern in SCENARIOS for path in root.glob(pattern))


def aliases(root: Path, target: str) -> set[str]:
    """The words of a target's `aliases` file."""
    path = root / "tests/integration/targets" / target / "aliases"
    if not path.is_file():
        return set()
    return {line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")}


def _execute(machine: Container, command: list[str], environment: dict[str, str], log: IO[bytes]) -> int:
    """Run a command in the tree of a machine, its output into the log; a process that hangs is ended inside."""
    argv = machine.argv("timeout", "--kill-after=10", str(STEP_SECONDS), *command, directory=TREE, environment=environment)
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False).returncode


def _counted(machine: Container, results: str, rc: int, least: int = 1) -> Outcome:
    """What pytest's result file says; a run that ended without one, or with too few tests, has failed."""
    written = machine.call("sh", "-c", f"cat {results} 2>/dev/null || echo '<none/>'")
    suite = xml.etree.ElementTree.fromstring(written).find("testsuite")
    if suite is None:
        return Outcome(failed=1, note=f"exit code {rc}, no result")
    total, *bad = (int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped"))
    # A skipped test proves nothing, so it counts as failed; so does a run that broke off.
    failed = sum(bad)
    notes = [f"{bad[2]} skipped"] * bool(bad[2]) + ["too few tests"] * (total < least)
    return Outcome(passed=total - failed, failed=failed or int(rc != 0 or total < least), note=", ".join(notes))


def _controller() -> dict[str, str]:
    return {
        "PATH": f"/opt/ansible/bin:{_path()}",
        "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
        "ANSIBLE_ROLES_PATH": f"{TREE}/tests/integration/targets",
        "ANSIBLE_CALLBACK_PLUGINS": f"{TREE}/tests/integration/callback",
        "ANSIBLE_CALLBACKS_ENABLED": "asserted",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
        "ANSIBLE_NOCOLOR": "1",
    }


def _path() -> str:
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
