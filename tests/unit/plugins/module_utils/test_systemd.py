# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _systemd
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import Completed
from ansible_collections.fleetbackup.borg.plugins.module_utils._systemd import Systemd, Unit

RECORDED = Path(__file__).parent / "recorded_systemd"
#: The units of the recordings, in the order in which they were asked for.
NAMES = (
    *("x-run.timer", "x-run.service", "x-cond.service", "x-past.timer", "x-masked.timer", "nope.timer", "borgmatic.timer"),
    *("fleetbackup-t-backup.timer", "fleetbackup-t-backup.service"),
)
ROOT = Account("root", "/root", 0, 0)
ADA = Account("ada", "/home/ada", 1000, 1000)


class Programs:
    """Stands for the programs of systemd: gives prepared answers, and remembers the questions."""

    def __init__(self, monkeypatch, rc=0, stdout="", stderr=""):
        self.answer = (rc, stdout, stderr)
        self.calls = []
        monkeypatch.setattr(_systemd, "run", self)

    def __call__(self, argv, *, environment=None, timeout=None):
        assert timeout
        self.calls.append((list(argv), environment or {}))
        return Completed(tuple(argv), *self.answer)


@pytest.fixture(name="units", params=["show-252.txt", "show-257.txt"])
def fixture_units(request, monkeypatch):
    Programs(monkeypatch, stdout=(RECORDED / request.param).read_text())
    return Systemd("system", ROOT).show(NAMES)


def test_a_waiting_timer_has_a_next_run(units):
    timer = units["fleetbackup-t-backup.timer"]
    assert timer.active and timer.enabled and not timer.running and not timer.outdated
    assert timer.next_run.startswith("2026-11-22T0") and timer.next_run.endswith("+00:00")
    assert timer.path == "/etc/systemd/system/fleetbackup-t-backup.timer"


def test_a_timer_whose_service_runs_has_none(units):
    timer = units["x-run.timer"]
    assert timer.active and timer.running and timer.next_run is None
    assert units["x-run.service"].active


def test_an_elapsed_timer_has_none(units):
    assert units["x-past.timer"] == Unit(active=True, path="/etc/systemd/system/x-past.timer")


def test_a_skipped_start_and_an_outdated_unit(units):
    assert units["x-cond.service"].skipped
    assert units["x-cond.service"].outdated
    assert [name for name, unit in units.items() if unit.skipped] == ["x-cond.service"]


def test_what_does_not_exist_is_nothing(units):
    assert units["nope.timer"] == Unit()
    assert units["x-masked.timer"] == Unit(path="/etc/systemd/system/x-masked.timer")


def test_one_process_shows_all_units_in_utc(monkeypatch):
    programs = Programs(monkeypatch, stdout=(RECORDED / "show-257.txt").read_text())
    Systemd("system", ROOT).show(NAMES)
    ((argv, environment),) = programs.calls
    assert argv[:2] == ["systemctl", "show"] and argv[-len(NAMES) :] == list(NAMES)
    assert environment["TZ"] == "UTC"


def test_nothing_is_asked_about_no_unit(monkeypatch):
    programs = Programs(monkeypatch)
    assert Systemd("system", ROOT).show([]) == {}
    assert not programs.calls


def test_a_users_systemd_that_does_not_run_knows_nothing(monkeypatch):
    programs = Programs(monkeypatch)
    monkeypatch.setattr(_systemd.os.path, "exists", lambda path: False)
    assert Systemd("user", ADA).show(["a.timer"]) == {"a.timer": Unit()}
    assert not programs.calls


def test_a_users_systemd_is_reached_without_a_login(monkeypatch):
    programs = Programs(monkeypatch)
    Systemd("user", ADA).call("daemon-reload")
    ((argv, environment),) = programs.calls
    assert argv == ["systemctl", "--user", "daemon-reload"]
    assert environment["XDG_RUNTIME_DIR"] == "/run/user/1000"


@pytest.mark.parametrize(
    ("stderr", "word"),
    [
        ("Failed to restart x.timer: Access denied\n", "permission"),
        ("Failed to reload daemon: Interactive authentication required.", "permission"),
        ("Failed to restart x.timer: Unit x.timer is masked.", "other"),
        ("", "other"),
    ],
)
def test_a_failure_has_systemds_words(monkeypatch, stderr, word):
    Programs(monkeypatch, rc=1, stderr=stderr)
    with pytest.raises(Failure) as caught:
        Systemd("system", ROOT).call("restart", "x.timer")
    assert caught.value.error == word
    assert caught.value.rc == 1
    assert " ".join(stderr.split()) in caught.value.msg


def test_a_rejected_unit_is_told_by_its_name(monkeypatch):
    Programs(monkeypatch, rc=1, stderr="/tmp/fleetbackup-abc/fleetbackup-x.service: Service has no ExecStart=. Refusing.\n")
    with pytest.raises(Failure) as caught:
        Systemd("system", ROOT).verify(["/tmp/fleetbackup-abc/fleetbackup-x.service"])
    assert caught.value.error == "invalid_argument"
    assert "rejects the unit: fleetbackup-x.service: Service has no ExecStart=" in caught.value.msg
    assert "/tmp/" not in caught.value.msg


@pytest.mark.parametrize(
    "stdout",
    [
        # 257, on a machine in Berlin
        "  Original form: 02:30\nNormalized form: *-*-* 02:30:00\n    Next elapse: Sun 2026-11-22 02:30:00 CET\n"
        "       (in UTC): Sun 2026-11-22 01:30:00 UTC\n       From now: 21h left\n",
        # 252, on a machine in UTC
        "  Original form: 01:30\nNormalized form: *-*-* 01:30:00\n    Next elapse: Sun 2026-11-22 01:30:00 UTC\n"
        "       From now: 20h left\n",
    ],
)
def test_when_a_calendar_elapses(monkeypatch, stdout):
    Programs(monkeypatch, stdout=stdout)
    assert Systemd("system", ROOT).next_elapse("02:30", "calendar") == "2026-11-22T01:30:00+00:00"


@pytest.mark.parametrize(
    ("rc", "stdout", "stderr", "says"),
    [
        (1, "", "Failed to parse calendar specification '25:00': Invalid argument\n", "is no calendar that systemd can read"),
        (0, "  Original form: 2020-01-01\n    Next elapse: never\n", "", "lies in the past for good"),
    ],
)
def test_a_calendar_that_never_elapses(monkeypatch, rc, stdout, stderr, says):
    Programs(monkeypatch, rc=rc, stdout=stdout, stderr=stderr)
    with pytest.raises(Failure, match=says) as caught:
        Systemd("system", ROOT).next_elapse("x", "schedule y: calendar")
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith("schedule y: calendar: ")


def test_lingering_that_is_refused_says_who_can_help(monkeypatch):
    Programs(monkeypatch, rc=1, stderr="Could not enable linger: Access denied\n")
    with pytest.raises(Failure, match="loginctl enable-linger ada") as caught:
        Systemd("user", ADA).linger()
    assert caught.value.error == "permission"


def test_lingering_that_starts_nothing_ends(monkeypatch):
    Programs(monkeypatch)
    monkeypatch.setattr(_systemd, "_START_TIMEOUT", 0.2)
    monkeypatch.setattr(_systemd.os.path, "exists", lambda path: False)
    with pytest.raises(Failure) as caught:
        Systemd("user", ADA).linger()
    assert caught.value.error == "timeout"
