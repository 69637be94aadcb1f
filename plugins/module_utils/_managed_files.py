# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and links that are wholly ours: what is wrong with them, and how that is put right."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically

_MODE = 0o644
_PROGRAM_MODE = 0o755


class ManagedFile(NamedTuple):
    """A text file of the caller that everybody may read.

    :ivar text: what shall stand in it; None: there shall be no such file.
    """

    path: str
    text: Optional[str]

    def compare(self, difference: Difference) -> bool:
        """Note what differs; tell whether anything does."""
        before = self._read()
        after = (None, "", "") if self.text is None else (self.text, f"{_MODE:04o}", f"{os.geteuid()}:{os.getegid()}")
        difference.add(self.path, _lines(before[0]), _lines(after[0]))
        if before[0] is not None and self.text is not None:
            difference.add(f"{self.path}: mode", before[1], after[1])
            difference.add(f"{self.path}: owner", before[2], after[2])
        return before != after

    def apply(self) -> None:
        """Put it right."""
        if self.text is not None:
            write_atomically(self.path, self.text.encode(), mode=_MODE)
        elif os.path.lexists(self.path):
            os.unlink(self.path)

    def _read(self) -> tuple[Optional[str], str, str]:
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return None, "", ""
        mode, owner = f"{stat.S_IMODE(status.st_mode):04o}", f"{status.st_uid}:{status.st_gid}"
        if stat.S_ISLNK(status.st_mode):
            return f"a link to {os.readlink(self.path)}", mode, owner
        with open(self.path, "rb") as file:
            return file.read().decode(errors="backslashreplace"), mode, owner


def _lines(text: Optional[str]) -> Optional[list[str]]:
    """A list, for then a diff shows line by line what differs."""
    return None if text is None else text.splitlines()


class ManagedProgram(NamedTuple):
    """A program of the caller that everybody may run.

    :ivar data: its bytes; None: there shall be no such file.
    """

    path: str
    data: Optional[bytes]

    def compare(self, difference: Difference) -> bool:
        """Note what differs; tell whether anything does."""
        before, after = self._read(), None if self.data is None else _described(self.data, _PROGRAM_MODE, os.geteuid(), os.getegid())
        difference.add(self.path, before, after)
        return before != after

    def apply(self) -> None:
        """Put it right; its directory is ours too."""
        if self.data is not None:
            directory = os.path.dirname(self.path)
            if not os.path.isdir(directory):
                os.makedirs(directory)
                os.chmod(directory, _PROGRAM_MODE)
            write_atomically(self.path, self.data, mode=_PROGRAM_MODE)
        elif os.path.lexists(self.path):
            os.unlink(self.path)
            with contextlib.suppress(OSError):  # somebody else has put something there
                os.rmdir(os.path.dirname(self.path))

    def _read(self) -> Optional[str]:
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return "no file"
        with open(self.path, "rb") as file:
            return _described(file.read(), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _described(data: bytes, mode: int, uid: int, gid: int) -> str:
    return f"a program with the SHA-256 {hashlib.sha256(data).hexdigest()}, mode {mode:04o}, owner {uid}:{gid}"


class ManagedLink(NamedTuple):
    """A symbolic link.

    :ivar target: the absolute path where it shall lead; None: there shall be no such link.
    """

    path: str
    target: Optional[str]

    def compare(self, difference: Difference) -> bool:
        """Note what differs; tell whether anything does. A relative link to the same place is as good."""
        before, after = self._read(), self.target and f"a link to {self.target}"
        difference.add(self.path, before, after)
        return before != after

    def apply(self) -> None:
        """Put it right."""
        if os.path.lexists(self.path):
            os.unlink(self.path)
        if self.target is not None:
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            os.symlink(self.target, self.path)

    def _read(self) -> Optional[str]:
        if not os.path.lexists(self.path):
            return None
        if not os.path.islink(self.path):
            return "no link"
        return f"a link to {os.path.normpath(os.path.join(os.path.dirname(self.path), os.readlink(self.path)))}"
