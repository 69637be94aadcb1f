# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of an archive at a destination: what is missing or differs there, and the extraction of just that."""

from __future__ import annotations

import functools
import grp
import hashlib
import os
import pwd
import stat
from typing import Any, Callable, Collection, Iterator, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry, printable
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

#: borg lists times rounded to microseconds by way of a float.
_TIME_TOLERANCE = 2
#: Of arguments for one command; the kernel allows 2 MiB with the environment.
_ARGUMENTS_SIZE = 1_000_000
_CRAFTED = "It was not made by Borg alone; nothing was extracted."


class Plan(NamedTuple):
    """What an extraction will write.

    :ivar entries: all entries that are wanted.
    :ivar outstanding: those that are missing at the destination or differ there.
    """

    entries: Sequence[Entry]
    outstanding: Sequence[Entry]


def make_plan(entries: Sequence[Entry], destination: str, *, numeric_ids: bool) -> Plan:
    """Compare the destination with the archive. Contents are compared where the entries bear hashes.

    :raises Failure: ``unsafe``: borg would write outside of the destination, or link to a file there.
    """
    _check_paths(entries)
    _check_links(entries, destination)
    present = _Comparison(destination, entries, numeric_ids)
    differing = {entry.path for entry in entries if present.differs(entry)}
    # the names of one file are extracted together, or they would become several files
    torn = {entry.source for entry in entries if entry.kind == "h" and entry.path in differing} | differing
    rewritten = {entry.path for entry in entries if entry.path in torn or (entry.kind == "h" and entry.source in torn)}
    # writing into a directory changes its time
    touched = {parent for path in rewritten for parent in _parents(path)}
    return Plan(entries, [entry for entry in entries if entry.path in rewritten or entry.path in touched])


def extract(
    borg: Borg,
    archive: str,
    plan: Plan,
    destination: str,
    *,
    paths: Sequence[str] = (),
    exclude: Sequence[str] = (),
    numeric_ids: bool,
) -> list[str]:
    """Extract what is outstanding; the warnings that borg had.

    :param paths: as the plan's entries were listed.
    :param exclude: likewise.
    """
    options = [f"--exclude={pattern}" for pattern in exclude] + (["--numeric-ids"] if numeric_ids else [])
    single = [f"pf:{entry.path}" for entry in plan.outstanding]
    narrow = len(single) < len(plan.entries) and sum(len(os.fsencode(path)) + 9 for path in single) < _ARGUMENTS_SIZE
    os.makedirs(destination, 0o700, exist_ok=True)
    outcome = borg.run(
        "extract", *options, archive=archive, arguments=["--", *(single if narrow else paths)], cwd=destination
    )
    return outcome.log.warnings()


def _check_paths(entries: Sequence[Entry]) -> None:
    kinds = {_shown(os.path.normpath(entry.path)): entry.kind for entry in entries if entry.kind in "lh"}
    for entry in entries:
        _check_path(entry.path, f"The archive holds the path {printable(entry.path)!r}", kinds)
        if entry.kind == "h":
            subject = f"The archive holds {printable(entry.path)!r} as a further name of {entry.source!r}"
            _check_path(entry.source, subject, kinds)
            if kinds.get(os.path.normpath(entry.source)) == "l":
                raise Failure("unsafe", f"{subject}, which is a symbolic link. {_CRAFTED}")


def _check_path(path: str, subject: str, links: Collection[str]) -> None:
    """Refuse a path that leads out of the destination by itself, or by a link of the archive.

    :param links: spelled as :func:`_shown` does.
    """
    if path.startswith("/") or ".." in path.split("/"):
        raise Failure("unsafe", f"{subject}, which leads out of the destination. {_CRAFTED}")
    below = _first_parent(_shown(os.path.normpath(path)), lambda parent: parent in links)
    if below is not None:
        raise Failure(
            "unsafe",
            f"{subject}, below the link {below!r}, which could lead out of the destination. {_CRAFTED}",
        )


def _check_links(entries: Sequence[Entry], destination: str) -> None:
    checked: dict[str, bool] = {}

    def is_link(parent: str) -> bool:
        if parent not in checked:
            checked[parent] = os.path.islink(os.path.join(destination, parent))
        return checked[parent]

    wanted = {_shown(os.path.normpath(entry.path)) for entry in entries}
    for entry in entries:
        below = _first_parent(entry.path, is_link)
        if below is None and entry.kind == "d" and is_link(entry.path):
            below = entry.path
        if below is not None:
            raise Failure(
                "unsafe",
                f"{printable(os.path.join(destination, below))} is a symbolic link, and the archive holds a directory"
                " there: extracting would write where it leads. Remove the link, or choose another destination.",
            )
        if entry.kind == "h":
            _check_source(os.path.normpath(entry.source), destination, wanted)


def _check_source(source: str, destination: str, wanted: Collection[str]) -> None:
    """Refuse to link to a file that is reached through a symbolic link at the destination. borg removes a link in the place
    of the file itself, where that is extracted too."""
    places = [destination]
    for part in (os.path.dirname(source) if source in wanted else source).split("/"):
        places = [os.path.join(place, name) for place in places for name in _names(place, part)]
        link = next(filter(os.path.islink, places), None)
        if link is not None:
            raise Failure(
                "unsafe",
                f"{printable(link)} is a symbolic link, and the archive holds a further name of {source!r}: extracting would"
                " link to what is there. Remove the link, or choose another destination.",
            )


def _names(directory: str, shown: str) -> list[str]:
    """The names in a directory that borg may mean: in the sources of links each byte that is not UTF-8 is a ``?``."""
    if "?" not in shown:
        return [shown]
    try:
        return [name for name in os.listdir(directory) if _shown(name) == shown]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _shown(path: str) -> str:
    """A path as borg spells it where it is the source of a link."""
    return path.encode("utf-8", "replace").decode()


def _parents(path: str) -> Iterator[str]:
    position = path.find("/")
    while position >= 0:
        yield path[:position]
        position = path.find("/", position + 1)


def _first_parent(path: str, matches: Callable[[str], bool]) -> Optional[str]:
    return next(filter(matches, _parents(path)), None)


class _Comparison:
    """Whether a file at the destination is the archived one, as far as borg lists it and this user may restore it."""

    def __init__(self, destination: str, entries: Sequence[Entry], numeric_ids: bool) -> None:
        self._destination = destination
        self._wanted = {entry.path for entry in entries}
        self._numeric_ids = numeric_ids
        self._owners_matter = os.geteuid() == 0

    def differs(self, entry: Entry) -> bool:
        """Whether this entry has to be extracted.

        :raises Failure: ``permission``: this user may not look, for example into a directory of mode 0000 of their own.
        """
        try:
            return self._differs(entry)
        except PermissionError as error:
            raise Failure(
                "permission",
                f"{printable(os.path.join(self._destination, entry.path))} may not be looked at by this user, so nothing"
                " proves that it is what was archived. Restore as root, or leave it out with exclude.",
            ) from error

    def _differs(self, entry: Entry) -> bool:
        path = os.path.join(self._destination, entry.path)
        try:
            present = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return True
        if entry.kind == "h" and entry.source in self._wanted:
            return self._is_other_file(present, entry.source)
        if stat.filemode(present.st_mode) != entry.mode.replace("h", "-", 1):
            return True
        if abs(present.st_mtime_ns // 1000 - entry.mtime) > _TIME_TOLERANCE:
            return True
        if self._owners_matter and (present.st_uid, present.st_gid) != self._owner(entry):
            return True
        if entry.kind == "l":
            return _shown(os.readlink(path)) != entry.source
        if entry.kind == "-":
            return present.st_size != entry.size or (bool(entry.sha256) and _sha256(path) != entry.sha256)
        return False

    def _is_other_file(self, present: os.stat_result, source: str) -> bool:
        try:
            first = os.lstat(os.path.join(self._destination, source))
        except OSError:
            return True
        return (first.st_dev, first.st_ino) != (present.st_dev, present.st_ino)

    def _owner(self, entry: Entry) -> tuple[int, int]:
        if self._numeric_ids:
            return entry.uid, entry.gid
        return _number(pwd.getpwnam, entry.user, entry.uid), _number(grp.getgrnam, entry.group, entry.gid)


@functools.cache
def _number(look_up: Callable[[str], Any], name: str, archived: int) -> int:
    """The number that this machine has for an account or a group; the archived one where it knows none."""
    try:
        number: int = look_up(name)[2]
    except KeyError:
        return archived
    return number


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
