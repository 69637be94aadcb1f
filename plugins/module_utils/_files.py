# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are either the old or the new one, whole, at every moment."""

from __future__ import annotations

import os
import stat
import tempfile
from typing import Callable, Optional


def write_atomically(
    path: str,
    data: bytes,
    *,
    mode: int,
    uid: int = -1,
    gid: int = -1,
    validate: Optional[Callable[[str], None]] = None,
    suffix: str = "",
) -> None:
    """Replace a file's content in one step.

    :param path: the file; its directory must exist.
    :param data: its content.
    :param mode: its mode. Until the last moment the new file is 0600.
    :param uid: its owner; -1: the caller.
    :param gid: its group; -1: the caller's.
    :param validate: called with the temporary file's path; what it raises leaves the old file untouched.
    :param suffix: of the temporary file's name, for validators that look at it.
    :raises OSError: nothing is left behind then.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=".fleetbackup-", suffix=suffix, dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if validate is not None:
            validate(temporary)
        os.chown(temporary, uid, gid)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def objection_to(path: str) -> str:
    """Why no file of ours could stand at a path, or reading what stands there might never end; empty: nothing is against it."""
    if not path.isprintable():
        return "holds a control character or bytes that are no UTF-8"
    if not os.path.isabs(path):
        return "is not absolute"
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return ""
    except NotADirectoryError:
        return "leads through a file as if it were a directory"
    if stat.S_ISLNK(mode):
        return f"is a link to {os.readlink(path)!r}: name the file itself, or remove the link"
    if stat.S_ISDIR(mode):
        return "is a directory"
    return "" if stat.S_ISREG(mode) else "is neither a file nor absent, but a device, pipe or socket"
