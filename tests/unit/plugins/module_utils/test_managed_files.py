# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._managed_files import ManagedFile, ManagedLink, ManagedProgram


def compared(managed):
    difference = Difference()
    return managed.compare(difference), difference


def test_a_file_that_is_missing(tmp_path):
    path = tmp_path / "file"
    managed = ManagedFile(str(path), "one\ntwo\n")
    differs, difference = compared(managed)
    assert differs
    assert difference.as_diff() == {"before": {str(path): None}, "after": {str(path): ["one", "two"]}}
    managed.apply()
    assert path.read_text() == "one\ntwo\n"
    assert path.stat().st_mode & 0o7777 == 0o644
    assert compared(managed)[0] is False


def test_a_file_that_shall_not_be(tmp_path):
    path = tmp_path / "file"
    managed = ManagedFile(str(path), None)
    assert compared(managed)[0] is False
    managed.apply()
    path.write_text("x")
    differs, difference = compared(managed)
    assert differs and difference.names == [str(path)]
    managed.apply()
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o4644])
def test_a_mode_that_differs(mode, tmp_path):
    path = tmp_path / "file"
    managed = ManagedFile(str(path), "x")
    managed.apply()
    path.chmod(mode)
    differs, difference = compared(managed)
    assert differs
    assert difference.as_diff() == {"before": {f"{path}: mode": f"{mode:04o}"}, "after": {f"{path}: mode": "0644"}}


def test_a_link_in_the_place_of_a_file(tmp_path):
    path, elsewhere = tmp_path / "file", tmp_path / "elsewhere"
    elsewhere.write_text("x")
    path.symlink_to(elsewhere)
    managed = ManagedFile(str(path), "x")
    differs, difference = compared(managed)
    assert differs and difference.as_diff()["before"][str(path)] == [f"a link to {elsewhere}"]
    managed.apply()
    assert not path.is_symlink() and path.read_text() == "x" and elsewhere.read_text() == "x"


def test_bytes_that_are_no_text_can_be_shown(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\xff")
    differs, difference = compared(ManagedFile(str(path), "x"))
    assert differs and difference.as_diff()["before"][str(path)] == ["\\xff"]


def test_a_link(tmp_path):
    path, target = tmp_path / "wants" / "link", tmp_path / "unit"
    managed = ManagedLink(str(path), str(target))
    differs, difference = compared(managed)
    assert differs and difference.names == [str(path)]
    managed.apply()
    assert os.readlink(path) == str(target)
    assert compared(managed)[0] is False


def test_a_relative_link_is_as_good(tmp_path):
    (tmp_path / "wants").mkdir()
    (tmp_path / "wants" / "link").symlink_to("../unit")
    assert compared(ManagedLink(str(tmp_path / "wants" / "link"), str(tmp_path / "unit")))[0] is False


@pytest.mark.parametrize("wrong", ["link", "dangling", "file"])
def test_a_link_that_leads_elsewhere(wrong, tmp_path):
    path, target = tmp_path / "link", tmp_path / "unit"
    if wrong == "file":
        path.write_text("x")
    else:
        path.symlink_to("/dev/null" if wrong == "link" else "/nowhere")
    managed = ManagedLink(str(path), str(target))
    assert compared(managed)[0]
    managed.apply()
    assert os.readlink(path) == str(target)


def test_a_link_that_shall_not_be(tmp_path):
    path = tmp_path / "link"
    managed = ManagedLink(str(path), None)
    assert compared(managed)[0] is False
    path.symlink_to("/nowhere")
    assert compared(managed)[0]
    managed.apply()
    assert not path.is_symlink()


def test_a_program_that_is_missing_or_another_one(tmp_path):
    path = tmp_path / "ours" / "program"
    managed = ManagedProgram(str(path), b"one")
    assert compared(managed)[0] is True
    managed.apply()
    assert (path.read_bytes(), path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (b"one", 0o755, 0o755)
    assert compared(managed)[0] is False
    path.chmod(0o700)
    assert compared(managed)[0] is True
    path.write_bytes(b"two")
    path.chmod(0o755)
    differs, difference = compared(managed)
    assert differs and "SHA-256" in difference.as_diff()["after"][str(path)]
    managed.apply()
    assert path.read_bytes() == b"one"


def test_a_program_that_shall_not_be_leaves_with_its_directory(tmp_path):
    path = tmp_path / "ours" / "program"
    ManagedProgram(str(path), b"one").apply()
    managed = ManagedProgram(str(path), None)
    assert compared(managed)[0] is True
    managed.apply()
    assert not path.parent.exists()
    assert compared(managed)[0] is False


def test_a_program_leaves_what_others_have_beside_it(tmp_path):
    path = tmp_path / "ours" / "program"
    ManagedProgram(str(path), b"one").apply()
    (path.parent / "another").touch()
    ManagedProgram(str(path), None).apply()
    assert [entry.name for entry in path.parent.iterdir()] == ["another"]


def test_a_link_is_no_program(tmp_path):
    path, elsewhere = tmp_path / "program", tmp_path / "elsewhere"
    elsewhere.write_bytes(b"one")
    path.symlink_to(elsewhere)
    managed = ManagedProgram(str(path), b"one")
    assert compared(managed)[0] is True
    managed.apply()
    assert not path.is_symlink()
