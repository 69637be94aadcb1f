# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _cron, _scheduling
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
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


DRILL = Schedule("system-drill", actions=("drill",), configs=("/c",))
BACKUP = Schedule("system-backup", actions=("create",), configs=("/c",))


@pytest.fixture(name="program")
def fixture_program(scheduling, monkeypatch, tmp_path):
    """Where the program of drills stands; the schedules themselves are as they shall be."""
    path, units = tmp_path / "lib" / "drill.pyz", tmp_path / "units"
    units.mkdir()
    monkeypatch.setattr(scheduling, "_program_path", str(path))
    monkeypatch.setattr(scheduling._systemd, "directory", str(units))
    monkeypatch.setattr(_scheduling, "_CRON_DIRECTORY", str(tmp_path / "cron"))
    monkeypatch.setattr(scheduling, "_distribution", None)
    for scheduler in (scheduling._main, scheduling._other):
        monkeypatch.setattr(scheduler, "compare", lambda schedules, difference: None)
        monkeypatch.setattr(scheduler, "apply", lambda: None)
    return path


def brought_about(scheduling, *schedules):
    difference = Difference()
    scheduling.compare(schedules, difference)
    if difference.changed:
        scheduling.apply()
    return difference.changed


def test_the_program_comes_with_the_first_drill_and_goes_with_the_last(scheduling, program):
    assert not brought_about(scheduling, BACKUP)
    assert not program.exists()
    assert brought_about(scheduling, BACKUP, DRILL)
    assert program.read_bytes().startswith(b"PK")
    assert not brought_about(scheduling, BACKUP, DRILL)
    assert brought_about(scheduling, BACKUP, DRILL._replace(present=False))
    assert not program.exists()


def test_another_program_is_replaced(scheduling, program):
    brought_about(scheduling, DRILL)
    program.write_bytes(b"an older one")
    assert brought_about(scheduling, DRILL)
    assert program.read_bytes().startswith(b"PK")


def test_the_program_stays_while_another_schedule_runs_it(scheduling, program, tmp_path):
    brought_about(scheduling, DRILL)
    (tmp_path / "units" / "fleetbackup-home-drill.service").write_text(f"ExecStart=python3 {program}\n")
    assert not brought_about(scheduling, DRILL._replace(present=False))
    assert program.exists()
