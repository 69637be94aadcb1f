# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically


def test_a_new_file_has_its_mode_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "file"
    write_atomically(str(path), b"data", mode=0o640)
    assert path.read_bytes() == b"data"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert os.listdir(tmp_path) == ["file"]


def test_an_existing_file_is_replaced_not_written_into(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    before = path.open("rb")
    write_atomically(str(path), b"new", mode=0o600)
    assert before.read() == b"old"
    assert path.read_bytes() == b"new"


def test_validation_sees_a_private_temporary_file_beside_it(tmp_path):
    path = tmp_path / "file"
    seen = []

    def validate(temporary):
        seen.append((os.path.dirname(temporary), os.stat(temporary).st_mode & 0o777, open(temporary, "rb").read(), temporary[-5:]))

    write_atomically(str(path), b"data", mode=0o644, validate=validate, suffix=".yaml")
    assert seen == [(str(tmp_path), 0o600, b"data", ".yaml")]


def test_what_validation_rejects_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def validate(temporary):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_atomically(str(path), b"new", mode=0o600, validate=validate)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_failing_replacement_leaves_nothing(tmp_path):
    directory = tmp_path / "directory"
    directory.mkdir()
    (directory / "x").touch()
    with pytest.raises(OSError):
        write_atomically(str(directory), b"new", mode=0o600)
    assert os.listdir(tmp_path) == ["directory"]


def test_a_missing_directory_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(str(tmp_path / "no" / "file"), b"x", mode=0o600)
    assert os.listdir(tmp_path) == []


def test_the_owner_is_set_before_the_name(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: calls.append(("chown", uid, gid)))
    monkeypatch.setattr(os, "chmod", lambda path, mode: calls.append(("chmod", mode)))
    real = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (calls.append(("replace",)), real(old, new)))
    write_atomically(str(tmp_path / "file"), b"x", mode=0o604, uid=12, gid=34)
    assert calls == [("chown", 12, 34), ("chmod", 0o604), ("replace",)]
