# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the wanted and the present state, for `changed` and for the diff."""

from __future__ import annotations

from typing import Any


class Difference:
    """Collects the settings that differ. Nothing secret may be added."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        self._after: dict[str, Any] = {}

    def add(self, name: str, before: Any, after: Any) -> None:
        """Note a setting; it counts only where the two values differ."""
        if before != after:
            self._before[name] = before
            self._after[name] = after

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(self._after)

    @property
    def names(self) -> list[str]:
        """The settings that differ, in the order in which they were noted."""
        return list(self._after)

    def as_diff(self) -> dict[str, Any]:
        """The value for the result's key ``diff``."""
        return {"before": self._before, "after": self._after}
