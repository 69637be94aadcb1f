# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schedules of this collection that a machine has, whoever made them."""

from __future__ import annotations

import glob
import os
import time
from typing import Iterator, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._calendar import as_utc, next_cron_run
from ansible_collections.fleetbackup.borg.plugins.module_utils._cron import DIRECTORY
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._systemd import Systemd
from ansible_collections.fleetbackup.borg.plugins.module_utils._units import PREFIX


class Scheduled(NamedTuple):
    """A schedule as it stands.

    :ivar next_run: ISO 8601 in UTC.
    """

    name: str
    backend: str
    enabled: bool
    active: bool
    next_run: Optional[str]


def scheduled(scope: str) -> list[Scheduled]:
    """All schedules of a scope, ``system`` or ``user``, by name."""
    found = [*_timers(scope), *(_jobs() if scope == "system" else ())]
    return sorted(found, key=lambda schedule: schedule.name)


def _timers(scope: str) -> Iterator[Scheduled]:
    systemd = Systemd(scope, Account.named("root" if scope == "system" else None))
    names = [os.path.basename(path) for path in glob.glob(f"{glob.escape(systemd.directory)}/{PREFIX}*.timer")]
    for name, unit in systemd.show(names).items():
        yield Scheduled(name[len(PREFIX) : -len(".timer")], "systemd", unit.enabled, unit.active, unit.next_run)


def _jobs() -> Iterator[Scheduled]:
    for path in glob.glob(f"{DIRECTORY}/{PREFIX}*"):
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        job = lines[-1] if lines else ""
        enabled = bool(job) and not job.startswith("#")
        moment = next_cron_run(" ".join(job.split()[:5]), time.time()) if enabled else None
        yield Scheduled(os.path.basename(path)[len(PREFIX) :], "cron", enabled, enabled, as_utc(moment))
