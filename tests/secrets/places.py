# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left afterwards: files and the journal."""

from __future__ import annotations

import fnmatch
import os
import stat
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, Optional, Sequence

from canaries import Canaries

#: Everything that is written to; file systems of the kernel are none.
#: Seconds that the kernel's time stamps of files may lag behind.
CLOCK_SLACK = 0.1
#: The journal's files are compressed; it is searched by asking it.
UNREADABLE = ("/var/log/journal", "/run/log/journal")
ROOTS = ("/etc", "/var", "/root", "/home", "/tmp", "/run", "/dev/shm", "/srv", "/opt", "/usr/local", "/usr/lib/systemd")


@dataclass
class Files:
    """What a search of the files found.

    :ivar searched: how many were new or changed, and so were read.
    :ivar hits: (canary, path) where it should not be.
    :ivar meant: paths of files that hold canaries as they should.
    :ivar left: paths that only their owner gets at, left behind by a killed Ansible.
    """

    searched: int = 0
    hits: set[tuple[Optional[str], str]] = field(default_factory=set)
    meant: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)


def search_files(canaries: Canaries, since: float, meant: Sequence[str], leftovers: Sequence[str] = (), skipped: Sequence[str] = ()) -> Files:
    """Look into every file that was made or changed, its name included.

    :param since: in seconds since the epoch.
    :param meant: patterns of files that may hold canaries; they must be 0600.
    :param leftovers: patterns of files that may, too, where nobody but their owner gets at them.
    :param skipped: paths of files that are searched in another way.
    """
    found = Files()
    for path in _changed(since):
        if path in skipped:
            continue
        found.searched += 1
        hits = canaries.find(os.fsencode(path) + b"\0" + _content(path))
        if not hits:
            continue
        if _matches(path, meant) and stat.S_IMODE(os.lstat(path).st_mode) == 0o600:
            found.meant.add(path)
        elif _matches(path, leftovers) and not _is_reachable(path):
            found.left.add(path)
        else:
            found.hits.update((hit.name, path) for hit in hits)
    return found


def _changed(since: float) -> Iterator[str]:
    for root in ROOTS:
        for directory, directories, names in os.walk(root):
            directories[:] = [name for name in directories if os.path.join(directory, name) not in UNREADABLE]
            for path in (os.path.join(directory, name) for name in names):
                try:
                    status = os.lstat(path)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(status.st_mode) and status.st_ctime >= since - CLOCK_SLACK:
                    yield path


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _is_reachable(path: str) -> bool:
    """Whether somebody else might open it, did the home directory let everybody in."""
    while path != str(Path.home()):
        if not os.stat(path).st_mode & 0o077:
            return False
        path = os.path.dirname(path)
    return True


class Journal:
    """All that reaches the journal from now on."""

    def __init__(self) -> None:
        subprocess.run(["journalctl", "--sync"], check=True)
        self._cursor = _journal("--lines=0", "--show-cursor").rpartition(b"cursor: ")[2].strip().decode()

    def read(self) -> bytes:
        """Its entries with all their fields."""
        time.sleep(0.2)  # what syslog gets passes through a socket
        subprocess.run(["journalctl", "--sync"], check=True)
        return _journal("--output=export", "--all", f"--after-cursor={self._cursor}")


def _journal(*options: str) -> bytes:
    return subprocess.run(["journalctl", "--quiet", "--no-pager", *options], stdout=subprocess.PIPE, check=True).stdout
