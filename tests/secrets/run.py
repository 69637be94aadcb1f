# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks for secrets where none may be: python3 tests/secrets/run.py DIRECTORY [MODULE...]

Every module, the roles and the playbooks run with canaries in each place that may hold a secret: in check mode and for real, with all the
verbosity and the diff that there is, with success, with failure in many ways, and killed in the middle. Then the canaries
are looked for everywhere. A leaky play comes first: what the search does not find there, it could not find elsewhere.

DIRECTORY is an empty one of the harness's own; the report is left in it as ``report.json``. Needs root, systemd, borg and
borgmatic; Ansible's own Python runs it. Exit code 1: found something, or a case did not do what it is there for.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, Optional, Sequence

import yaml
from canaries import Canaries
from cases import Case, load, playbook, secrets_of
from places import Journal, search_files
from processes import Watchers
from workshop import SHARED, VAULT_PASSWORD, Workshop

HERE = Path(__file__).resolve().parent
#: output: of ansible-playbook; log: ANSIBLE_LOG_PATH; json: results as callbacks get them; facts: the fact cache;
#: argv, environ: of all processes, as root sees them; others: both as another account sees them; passing: files that
#: another account could read while it ran; files: all that is left, names included.
PLACES = ("output", "log", "json", "facts", "journal", "argv", "environ", "others", "passing", "files")
HEADER = re.compile(rb"TASK \[(.*?)\] \*")
PLAY_SECONDS = 600
STALL_SECONDS = 30
#: How many hits of one case in one place are shown.
DETAILS = 3
LEFTOVERS = str(Path.home() / ".ansible" / "tmp" / "*")


@dataclass
class Run:
    """One run of ansible-playbook and what was found after it.

    :ivar searched: how much there was to search, by place.
    :ivar found: how often, by case and place.
    :ivar where: details, for whoever has to mend it.
    :ivar expected: what shall come of each case.
    :ivar outcomes: what came of it.
    :ivar left: files that a killed Ansible left, readable by their owner only.
    """

    name: str
    expected: dict[str, str]
    seconds: float = 0.0
    searched: dict[str, int] = field(default_factory=dict)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    where: list[str] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)

    def add(self, place: str, case: Optional[str], where: str) -> None:
        """Note a canary that was found."""
        self.found[case or "(unknown)", place] += 1
        if self.found[case or "(unknown)", place] <= DETAILS:
            self.where.append(f"{self.name}: {place}: {case}: {where}")


class Harness:
    """Runs plays and searches.

    :ivar work: the working directory.
    :ivar canaries: what is looked for.
    """

    def __init__(self, work: Path, canaries: Canaries, secrets: dict[str, Any], meant: Sequence[str]) -> None:
        self.work = work
        self.canaries = canaries
        self._meant = [*meant, str(work / "vault.yml")]
        _write(work / "vault.yml", yaml.safe_dump({**secrets, "work": str(work)}))

    def run(
        self, name: str, cases: Sequence[Case], *, check: bool = False, pipelining: bool = False, stall: Optional[Path] = None,
        inventory: str = "localhost,",
    ) -> Run:
        """Run the cases in one play, and search.

        :param check: in check mode.
        :param pipelining: whether Ansible sends modules through pipes; otherwise it puts them into temporary files.
        :param stall: kill Ansible as soon as this file is there.
        :param inventory: as ansible-playbook takes it.
        """
        run = Run(name, {case.name: case.check if check else case.expect for case in cases})
        paths = {place: self.work / f"{place}.out" for place in ("output", "log", "json")}
        for path in paths.values():
            _write(path, "")
        facts = self.work / "facts"
        _write(self.work / "play.yml", yaml.safe_dump(playbook(cases), sort_keys=False))
        journal, began = Journal(), time.time()
        with Watchers(self.canaries) as sightings, paths["output"].open("wb") as output:
            process = subprocess.Popen(
                [*self._command(inventory), *(["--check"] if check else [])], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=_environment(paths, facts, pipelining=pipelining), cwd=self.work, start_new_session=True,
            )
            _kill_when(process, stall) if stall else process.wait(PLAY_SECONDS)
            _wait_for_the_last()
        run.seconds = time.time() - began
        for place, path in paths.items():
            self._search_text(run, place, path.read_bytes())
        self._search(run, "journal", journal.read())
        run.searched.update(dict.fromkeys(("argv", "environ", "others", "passing"), sightings.looks))
        for place, canary, where in sorted(sightings.hits, key=str):
            run.add(place, _case_of(canary), where)
        self._search_files(run, began, facts, [str(path) for path in paths.values()], bool(stall))
        run.outcomes = _outcomes(paths["json"], {case.name for case in cases})
        if stall:
            run.outcomes = dict.fromkeys(run.expected, "killed" if process.returncode == -signal.SIGKILL else "ended")
        elif any("playbooks" in case.task for case in cases):
            run.outcomes = dict.fromkeys(run.expected, "failed" if process.returncode else "ok")
            if run.outcomes != run.expected:
                run.where.append(f"{name}: {paths['output'].read_bytes()[-6000:].decode('utf-8', 'replace')}")
        elif process.returncode:
            run.where.append(f"{name}: ansible-playbook broke off: {paths['output'].read_bytes()[-2000:].decode('utf-8', 'replace')}")
        return run

    def notices_exposed(self, left: set[str]) -> bool:
        """Whether files that a killed Ansible left would be found, were they anybody's."""
        began = time.time()
        for path in left:
            for part in [Path(path), *Path(path).parents[:3]]:
                if Path.home() / ".ansible" in part.parents:
                    part.chmod(0o755)
        found = search_files(self.canaries, began, self._meant, [LEFTOVERS])
        return bool(left) and {path for _canary, path in found.hits} == left

    def _command(self, inventory: str) -> list[str]:
        playbook_program = Path(sys.executable).with_name("ansible-playbook")
        return [str(playbook_program), "-vvvv", "--diff", f"--inventory={inventory}", "--connection=local", "--extra-vars=@vault.yml", "play.yml"]

    def _search_text(self, run: Run, place: str, data: bytes) -> None:
        """Search what came in the order of the tasks."""
        run.searched[place] = len(data)
        headers = [(match.start(), match.group(1).decode()) for match in HEADER.finditer(data)]
        if place == "json":
            headers = [(match.start(), match.group(1).decode()) for match in re.finditer(rb'^{"task": "(.*?)", ', data, re.M)]
        for hit in self.canaries.find(data):
            case = next((name for start, name in reversed(headers) if start <= hit.offset and " | " in name), None)
            run.add(place, case, _excerpt(data, hit.offset))

    def _search(self, run: Run, place: str, data: bytes) -> None:
        run.searched[place] = len(data)
        for hit in self.canaries.find(data):
            run.add(place, _case_of(hit.name), _excerpt(data, hit.offset))

    def _search_files(self, run: Run, began: float, facts: Path, skipped: Sequence[str], killed: bool) -> None:
        found = search_files(self.canaries, began, self._meant, [LEFTOVERS] if killed else [], skipped)
        run.searched["facts"] = sum(path.stat().st_size for path in facts.glob("*"))
        run.searched["files"] = found.searched
        run.left = found.left
        for canary, path in sorted(found.hits, key=str):
            run.add("facts" if Path(path).parent == facts else "files", _case_of(canary), path)


def main() -> int:
    work = Path(sys.argv[1]).resolve()
    os.chmod(work, 0o700)
    missed = _control(work, load(HERE / "leaky.yml"))
    names = sys.argv[2:] or sorted(_names())
    cases = [case for name in names for case in load(HERE / "cases" / f"{name}.yml")]
    called = [case for case in cases if "playbooks" in case.task]
    cases = [case for case in cases if case not in called]
    missed += [f"no case runs the playbook {name}" for name in sorted(_playbooks() - _called(called)) if called]
    killed = load(HERE / "killed.yml")
    canaries = Canaries()
    secrets = secrets_of([*cases, *killed, *called], canaries, SHARED)
    with Workshop(work, secrets["shared"]) as workshop:
        harness = Harness(work, canaries, secrets, workshop.meant)
        runs = []
        if cases:
            runs.append(harness.run("check", [case for case in cases if case.check != "skipped"], check=True, pipelining=True))
            runs.append(harness.run("real", cases))
        runs += [harness.run("plays", [case], inventory=str(HERE / "inventory.yml")) for case in called]
        for case in killed:
            runs.append(harness.run("killed", [case], stall=workshop.stalled))
            missed += [] if harness.notices_exposed(runs[-1].left) else [f"{case.name}: files that Ansible left, made readable"]
            workshop.resume()
    rows = [row for run in runs for row in _rows(run)]
    _print_table(rows, runs)
    status = _verdict(rows, runs, missed)
    (work / "report.json").write_text(json.dumps({"rows": rows, "missed": missed}, indent=1), encoding="utf-8")
    return status


def _names() -> set[str]:
    """All modules and roles of the collection, each of which needs a file of cases, and the one of the playbooks."""
    collection = HERE.parents[1]
    modules = {path.stem for path in (collection / "plugins" / "modules").glob("*.py")}
    return {*modules, *(path.name for path in (collection / "roles").iterdir()), "playbooks"}


def _playbooks() -> set[str]:
    """All playbooks of the collection."""
    return {path.stem for path in (HERE.parents[1] / "playbooks").glob("*.yml")}


def _called(cases: Sequence[Case]) -> set[str]:
    return {entry["name"] for case in cases for entry in case.task["playbooks"]}


def _control(work: Path, cases: list[Case]) -> list[str]:
    """Run the leaky play. Returns what the search missed."""
    canaries = Canaries()
    secrets = secrets_of(cases, canaries)
    place = work / "leaky"
    (place / "meant").mkdir(parents=True)
    run = Harness(place, canaries, secrets, [str(place / "meant" / "*")]).run("leaky", cases, pipelining=True)
    print(f"The leaky play, {run.seconds:.0f} s: what must be found")
    missed = []
    for case in cases:
        found = [name for name in PLACES if run.found[case.name, name]]
        missed += [f"{case.name}: not found in {name}" for name in case.leaks if name not in found]
        print(f"  {case.name:<58} {' '.join(found)}")
    missed += [f"no leak in {name} was tried" for name in PLACES if not any(name in case.leaks for case in cases)]
    for case in cases:
        for path in case.task["vars"].get("removed", []):
            Path(path).unlink(missing_ok=True)
    shutil.rmtree(place)
    return missed


def _rows(run: Run) -> Iterator[dict[str, Any]]:
    others = {name for name, _place in run.found} - set(run.expected)
    for name in [*run.expected, *sorted(others)]:
        found = {place: run.found[name, place] for place in PLACES}
        yield {
            "case": name, "run": run.name, "expected": run.expected.get(name), "outcome": run.outcomes.get(name),
            "found": found, "total": sum(found.values()),
        }


def _print_table(rows: list[dict[str, Any]], runs: list[Run]) -> None:
    print(f"\n{'module | case':<68} {'run':<7}{'outcome':<20}" + "".join(f"{place:>8}" for place in PLACES))
    for row in rows:
        counts = "".join(f"{row['found'][place]:>8}" for place in PLACES)
        wrong = "" if row["outcome"] == row["expected"] else f"   expected {row['expected']}"
        print(f"{row['case']:<68} {row['run']:<7}{row['outcome'] or '-':<20}{counts}{wrong}")
    print("\nSearched (bytes; looks at all processes; files that were made or changed)")
    for run in runs:
        counts = "".join(f"{run.searched[place]:>8}" for place in PLACES)
        print(f"{'':<68} {run.name:<7}{run.seconds:>6.0f} s{'':<12}{counts}")


def _verdict(rows: list[dict[str, Any]], runs: list[Run], missed: list[str]) -> int:
    total = sum(row["total"] for row in rows)
    names = dict.fromkeys(run.name for run in runs)
    searched = {(run.name, place) for run in runs for place in PLACES if run.searched[place]}
    unsearched = [f"{name}: nothing to search in {place}" for name in names for place in PLACES if (name, place) not in searched]
    wrong = [f"{row['case']} ({row['run']}): {row['outcome']}, not {row['expected']}" for row in rows if row["outcome"] != row["expected"]]
    for line in [*(where for run in runs for where in run.where), *missed, *unsearched, *wrong]:
        print(line)
    print(f"\n{len(rows)} cases, {len(PLACES)} places: {total} found")
    return 1 if total or missed or unsearched or wrong else 0


def _outcomes(path: Path, names: set[str]) -> dict[str, str]:
    outcomes: dict[str, str] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        name = entry["task"] if entry["task"] in names else name
        result = entry["result"]
        outcome = _error(result) if entry["failed"] else "changed" if result.get("changed") else "ok"
        if outcomes.get(name, "ok") == "ok" or entry["failed"]:  # a role has many tasks
            outcomes[name] = outcome
    return outcomes


def _error(result: dict[str, Any]) -> str:
    errors = [part["error"] for part in [result, *result.get("results", [])] if part.get("error")]
    return errors[0] if errors else "failed"


def _case_of(canary: Optional[str]) -> Optional[str]:
    return canary.rpartition(".")[0] if canary else None


def _excerpt(data: bytes, offset: int) -> str:
    return repr(data[max(0, offset - 120) : offset + 60].decode("utf-8", "replace"))


def _kill_when(process: subprocess.Popen[bytes], stall: Path) -> None:
    for _look in range(STALL_SECONDS * 20):
        if stall.exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait_for_the_last() -> None:
    """Ansible's wrapper of asynchronous tasks tidies up seconds after the play."""
    for _look in range(STALL_SECONDS * 20):
        if subprocess.run(["pgrep", "-f", "async_wrapper"], stdout=subprocess.DEVNULL, check=False).returncode:
            return
        time.sleep(0.05)


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _environment(paths: dict[str, Path], facts: Path, *, pipelining: bool) -> dict[str, str]:
    vault = paths["output"].with_name(VAULT_PASSWORD)
    return {
        **({"ANSIBLE_VAULT_PASSWORD_FILE": str(vault)} if vault.exists() else {}),
        "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(Path.home()),
        "LANG": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(HERE.parents[4]),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "outcomes",
        "OUTCOMES_FILE": str(paths["json"]),
        "ANSIBLE_LOG_PATH": str(paths["log"]),
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(facts),
        "ANSIBLE_INJECT_INVOCATION": "True",
        "ANSIBLE_PIPELINING": str(pipelining),
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
        "ANSIBLE_NOCOLOR": "1",
    }


if __name__ == "__main__":
    sys.exit(main())
