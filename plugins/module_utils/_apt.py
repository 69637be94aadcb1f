# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's packages: what is installed, and which of it came from us.

The tools are asked directly. Ansible's own module needs python3-apt, which small machines lack; it installs that first, and
in check mode it fails.
"""

from __future__ import annotations

import os
import re
from typing import Iterable, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import Completed, find_program, run
from ansible_collections.fleetbackup.borg.plugins.module_utils._proxies import network_environment

#: The names of the packages that we installed, one a line.
NOTE = "/var/lib/fleetbackup/packages"
_LOCK_SECONDS = 300


class Apt:
    """The package manager.

    :param timeout: seconds that one command may take.
    """

    def __init__(self, timeout: Optional[float]) -> None:
        self._timeout = timeout

    @staticmethod
    def is_here() -> bool:
        """Whether this machine has it."""
        return find_program("apt-get") is not None and find_program("dpkg-query") is not None

    def installed(self) -> set[str]:
        """The names of all installed packages."""
        query = self._run("dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n")
        return {line.split()[0] for line in query.stdout.splitlines() if line.endswith(" installed")}

    @staticmethod
    def ours() -> set[str]:
        """The names of the packages that we installed; some of them may be gone."""
        try:
            with open(NOTE, encoding="utf-8") as file:
                return set(file.read().split())
        except FileNotFoundError:
            return set()

    def install(self, names: Iterable[str]) -> None:
        """Install packages. They are noted as ours before they come, and what came with them afterwards.

        :raises Failure: ``other`` with apt's words.
        """
        wanted, before, ours = sorted(names), self.installed(), self.ours()
        self._note(ours | set(wanted))
        command = ("install", "--yes", "--no-install-recommends", "--", *wanted)
        done = self._apt(*command)
        if done.rc:  # mostly because the lists of packages are missing or old
            updated = self._apt("update")
            done = self._apt(*command)
            if done.rc:
                self._note(ours | self.installed() - before)
                said = [line for line in (updated.stderr + done.stderr).splitlines() if line.startswith("E: ")]
                raise Failure(
                    "other",
                    f"apt-get cannot install {', '.join(wanted)}: {' '.join(said) or done.rc}."
                    f" Try: apt-get update && apt-get install {' '.join(wanted)}",
                    rc=done.rc,
                    cmd=done.argv,
                    stderr=done.stderr,
                )
        self._note(ours | self.installed() - before)

    def remove_ours(self) -> None:
        """Remove the packages that we installed, but for those that others need by now, and forget them.

        :raises Failure: ``other`` with dpkg's words.
        """
        names = sorted(self.ours() & self.installed())
        if names:
            # unlike apt, dpkg takes nothing else away with them
            done = self._run("dpkg", "--purge", "--", *names)
            if done.rc and not re.search(r"dependency problems|depends on", done.stderr):
                raise Failure(
                    "other",
                    f"dpkg cannot remove {', '.join(names)}: {' '.join(done.stderr.split())}",
                    rc=done.rc,
                    cmd=done.argv,
                    stderr=done.stderr,
                )
        self._note(set())

    def _apt(self, *arguments: str) -> Completed:
        return self._run("apt-get", "--quiet", "--option", f"DPkg::Lock::Timeout={_LOCK_SECONDS}", *arguments)

    def _run(self, *argv: str) -> Completed:
        environment = {**network_environment(), "DEBIAN_FRONTEND": "noninteractive"}
        return run(argv, environment=environment, timeout=self._timeout, umask=0o022)

    @staticmethod
    def _note(names: set[str]) -> None:
        directory = os.path.dirname(NOTE)
        os.makedirs(directory, mode=0o755, exist_ok=True)
        if names:
            write_atomically(NOTE, "".join(f"{name}\n" for name in sorted(names)).encode(), mode=0o644)
            return
        if os.path.exists(NOTE):
            os.unlink(NOTE)
        if not os.listdir(directory):
            os.rmdir(directory)
