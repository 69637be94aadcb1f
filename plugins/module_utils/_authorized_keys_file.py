# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file authorized_keys of one account: its place, its owner, its mode, and those of the directories that it is in."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager
from typing import Iterator, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._ownership import Ownership

_OTHERS_WRITE = 0o022
_READ, _SEARCH = 0o4, 0o1
#: Seconds to wait for another run, which takes less than one for thousands of clients.
_PATIENCE = 60.0
#: What file systems of other machines say that know no such lock.
_LOCKLESS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


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
        """Note what is wrong with owner and mode. sshd ignores a file that others may write, or replace."""
        for path, present, wanted in self._directories():
            _add(difference, path, present, wanted)
        if self._present is not None:
            _add(difference, self.path, self._present, self._wanted)

    def write(self, text: str) -> None:
        """Replace it, whole."""
        uid, gid = self._account.uid, self._account.gid
        for path, present, wanted in self._directories():
            if present != wanted:
                _give(path, wanted, follow=path == self._home)
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
        present = self._present
        if present is None or present.mode & _OTHERS_WRITE or not self._is_trusted(present, _READ):
            return self._own(0o600)
        return present

    @property
    def _home(self) -> str:
        return os.path.normpath(self._account.home)

    def _directories(self) -> Iterator[tuple[str, Ownership, Ownership]]:
        """Those of the account, home first, as they are and as they shall be. sshd looks at each up to the home; one that is not below it
        is not ours to change, nor is a home that belongs to somebody else.

        Source: OpenSSH 9.2 and 10.0, misc.c `safe_path`, called by auth.c `auth_openfile` with the account's identity.
        """
        path = os.path.normpath(self._directory)
        if self._account.uid is None or os.path.commonpath([path, self._home]) != self._home or self._home == "/":
            return
        below = [part for part in os.path.relpath(path, self._home).split("/") if part != "."]
        for depth in range(len(below) + 1):
            path = os.path.join(self._home, *below[:depth])
            try:
                present = Ownership.of(path)
            except (FileNotFoundError, NotADirectoryError):
                return
            if path == self._home and present.uid != self._account.uid:
                continue
            narrowed = present._replace(mode=present.mode & ~_OTHERS_WRITE)
            yield path, present, narrowed if self._is_trusted(present, _SEARCH) else self._own(0o700)

    def _own(self, mode: int) -> Ownership:
        uid, gid = self._account.uid, self._account.gid
        return Ownership(-1 if uid is None else uid, -1 if gid is None else gid, mode)

    def _is_trusted(self, present: Ownership, needed: int) -> bool:
        """Whether sshd takes the owner, and the account gets at it."""
        shift = 6 if present.uid == self._account.uid else 3 if present.gid == self._account.gid else 0
        return present.uid in (0, self._account.uid) and bool(present.mode >> shift & needed)


@contextmanager
def exclusively(path: str, account: Account) -> Iterator[None]:
    """Let nobody else read and replace an account's file meanwhile. The lock is a directory's, so nothing of it stays.

    :raises Failure: ``locked``.
    """
    directory = os.path.dirname(path)
    above = os.path.dirname(directory)
    try:
        # .ssh may not be there yet
        descriptor = os.open(above if above == account.home else directory, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        yield  # nothing can be written there: KeysFile tells what is missing
        return
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: str) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise Failure(
                    "locked", f"Another run has been changing {path} for {_PATIENCE:g} seconds; nothing was changed. Try again when it has ended."
                ) from error
            time.sleep(0.05)
        except OSError as error:
            if error.errno not in _LOCKLESS:
                raise
            return


def _add(difference: Difference, path: str, present: Ownership, wanted: Ownership) -> None:
    after = wanted.as_names()
    for name, before in present.as_names().items():
        difference.add(f"{path}: {name}", before, after[name])


def _give(path: str, ownership: Ownership, *, follow: bool) -> None:
    """:param follow: whether the directory may be a link, as a home may."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | (0 if follow else os.O_NOFOLLOW))
    try:
        os.fchown(descriptor, ownership.uid, ownership.gid)
        os.fchmod(descriptor, ownership.mode)
    finally:
        os.close(descriptor)


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
