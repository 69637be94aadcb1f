# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timer that comes with a distribution's package of borgmatic and runs every configuration there is.

Debian enables it on installation, so that beside our schedules each backup would be made twice. It is switched off while
there are schedules of ours; what it was before is remembered in a file, and restored after the last of them.
"""

from __future__ import annotations

import os
from typing import Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._managed_files import ManagedFile
from ansible_collections.fleetbackup.borg.plugins.module_utils._systemd import Systemd, Unit

#: Source: Debian's packages borgmatic 1.7.7-1 (12) and 1.9.14-1 (13).
NAME = "borgmatic.timer"
#: What it was.
MEMORY = "/var/lib/fleetbackup/borgmatic.timer"
_RESTORING = {"enabled": "enable", "active": "start"}
#: Units elsewhere are an administrator's own.
_PACKAGED = ("/usr/lib/systemd/", "/lib/systemd/")


class DistributionTimer:
    """Switches it off, and back to what it was."""

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd
        self._memory: Optional[ManagedFile] = None
        self._commands: list[str] = []

    def compare(self, unit: Unit, ours: bool, difference: Difference) -> None:
        """Note what differs.

        :param unit: the timer as it is.
        :param ours: whether this machine has, or will have, schedules of ours.
        """
        before = _remembered()
        if ours and unit.path.startswith(_PACKAGED) and (unit.enabled or unit.active):
            words = {*before, *(word for word, holds in (("enabled", unit.enabled), ("active", unit.active)) if holds)}
            self._memory = ManagedFile(MEMORY, f"{' '.join(sorted(words))}\n")
            self._commands = ["disable", "stop"]
            difference.add(f"{NAME}: enabled", unit.enabled, False)
            difference.add(f"{NAME}: active", unit.active, False)
        elif not ours and before:
            self._memory = ManagedFile(MEMORY, None)
            if unit.path:  # else the package is gone
                self._commands = [command for word, command in _RESTORING.items() if word in before]
                difference.add(f"{NAME}: enabled", unit.enabled, unit.enabled or "enabled" in before)
                difference.add(f"{NAME}: active", unit.active, unit.active or "active" in before)
        if self._memory is not None:
            self._memory.compare(difference)

    def apply(self) -> None:
        """Bring it about. What it was is written down before it changes, and forgotten after it is restored."""
        if self._memory is None:
            return
        directory = os.path.dirname(MEMORY)
        os.makedirs(directory, mode=0o755, exist_ok=True)
        if self._memory.text is not None:
            self._memory.apply()
        for command in self._commands:
            self._systemd.call(command, NAME)
        if self._memory.text is None:
            self._memory.apply()
            if not os.listdir(directory):
                os.rmdir(directory)


def _remembered() -> set[str]:
    try:
        with open(MEMORY, encoding="utf-8") as file:
            return set(file.read().split())
    except FileNotFoundError:
        return set()
