# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of borg_extract: the waiting, and what people see of it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.fleetbackup.borg.plugins.action.borg_extract import Progress, standing, wait

NOTE = "Files of an archive are being restored here.\narchive: web1 abc\nbegun: 1\nprogress: 12 of 90 entries\n"
DONE = {"finished": 1, "changed": True, "destination": "/srv/restored"}


class Machine:
    """A machine whose job ends after some seconds, and a clock that only sleeping moves."""

    def __init__(self, ends, outcome=None, lost=()):
        self.now = 0.0
        self.lines = []
        self._ends, self._outcome, self._lost = ends, outcome or DONE, list(lost)

    def look(self):
        if self._lost:
            self._lost.pop()
            raise AnsibleConnectionFailure("gone")
        return self._outcome if self.now >= self._ends else {"finished": 0}

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds

    def wait(self, every):
        progress = Progress("web1", every, self.lines.append, lambda: self.now, self.sleep)
        return wait(self.look, lambda: NOTE, progress)


@pytest.mark.parametrize("every", [2, 15, 30])
def test_a_line_comes_as_often_as_was_said(every):
    machine = Machine(100)
    assert machine.wait(every) == DONE
    assert len(machine.lines) in (100 // every, 100 // every + 1)
    assert machine.lines[0] == f"[web1] restoring for {every} s: 12 of 90 entries"


def test_a_short_one_says_nothing():
    machine = Machine(1)
    machine.wait(15)
    assert machine.lines == [] and machine.now < 3


def test_a_connection_that_is_lost_for_a_while_ends_nothing():
    assert Machine(10, lost=[1, 2]).wait(15) == DONE


def test_a_connection_that_stays_lost_is_told():
    with pytest.raises(AnsibleConnectionFailure):
        Machine(10, lost=range(100)).wait(15)


def test_a_failure_of_the_module_is_its_own():
    failed = {"finished": 1, "failed": True, "error": "disk_full", "msg": "The disk is full."}
    assert Machine(1, failed).wait(15) == failed


def test_a_job_that_was_killed_is_a_failure_that_may_be_repeated():
    outcome = Machine(1, {"finished": 1, "msg": "could not find job"}).wait(15)
    assert outcome["failed"] and outcome["retryable"] and "run again" in outcome["msg"]


def test_before_borg_writes_there_is_no_number():
    assert standing("") == "reading the archive, and comparing"
