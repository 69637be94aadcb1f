# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore by borg_extract costs, beside plain ``borg extract``, each into an empty destination, in turn.

CPU time counts the programs too; memory is that of the largest process. The module also looks up and lists the archive
before, and proves afterwards that everything came back; plain borg does neither. What both have restored is compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator, NamedTuple

HERE = Path(__file__).resolve().parent
#: The goal, as a multiple of what plain borg takes.
GOAL = 1.1
FILES_PER_DIRECTORY = 100
MEBIBYTE = 1 << 20


class Case(NamedTuple):
    """An archive of the benchmark, and how it is restored."""

    archive: str
    sparse: bool = False


class Cost(NamedTuple):
    """CPU seconds of one restore, and the mebibytes of its largest process."""

    cpu: float
    memory: float


CASES = (Case("small-files"), Case("one-large-file"), Case("one-sparse-file", sparse=True))


def main() -> int:
    """Measure and print the table; a restore that differs from borg's ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="restores of each kind (default: 3)")
    parser.add_argument("--files", type=int, default=100_000, help="how many small files (default: 100,000)")
    parser.add_argument("--mebibytes", type=int, default=1500, help="size of the large file (default: 1500)")
    parser.add_argument("--directory", default="/var/tmp", help="the file system that is restored to (default: /var/tmp)")
    chosen = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="fleetbackup-bench-", dir=chosen.directory))
    try:
        make_archives(scratch, chosen.files, chosen.mebibytes)
        print(f"Restores of {chosen.files} small files and of a file of {chosen.mebibytes} MiB, medians of {chosen.rounds}\n")
        print(f"{'archive':<18}{'CPU s, borg':>13}{'module':>9}{'ratio':>7}{'MiB, borg':>12}{'module':>9}{'ratio':>7}")
        ratios = [report(case, measure(case, chosen.rounds, scratch)) for case in CASES]
        missed = [case.archive for case, ratio in zip(CASES, ratios) if ratio > GOAL]
        print(f"\ngoal {GOAL} x borg: " + (f"missed by {', '.join(missed)}" if missed else "reached by all"))
        return 0
    finally:
        shutil.rmtree(scratch)


def make_archives(scratch: Path, files: int, mebibytes: int) -> None:
    """Back up what will be restored, and remove it."""
    borg(scratch, "init", "--encryption=repokey-blake2", str(scratch / "repository"))
    data = scratch / "data"
    for number in range(files):
        directory = data / "small" / f"{number // FILES_PER_DIRECTORY:04d}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file-{number}.txt").write_bytes(os.urandom(12) * (number * 7 % 400 + 1))
    with open(data / "large", "wb") as large:
        large.truncate(mebibytes * MEBIBYTE)
        for start in range(0, mebibytes, 100):
            large.seek(start * MEBIBYTE)
            large.write(os.urandom(4 * MEBIBYTE))
    for case, source in zip(CASES, ("small", "large", "large")):
        borg(data, "create", f"{scratch / 'repository'}::{case.archive}", source)
    shutil.rmtree(data)


def borg(scratch: Path, *arguments: str) -> None:
    """Run borg on the benchmark's repository."""
    subprocess.run(["borg", *arguments], cwd=scratch, env=environment(), check=True, capture_output=True)


def environment() -> dict[str, str]:
    """Borg's passphrase; everything else it finds as the module does."""
    return {**os.environ, "BORG_PASSPHRASE": "only-for-the-benchmark"}


def measure(case: Case, rounds: int, scratch: Path) -> dict[str, Cost]:
    """Restore with both in turn, so that whatever else the machine does meets both alike; the medians."""
    destination = scratch / "restored"
    options = ["--sparse"] if case.sparse else []
    plain = ["borg", "extract", *options, f"{scratch / 'repository'}::{case.archive}"]
    commands = {"borg": plain, "module": ["/usr/bin/python3", str(make_payload(case, scratch))]}
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    digests = set()
    for number in range(rounds):
        for name, command in commands.items():
            shutil.rmtree(destination, ignore_errors=True)
            destination.mkdir()
            costs[name].append(run(command, destination))
            digests |= {digest(destination)} if number == 0 else set()
    shutil.rmtree(destination)
    if len(digests) != 1:
        sys.exit(f"{case.archive}: the module restored something else than borg")
    return {name: Cost(*map(statistics.median, zip(*of))) for name, of in costs.items()}


def make_payload(case: Case, scratch: Path) -> Path:
    """What Ansible sends to restore this archive."""
    arguments = {
        "repository": str(scratch / "repository"), "passphrase": environment()["BORG_PASSPHRASE"], "archive": case.archive,
        "destination": str(scratch / "restored"), "sparse": case.sparse,
    }
    task = {"name": "Restore", "fleetbackup.borg.borg_extract": arguments}
    play = {"name": "Restore", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    play["vars"] = {"ansible_python_interpreter": "/usr/bin/python3"}
    (scratch / "play.yml").write_text(json.dumps([play]))
    kept = scratch / "payloads" / case.archive
    subprocess.run(
        ["ansible-playbook", "-i", "localhost,", str(scratch / "play.yml")], check=True, capture_output=True,
        env={**os.environ, "ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_REMOTE_TMP": str(kept)},
    )
    return next(kept.glob("*/AnsiballZ_borg_extract.py"))


def run(command: list[str], directory: Path) -> Cost:
    """Run a restore to its end; it must succeed."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=directory, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{command[0]} ended with {process.returncode}:\n{output.read().decode(errors='replace')[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def digest(root: Path) -> str:
    """What stands there: names, modes, owners, times and contents."""
    total = hashlib.sha256()
    for path in found(root):
        status = path.lstat()
        described = (str(path.relative_to(root)), status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns)
        total.update(repr(described).encode())
        if path.is_file():
            with path.open("rb") as file:
                for block in iter(lambda: file.read(MEBIBYTE), b""):
                    total.update(block)
    return total.hexdigest()


def found(root: Path) -> Iterator[Path]:
    """Everything below a directory, in order."""
    for directory, directories, files in os.walk(root):
        directories.sort()
        yield from (Path(directory, name) for name in sorted(directories + files))


def report(case: Case, costs: dict[str, Cost]) -> float:
    """Print a line of the table; the greater of both ratios."""
    plain, module = costs["borg"], costs["module"]
    cpu, memory = module.cpu / plain.cpu, module.memory / plain.memory
    print(
        f"{case.archive:<18}{plain.cpu:>13.2f}{module.cpu:>9.2f}{cpu:>7.2f}{plain.memory:>12.0f}{module.memory:>9.0f}{memory:>7.2f}",
        flush=True,
    )
    return max(cpu, memory)


if __name__ == "__main__":
    sys.exit(main())
