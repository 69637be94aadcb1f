# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import venv

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._packages import package_version, version_tuple


@pytest.fixture(name="environment")
def fixture_environment(tmp_path):
    """A directory that looks like a virtual environment with a program."""

    def make(*metadata: str, shebang: str = "#!{prefix}/bin/python3\n"):
        library = tmp_path / "lib" / "python3.11" / "site-packages"
        library.mkdir(parents=True)
        for name in metadata:
            (library / name).mkdir()
        program = tmp_path / "bin" / "borg"
        program.parent.mkdir()
        program.write_text(shebang.format(prefix=tmp_path))
        return str(program)

    return make


@pytest.mark.parametrize(
    ("metadata", "version"),
    [
        ("borgbackup-1.4.5.dist-info", "1.4.5"),
        ("borgbackup-1.2.4.egg-info", "1.2.4"),
        ("borgbackup-1.2.4-py3.11.egg-info", "1.2.4"),
        ("borgbackup-1.2.4-py3.11-linux-x86_64.egg-info", "1.2.4"),
        ("borgbackup-2.0.0b19.dist-info", "2.0.0b19"),
        ("borgbackup-1.4.5+local.dist-info", "1.4.5+local"),
    ],
)
def test_the_version_is_read_from_metadata(environment, metadata, version):
    assert package_version(environment(metadata), "borgbackup") == version


@pytest.mark.parametrize("metadata", ["borgbackup2-2.0.0b19.dist-info", "borgbackupper-1.0.dist-info", "other-1.2.dist-info"])
def test_other_packages_do_not_count(environment, metadata):
    assert package_version(environment(metadata), "borgbackup") is None


@pytest.mark.parametrize("shebang", ["#!/bin/sh\n", "\x7fELF", "", "#!\n"])
def test_a_program_that_is_no_script_of_such_an_interpreter_has_none(environment, shebang):
    assert package_version(environment("borgbackup-1.4.5.dist-info", shebang=shebang), "nothing-installed") is None


def test_a_missing_program_has_none(tmp_path):
    assert package_version(str(tmp_path / "borg"), "borgbackup") is None


def test_a_virtual_environment_is_where_its_interpreters_link_lies_not_where_that_leads(tmp_path):
    venv.create(tmp_path, symlinks=True)
    library = next((tmp_path / "lib").glob("python3*/site-packages"))
    (library / "borgbackup-1.4.5.dist-info").mkdir()
    program = tmp_path / "bin" / "borg"
    program.write_text(f"#!{tmp_path}/bin/python3\n")
    assert (tmp_path / "bin" / "python3").is_symlink()
    assert package_version(str(program), "borgbackup") == "1.4.5"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1.4.0", (1, 4, 0)), ("1.4.0b2", (1, 4, 0)), ("2", (2,)), ("1.2.4+deb12", (1, 2, 4)), ("x", ()), ("", ())],
)
def test_version_tuple(text, numbers):
    assert version_tuple(text) == numbers
