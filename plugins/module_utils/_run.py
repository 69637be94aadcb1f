# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a schedule, and what can make and watch runs."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._calendar import as_utc

RUNNING, SUCCEEDED, FAILED = "running", "succeeded", "failed"
#: How many lines of a run's log are told.
LOG_LINES = 20


class Run(NamedTuple):
    """A run that is under way, or was.

    :ivar id: names it; only its backend understands that.
    :ivar result: one of the three words above.
    :ivar exit_code: of borgmatic; None while it runs, or where nothing told it.
    :ivar started: seconds since 1970; None while it waits for its turn.
    :ivar ended: seconds since 1970.
    :ivar joined: whether somebody else had started it.
    :ivar log: what it said last, without secrets.
    :ivar log_command: what shows all that it said.
    """

    schedule: str
    id: str
    result: str = RUNNING
    exit_code: Optional[int] = None
    started: Optional[float] = None
    ended: Optional[float] = None
    joined: bool = False
    log: tuple[str, ...] = ()
    log_command: str = ""

    def seconds(self, now: float) -> int:
        """How long it took, or takes until now."""
        if self.started is None:
            return 0
        return max(0, round((self.ended or now) - self.started))

    def as_result(self, now: float) -> dict[str, Any]:
        """An element of the module's return value."""
        return {
            "schedule": self.schedule,
            "id": self.id,
            "result": self.result,
            "exit_code": self.exit_code,
            "started": as_utc(self.started),
            "ended": as_utc(self.ended),
            "seconds": self.seconds(now),
            "joined": self.joined,
            "log": list(self.log[-LOG_LINES:]),
        }


class Runs(abc.ABC):
    """The runs of one machine's schedules that one scheduler makes."""

    name: str

    @abc.abstractmethod
    def schedules(self) -> set[str]:
        """The names of the schedules that it can run; a look into a directory."""

    @abc.abstractmethod
    def under_way(self, schedule: str) -> Optional[Run]:
        """The run that is under way, whoever started it."""

    @abc.abstractmethod
    def start(self, schedule: str) -> Run:
        """Start one that neither this process nor the one that called it can end.

        :raises Failure: ``other``: it did not start; ``permission``.
        """

    @abc.abstractmethod
    def look(self, schedule: str, identity: str) -> Run:
        """How a run stands.

        :param identity: the run's :attr:`Run.id`.
        :raises Failure: ``other``: nothing is known of it any more.
        """
