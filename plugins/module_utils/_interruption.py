# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An extraction that did not end: the note that it left, and what is its work of all that stands around that note."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
import threading
from typing import Any, BinaryIO, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry, as_source, exactly, printable
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._hard_links import HardLinks
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

#: Stands at the destination as long as an extraction has not ended.
NOTE = ".fleetbackup-restoring"

#: A longer file is none of ours. The selection and the directories in it have no limit of their own.
_LONGEST = 20_000_000
_BLOCK = 1 << 20
#: What an entry of a kind is at the destination.
_TYPES = {"-": stat.S_IFREG, "h": stat.S_IFREG, "l": stat.S_IFLNK, "p": stat.S_IFIFO, "c": stat.S_IFCHR, "b": stat.S_IFBLK}


class Begun(NamedTuple):
    """An extraction that began and did not end.

    :ivar moment: when it began, in seconds since 1970.
    :ivar made: the directories that were missing then, without those below them.
    """

    moment: int
    made: tuple[str, ...] = ()

    def has_made(self, path: str) -> bool:
        """Whether a directory was missing when it began."""
        return any(path == made or path.startswith(made + "/") for made in self.made)


class Note:
    """A file at the destination that says what is being restored there, as long as that has not ended.

    Whoever finds it there knows that the files around it are not complete, and the next run knows them for its own.

    :param selection: what chooses files of the archive, and their places.
    """

    def __init__(self, destination: str, archive: Archive, selection: Mapping[str, Any]) -> None:
        self._path = os.path.join(destination, NOTE)
        self._archive = archive
        self._selection = json.dumps({name: value for name, value in selection.items() if value}, sort_keys=True)

    def exists(self) -> bool:
        """Whether an extraction is under way, or did not end."""
        return self._read() is not None

    def begun(self) -> Optional[Begun]:
        """The extraction of the same files of the same archive that did not end; None: there is none."""
        match = self._read()
        if match is None or match.group(2, 3) != (self._archive.id, self._selection):
            return None
        return Begun(int(match.group(4)), tuple(json.loads(match.group(5))))

    def check_others(self, *, replacing: bool) -> Optional[str]:
        """Refuse the place of an extraction of other files that did not end: this one would leave them by half, and nobody would know.

        :param replacing: whether this one replaces what differs, wherever it is from. Then the same files of another archive may take the
            places of the half ones, as where the server went away with which it began.
        :returns: the archive that gives way.
        :raises Failure: ``unsafe``.
        """
        match = self._read()
        if match is None or match.group(2, 3) == (self._archive.id, self._selection):
            return None
        name, selection = match.group(1, 3)
        if replacing and selection == self._selection:
            return str(name)
        raise Failure(
            "unsafe",
            f"{printable(os.path.dirname(self._path))}: another restore was interrupted here, of {name}"
            f"{'' if selection == '{}' else f' ({selection})'}, and may have left files by half. Nothing was extracted. Run that one"
            f" again, which completes it, choose another destination, or remove {printable(self._path)} if nobody needs those files.",
        )

    def write(self, begun: Begun, done: int, total: int) -> None:
        """Say how far it is."""
        text = (
            "Files of an archive are being restored here. If nobody is at it any more, it was interrupted: run the same task"
            f" again, which completes it.\narchive: {self._archive.name} {self._archive.id}\nselection: {self._selection}\n"
            f"begun: {begun.moment}\nmade: {json.dumps(begun.made)}\nprogress: {done} of {total} entries\n"
        )
        write_atomically(self._path, text.encode("utf-8", "backslashreplace"), mode=0o600)

    def remove(self) -> None:
        """Say that it has ended."""
        with contextlib.suppress(FileNotFoundError):  # another run was faster
            os.unlink(self._path)

    def _read(self) -> Optional[re.Match[str]]:
        lines = r"(?m)^archive: (.*) ([0-9a-f]{64})\nselection: (\{.*\})\nbegun: (\d{1,18})\nmade: (\[.*\])$"
        try:
            with open(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), encoding="utf-8", errors="replace") as file:
                return re.search(lines, file.read(_LONGEST))
        except OSError:
            return None


def is_note(path: str) -> bool:
    """Whether a path of an archive, or what lies below it, would come to the place of a note, as where a backup was made meanwhile."""
    return NOTE in path and os.path.normpath(path).split("/")[0] == NOTE


def remains(
    borg: Borg,
    archive: Archive,
    destination: str,
    entries: Sequence[Entry],
    displaced: Sequence[Entry],
    origins: Mapping[str, str],
    begun: Begun,
) -> set[str]:
    """The paths of what an interrupted extraction has left by half.

    That is what was written since it began and holds a beginning of what was archived, and nothing else: of such a thing nothing is lost
    when the whole takes its place.

    :param entries: all that are wanted.
    :param displaced: those that something else stands in the place of.
    :param origins: the archived paths of those entries that have another one.
    """
    found = set()
    links = HardLinks(entries)
    pending: dict[str, list[tuple[Entry, int]]] = {}
    for entry in changed_since(displaced, destination, begun.moment):
        path = os.path.join(destination, entry.path)
        present = os.lstat(path)
        regular = entry.kind in "-h"
        if stat.S_IFMT(present.st_mode) != _TYPES.get(entry.kind):
            continue
        if entry.kind == "l":
            is_own = as_source(os.readlink(path)) == entry.source
        else:
            is_own = not regular or present.st_size == 0
        if is_own:
            found.add(entry.path)
        elif regular and (entry.kind == "h" or present.st_size <= entry.size):
            # borg gives the content under the first name
            for first in links.firsts(entry) if entry.kind == "h" else [entry.path]:
                pending.setdefault(first, []).append((entry, present.st_size))
    wanted = [(entry, pending[entry.path]) for entry in entries if entry.kind == "-" and entry.path in pending]
    return found | _beginnings(borg, archive, destination, wanted, origins)


def changed_since(entries: Sequence[Entry], destination: str, moment: int) -> list[Entry]:
    """Those that were written at the destination, or changed in any way, since a moment: nobody can set that time back."""
    changed = []
    for entry in entries:
        with contextlib.suppress(OSError):  # it is gone by now
            if os.lstat(os.path.join(destination, entry.path)).st_ctime >= moment:
                changed.append(entry)
    return changed


def _beginnings(
    borg: Borg,
    archive: Archive,
    destination: str,
    wanted: Sequence[tuple[Entry, Sequence[tuple[Entry, int]]]],
    origins: Mapping[str, str],
) -> set[str]:
    """Those whose content is a beginning of the archived one.

    :param wanted: archived files in the archive's order, each with the entries that may hold a beginning of it, and how long these are.
    """
    if not wanted:
        return set()
    reader = _Reader(destination, wanted)
    receiving, sending = os.pipe()
    thread = threading.Thread(target=reader.read, args=(receiving,), daemon=True)
    thread.start()
    try:
        with tempfile.TemporaryDirectory(prefix="fleetbackup-") as directory:
            names = [origins.get(entry.path, entry.path) for entry, _places in wanted]
            chosen = exactly(names, os.path.join(directory, "patterns"))
            borg.read("extract", "--stdout", chosen, archive=archive.name, timeout=borg.timeout, output=sending)
    except Failure:
        # what it had to say is no longer wanted when all has been compared
        if not reader.ended.is_set():
            raise
    finally:
        os.close(sending)
        thread.join()
    return reader.found


class _Reader:
    """Compares files with what borg sends, one after the other."""

    def __init__(self, destination: str, wanted: Sequence[tuple[Entry, Sequence[tuple[Entry, int]]]]) -> None:
        self._destination = destination
        self._wanted = wanted
        self.found: set[str] = set()
        self.ended = threading.Event()

    def read(self, descriptor: int) -> None:
        """Read until the last byte that is needed."""
        with open(descriptor, "rb") as stream:
            for position, (entry, places) in enumerate(self._wanted, 1):
                last = position == len(self._wanted)
                self._compare(stream, max(length for _entry, length in places) if last else entry.size, places)
            self.ended.set()

    def _compare(self, stream: BinaryIO, size: int, places: Sequence[tuple[Entry, int]]) -> None:
        """Take a number of bytes, which are a beginning of what was archived."""
        with contextlib.ExitStack() as stack:
            files = {}
            for entry, length in places:
                with contextlib.suppress(OSError):  # it is gone by now, or this user may not look at it
                    files[entry.path] = (stack.enter_context(open(os.path.join(self._destination, entry.path), "rb")), length)
            position = 0
            while position < size:
                block = stream.read(min(_BLOCK, size - position))
                if not block:  # borg broke off
                    return
                for path, (file, length) in list(files.items()):
                    present = block[: max(0, length - position)]
                    if file.read(len(present)) != present:
                        del files[path]
                position += len(block)
            self.found.update(path for path, (_file, length) in files.items() if length <= size)
