# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every scheduler can do."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Launch
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import Schedule


class Standing(NamedTuple):
    """How a schedule stands, or will stand.

    :ivar files: what makes it up.
    :ivar calendar: when it runs, in the scheduler's own words.
    :ivar profile: the sandbox in force.
    :ivar next_run: ISO 8601 in UTC; None where it does not run, or where only the real run would tell.
    """

    files: tuple[str, ...] = ()
    calendar: Optional[str] = None
    profile: Optional[str] = None
    next_run: Optional[str] = None


class Scheduler(abc.ABC):
    """Brings the schedules of one machine about. First :meth:`compare`, then, where something differs and it is wanted,
    :meth:`apply`; :meth:`standing` afterwards."""

    name: str

    @abc.abstractmethod
    def compare(self, schedules: Sequence[Schedule], difference: Difference) -> None:
        """Note what differs from these schedules; nothing is touched.

        :raises Failure: ``invalid_argument`` (it can't run one of them), ``permission``, ``other``.
        """

    @abc.abstractmethod
    def apply(self) -> None:
        """Put right what :meth:`compare` noted."""

    @abc.abstractmethod
    def standing(self, schedule: Schedule) -> Standing:
        """How one of the schedules stands.

        :raises Failure: ``other`` where it shall run and has no next run.
        """

    @abc.abstractmethod
    def names(self) -> set[str]:
        """The schedules of which there is anything; a look into a directory."""


def refuse_strict(schedules: Sequence[Schedule], why: str) -> None:
    """For schedulers without a sandbox.

    :raises Failure: ``invalid_argument`` where one was asked for.
    """
    for schedule in schedules:
        if schedule.present and schedule.profile == "strict":
            raise Failure(
                "invalid_argument",
                f"schedule {schedule.name}: profile: strict cannot be kept, {why}; leave it out, or use systemd's system scope.",
            )


def refuse_credentials(schedules: Sequence[Schedule], launch: Launch, why: str) -> None:
    """For schedulers that can't hand a run credentials.

    :raises Failure: ``invalid_argument`` where one needs them.
    """
    if launch.credentials and any(schedule.present for schedule in schedules):
        raise Failure(
            "invalid_argument",
            f"passphrase_store: systemd_credential cannot be kept, {why}; use systemd's system scope (with user for an ordinary"
            " account), or say passphrase_store: file to borgmatic_config and here.",
        )


def as_result(schedule: Schedule, standing: Standing) -> dict[str, Any]:
    """An element of the module's return value."""
    runs = schedule.present and schedule.enabled
    return {
        "name": schedule.name,
        "state": "present" if schedule.present else "absent",
        "files": list(standing.files),
        "calendar": standing.calendar,
        "enabled": runs,
        "active": runs,
        "profile": standing.profile,
        "profile_reasons": [],
        "next_run": standing.next_run,
    }
