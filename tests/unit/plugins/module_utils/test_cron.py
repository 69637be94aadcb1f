# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _cron
from ansible_collections.fleetbackup.borg.plugins.module_utils._calendar import Calendar
from ansible_collections.fleetbackup.borg.plugins.module_utils._cron import Crontabs, daemon_runs
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account, Launch
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import Schedule

ROOT = Account("root", "/root", 0, 0)
SCHEDULE = Schedule("system", actions=("create",), configs=("/etc/borgmatic.d/system.yaml",), calendar=Calendar("daily", 4500))


@pytest.fixture(name="cron")
def fixture_cron(tmp_path, monkeypatch):
    monkeypatch.setattr(_cron, "daemon_runs", lambda: True)
    monkeypatch.setattr(_cron.os, "geteuid", lambda: 0)
    monkeypatch.setattr("ansible_collections.fleetbackup.borg.plugins.module_utils._managed_files.os.geteuid", os.getuid)
    return lambda account=ROOT: Crontabs(Launch("/usr/bin/borgmatic", account), "/usr/bin/flock", str(tmp_path))


def text(crontabs, schedule, tmp_path):
    crontabs.compare([schedule], Difference())
    crontabs.apply()
    return (tmp_path / f"fleetbackup-{schedule.name}").read_text()


def test_a_file_of_cron(cron, tmp_path):
    assert text(cron(), SCHEDULE, tmp_path).splitlines()[1:] == [
        'SHELL="/bin/sh"',
        'MAILTO=""',
        'HOME="/root"',
        'PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"',
        'LANG="C.UTF-8"',
        'LC_ALL="C.UTF-8"',
        "15 1 * * * root nice -n 19 /usr/bin/flock --close /run/fleetbackup.lock timeout --kill-after=90 604800"
        " /usr/bin/borgmatic --config /etc/borgmatic.d/system.yaml --verbosity -2 --syslog-verbosity 1 create",
    ]
    assert text(cron(), SCHEDULE, tmp_path).endswith("create\n")


def test_a_disabled_schedule_is_no_job(cron, tmp_path):
    disabled = Schedule("system", enabled=False, actions=("create",), configs=("/c",))
    crontabs = cron()
    assert all("borgmatic" not in line or line.startswith("#") for line in text(crontabs, disabled, tmp_path).splitlines())
    assert crontabs.standing(disabled).next_run is None


def test_a_word_survives_cron_and_the_shell(cron, tmp_path):
    path = "/a b'c%d$HOME`id`\"e"
    schedule = Schedule("x", actions=("create",), configs=(path,))
    job = text(cron(), schedule, tmp_path).splitlines()[-1].split(" ", 6)[6]
    # what cron does before it hands the command to the shell
    assert "%" not in job.replace("\\%", "")
    command = job.replace("\\%", "%").replace("/usr/bin/borgmatic", "printf '%s\\n'", 1)
    said = subprocess.run(["/bin/sh", "-c", command.partition("604800 ")[2]], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[1] == path


def test_another_accounts_lock_is_its_own(cron, tmp_path):
    found = text(cron(Account("ada", "/home/ada", 1000, 1000)), SCHEDULE, tmp_path)
    assert " ada nice -n 19 /usr/bin/flock --close /home/ada/.fleetbackup.lock " in found


def test_cron_gives_no_credentials(tmp_path, monkeypatch):
    monkeypatch.setattr(_cron.os, "geteuid", lambda: 0)
    crontabs = Crontabs(Launch("/usr/bin/borgmatic", ROOT, credentials=True), "/usr/bin/flock", str(tmp_path))
    with pytest.raises(Failure) as caught:
        crontabs.compare([SCHEDULE], Difference())
    assert caught.value.error == "invalid_argument"
    assert "passphrase_store: systemd_credential cannot be kept, cron gives its jobs no credentials" in caught.value.msg
    crontabs.compare([Schedule("system", present=False)], Difference())
    assert not list(tmp_path.iterdir())


def test_only_what_differs_is_written(cron, tmp_path):
    text(cron(), SCHEDULE, tmp_path)
    path = tmp_path / "fleetbackup-system"
    again = Difference()
    crontabs = cron()
    crontabs.compare([SCHEDULE], again)
    assert not again.changed
    assert crontabs.standing(SCHEDULE).next_run
    path.chmod(0o666)
    crontabs.compare([SCHEDULE], again)
    assert again.names == [f"{path}: mode"]
    assert crontabs.standing(SCHEDULE).next_run is None
    crontabs.apply()
    assert path.stat().st_mode & 0o777 == 0o644


def test_absent_removes_the_file(cron, tmp_path):
    text(cron(), SCHEDULE, tmp_path)
    crontabs, difference = cron(), Difference()
    assert crontabs.names() == {"system"}
    crontabs.compare([Schedule("system", present=False)], difference)
    crontabs.apply()
    assert difference.changed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        (Schedule("a.b", actions=("create",), configs=("/c",)), "cron ignores files with a dot.*a-b"),
        (Schedule("a", actions=("create",), configs=("/" + "c" * 1000,)), "no line of more than 998 bytes"),
        (Schedule("a", actions=("create",), configs=("/c",), calendar=Calendar("Mon 02:00")), "schedule a: calendar: .*needs systemd"),
        (Schedule("a", actions=("create",), configs=("/c",), profile="strict"), "cron has no sandbox"),
    ],
)
def test_what_cron_cannot_do(cron, schedule, says, tmp_path):
    with pytest.raises(Failure, match=says) as caught:
        cron().compare([schedule], Difference())
    assert caught.value.error == "invalid_argument"
    assert not list(tmp_path.iterdir())


def test_cron_has_to_run(cron, monkeypatch, tmp_path):
    monkeypatch.setattr(_cron, "daemon_runs", lambda: False)
    with pytest.raises(Failure, match="cron does not run"):
        cron().compare([SCHEDULE], Difference())
    cron().compare([Schedule("system", present=False)], Difference())


def test_only_root_writes_there(cron, monkeypatch):
    monkeypatch.setattr(_cron.os, "geteuid", lambda: 1000)
    with pytest.raises(Failure) as caught:
        cron().compare([SCHEDULE], Difference())
    assert caught.value.error == "permission"


@pytest.mark.parametrize(("names", "runs"), [(["init", "cron"], True), (["crond"], True), (["init", "crony"], False), ([], False)])
def test_whether_cron_runs(names, runs, tmp_path):
    for number, name in enumerate(names, 1):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(f"{name}\n")
    assert daemon_runs(str(tmp_path)) is runs


def test_a_drill_is_run_by_a_program_of_ours(cron, tmp_path):
    drill = Schedule("drill", actions=("drill",), configs=("/etc/a.yaml",), arguments=("--full",), calendar=Calendar("weekly", 4500))
    job = text(cron(), drill, tmp_path).splitlines()[-1]
    assert job.endswith(
        " -I /usr/local/lib/fleetbackup/drill.pyz --syslog --borgmatic=/usr/bin/borgmatic"
        " --status-directory=/var/lib/fleetbackup/drills --config=/etc/a.yaml --full"
    )
    assert " timeout --kill-after=90 604800 " in job
