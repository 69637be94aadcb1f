# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
import signal
import stat
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._scratch import Ended, scratch


def test_it_is_the_callers_alone_and_gone_afterwards(tmp_path):
    with scratch(str(tmp_path), []) as directory:
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
        closed = os.path.join(directory, "closed")
        os.makedirs(os.path.join(closed, "below"))
        os.chmod(closed, 0)
    assert not os.listdir(tmp_path)


def test_it_is_gone_after_a_failure(tmp_path):
    with pytest.raises(ValueError), scratch(str(tmp_path), []):
        raise ValueError
    assert not os.listdir(tmp_path)


def test_it_is_gone_after_a_signal(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Ended) as caught, scratch(str(tmp_path), []):
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.error == "timeout"
    assert not os.listdir(tmp_path)
    assert signal.getsignal(signal.SIGTERM) == before


def have(monkeypatch, *, free=1 << 40, files=1 << 30, free_files=1 << 30):
    """A file system with as much free."""
    system = SimpleNamespace(f_frsize=1 << 10, f_bavail=free >> 10, f_files=files, f_favail=free_files)
    monkeypatch.setattr(os, "statvfs", lambda _path: system)


@pytest.mark.parametrize(
    ("system", "sizes", "told"),
    [
        ({"free": 200 << 20}, [150 << 20], "209715200 bytes free, and what is to be restored there takes 157286400,"),
        ({"free": 200 << 20}, [1] * 40_000, "209715200 bytes free, and what is to be restored there takes 163840000,"),
        ({"free": 200 << 20}, [0] * 40_000, "209715200 bytes free, and what is to be restored there takes 163840000,"),
        ({"free_files": 20_000}, [1] * 40_000, "20000 inodes free, and what is to be restored there takes 40000,"),
        ({"free_files": 0}, [1], "0 inodes free"),
    ],
)
def test_it_is_refused_where_there_is_no_room(tmp_path, monkeypatch, system, sizes, told):
    have(monkeypatch, **system)
    with pytest.raises(Failure) as caught, scratch(str(tmp_path), sizes):
        pass
    assert caught.value.error == "disk_full"
    assert told in caught.value.msg
    assert not os.listdir(tmp_path)


def test_it_is_made_where_there_is_room(tmp_path, monkeypatch):
    have(monkeypatch, free=300 << 20, files=0, free_files=0)  # as a file system says it that counts no inodes
    with scratch(str(tmp_path), [1] * 40_000) as directory:
        assert os.path.isdir(directory)


def test_it_is_refused_where_there_is_no_directory(tmp_path):
    with pytest.raises(Failure) as caught, scratch(str(tmp_path / "nowhere"), []):
        pass
    assert caught.value.error == "invalid_argument"


def test_what_a_killed_run_left_is_removed_and_what_is_in_use_is_not(tmp_path):
    left, used = tmp_path / "fleetbackup-scratch-left", tmp_path / "fleetbackup-scratch-used"
    for path in (left, used, tmp_path / "others"):
        path.mkdir()
        (path / "file").touch()
        os.utime(path, (0, 0))
    (tmp_path / "fleetbackup-scratch-new").mkdir()
    descriptor = os.open(used, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with scratch(str(tmp_path), []):
            assert used.exists() and not left.exists()
    finally:
        os.close(descriptor)
    assert sorted(os.listdir(tmp_path)) == ["fleetbackup-scratch-new", "fleetbackup-scratch-used", "others"]


@pytest.fixture(name="ordinary")
def fixture_ordinary():
    """A directory of an ordinary account, which runs the test."""
    account = os.geteuid() or 65534
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # those of pytest are closed to others than who runs it
        os.chown(name, account, -1)
        before = os.geteuid()
        os.seteuid(account)
        try:
            yield Path(name)
        finally:
            os.seteuid(before)


def closed_tree(directory, precious):
    """Fill a directory as a restore does, whose last step gives directories their modes."""
    for closed, mode in (("read-only", 0o555), ("nothing", 0)):
        inner = directory / "cache" / closed
        inner.mkdir(parents=True)
        (inner / "file").touch()
        (inner / "link").symlink_to(precious)
        (inner / "linked directory").symlink_to(precious.parent)
        inner.chmod(mode)
    (directory / "cache").chmod(0o500)
    directory.chmod(0o555)


@pytest.mark.parametrize("killed", [False, True])
def test_an_ordinary_account_removes_what_nobody_may_write_to_and_nothing_that_is_linked(ordinary, killed):
    precious = ordinary / "precious" / "file"
    precious.parent.mkdir()
    precious.touch(0o444)
    precious.parent.chmod(0o555)
    if killed:
        left = ordinary / "fleetbackup-scratch-left"
        left.mkdir()
        closed_tree(left, precious)
        os.utime(left, (0, 0))
    with scratch(str(ordinary), []) as directory:
        if not killed:
            closed_tree(Path(directory), precious)
        else:
            assert not left.exists()
    assert os.listdir(ordinary) == ["precious"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (precious.parent, precious)] == [0o555, 0o444]
    precious.parent.chmod(0o700)


def test_no_link_is_followed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "fleetbackup-scratch-link").symlink_to(tmp_path / "precious")
    with scratch(str(tmp_path), []):
        pass
    assert (tmp_path / "precious").exists()
