# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and links that are wholly ours: what is wrong with them, and how that is put right."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically

_MODE = 0o644


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
