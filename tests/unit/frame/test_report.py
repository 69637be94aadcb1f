# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run's totals and exit code never look better than its steps."""

from __future__ import annotations

import subprocess

import pytest
from lab.engine import LabError
from report import Outcome, Report, Step


def step(name, outcome, *, needed=False):
    def work(log):
        log.write(b"what the tool said")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
    return Step(name, work, needed=needed)


def run(tmp_path, *steps):
    report = Report(tmp_path)
    report.run("lane", list(steps))
    return report


def test_counts_are_summed(tmp_path, capsys):
    report = run(tmp_path, step("one", Outcome(3)), step("two", Outcome(4)))
    assert report.close() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "7 passed, 0 failed"


def test_one_failure_fails_the_run_and_shows_the_log(tmp_path, capsys):
    report = run(tmp_path, step("one", Outcome(3)), step("two", Outcome(2, 1)))
    assert report.close() == 1
    told = capsys.readouterr().out
    assert told.splitlines()[-1] == "5 passed, 1 failed"
    assert "| what the tool said" in told


def test_a_run_without_a_passed_test_is_no_success(tmp_path):
    assert run(tmp_path, step("one", Outcome())).close() == 1


def test_a_failed_needed_step_counts_the_rest_as_failed(tmp_path, capsys):
    report = run(tmp_path, step("machine", Outcome(failed=1), needed=True), step("two", Outcome(2)), step("three", Outcome(2)))
    assert report.close() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 3 failed"


@pytest.mark.parametrize("error", [LabError("no engine"), OSError("no disk"), subprocess.TimeoutExpired("x", 1)])
def test_an_error_of_the_lab_is_a_failure_that_says_why(tmp_path, capsys, error):
    report = run(tmp_path, step("one", error), step("two", Outcome(1)))
    assert (report.passed, report.failed) == (1, 1)
    assert str(error) in capsys.readouterr().out


def test_the_reason_is_shown_though_much_follows_it(tmp_path, capsys):
    def work(log):
        log.write(b"fatal: [localhost]: FAILED! => why\n" + b"tidying up\n" * 500)
        return Outcome(failed=1)
    run(tmp_path, Step("one", work))
    told = capsys.readouterr().out
    assert "| fatal: [localhost]: FAILED! => why" in told
    assert told.count("tidying up") < 100


def test_the_end_repeats_what_failed_and_why(tmp_path, capsys):
    def work(log):
        log.write(b"fatal: [localhost]: FAILED! => why\n" + b"tidying up\n" * 500)
        return Outcome(failed=1)
    report = run(tmp_path, step("one", Outcome(3)), Step("two", work), step("three", Outcome(4)))
    capsys.readouterr()
    report.close()
    told = capsys.readouterr().out
    assert "[lane] two" in told and "FAILED! => why" in told
    assert "[lane] one" not in told and "tidying" not in told
