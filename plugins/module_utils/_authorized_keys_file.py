# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file authorized_keys of one account: its place, its owner, its mode."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import Iterator, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._ownership import Ownership

_OTHERS_WRITE = 0o022


class KeysFile:
    """The file, as it is now.

    :ivar text: its content; empty where there is none.
    """

    def __init__(self, path: str, account: Account) -> None:
        """:raises Failure: ``unsafe``: the path or its directory is a link, or no file."""
        self.path = path
        self.text = ""
        self._directory = os.path.dirname(path)
        self._account = account
        self._present: Optional[Ownership] = None
        directory = _status(self._directory)
        self._has_directory = directory is not None
        if directory is not None and not stat.S_ISDIR(directory.st_mode):
            raise Failure(
                "unsafe", f"path: {self._directory} is a link or no directory. See who made it, and remove it."
            )
        status = _status(path)
        if status is None:
            return
        if not stat.S_ISREG(status.st_mode):
            raise Failure(
                "unsafe", f"path: {path} is a link or no file. See who made it, and remove it, or say another path."
            )
        self._present = Ownership(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
        with open(
            os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            self.text = file.read()

    @property
    def missing(self) -> Optional[Failure]:
        """Why it cannot be written yet. Nothing but the directory ``.ssh`` of a home is made on the way."""
        above = os.path.dirname(self._directory)
        if self._has_directory or (above == self._account.home and os.path.isdir(above)):
            return None
        needed = above if above == self._account.home else self._directory
        return Failure(
            "parent_missing", f"path: {needed}, which {self.path} is to be in, does not exist; create it first."
        )

    def compare(self, difference: Difference) -> None:
        """Note what is wrong with owner and mode. sshd ignores a file that others may write."""
        if self._present is not None:
            for name, before in self._present.as_names().items():
                difference.add(f"{self.path}: {name}", before, self._wanted.as_names()[name])

    def write(self, text: str) -> None:
        """Replace it, whole."""
        uid, gid = self._account.uid, self._account.gid
        if not self._has_directory and uid is not None and gid is not None:
            os.mkdir(self._directory, 0o700)
            os.chown(self._directory, uid, gid, follow_symlinks=False)
        owner = self._wanted
        with _acting_as(owner, self._directory):
            write_atomically(
                self.path, text.encode("utf-8", "surrogateescape"), mode=owner.mode, uid=owner.uid, gid=owner.gid
            )

    @property
    def _wanted(self) -> Ownership:
        account = self._account
        own = Ownership(-1 if account.uid is None else account.uid, -1 if account.gid is None else account.gid, 0o600)
        present = self._present
        if present is None or present.mode & _OTHERS_WRITE or present.uid not in (0, account.uid):
            return own
        return present


@contextmanager
def _acting_as(owner: Ownership, directory: str) -> Iterator[None]:
    """In a directory that belongs to the account, root has no more power than the account: it could change beneath us
    what we give to it."""
    if os.geteuid() != 0 or owner.uid == 0 or os.lstat(directory).st_uid != owner.uid:
        yield
        return
    gid = os.getegid()
    os.setegid(owner.gid)
    os.seteuid(owner.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)


def _status(path: str) -> Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
