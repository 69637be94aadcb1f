# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, as one exception with a word that playbooks can decide on."""

from __future__ import annotations

import errno
from typing import Any, Optional, Sequence

#: Every word that a failure may carry in ``error``, and whether trying again later can help without hands.
WORDS: dict[str, bool] = {
    "absent": False,
    "not_a_repository": False,
    "exists": False,
    "parent_missing": False,
    "broken_init": False,
    "encryption_mismatch": False,
    "wrong_passphrase": False,
    "no_passphrase": False,
    "key_missing": False,
    "key_mismatch": False,
    "drift": False,
    "locked": True,
    "unreachable": True,
    "host_key": False,
    "auth": False,
    "borg_missing": False,
    "not_allowed": False,
    "permission": False,
    "append_only": False,
    "quota": False,
    "disk_full": False,
    "relocated": False,
    "replayed": False,
    "unencrypted": False,
    "integrity": False,
    "archive_exists": False,
    "archive_absent": False,
    "source_missing": False,
    "version": False,
    "timeout": True,
    "unsafe": False,
    "invalid_argument": False,
    "warning": False,
    "other": False,
}

_OF_THE_SYSTEM = {
    errno.EPERM: "permission",
    errno.EACCES: "permission",
    errno.EROFS: "permission",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
}


class Failure(Exception):
    """A resource could not be brought into, or read in, its wanted state.

    :param error: one of :data:`WORDS`.
    :param msg: what happened, why, and what to do next; no secret.
    :param rc: exit code of the program that failed, if one ran.
    :param msgid: borg's own name of the failure, if it gave one.
    :param retryable: whether the same call may succeed later; by default what :data:`WORDS` says of the word.
    :param cmd: the command without secrets.
    :param stderr: what the program printed for humans.
    :param reason: a finer cause (``unreachable``: name, refused, timeout, closed, lost).
    :param details: further return values.
    """

    def __init__(
        self,
        error: str,
        msg: str,
        *,
        rc: Optional[int] = None,
        msgid: Optional[str] = None,
        retryable: Optional[bool] = None,
        cmd: Sequence[str] = (),
        stderr: str = "",
        reason: Optional[str] = None,
        **details: Any,
    ) -> None:
        super().__init__(msg)
        self.error = error if error in WORDS else "other"
        self.msg = msg
        self.rc = rc
        self.msgid = msgid
        self.retryable = WORDS[self.error] if retryable is None else retryable
        self.cmd = list(cmd)
        self.stderr = stderr
        self.reason = reason
        self.details = details

    @property
    def awaits_access(self) -> bool:
        """Whether nothing may be missing but the access that an earlier step provides, which check mode does not execute."""
        return self.error == "auth" or self.reason in ("unconfigured", "unpinned")

    def as_result(self) -> dict[str, Any]:
        """The keys that every module returns on failure."""
        return {
            **self.details,
            "msg": self.msg,
            "error": self.error,
            "reason": self.reason,
            "retryable": self.retryable,
            "rc": self.rc,
            "msgid": self.msgid,
            "cmd": self.cmd,
            "stderr": self.stderr,
        }


def as_failure(error: Exception) -> Failure:
    """An error of any kind as a failure: whatever was not foreseen is told in one sentence."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, OSError):
        word = _OF_THE_SYSTEM.get(error.errno or 0, "other")
        return Failure(word, f"{error.strerror} on {error.filename}." if error.filename else str(error))
    return Failure(
        "other", f"Unforeseen {type(error).__name__} in this module: {error}. Please report it with what you ran."
    )
