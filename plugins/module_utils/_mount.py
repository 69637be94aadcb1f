# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories and archives as read-only file systems: what is mounted where, by which process."""

from __future__ import annotations

import errno
import os
import re
import time
from typing import NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils import _process
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

_MOUNTS = "/proc/self/mountinfo"
_PROCESSES = "/proc"
#: Seconds that borg has to let go of the repository once it is unmounted.
_PATIENCE = 20.0
_UNMOUNT_TIMEOUT = 60.0


class Mounted(NamedTuple):
    """What is mounted at a path.

    :ivar source: what the kernel calls it; ``borgfs`` for borg's.
    :ivar process: the id of the borg that serves it; None where nobody can tell which one does, it is dead, or it is not borg's.
    :ivar target: the location, and the archive behind ``::``, that this borg was given; None likewise.
    :ivar dead: whether the borg that served it has died.
    """

    source: str
    process: Optional[int] = None
    target: Optional[str] = None
    dead: bool = False

    @property
    def is_borg(self) -> bool:
        """Whether borg mounted it."""
        return self.source == "borgfs"

    def shows(self, borg: Borg, archive: Optional[str]) -> bool:
        """Whether it is this archive; None: the whole repository."""
        return self.target == str(borg.repository) + (f"::{archive}" if archive is not None else "")

    def is_of(self, borg: Borg) -> bool:
        """Whether it is of this repository."""
        return self.shows(borg, None) or (self.target or "").startswith(f"{borg.repository}::")


def look(mount_point: str) -> Optional[Mounted]:
    """What is mounted at a path. It is not touched where that can be told without: it might hang.

    :param mount_point: an absolute path without links.
    :returns: None where nothing is.
    """
    found = None
    with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _separator, rest = line.partition(" - ")
            if _unescaped(fields.split(" ")[4]) == mount_point:
                found = Mounted(_unescaped(rest.split(" ")[1]))  # the last one is on top
    if found is None or not found.is_borg:
        return found
    served = [(int(name), _served(name, mount_point)) for name in os.listdir(_PROCESSES) if name.isdigit()]
    living = [(process, target) for process, target in served if target is not None]
    if len(living) == 1:
        return found._replace(process=living[0][0], target=living[0][1])
    return found._replace(dead=not living and _is_dead(mount_point))


def mount(borg: Borg, archive: Optional[str], mount_point: str, *, allow_other: bool) -> None:
    """Mount a repository, or one archive of it.

    :raises Failure: ``locked``, ``wrong_passphrase`` …
    """
    options = ["-o", "allow_other"] if allow_other else []
    try:
        # borg stays in this directory
        borg.run("mount", *options, archive=archive, arguments=[mount_point], cwd="/")
    except Failure as failure:
        if "no FUSE support" not in failure.msg:
            raise
        failure.msg = (
            f"{borg.repository}: borg can mount nothing here, as it finds no FUSE library. Install one for its Python (Debian: apt"
            " install python3-pyfuse3 fuse3)."
        )
        raise
    if look(mount_point) is None:
        raise Failure(
            "other", f"{mount_point}: borg reported success and nothing is mounted there. Look for its messages in the system's log."
        )


def unmount(borg: Borg, mount_point: str, mounted: Mounted) -> None:
    """Unmount what borg mounted, and wait until it has let go of the repository.

    :raises Failure: ``other`` with the reason ``busy``: somebody is in there.
    """
    borg.dialect()
    completed = _process.run([str(borg.program), "umount", mount_point], timeout=_UNMOUNT_TIMEOUT, cwd="/")
    if look(mount_point) is not None:
        said = " ".join(completed.stderr.split())
        raise Failure(
            "other",
            f"{mount_point} could not be unmounted: {said or 'borg did not say why'}. Somebody works in it or has a file of it open:"
            " end that (lsof, fuser -m), and try again.",
            rc=completed.rc,
            cmd=completed.argv,
            stderr=completed.stderr,
            reason="busy",
            retryable=True,
        )
    deadline = time.monotonic() + _PATIENCE
    while mounted.process is not None and _served(str(mounted.process), mount_point) and time.monotonic() < deadline:
        time.sleep(0.05)


def _served(process: str, mount_point: str) -> Optional[str]:
    """What a process mounts at a path, if it is a borg that does."""
    try:
        with open(os.path.join(_PROCESSES, process, "cmdline"), "rb") as file:
            words = [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    except OSError:  # it has ended, or is somebody else's
        return None
    arguments = words[words.index("mount") + 1 :] if "mount" in words else []
    # paths within the archives may stand behind it
    for target, place in zip(arguments, arguments[1:]):
        if place.startswith("/") and os.path.normpath(f"/{place.lstrip('/')}") == mount_point:
            return target
    return None


def _is_dead(mount_point: str) -> bool:
    """Whether nobody serves a mount any more. That no process is seen to do so proves nothing: it may be in another container, or have been told
    the place in other words."""
    try:
        os.statvfs(mount_point)  # the kernel remembers what lstat would tell, also of the dead
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return False


def _unescaped(text: str) -> str:
    """Paths of the kernel's list, in which white space and backslashes are octal."""
    data = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match.group(1), 8)]), os.fsencode(text))
    return os.fsdecode(data)
