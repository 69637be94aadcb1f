# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every account of the machine can see while something runs: looked at all the time, as root and as nobody."""

from __future__ import annotations

import json
import os
import signal
import stat
import tempfile
import time
from dataclasses import dataclass, field
from typing import IO, Callable, Iterator, Optional, Union

from canaries import Canaries

#: Seconds between two looks. A module lives some times as long, a borg ten times.
INTERVAL = 0.05
NOBODY = 65534
#: Where files that are only there for a moment may stand in everybody's view; of the first ones, also the directories in them.
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")
WATCHED = (*TEMPORARY, "/etc", "/etc/borgmatic", "/etc/borgmatic.d", "/etc/cron.d", "/etc/systemd/system")
#: Seconds after a directory's last change in which its files may still be written to.
RESTLESS = 2
LARGEST_WATCHED = 1_000_000

#: What was looked at already: the arguments of processes, the state of files.
Seen = dict[str, Union[bytes, tuple[int, int, int]]]


@dataclass
class Sightings:
    """What the watchers saw.

    :ivar looks: how often each of them looked.
    :ivar hits: (place, canary, where).
    """

    looks: int = 0
    hits: set[tuple[str, Optional[str], str]] = field(default_factory=set)


class Watchers:
    """Looks at processes and files until the ``with`` block ends."""

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries
        self._children: list[tuple[int, IO[str]]] = []

    def __enter__(self) -> Sightings:
        self._sightings = Sightings()
        self._children = [self._start(uid) for uid in (0, NOBODY)]
        return self._sightings

    def __exit__(self, *_exception: object) -> None:
        for process, report in self._children:
            os.kill(process, signal.SIGTERM)
            _process, status = os.waitpid(process, 0)
            report.seek(0)
            lines = [json.loads(line) for line in report]
            if status or not lines:
                raise RuntimeError(f"a watcher ended with status {status}")
            self._sightings.looks = min(lines[-1]["looks"], self._sightings.looks or lines[-1]["looks"])
            self._sightings.hits.update((line["place"], line["name"], line["where"]) for line in lines[:-1])

    def _start(self, uid: int) -> tuple[int, IO[str]]:
        # the file has no name: nobody finds in it what was found
        report = tempfile.TemporaryFile("w+", encoding="utf-8")
        process = os.fork()
        if process:
            return process, report
        status = 1
        try:
            os.nice(-10)  # a busy machine shall not keep it from looking
            if uid:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            _watch(self._canaries, report, _as_nobody if uid else _as_root)
            status = 0
        finally:
            os._exit(status)


def _watch(canaries: Canaries, report: IO[str], look: Callable[[Seen], Iterator[tuple[str, str, bytes]]]) -> None:
    ended = []
    signal.signal(signal.SIGTERM, lambda *_signal: ended.append(True))
    sightings: set[tuple[str, Optional[str], str]] = set()
    looks = 0
    seen: Seen = {}
    while not ended:
        for place, where, data in look(seen):
            sightings.update((place, hit.name, where) for hit in canaries.find(data))
        looks += 1
        time.sleep(INTERVAL)
    for place, name, where in sightings:
        print(json.dumps({"place": place, "name": name, "where": where}), file=report)
    print(json.dumps({"looks": looks}), file=report, flush=True)


def _as_root(seen: Seen) -> Iterator[tuple[str, str, bytes]]:
    for process, argv in _new_processes(seen):
        yield "argv", _program(argv), argv
        environment = _read(f"/proc/{process}/environ")
        if _changes_passphrase(argv):
            # the one exception: borg takes a new passphrase in no other way
            environment = b"\0".join(part for part in environment.split(b"\0") if not part.startswith(b"BORG_NEW_PASSPHRASE="))
        yield "environ", _program(argv), environment


def _as_nobody(seen: Seen) -> Iterator[tuple[str, str, bytes]]:
    for process, argv in _new_processes(seen):
        yield "others", _program(argv), argv + b"\0" + _read(f"/proc/{process}/environ")
    for directory in _restless():
        for path, status in _entries(directory):
            state = (status.st_mtime_ns, status.st_mode, status.st_size)
            if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_WATCHED and seen.get(path) != state:
                seen[path] = state
                yield "passing", path, _read(path)


def _new_processes(seen: Seen) -> Iterator[tuple[str, bytes]]:
    """Every process that was not there a moment ago, or runs another program by now."""
    own = str(os.getpid())
    for process in os.listdir("/proc"):
        if process.isdigit() and process != own:
            argv = _read(f"/proc/{process}/cmdline")
            if seen.get(process) != argv:
                seen[process] = argv
                yield process, argv


def _changes_passphrase(argv: bytes) -> bool:
    words = argv.split(b"\0")
    is_borg = b"change-passphrase" in words and any(word.endswith(b"borg") for word in words[:2])
    # for a moment, before it becomes ssh
    return is_borg or words[:3] == [b"env", b"-u", b"BORG_NEW_PASSPHRASE"]


def _program(argv: bytes) -> str:
    return " ".join(os.path.basename(word).decode("ascii", "replace") for word in argv.split(b"\0")[:2])


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # it ended or went, or is none of our business
        return b""


def _restless() -> Iterator[str]:
    """The directories in which something happens."""
    below = [path for directory in TEMPORARY for path, status in _entries(directory) if stat.S_ISDIR(status.st_mode)]
    for directory in (*WATCHED, *below):
        try:
            if os.stat(directory).st_mtime > time.time() - RESTLESS:
                yield directory
        except OSError:
            continue


def _entries(directory: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        for entry in os.scandir(directory):
            yield entry.path, entry.stat(follow_symlinks=False)
    except OSError:
        return
