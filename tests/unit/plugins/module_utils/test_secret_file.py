# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._ownership import Ownership
from ansible_collections.fleetbackup.borg.plugins.module_utils._secret_file import SecretFile, check_path, ownership_for

ANYBODY = Ownership(-1, -1, 0o600)
MINE = Ownership(os.geteuid(), os.getegid(), 0o600)


def compared(file):
    difference = Difference()
    file.compare(difference)
    return difference


def test_a_missing_file_is_made_private(tmp_path):
    file = SecretFile(str(tmp_path / "file"), b"secret", ANYBODY)
    assert compared(file).as_diff()["before"] == {"content": None}
    file.apply()
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert not compared(SecretFile(file.path, b"secret", MINE)).changed
    assert os.listdir(tmp_path) == ["file"]


def test_no_content_is_shown(tmp_path):
    (tmp_path / "file").write_bytes(b"older secret")
    diff = compared(SecretFile(str(tmp_path / "file"), b"newer secret", MINE)).as_diff()
    assert "secret" not in str(diff)
    assert diff["before"]["content"].startswith("sha256:") and diff["before"]["content"] != diff["after"]["content"]


def test_a_mode_alone_is_put_right_without_writing(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"secret")
    path.chmod(0o644)
    before = path.stat()
    file = SecretFile(str(path), b"secret", MINE)
    assert compared(file).as_diff() == {"before": {"mode": "0644"}, "after": {"mode": "0600"}}
    file.apply()
    assert path.stat().st_ino == before.st_ino and stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("call", ["fsync", "chown", "chmod", "replace"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_that_is_killed_leaves_the_old_or_the_new_file(tmp_path, call, moment):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o600)
    child = os.fork()
    if child == 0:
        real = getattr(os, call)

        def die(*arguments, **options):
            if moment == "after":
                real(*arguments, **options)
            os.kill(os.getpid(), 9)

        setattr(os, call, die)
        SecretFile(str(path), b"new", ANYBODY).apply()
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == 9
    assert path.read_bytes() == (b"new" if (call, moment) == ("replace", "after") else b"old")
    for name in os.listdir(tmp_path):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("number, word", [(28, "disk_full"), (122, "disk_full"), (1, "permission"), (13, "permission"), (30, "permission"), (5, "other")])
def test_what_cannot_be_written_is_named(tmp_path, monkeypatch, number, word):
    (tmp_path / "file").write_bytes(b"old")

    def fail(descriptor):
        raise OSError(number, "no")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Failure, match=f"^{tmp_path}/file could not be written: no. It is what it was.") as caught:
        SecretFile(str(tmp_path / "file"), b"new", ANYBODY).apply()
    assert caught.value.error == word
    assert (tmp_path / "file").read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


class TestPaths:
    @pytest.mark.parametrize("name", ["directory", "link", "pipe", "file/below", "new\n"])
    def test_bad(self, tmp_path, name):
        (tmp_path / "directory").mkdir()
        (tmp_path / "file").touch()
        (tmp_path / "link").symlink_to("file")
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(Failure, match="^dest: .*; for example /root/key") as caught:
            check_path("dest", str(tmp_path / name), "/root/key")
        assert caught.value.error == "invalid_argument"

    def test_relative(self):
        with pytest.raises(Failure, match="is not absolute"):
            check_path("dest", "key", "/root/key")

    def test_no_directory(self, tmp_path):
        with pytest.raises(Failure) as caught:
            check_path("dest", str(tmp_path / "nowhere" / "key"), "/root/key")
        assert caught.value.error == "parent_missing"

    def test_good(self, tmp_path):
        (tmp_path / "file").touch()
        check_path("dest", str(tmp_path / "file"), "/root/key")
        check_path("dest", str(tmp_path / "new"), "/root/key")


class TestOwnership:
    def test_a_new_file_is_the_callers(self, tmp_path):
        assert ownership_for(str(tmp_path / "new"), mode="0600", owner=None, group=None) == (ANYBODY, None)

    def test_an_existing_file_keeps_what_is_not_given(self, tmp_path):
        path = tmp_path / "file"
        path.touch()
        ownership, failure = ownership_for(str(path), mode="0640", owner=None, group="4711")
        assert ownership == Ownership(os.geteuid(), 4711, 0o640) and failure is None

    def test_accounts_that_are_missing_are_all_named(self, tmp_path):
        _ownership, failure = ownership_for(str(tmp_path / "new"), mode="0600", owner="nobody-here", group="no-group")
        assert failure is not None and failure.error == "invalid_argument"
        assert "owner: there is no 'nobody-here'" in failure.msg and "group: there is no 'no-group'" in failure.msg

    def test_a_mode_that_lets_others_in(self, tmp_path):
        with pytest.raises(Failure, match="^mode: 0644"):
            ownership_for(str(tmp_path / "new"), mode="0644", owner=None, group=None)
