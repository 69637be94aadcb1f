# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account as sshd sees it before it looks at any key: whether it may log in at all."""

from __future__ import annotations

import grp
import os
import pwd
import re
from typing import Iterator, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

_SHADOW = "/etc/shadow"


class Account(NamedTuple):
    """One of this machine, or one to come.

    :ivar groups: names; None: there is no such account yet.
    :ivar is_locked: whether its password is. Without PAM, sshd then refuses its keys too.
    """

    name: str
    groups: Optional[tuple[str, ...]]
    is_locked: bool

    @classmethod
    def find(cls, name: str) -> Account:
        """What the machine says of it."""
        try:
            gid = pwd.getpwnam(name).pw_gid
        except KeyError:
            return cls(name, None, False)
        return cls(name, tuple(_group_names(os.getgrouplist(name, gid))), _is_locked(name))

    def check(self, effective: Mapping[str, Sequence[str]]) -> None:
        """See that something lets it in, from wherever that may be.

        :param effective: as :func:`parse_effective` gives it.
        :raises Failure: ``drift``.
        """
        found = self._shut_out(effective)
        if found is not None:
            raise Failure("drift", f"{self.name} cannot log in, whatever keys it has: {found} Nothing was changed.")

    def _shut_out(self, effective: Mapping[str, Sequence[str]]) -> Optional[str]:
        """By what, and what to do; None: by nothing that is known."""
        allowed, denied = (effective.get(keyword, ()) for keyword in ("allowusers", "denyusers"))
        if allowed and not any(_matches(self.name, _parts(pattern)[0]) for pattern in allowed):
            return f"sshd's AllowUsers ({' '.join(allowed)}) leaves it out. Add {self.name} to it."
        for pattern in denied:
            user, host = _parts(pattern)
            if host == "*" and _matches(self.name, user):
                return f"sshd's DenyUsers has {pattern}. Take that out of it."
        if self.groups is not None:
            found = self._shut_out_by_groups(effective, self.groups)
            if found is not None:
                return found
        if self.is_locked and effective.get("usepam") != ["yes"]:
            return f"it is locked, and where UsePAM is no, sshd then refuses keys too. Run usermod -p '*' {self.name}."
        return None

    def _shut_out_by_groups(self, effective: Mapping[str, Sequence[str]], groups: Sequence[str]) -> Optional[str]:
        allowed, denied = (effective.get(keyword, ()) for keyword in ("allowgroups", "denygroups"))
        for pattern in denied:
            for group in groups:
                if _matches(group, pattern):
                    return f"sshd's DenyGroups has {pattern}, and the account is in {group}. Take it out of that."
        if allowed and not any(_matches(group, pattern) for group in groups for pattern in allowed):
            return (
                f"sshd's AllowGroups ({' '.join(allowed)}) has none of the account's groups ({' '.join(groups)})."
                " Add one to it, or put the account into one of those."
            )
        return None


def _group_names(gids: Sequence[int]) -> Iterator[str]:
    for gid in gids:
        try:
            yield grp.getgrgid(gid).gr_name
        except KeyError:
            continue  # a group without a name: no pattern is for it


def _is_locked(name: str) -> bool:
    """Accounts that are not in the file have their passwords elsewhere."""
    with open(_SHADOW, encoding="utf-8", errors="replace") as file:
        return any(line.startswith(f"{name}:!") for line in file)


def _parts(pattern: str) -> tuple[str, str]:
    """The user's and the host's part of what AllowUsers and DenyUsers hold."""
    user, at, host = pattern.rpartition("@")
    return (user, host) if at else (pattern, "*")


def _matches(name: str, pattern: str) -> bool:
    """As sshd does it: ``*`` and ``?`` stand for others, and nothing else does."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), name, re.DOTALL) is not None
