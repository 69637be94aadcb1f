# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a file that may hold secrets belongs to, and who may read it."""

from __future__ import annotations

import grp
import os
import pwd
from typing import Any, Callable, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

#: All that a file with secrets may ever grant.
_WIDEST = 0o640


class Ownership(NamedTuple):
    """Of one file; an id of -1 stands for that of whoever makes the file, a mode of -1 for any."""

    uid: int
    gid: int
    mode: int

    @classmethod
    def of(cls, path: str) -> Ownership:
        """:raises OSError: where there is no such file."""
        status = os.stat(path)
        return cls(status.st_uid, status.st_gid, status.st_mode & 0o7777)

    def apply(self, path: str) -> None:
        """Give an existing file this ownership."""
        os.chown(path, self.uid, self.gid)
        os.chmod(path, self.mode)

    def as_names(self) -> dict[str, Optional[str]]:
        """For a diff: names where there are some, ids elsewhere."""
        return {
            "owner": None if self.uid == -1 else _name(self.uid, lambda number: pwd.getpwuid(number).pw_name),
            "group": None if self.gid == -1 else _name(self.gid, lambda number: grp.getgrgid(number).gr_name),
            "mode": f"{self.mode:04o}",
        }


def secret_mode(value: Any, parameter: str = "mode") -> int:
    """The mode that a user asks for on a file that may hold secrets.

    :param value: octal digits as text, or the number that YAML makes of ``0600`` without quotes.
    :raises Failure: ``invalid_argument`` where it is no mode or lets others in.
    """
    example = f"for example {parameter}: '0600', in quotes"
    try:
        mode = value if isinstance(value, int) and not isinstance(value, bool) else int(str(value), 8)
    except ValueError as error:
        raise Failure("invalid_argument", f"{parameter}: {value!r} is no octal number; {example}.") from error
    if mode & ~_WIDEST or not mode & 0o400:
        raise Failure(
            "invalid_argument",
            f"{parameter}: {mode:04o} is not what a file with secrets may have: the owner reads it, the group may,"
            f" nobody else; {example}.",
        )
    return mode


def user_id(name: str) -> Optional[int]:
    """The id of a user given by name or id, or None where there is no such user."""
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def group_id(name: str) -> Optional[int]:
    """The id of a group given by name or id, or None where there is no such group."""
    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _name(number: int, lookup: Callable[[int], str]) -> str:
    try:
        return lookup(number)
    except KeyError:
        return str(number)
