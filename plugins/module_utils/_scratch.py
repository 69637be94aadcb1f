# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A place for files that nobody keeps, which is gone afterwards, however that comes about."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import signal
import tempfile
import time
from types import FrameType
from typing import Iterator, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

#: Large files belong on a disk, and /tmp may be in memory.
DEFAULT_PARENT = "/var/tmp"

_PREFIX = "fleetbackup-scratch-"
#: What stays free, beside what the files take: others write, too.
_MARGIN = 100_000_000
_MARGIN_FILES = 1000
#: Whatever has a name is taken for one block at least. Not the file system's own word for it: NFS, for example, tells of far larger
#: blocks than it uses.
_BLOCK = 4096
#: Seconds in which a directory that was just made is surely locked.
_NEW = 60


class Ended(Failure):
    """This process was told to end."""

    def __init__(self) -> None:
        super().__init__("timeout", "This was told to end before it was done. Let it have more time.")


@contextlib.contextmanager
def scratch(parent: str, sizes: Sequence[int]) -> Iterator[str]:
    """A directory that only the caller may enter.

    :param parent: where it is made. What a run that was killed has left there is removed first.
    :param sizes: of all that it has to hold, in bytes; 0 for what has no content, such as a directory.
    :raises Failure: ``disk_full`` where that does not fit, ``invalid_argument``.
    """
    if not os.path.isdir(parent):
        raise Failure("invalid_argument", f"scratch_directory: {parent!r} is no directory; for example {DEFAULT_PARENT}.")
    _remove_remains(parent)
    _require_room(parent, sizes)
    with _interruptible():
        directory = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
        lock = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield directory
        finally:
            _remove(directory, lock)
            os.close(lock)


def _require_room(parent: str, sizes: Sequence[int]) -> None:
    system = os.statvfs(parent)
    size = sum(max(1, -(-size // _BLOCK)) * _BLOCK for size in sizes)
    wanted = [("bytes", size, _MARGIN, system.f_bavail * system.f_frsize)]
    if system.f_files:  # btrfs, for example, has no such limit
        wanted.append(("inodes", len(sizes), _MARGIN_FILES, system.f_favail))
    for unit, needed, margin, free in wanted:
        if needed + margin > free:
            raise Failure(
                "disk_full",
                f"{parent} has {free} {unit} free, and what is to be restored there takes {needed}, with {margin} to spare. Make room,"
                " name another scratch_directory, or take a smaller sample; nothing was restored.",
            )


def _remove_remains(parent: str) -> None:
    """Remove what was left by runs that are over; those under way hold a lock."""
    for path in glob.glob(f"{glob.escape(parent)}/{_PREFIX}*"):
        try:
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # another account's, or gone
            continue
        try:
            status = os.fstat(directory)
            if status.st_uid == os.geteuid() and status.st_mtime < time.time() - _NEW:
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with contextlib.suppress(OSError):  # which must not keep this run from its own work
                    _remove(path, directory)
        except BlockingIOError:
            continue
        finally:
            os.close(directory)


def _remove(path: str, directory: int) -> None:
    """Remove a directory and what is below it. No link is followed: it leads to what is precious.

    :param directory: it, opened.
    :raises OSError: something is left.
    """
    # whoever is not root can only empty what lets its owner write
    os.fchmod(directory, 0o700)
    for parent, names, _files in os.walk(path):
        for below in (os.path.join(parent, name) for name in names):
            if not os.path.islink(below):
                os.chmod(below, 0o700)
    shutil.rmtree(path)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let the signal that ends this process first unwind it."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(_number: int, _frame: Optional[FrameType]) -> None:
    raise Ended
