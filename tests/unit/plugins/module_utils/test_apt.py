# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _apt
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import Completed


class Machine:
    """Stands for Debian's tools: what is installed, what can be, and what needs what."""

    def __init__(self):
        self.installed = {"bash"}
        self.lists = {"borgbackup": {"python3-msgpack"}}
        self.fresh = True
        self.needed = set()
        self.calls = []
        self.broken = ""

    def run(self, argv, **_how):
        self.calls.append(argv)
        rc, stdout, stderr = getattr(self, argv[0].replace("-", "_"))(*argv[1:])
        return Completed(tuple(argv), rc, stdout, stderr)

    def dpkg_query(self, *_arguments):
        return 0, "".join(f"{name} installed\n" for name in self.installed) + "vim deinstalled\n", ""

    def apt_get(self, *arguments):
        if "update" in arguments:
            self.fresh = True
            return 0, "", "W: some list\n"
        names = arguments[arguments.index("--") + 1 :]
        unknown = [name for name in names if name not in self.lists or not self.fresh]
        if unknown:
            return 100, "", f"E: Unable to locate package {unknown[0]}\n"
        for name in names:
            self.installed |= {name, *self.lists[name]}
        return 0, "", ""

    def dpkg(self, *arguments):
        if self.broken:
            return 2, "", self.broken
        names = set(arguments[arguments.index("--") + 1 :])
        self.installed -= names - self.needed
        return (1, "", f"dpkg: dependency problems prevent removal of {self.needed}\n") if names & self.needed else (0, "", "")


@pytest.fixture(name="machine")
def fixture_machine(monkeypatch, tmp_path):
    machine = Machine()
    monkeypatch.setattr(_apt, "run", machine.run)
    monkeypatch.setattr(_apt, "NOTE", str(tmp_path / "fleetbackup" / "packages"))
    return machine


@pytest.fixture(name="apt")
def fixture_apt(machine):
    return _apt.Apt(60)


def test_what_comes_is_noted_and_goes_again(apt, machine, tmp_path):
    apt.install(["borgbackup"])
    assert machine.installed == {"bash", "borgbackup", "python3-msgpack"}
    assert apt.ours() == {"borgbackup", "python3-msgpack"}
    apt.remove_ours()
    assert machine.installed == {"bash"}
    assert apt.ours() == set() and list(tmp_path.iterdir()) == []


def test_what_was_there_before_is_not_ours(apt, machine):
    machine.installed.add("python3-msgpack")
    apt.install(["borgbackup"])
    assert apt.ours() == {"borgbackup"}


def test_it_is_noted_before_it_comes(apt, machine):
    machine.apt_get = lambda *arguments: 1 / 0
    with pytest.raises(ZeroDivisionError):
        apt.install(["borgbackup"])
    assert apt.ours() == {"borgbackup"}


def test_old_lists_are_updated_only_where_that_helps(apt, machine):
    apt.install(["borgbackup"])
    assert not any("update" in call for call in machine.calls)
    machine.fresh = False
    machine.lists["borgmatic"] = set()
    apt.install(["borgmatic"])
    assert "borgmatic" in machine.installed


def test_what_apt_says_is_told(apt):
    with pytest.raises(Failure) as failure:
        apt.install(["nothing"])
    assert failure.value.error == "other"
    assert apt.ours() == set()
    assert "cannot install nothing: E: Unable to locate package nothing. Try: apt-get update" in failure.value.msg


def test_what_others_need_stays(apt, machine):
    apt.install(["borgbackup"])
    machine.needed = {"python3-msgpack"}
    apt.remove_ours()
    assert machine.installed == {"bash", "python3-msgpack"} and apt.ours() == set()


def test_another_failure_is_one(apt, machine):
    apt.install(["borgbackup"])
    machine.broken = "dpkg: error: no space left"
    with pytest.raises(Failure) as failure:
        apt.remove_ours()
    assert "no space left" in failure.value.msg and apt.ours() != set()


def test_what_shares_the_directory_stays(apt, tmp_path):
    apt.install(["borgbackup"])
    other = tmp_path / "fleetbackup" / "borgmatic.timer"
    other.touch()
    apt.remove_ours()
    assert other.exists()
