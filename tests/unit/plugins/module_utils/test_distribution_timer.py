# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _distribution_timer
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._distribution_timer import NAME, DistributionTimer
from ansible_collections.fleetbackup.borg.plugins.module_utils._systemd import Unit

PACKAGED = "/usr/lib/systemd/system/borgmatic.timer"
ON = Unit(path=PACKAGED, enabled=True, active=True)
OFF = Unit(path=PACKAGED)


class Calls:
    """Stands for a systemd that does what it is told."""

    def __init__(self):
        self.made = []

    def call(self, *arguments):
        self.made.append(arguments)


@pytest.fixture(name="memory")
def fixture_memory(tmp_path, monkeypatch):
    path = tmp_path / "fleetbackup" / "borgmatic.timer"
    monkeypatch.setattr(_distribution_timer, "MEMORY", str(path))
    return path


def run(unit, ours):
    """What differs, and what is done about it."""
    systemd, difference = Calls(), Difference()
    timer = DistributionTimer(systemd)
    timer.compare(unit, ours, difference)
    timer.apply()
    return difference, systemd.made


def test_it_is_switched_off_and_remembered(memory):
    difference, made = run(ON, True)
    assert made == [("disable", NAME), ("stop", NAME)]
    assert memory.read_text() == "active enabled\n"
    assert difference.as_diff()["after"] == {
        f"{NAME}: enabled": False,
        f"{NAME}: active": False,
        str(memory): ["active enabled"],
    }


def test_what_is_off_stays_off(memory):
    run(ON, True)
    difference, made = run(OFF, True)
    assert not difference.changed and not made
    assert memory.exists()


def test_it_comes_back_as_it_was(memory):
    run(ON, True)
    difference, made = run(OFF, False)
    assert difference.changed
    assert made == [("enable", NAME), ("start", NAME)]
    assert not memory.parent.exists()
    difference, made = run(ON, False)
    assert not difference.changed and not made


def test_what_was_off_before_is_not_switched_on(memory):
    run(OFF, True)
    difference, made = run(OFF, False)
    assert not difference.changed and not made


def test_a_run_that_was_killed_half_way_forgets_nothing(memory):
    run(ON, True)
    run(Unit(path=PACKAGED, active=True), True)  # disabled, and then killed
    assert memory.read_text() == "active enabled\n"


def test_a_package_that_is_gone_leaves_nothing(memory):
    run(ON, True)
    difference, made = run(Unit(), False)
    assert difference.changed and not made
    assert not memory.parent.exists()


@pytest.mark.parametrize("path", ["/etc/systemd/system/borgmatic.timer", "/usr/local/lib/systemd/system/borgmatic.timer", ""])
def test_an_administrators_own_is_left_alone(memory, path):
    difference, made = run(Unit(path=path, enabled=True, active=True), True)
    assert not difference.changed and not made
