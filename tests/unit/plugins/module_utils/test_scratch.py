# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
import signal
import stat

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._scratch import scratch


def test_it_is_the_callers_alone_and_gone_afterwards(tmp_path):
    with scratch(str(tmp_path), 0) as directory:
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
        closed = os.path.join(directory, "closed")
        os.makedirs(os.path.join(closed, "below"))
        os.chmod(closed, 0)
    assert not os.listdir(tmp_path)


def test_it_is_gone_after_a_failure(tmp_path):
    with pytest.raises(ValueError), scratch(str(tmp_path), 0):
        raise ValueError
    assert not os.listdir(tmp_path)


def test_it_is_gone_after_a_signal(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Failure) as caught, scratch(str(tmp_path), 0):
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.error == "timeout"
    assert not os.listdir(tmp_path)
    assert signal.getsignal(signal.SIGTERM) == before


def test_it_is_refused_where_there_is_no_room(tmp_path):
    with pytest.raises(Failure) as caught, scratch(str(tmp_path), 1 << 60):
        pass
    assert caught.value.error == "disk_full"
    assert not os.listdir(tmp_path)


def test_it_is_refused_where_there_is_no_directory(tmp_path):
    with pytest.raises(Failure) as caught, scratch(str(tmp_path / "nowhere"), 0):
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
        with scratch(str(tmp_path), 0):
            assert used.exists() and not left.exists()
    finally:
        os.close(descriptor)
    assert sorted(os.listdir(tmp_path)) == ["fleetbackup-scratch-new", "fleetbackup-scratch-used", "others"]


def test_no_link_is_followed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "fleetbackup-scratch-link").symlink_to(tmp_path / "precious")
    with scratch(str(tmp_path), 0):
        pass
    assert (tmp_path / "precious").exists()
