# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of borgmatic_run: the waiting, and what people see of it."""

from __future__ import annotations

import re

import pytest

from ansible_collections.fleetbackup.borg.plugins.action.borgmatic_run import Progress, wait


def run(name, result="running", seconds=0, **more):
    started = None if more.pop("queued", False) else "2026-11-21T11:50:37+00:00"
    return {"schedule": name, "id": f"systemd:{name}", "result": result, "seconds": seconds, "started": started, "log": [], **more}


class Machine:
    """A machine whose runs end after some seconds, and a clock that only sleeping moves."""

    def __init__(self, ends, launch=0.5, fails=()):
        self.now = 1000.0
        self.ends = ends
        self.launch = launch
        self.fails = fails
        self.lines = []
        self.looks = []

    def runs(self):
        passed = self.now - 1000
        return [
            run(name, "running" if passed < end else ("failed" if name in self.fails else "succeeded"), int(min(passed, end)))
            for name, end in self.ends.items()
        ]

    def look(self, runs):
        self.looks.append(runs)
        self.now += self.launch
        found = self.runs()
        words = [one["result"] for one in found]
        if "failed" in words and "running" not in words:
            return {"failed": True, "msg": "no", "error": "other", "runs": found}
        return {"changed": False, "runs": found, "diff": {}, "assumed": False}

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds

    def show(self, line):
        self.lines.append((self.now, line))

    def wait(self, every=15, timeout=None):
        first = {"changed": True, "runs": self.runs(), "diff": {"before": {}, "after": {"x: runs": True}}, "assumed": False}
        return wait(first, self.look, Progress("client1", every, self.show), timeout, lambda: self.now, self.sleep)


@pytest.mark.parametrize("every", [1, 2, 5, 15, 30])
def test_there_is_a_line_in_time(every):
    machine = Machine({"system-backup": 100})
    machine.wait(every)
    moments = [moment for moment, _line in machine.lines]
    gaps = [later - earlier for earlier, later in zip(moments, moments[1:])]
    # the first look's cost is not known beforehand
    assert gaps[0] <= every + machine.launch and max(gaps[1:]) <= every
    assert machine.lines[0][1] == "[client1] system-backup: running for 0 s"
    assert machine.lines[-1][1] == "[client1] system-backup: succeeded after 100 s"
    assert len(machine.lines) <= 100 / every + 3


def test_a_slow_machine_is_looked_at_all_the_same():
    machine = Machine({"system-backup": 60}, launch=20)
    assert machine.wait(15)["runs"][0]["result"] == "succeeded"
    assert len(machine.looks) <= 6


def test_what_the_first_launch_changed_is_changed():
    outcome = Machine({"a": 3, "b": 9}).wait()
    assert outcome["changed"] is True
    assert outcome["diff"]["after"] == {"x: runs": True}
    assert [one["result"] for one in outcome["runs"]] == ["succeeded", "succeeded"]


def test_each_end_is_told_once():
    machine = Machine({"a": 3, "b": 40})
    machine.wait()
    ended = [line for _moment, line in machine.lines if "succeeded" in line]
    assert ended == ["[client1] a: succeeded after 3 s", "[client1] b: succeeded after 40 s"]


def test_a_failure_waits_for_the_others():
    machine = Machine({"a": 3, "b": 40}, fails=("a",))
    outcome = machine.wait()
    assert outcome["failed"] and outcome["error"] == "other"
    assert [one["result"] for one in outcome["runs"]] == ["failed", "succeeded"]
    assert any(line == "[client1] a: failed after 3 s" for _moment, line in machine.lines)


def test_patience_ends():
    machine = Machine({"a": 3, "b": 400})
    outcome = machine.wait(timeout=60)
    assert outcome["failed"] and outcome["error"] == "timeout" and outcome["retryable"]
    assert outcome["msg"].startswith("b: still running after 60 seconds")
    assert 1060 <= machine.now <= 1062
    assert outcome["runs"][1]["result"] == "running"


def test_what_failed_at_once_is_not_waited_for():
    failed = {"failed": True, "msg": "no", "error": "absent"}
    assert wait(failed, None, Progress("client1", 15, None), None) == failed


@pytest.mark.parametrize(
    ("standing", "text"),
    [
        (run("x", seconds=45, log=["one", "Creating archive"]), "running for 45 s: Creating archive"),
        (run("x", queued=True), "waiting for its turn"),
        (run("x", seconds=1, log=["y" * 500]), f"running for 1 s: {'y' * 120}"),
    ],
)
def test_how_a_run_stands(standing, text):
    lines = []
    Progress("client1", 15, lines.append).tell([standing], 0.0, 0.0)
    assert lines == [f"[client1] x: {text}"]


def test_a_line_names_host_and_schedule():
    lines = []
    Progress("db1.example.org", 15, lines.append).tell([run("a"), run("b", "failed", 3)], 0.0, 0.0)
    assert all(re.match(r"\[db1\.example\.org\] [ab]: ", line) for line in lines)
