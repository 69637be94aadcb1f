# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what stands at a destination is what was archived."""

from __future__ import annotations

import functools
import grp
import hashlib
import os
import pwd
import stat
from typing import Any, Callable, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry, as_source, printable
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._hard_links import HardLinks

#: borg lists times rounded to microseconds by way of a float.
_TIME_TOLERANCE = 2


class Comparison:
    """Whether a file at the destination is the archived one, as far as borg lists it and this user may restore it."""

    def __init__(self, destination: str, entries: Sequence[Entry], numeric_ids: bool) -> None:
        self._below = os.path.join(destination, "")
        self._links = HardLinks(entries)
        self._numeric_ids = numeric_ids
        self._owners_matter = os.geteuid() == 0

    def stands(self, entry: Entry) -> bool:
        """Whether anything stands in its place."""
        return os.path.lexists(self._below + entry.path)

    def is_displaced(self, entry: Entry) -> bool:
        """Whether something stands in its place that would be lost: of a directory only its mode and times are."""
        path = self._below + entry.path
        return os.path.lexists(path) and not (entry.kind == "d" and os.path.isdir(path))

    def is_done(self, entry: Entry) -> bool:
        """Whether it seems to be extracted already; for a report, so its content is taken on trust."""
        try:
            return self.stands(entry) and (entry.kind == "d" or not self._differs(entry._replace(sha256="")))
        except OSError:
            return False

    def differs(self, entry: Entry) -> bool:
        """Whether this entry has to be extracted.

        :raises Failure: ``permission``: this user may not look, for example into a directory of mode 0000 of their own.
        """
        try:
            return self._differs(entry)
        except PermissionError as error:
            raise Failure(
                "permission",
                f"{printable(self._below + entry.path)} may not be looked at by this user, so nothing"
                " proves that it is what was archived. Restore as root, or leave it out with exclude.",
            ) from error

    def _differs(self, entry: Entry) -> bool:
        path = self._below + entry.path
        try:
            present = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return True
        kind = entry.kind
        firsts = self._links.firsts(entry)
        if firsts:
            return all(self._is_other_file(present, first) for first in firsts)
        if stat.filemode(present.st_mode) != entry.mode.replace("h", "-", 1):
            return True
        # borg sets the time of the destination itself before it writes there, and a note comes and goes
        if abs(present.st_mtime_ns // 1000 - entry.mtime) > _TIME_TOLERANCE and os.path.normpath(entry.path) != ".":
            return True
        if self._owners_matter and (present.st_uid, present.st_gid) != self._owner(entry):
            return True
        if kind == "l":
            return as_source(os.readlink(path)) != entry.source
        if kind == "-":
            return present.st_size != entry.size or (bool(entry.sha256) and _sha256(path) != entry.sha256)
        return False

    def _is_other_file(self, present: os.stat_result, source: str) -> bool:
        try:
            first = os.lstat(self._below + source)
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
