# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_zipapp import program


@pytest.fixture(name="path", scope="module")
def fixture_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "drill.pyz"
    path.write_bytes(program())
    return path


def test_it_is_the_same_each_time(path):
    assert program() == path.read_bytes()


def test_it_needs_nothing_of_ansible(path):
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("__init__.py")]
        assert "ansible_collections/fleetbackup/borg/plugins/module_utils/_drill_main.py" in names
        assert not any(b"ansible.module_utils" in archive.read(name) for name in names)


def test_it_holds_what_it_loads_late_too(path):
    with zipfile.ZipFile(path) as archive:
        assert {"_causes.py", "_transport.py"} <= {os.path.basename(name) for name in archive.namelist()}


def test_it_runs_by_itself(path, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-I", str(path), "--config=/nowhere.yaml", "--borgmatic=no-such-borgmatic"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.startswith("drill failed (borg_missing): There is no no-such-borgmatic.")
