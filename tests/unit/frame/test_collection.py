# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's own metadata agrees with its files."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))


def read(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_action_group_holds_every_module_and_nothing_else():
    assert sorted(read("meta/runtime.yml")["action_groups"]["borg"]) == MODULES


def test_the_action_group_repository_holds_the_modules_that_take_the_common_options():
    takers = [name for name in MODULES if re.search(r"^  - fleetbackup\.borg\.borg$", module(name), re.MULTILINE)]
    assert takers == [name for name in MODULES if "run_borg_module(" in module(name)]
    assert sorted(read("meta/runtime.yml")["action_groups"]["repository"]) == takers


def test_every_module_documents_that_it_is_in_the_action_group():
    silent = [name for name in MODULES if "fleetbackup.borg.attributes.actiongroup_borg" not in module(name).lower()]
    assert silent == []


def test_every_module_is_used_by_an_integration_target():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests/integration/targets").rglob("*.yml")]
    unused = [name for name in MODULES if not any(re.search(rf"fleetbackup\.borg\.{name}\b", text) for text in texts)]
    assert unused == []


def test_the_oldest_supported_core_is_among_the_tested():
    oldest = read("meta/runtime.yml")["requires_ansible"].removeprefix(">=").rpartition(".")[0]
    assert f"ansible-core=={oldest}." in (ROOT / "tests/requirements/older.txt").read_text(encoding="utf-8")


def module(name):
    return (ROOT / "plugins/modules" / f"{name}.py").read_text(encoding="utf-8")
