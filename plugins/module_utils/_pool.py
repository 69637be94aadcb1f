# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repositories below one directory, and the space that borg leaves free for each. Read without borg, set with"
" it."""

from __future__ import annotations

import configparser
import json
import os
import pwd
import re
import stat
from typing import Any, Iterator, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils import _process
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository_settings import parse_size

#: How many directories deep a repository may lie below the pool.
MAXIMUM_DEPTH = 4

_TIMEOUT = 60.0


class Pooled(NamedTuple):
    """A repository of a pool.

    :ivar uid: who owns it.
    :ivar additional_free_space: bytes; None: what is set is no size.
    """

    path: str
    id: str
    uid: int
    gid: int
    additional_free_space: Optional[int]

    @property
    def is_locked(self) -> bool:
        """Whether somebody works with it, or was killed while doing so: only borg can tell, when it is used next."""
        if os.path.lexists(f"{self.path}/lock.exclusive"):
            return True
        try:
            with open(f"{self.path}/lock.roster", encoding="utf-8") as file:
                return any(json.load(file).values())
        except (FileNotFoundError, ValueError, AttributeError):
            return False

    def set_free_space(self, borg: str, size: int, host_id: Optional[str] = None) -> bool:
        """Set it, as the owner; tell whether it was not locked.

        :param borg: the program.
        :param host_id: by which those whom this server serves know our locks; None: borg's own.
        :raises Failure: what else borg met.
        """
        # with a size of 0 borg says that it is below its minimum
        words = ["additional_free_space", str(size)] if size else ["additional_free_space"]
        argv = [borg, "--log-json", "--lock-wait=1", "config", *([] if size else ["--delete"]), self.path, *words]
        if self.uid != os.geteuid():
            argv[:0] = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        environment = {**self._environment(), **({} if host_id is None else {"BORG_HOST_ID": host_id})}
        done = _process.run(argv, environment=environment, timeout=_TIMEOUT, cwd="/")
        if done.rc == 0:
            return True
        from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
        from ansible_collections.fleetbackup.borg.plugins.module_utils._causes import classify

        log = Log(done.stderr)
        message = log.failure()
        msgid = message.msgid if message else None
        cause = classify(done.rc, msgid, log.complaints())
        if cause.error == "locked":
            return False
        text = message.text if message else " ".join(done.stderr.split()) or "borg said nothing."
        raise Failure(
            cause.error,
            f"{self.path}: {text} {cause.advice}".rstrip(),
            rc=done.rc,
            msgid=msgid,
            cmd=done.argv,
            stderr=log.for_humans(),
        )

    def as_result(self) -> dict[str, Any]:
        """For the module's result."""
        return {"path": self.path, "id": self.id, "additional_free_space": self.additional_free_space}

    def _environment(self) -> dict[str, str]:
        try:
            owner = pwd.getpwuid(self.uid)
        except KeyError:
            return {"HOME": "/"}
        return {"HOME": owner.pw_dir, "USER": owner.pw_name, "LOGNAME": owner.pw_name}


def repositories(directory: str) -> list[Pooled]:
    """Those below a directory, in the order of their paths. Links are not followed, and nothing in a repository is"
    " one."""
    return sorted(_below(directory, MAXIMUM_DEPTH))


def _below(directory: str, depth: int) -> Iterator[Pooled]:
    with os.scandir(directory) as entries:
        names = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for path in names:
        found = _read(path)
        if found is not None:
            yield found
        elif depth > 1:
            yield from _below(path, depth - 1)


def _read(path: str) -> Optional[Pooled]:
    """The repository at a path; None where there is none."""
    try:
        # a client may have put anything there: no link is followed, no pipe waited for
        descriptor = os.open(f"{path}/config", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, encoding="utf-8") as file:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_file(file)
            section = parser["repository"]
            identifier = section["id"].strip()
        except (configparser.Error, KeyError, UnicodeDecodeError):
            return None
    if not re.match(r"[0-9a-f]{64}\Z", identifier):
        return None
    try:
        size: Optional[int] = parse_size(section.get("additional_free_space", "0"), "additional_free_space")
    except Failure:
        size = None
    return Pooled(path, identifier, status.st_uid, status.st_gid, size)
