# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _cron, _scheduling
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account, Launch
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import Schedule
from ansible_collections.fleetbackup.borg.plugins.module_utils._scheduling import Scheduling


@pytest.fixture(name="scheduling")
def fixture_scheduling(monkeypatch, tmp_path):
    """On a machine with three schedules of systemd and one of cron."""
    monkeypatch.setattr(_scheduling, "_SYSTEMD_RUNS", str(tmp_path))
    monkeypatch.setattr(_scheduling, "find_program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(_scheduling.Timers, "names", lambda self: {"system-backup", "system-check", "home-backup"})
    monkeypatch.setattr(_scheduling, "_has_jobs", lambda: True)
    monkeypatch.setattr(_cron.Crontabs, "names", lambda self: {"system-old"})
    launch = Launch("/usr/bin/borgmatic", Account("root", "/root", 0, 0))
    return Scheduling("systemd", "system", launch, linger=False, keep_distribution_timer=False)


@pytest.mark.parametrize(
    ("patterns", "strays"),
    [
        ([], []),
        (["system-*"], ["system-check", "system-old"]),
        (["home-*", "system-o*"], ["home-backup", "system-old"]),
        (["other-*"], []),
        (["system"], []),
        (["*"], ["home-backup", "system-check", "system-old"]),
    ],
)
def test_what_is_there_and_not_wanted_goes(scheduling, patterns, strays):
    found = scheduling.strays([Schedule("system-backup", actions=("create",))], patterns)
    assert [(schedule.name, schedule.present) for schedule in found] == [(name, False) for name in strays]
