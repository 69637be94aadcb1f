# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of recovery bundles. What is written there is encrypted already."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
import time
from typing import Any, Callable, Iterator, NamedTuple, NoReturn, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically

MODE = 0o600
DIRECTORY_MODE = 0o700
LOCK = ".lock"
#: How :func:`write_atomically` names what is not complete yet.
TEMPORARY = ".fleetbackup-"
LOCK_SECONDS = 30.0
_LONGEST_NAME = 60

_ROOM = ("disk_full", "Free some space there, or raise the quota.")
_RIGHTS = ("permission", "Let the user who runs Ansible read and write there, or name another directory.")
_CAUSES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EPERM: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EROFS: ("permission", "The file system is read-only."),
    errno.ENOTDIR: ("invalid_argument", "Name a directory."),
}


class File(NamedTuple):
    """A file as it was found."""

    data: bytes
    mode: int


class EscrowDirectory:
    """The directory, on the machine that this runs on.

    :param directory: where all bundles are.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def names(self, host: str) -> list[str]:
        """The files of a client's repositories.

        :param host: the inventory's name of the client.
        """
        try:
            return sorted(name for name in os.listdir(self._directory) if is_of(name, host))
        except FileNotFoundError:
            return []
        except OSError as error:
            _fail(self._directory, error)

    def check_directory(self) -> None:
        """Refuse a directory that cannot be used; one that does not exist can be made.

        :raises Failure: ``permission``, ``invalid_argument``, ``unsafe``.
        """
        if not os.path.lexists(self._directory):
            self._check_parent()
            return
        if not os.path.isdir(self._directory):
            raise Failure("invalid_argument", f"directory: {self._directory} is no directory; for example ~/escrow.")
        if os.stat(self._directory).st_mode & stat.S_IWOTH:
            raise Failure(
                "unsafe",
                f"directory: everybody may write to {self._directory}, and so take the bundles away. Make it the own one of the"
                " user who runs Ansible (chmod 0700).",
            )
        if not os.access(self._directory, os.R_OK | os.W_OK | os.X_OK):
            _fail(self._directory, PermissionError(errno.EACCES, "Permission denied"))

    def _check_parent(self) -> None:
        parent = os.path.dirname(self._directory)
        while not os.path.lexists(parent):
            parent = os.path.dirname(parent)
        if not os.path.isdir(parent):
            _fail(self._directory, NotADirectoryError(errno.ENOTDIR, f"{parent} is no directory"))
        if not os.access(parent, os.W_OK | os.X_OK):
            _fail(self._directory, PermissionError(errno.EACCES, f"{parent} does not let this user write"))

    def read(self, path: str) -> Optional[File]:
        """A file, if it is there.

        :raises Failure: ``unsafe``: it is something else than a file; ``permission`` …
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Failure("unsafe", f"{path} is a link, so it is left alone. Put the bundle itself there.") from error
            _fail(path, error)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise Failure("unsafe", f"{path} is no file, so it is left alone. Move it away.")
        with open(descriptor, "rb") as file:
            return File(file.read(), stat.S_IMODE(status.st_mode))

    @contextlib.contextmanager
    def locked(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Alone with the directory, which is made where it is missing. A killed run leaves no lock.

        :raises Failure: ``locked``, ``permission``, ``disk_full`` …
        """
        try:
            os.makedirs(self._directory, mode=DIRECTORY_MODE, exist_ok=True)
            descriptor = os.open(os.path.join(self._directory, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        except OSError as error:
            _fail(self._directory, error)
        try:
            self._wait(descriptor, seconds)
            yield
        finally:
            os.close(descriptor)

    def _wait(self, descriptor: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() >= end:
                    raise Failure(
                        "locked", f"Another controller has been writing to {self._directory} for {seconds:g} seconds. Try again."
                    ) from error
                time.sleep(0.05)
            except OSError as error:
                _fail(os.path.join(self._directory, LOCK), error)

    def write(self, path: str, data: bytes, validate: Callable[[str], None]) -> None:
        """Put a file in the place of the one before, under the lock; the one before stays until the new one is on the disk and
        valid.

        :param validate: called with the path of the new one before it takes its place.
        :raises Failure: ``disk_full``, ``permission`` …
        """
        try:
            self._sweep()
            write_atomically(path, data, mode=MODE, validate=validate)
            self._remember()
        except OSError as error:
            _fail(path, error)

    def protect(self, path: str) -> None:
        """Take the rights of others away."""
        try:
            os.chmod(path, MODE)
        except OSError as error:
            _fail(path, error)

    def _sweep(self) -> None:
        """Remove what a killed run left: nobody else writes now."""
        for name in os.listdir(self._directory):
            if name.startswith(TEMPORARY):
                os.unlink(os.path.join(self._directory, name))

    def _remember(self) -> None:
        """Have the disk remember the new name, too."""
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class EscrowFiles(EscrowDirectory):
    """The files of one repository in it.

    :param host: the inventory's name of the client.
    :param location: of the repository, in normal form.
    """

    def __init__(self, directory: str, host: str, location: str) -> None:
        super().__init__(directory)
        digest = hashlib.sha256(f"{host}\0{location}".encode("utf-8", "surrogateescape")).hexdigest()
        self._stem = os.path.join(directory, f"{_slug(host)}_{_slug(location)}_{digest[:8]}")

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return os.path.basename(self._stem)

    @property
    def changes(self) -> list[dict[str, Any]]:
        """What somebody else has yet to write."""
        return []

    def path(self, label: Optional[str] = None) -> str:
        """The file of a recipient; None: of the main one."""
        return f"{self._stem}.yml" if label is None else f"{self._stem}.{label}.yml"

    def path_beside(self, suffix: str) -> str:
        """A file that something else than Ansible Vault encrypted."""
        return f"{self._stem}.{suffix}"


def is_of(name: str, host: str) -> bool:
    """Whether a file's name is one of a client's."""
    return name.startswith(f"{_slug(host)}_")


def stem_of(name: str) -> str:
    """What the names of all files of one repository begin with."""
    return re.sub(r"\A([^_]+_[^_]+_[0-9a-f]{8})\..*", r"\1", name)


def _slug(text: str) -> str:
    """What is safe in a file's name, and still tells a human what it is."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[-_LONGEST_NAME:].lstrip("-.") or "x"


def _fail(path: str, error: OSError) -> NoReturn:
    word, advice = _CAUSES.get(error.errno or 0, ("other", "See to that, and run again."))
    raise Failure(word, f"{path}: {error.strerror}. No bundle was replaced by anything incomplete. {advice}") from error
