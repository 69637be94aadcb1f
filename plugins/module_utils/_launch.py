# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How borgmatic is launched on this machine, whoever launches it: as whom, from where, in which environment."""

from __future__ import annotations

import os
import pwd
from typing import NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._process import SEARCH_PATH, home_directory


class Account(NamedTuple):
    """Whom the backups run as.

    :ivar uid: None where the account does not exist yet.
    """

    name: str
    home: str
    uid: Optional[int]
    gid: Optional[int]

    @classmethod
    def named(cls, name: Optional[str]) -> Account:
        """An account by its name; None: the one that runs this. One that does not exist has the home that it would get."""
        try:
            entry = pwd.getpwuid(os.geteuid()) if name is None else pwd.getpwnam(name)
        except KeyError:
            if name is None:
                return cls(str(os.geteuid()), home_directory(), os.geteuid(), os.getegid())
            return cls(name, f"/home/{name}", None, None)
        return cls(entry.pw_name, entry.pw_dir, entry.pw_uid, entry.pw_gid)

    @property
    def is_root(self) -> bool:
        """Whether it may do everything."""
        return self.uid == 0

    def expand(self, path: str) -> str:
        """A path with a leading ``~`` replaced by this account's home."""
        return self.home + path[1:] if path == "~" or path.startswith("~/") else path


class Launch(NamedTuple):
    """How borgmatic runs here.

    :ivar program: the absolute path of borgmatic.
    :ivar account: whom it runs as.
    :ivar base_directory: borg's base directory (BORG_BASE_DIR); None: the home.
    :ivar version: borgmatic's; () where it is unknown.
    :ivar credentials: whether the passphrases of its configurations are credentials of systemd.
    """

    program: str
    account: Account
    base_directory: Optional[str] = None
    version: tuple[int, ...] = ()
    credentials: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a run needs: the same as in our modules, and under every scheduler. The borg of a virtual
        environment stands beside its borgmatic, and counts where the system has none."""
        beside = dict.fromkeys((os.path.dirname(self.program), os.path.dirname(os.path.realpath(self.program))))
        search = SEARCH_PATH.split(":")
        environment = {
            "HOME": self.account.home,
            "PATH": ":".join([*search, *(path for path in beside if path not in search)]),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
        }
        if self.base_directory is not None:
            environment["BORG_BASE_DIR"] = self.base_directory
        return environment

    @property
    def own_directories(self) -> list[str]:
        """The directories in which borg and borgmatic keep what they remember.

        Source: borg 1.2.9 and 1.4.5 `borg.helpers.fs`; borgmatic 1.8.14, 1.9.14 and 2.1.10 `borgmatic.config.paths`.
        """
        base = self.base_directory or self.account.home
        state = ".borgmatic" if self.version and self.version < (1, 9) else ".local/state/borgmatic"
        return [f"{base}/.cache/borg", f"{base}/.config/borg", f"{self.account.home}/{state}"]
