# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file with secrets in a place that a user names: what differs, and how it is put right."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import Any, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import objection_to, write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._ownership import (
    Ownership,
    group_id,
    secret_mode,
    user_id,
)

_ROOM = ("disk_full", "Free some space there, or raise the quota.")
_RIGHTS = ("permission", "Run as a user who may write there, and give files to that owner and group (become_user).")
_CAUSES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EPERM: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EROFS: ("permission", "The file system is read-only."),
}


class SecretFile(NamedTuple):
    """A file and what shall stand in it.

    :ivar ownership: see :func:`ownership_for`.
    """

    path: str
    data: bytes
    ownership: Ownership

    @property
    def is_current(self) -> bool:
        """Whether these bytes stand there, whoever may read them."""
        return self._present() == self.data

    def compare(self, difference: Difference) -> None:
        """Note what differs; of the content only digests."""
        present = self._present()
        difference.add("content", None if present is None else _digest(present), _digest(self.data))
        if present is not None:
            before = Ownership.of(self.path).as_names()
            for name, value in self.ownership.as_names().items():
                difference.add(name, before[name], value)

    def apply(self) -> None:
        """Put it right; it is the old or the new file, whole, at every moment.

        :raises Failure: ``disk_full``, ``permission`` …
        """
        wanted = self.ownership
        try:
            if self.is_current:
                wanted.apply(self.path)
            else:
                write_atomically(self.path, self.data, mode=wanted.mode, uid=wanted.uid, gid=wanted.gid)
        except OSError as error:
            word, advice = _CAUSES.get(error.errno or 0, ("other", "See to that, and run again."))
            raise Failure(word, f"{self.path} could not be written: {error.strerror}. It is what it was. {advice}") from error

    def _present(self) -> Optional[bytes]:
        try:
            with open(self.path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None


def check_path(parameter: str, path: str, example: str) -> None:
    """Refuse a path where no such file could be made, or where reading might never end.

    :raises Failure: ``invalid_argument``, ``parent_missing``, ``permission``.
    """
    reason = objection_to(path)
    if reason:
        raise Failure("invalid_argument", f"{parameter}: {path!r} {reason}; for example {example}.")
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise Failure("parent_missing", f"{parameter}: the directory {directory} does not exist. Create or mount it.")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise Failure(
            "permission",
            f"{parameter}: {directory} does not let this user write. Run as its owner (become_user), or name another file.",
        )


def ownership_for(
    path: str, *, mode: Any, owner: Optional[str], group: Optional[str]
) -> tuple[Ownership, Optional[Failure]]:
    """The wanted ownership, where an existing file keeps what is not given; and what is to be said where an account in it does
    not exist: in check mode an earlier task may be the one that makes it.

    :raises Failure: ``invalid_argument``: a mode that lets others in.
    """
    wanted = secret_mode(mode)
    present = Ownership.of(path) if os.path.exists(path) else Ownership(-1, -1, -1)
    uid = user_id(owner) if owner else present.uid
    gid = group_id(group) if group else present.gid
    missing = [
        f"{parameter}: there is no {name!r} on this machine"
        for parameter, name, number in (("owner", owner, uid), ("group", group, gid))
        if number is None
    ]
    failure = Failure("invalid_argument", f"{'; '.join(missing)}. Create it first, or give another.") if missing else None
    return Ownership(present.uid if uid is None else uid, present.gid if gid is None else gid, wanted), failure


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
