# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._virtualenv import NOTE, VirtualEnvironment

REQUIREMENTS = ("borgmatic==2.1.10", "ruamel.yaml==0.19.1", "typing_extensions==4.16.0")
TEXT = "borgmatic==2.1.10\nruamel-yaml==0.19.1\ntyping-extensions==4.16.0\n"


@pytest.fixture(name="environment")
def fixture_environment(tmp_path):
    """One that is as it shall be."""
    root = tmp_path / "borgmatic"
    library = root / "lib" / "python3.11" / "site-packages"
    for name in ("borgmatic-2.1.10", "ruamel_yaml-0.19.1", "typing_extensions-4.16.0", "pip-23.0.1"):
        (library / f"{name}.dist-info").mkdir(parents=True)
    interpreter = tmp_path / "usr" / "bin" / "python3.11"
    interpreter.parent.mkdir(parents=True)
    interpreter.touch()
    (root / "bin").mkdir()
    (root / "bin" / "python3").symlink_to(interpreter)
    (root / "bin" / "borgmatic").write_text(f"#!{root}/bin/python3\n")
    (root / "bin" / "borgmatic").chmod(0o755)
    (root / NOTE).write_text(TEXT)
    return VirtualEnvironment.of(str(root), REQUIREMENTS)


@pytest.fixture(name="root")
def fixture_root(environment, tmp_path):
    return tmp_path / "borgmatic"


def test_one_that_is_as_it_shall_be_is_complete(environment):
    assert environment.is_ours
    assert environment.versions() == {"borgmatic": "2.1.10", "ruamel-yaml": "0.19.1", "typing-extensions": "4.16.0"}
    assert environment.is_complete()


def library(root):
    return root / "lib" / "python3.11" / "site-packages"


SPOILS = {
    "another version": lambda root: (library(root) / "borgmatic-2.1.10.dist-info").rename(library(root) / "borgmatic-2.1.9.dist-info"),
    "two versions": lambda root: (library(root) / "borgmatic-2.1.9.dist-info").mkdir(),
    "a package missing": lambda root: (library(root) / "ruamel_yaml-0.19.1.dist-info").rmdir(),
    "no program": lambda root: (root / "bin" / "borgmatic").unlink(),
    "a program that does not run": lambda root: (root / "bin" / "borgmatic").chmod(0o644),
    "the library of another Python": lambda root: (root / "lib" / "python3.11").rename(root / "lib" / "python3.9"),
    "no interpreter": lambda root: (root / "bin" / "python3").unlink(),
    "an interrupted installation": lambda root: (root / NOTE).write_text(""),
    "other requirements": lambda root: (root / NOTE).write_text("borgmatic==2.1.10\n"),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_one_that_is_not_is_noticed(environment, root, spoil):
    spoil(root)
    assert not environment.is_complete()


def test_none_is_not_complete(tmp_path):
    environment = VirtualEnvironment.of(str(tmp_path / "none"), REQUIREMENTS)
    assert not environment.is_ours and not environment.is_complete()
    assert environment.versions() == dict.fromkeys(("borgmatic", "ruamel-yaml", "typing-extensions"))


def test_an_empty_directory_is_in_nobodys_way(tmp_path):
    assert not VirtualEnvironment.of(str(tmp_path), REQUIREMENTS).is_complete()


def test_of_somebody_elses_only_borgmatics_version_counts(environment, root):
    (root / NOTE).unlink()
    (library(root) / "ruamel_yaml-0.19.1.dist-info").rmdir()
    assert not environment.is_ours and environment.is_complete()


@pytest.mark.parametrize("spoil", ["another version", "no program"])
def test_somebody_elses_is_never_changed(environment, root, spoil):
    (root / NOTE).unlink()
    SPOILS[spoil](root)
    with pytest.raises(Failure) as failure:
        environment.is_complete()
    assert failure.value.error == "exists"


@pytest.mark.parametrize(
    "requirement",
    ["borgmatic", "borgmatic>=2", "borgmatic==", "borgmatic==2.*", "borgmatic == 2", "x==1 --index-url y", "-r x", "./x", "x==1\ny==2", "x==1\n"],
)
def test_what_pins_nothing_is_refused(requirement):
    with pytest.raises(Failure) as failure:
        VirtualEnvironment.of("/opt/borgmatic", [requirement])
    assert failure.value.error == "invalid_argument"


@pytest.mark.parametrize("directory", ["", "x", "/", "/opt", "/opt/..", "//opt"])
def test_what_is_no_place_is_refused(directory):
    with pytest.raises(Failure) as failure:
        VirtualEnvironment.of(directory, REQUIREMENTS)
    assert failure.value.error == "invalid_argument"


def test_removing_it_leaves_nothing(environment, root):
    (root / "link").symlink_to("/nowhere")
    environment.remove()
    assert not root.exists()
