# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
import tempfile
import threading
import time

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _authorized_keys_file
from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys_file import KeysFile, exclusively
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account


@pytest.fixture(name="account")
def fixture_account(tmp_path):
    """The account that runs this, at home in a directory of the test."""
    return Account("borg", str(tmp_path), os.geteuid(), os.getegid())


def keys(account):
    return KeysFile(f"{account.home}/.ssh/authorized_keys", account)


def differing(file):
    difference = Difference()
    file.compare(difference)
    return [name.rpartition(" ")[2] for name in difference.names]


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_new_file(account, tmp_path):
    file = keys(account)
    assert (file.text, file.missing, differing(file)) == ("", None, [])
    file.write("line\n")
    assert keys(account).text == "line\n"
    assert (mode(tmp_path / ".ssh"), mode(file.path)) == (0o700, 0o600)
    assert os.listdir(tmp_path / ".ssh") == ["authorized_keys"]


@pytest.mark.parametrize(("before", "after"), [(0o600, 0o600), (0o640, 0o640), (0o644, 0o644), (0o400, 0o400), (0o666, 0o600), (0o620, 0o600)])
def test_the_mode(account, before, after):
    keys(account).write("old\n")
    os.chmod(keys(account).path, before)
    file = keys(account)
    assert differing(file) == ([] if before == after else ["mode"])
    file.write("new\n")
    assert (mode(file.path), keys(account).text, differing(keys(account))) == (after, "new\n", [])


def test_bytes_that_are_no_text_and_ends_of_lines_stay(account):
    keys(account).write("x\n")
    with open(keys(account).path, "wb") as file:
        file.write(b"\xff\r\n\r")
    text = keys(account).text
    keys(account).write(text)
    with open(keys(account).path, "rb") as file:
        assert file.read() == b"\xff\r\n\r"


def test_links_are_refused(account, tmp_path):
    keys(account).write("x\n")
    os.rename(tmp_path / ".ssh/authorized_keys", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", tmp_path / ".ssh/authorized_keys")
    with pytest.raises(Failure) as caught:
        keys(account)
    assert caught.value.error == "unsafe"


def test_a_directory_that_is_a_link_is_refused(account, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    os.symlink("elsewhere", tmp_path / ".ssh")
    with pytest.raises(Failure) as caught:
        keys(account)
    assert caught.value.error == "unsafe"


@pytest.mark.parametrize("path", ["/nowhere/authorized_keys", "nowhere/authorized_keys", ".ssh/more/authorized_keys"])
def test_what_is_not_made_on_the_way(account, tmp_path, path):
    home = tmp_path / "home"
    file = KeysFile(os.path.join(home, path), account._replace(home=str(home)))
    assert file.missing.error == "parent_missing"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_writes_as_the_account(account):
    # the directories of pytest shut other accounts out
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o711)
        other = account._replace(home=home, uid=54321, gid=54321)
        keys(other).write("x\n")
        status = os.stat(keys(other).path)
        assert (status.st_uid, status.st_gid, os.geteuid(), os.getegid()) == (54321, 54321, 0, account.gid)
        os.chown(keys(other).path, 12345, 12345)
        assert differing(keys(other)) == ["owner", "group"]
        os.chown(keys(other).path, 54321, 54321)
        os.chown(f"{home}/.ssh", 12345, 12345)
        assert differing(keys(other)) == ["owner", "group"]
        keys(other).write("y\n")
        status = os.stat(f"{home}/.ssh")
        assert (status.st_uid, status.st_gid, mode(f"{home}/.ssh")) == (54321, 54321, 0o700)
        # what sshd, as the account, cannot read
        os.chown(keys(other).path, 0, 0)
        assert differing(keys(other)) == ["owner", "group"]
        os.chmod(keys(other).path, 0o644)
        assert differing(keys(other)) == []


@pytest.mark.parametrize(("name", "before", "after"), [("", 0o770, 0o750), ("", 0o707, 0o705), (".ssh", 0o770, 0o750), (".ssh", 0o777, 0o755)])
def test_a_directory_that_others_may_write_is_repaired(account, tmp_path, name, before, after):
    keys(account).write("x\n")
    os.chmod(tmp_path / name, before)
    file = keys(account)
    assert differing(file) == ["mode"]
    file.write("x\n")
    assert (mode(tmp_path / name), differing(keys(account)), keys(account).text) == (after, [], "x\n")


def test_all_directories_up_to_the_home(account, tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    for directory in (tmp_path, tmp_path / "a", tmp_path / "a/b"):
        directory.chmod(0o775)
    file = KeysFile(f"{tmp_path}/a/b/keys", account)
    assert differing(file) == ["mode"] * 3
    file.write("x\n")
    assert {mode(directory) for directory in (tmp_path, tmp_path / "a", tmp_path / "a/b")} == {0o755}


def test_directories_outside_of_the_home_stay(account, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "homes").mkdir()
    (tmp_path / "homes").chmod(0o775)
    file = KeysFile(f"{tmp_path}/homes/keys", account._replace(home=f"{tmp_path}/home"))
    assert differing(file) == []
    file.write("x\n")
    assert mode(tmp_path / "homes") == 0o775


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_home_of_somebody_else_stays(account, tmp_path):
    (tmp_path / ".ssh").mkdir(mode=0o755)
    os.chown(tmp_path / ".ssh", 54321, 54321)
    tmp_path.chmod(0o775)
    assert differing(keys(account._replace(uid=54321, gid=54321))) == []


def test_two_runs_at_once_lose_nobody(account):
    def add(line):
        with exclusively(keys(account).path, account):
            file = keys(account)
            time.sleep(0.1)
            file.write(file.text + line)

    runs = [threading.Thread(target=add, args=(f"{number}\n",)) for number in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(keys(account).text.split()) == ["0", "1", "2", "3"]


def test_a_run_does_not_wait_for_ever(account, monkeypatch):
    monkeypatch.setattr(_authorized_keys_file, "_PATIENCE", 0.1)
    with exclusively(keys(account).path, account), pytest.raises(Failure) as caught, exclusively(keys(account).path, account):
        pass
    assert (caught.value.error, caught.value.retryable) == ("locked", True)
    with exclusively(keys(account).path, account):
        assert os.listdir(account.home) == []


def test_where_nothing_can_be_written_nothing_is_locked(account, tmp_path):
    with exclusively("/nowhere/at/all", account):
        pass
