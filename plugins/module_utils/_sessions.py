# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions that began before their client lost its access: neither sshd nor borg looks at its key again."""

from __future__ import annotations

import os
import re
import signal
from typing import Iterable, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys import RESTRICTIONS, Reach

#: Seconds after which a connection over which nothing runs is not on the way to its first session any more.
_IDLE = 10.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """A running process.

    :ivar started: in ticks since this machine started; no two processes with the same number share it.
    :ivar words: its command line, or the title that it gave itself.
    """

    pid: int
    parent: int
    uid: int
    started: int
    words: tuple[str, ...]

    @property
    def reach(self) -> Reach:
        """What borg restricts it to; nothing where it does not serve."""
        if "serve" not in self.words:
            return frozenset()
        return frozenset(pair for pair in zip(self.words, self.words[1:]) if pair[0] in RESTRICTIONS)

    def end(self, root: str = "/proc") -> None:
        """Ask it to end, and nobody who got its number meanwhile."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            now = _read(root, self.pid)
            if now is not None and now.started == self.started:
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)


class Sessions(NamedTuple):
    """What goes on for clients that were removed.

    :ivar names: of those clients.
    :ivar processes: connections stand before what runs over them, so that nothing new begins there.
    """

    names: list[str]
    processes: list[Process]


def of_removed(account: str, uid: int, removed: Mapping[str, Reach], remaining: Iterable[Reach], root: str = "/proc") -> Sessions:
    """The sessions of an account that nobody would get any more.

    Where clients share a repository, a session may be that of one who stays; it is left alone. Nobody can tell whose a connection is
    over which nothing runs: each of them counts.

    :param removed: what the clients that were removed could reach, by name.
    :param remaining: what those that stay can reach.
    """
    if not removed:
        return Sessions([], [])
    staying = list(remaining)
    every = {process.pid: process for process in _processes(root)}
    title = re.compile(rf"sshd(?:-session)?: {re.escape(account)}(?:@notty)?\s*\Z")
    names: set[str] = set()
    serving, connections = [], _idle(every, uid, title, _age_limit(root))
    for process in every.values():
        reach = process.reach
        if process.uid != uid or not reach or any(reach <= other for other in staying):
            continue
        owners = [name for name, other in removed.items() if reach <= other]
        if owners:
            names.update(owners)
            serving.append(process)
            connections += _connection(process, every, title)
    return Sessions(sorted(names), [*dict.fromkeys(connections), *serving])


def _idle(every: Mapping[int, Process], uid: int, title: re.Pattern[str], latest: float) -> list[Process]:
    """Connections over which nothing runs."""
    parents = {process.parent for process in every.values()}
    return [
        process
        for process in every.values()
        if process.uid == uid and process.pid not in parents and title.match(process.words[0]) and process.started < latest
    ]


def _connection(process: Process, every: Mapping[int, Process], title: re.Pattern[str]) -> list[Process]:
    """sshd's process that a session runs under; none where something else started it."""
    above = every.get(process.parent)
    while above is not None and above.uid == process.uid:
        if title.match(above.words[0]):
            return [above]
        above = every.get(above.parent)
    return []


def _age_limit(root: str) -> float:
    """What started before this many ticks is idle, if nothing runs there."""
    return (float(_content(f"{root}/uptime").split()[0]) - _IDLE) * _TICKS_PER_SECOND


def _processes(root: str) -> Sequence[Process]:
    found = (_read(root, pid) for pid in sorted(int(name) for name in os.listdir(root) if name.isdigit()))
    return [process for process in found if process is not None]


def _read(root: str, pid: int) -> Optional[Process]:
    """None where there is no such process any more, or it is the kernel's."""
    try:
        stat, status, line = (_content(f"{root}/{pid}/{name}") for name in ("stat", "status", "cmdline"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    words = tuple(line.rstrip("\0").split("\0"))
    # the name in brackets may hold anything
    fields = stat.rpartition(")")[2].split()
    owner = re.search(r"^Uid:\s+\d+\s+(\d+)", status, re.MULTILINE)
    if not words[0] or owner is None:
        return None
    return Process(pid, int(fields[1]), int(owner.group(1)), int(fields[19]), words)


def _content(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
