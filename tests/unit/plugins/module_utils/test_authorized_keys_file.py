# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
import tempfile

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys_file import KeysFile
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
