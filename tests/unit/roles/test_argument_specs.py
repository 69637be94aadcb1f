# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each role's variables: described, defaulted, used and told of in one voice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import DEFAULT_TIMEOUT
from ansible_collections.fleetbackup.borg.plugins.module_utils._wanted_schedules import SCHEDULE_ARGUMENTS
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_plan as plan

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def read(role, name):
    return yaml.safe_load((role / name).read_text(encoding="utf-8"))


def options(role):
    return read(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def all_options(specification, where=""):
    for name, option in specification.items():
        yield where + name, option
        yield from all_options(option.get("options", {}), f"{where}{name}.")


@pytest.fixture(name="role", params=ROLES, ids=lambda path: path.name)
def fixture_role(request):
    return request.param


def test_the_defaults_are_those_that_are_described(role):
    described = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert described == read(role, "defaults/main.yml")


def test_every_variable_has_a_default_that_works(role):
    assert [name for name, option in options(role).items() if "default" not in option] == []


def test_every_option_has_a_type_and_a_description(role):
    poor = [name for name, option in all_options(options(role)) if not (option.get("type") and option.get("description"))]
    assert poor == []


def test_every_list_says_what_it_holds(role):
    assert [name for name, option in all_options(options(role)) if option["type"] == "list" and "elements" not in option] == []


def test_every_variable_is_used_and_every_used_one_described(role):
    texts = [path.read_text(encoding="utf-8") for path in role.rglob("*.yml") if path.parent.name in ("tasks", "vars")]
    texts = [re.sub(KNOWN, "", text) for text in texts]
    # the role borg_server reads its own from a dictionary, as it may act for another host
    used = set(re.findall(rf"(?:(?<=__borg_server_settings\.)|(?<![\w.])){role.name}_\w+", "\n".join(texts))) - FILTERS
    assert used == set(options(role))


#: A list of all variables uses none.
KNOWN = re.compile(r"__borgmatic_known_variables:\n(  - .*\n)+")
FILTERS = {path.stem for path in (ROOT / "plugins/filter").glob("*.yml")}


def test_the_role_borgmatic_knows_its_own_variables():
    role = ROOT / "roles/borgmatic"
    known = yaml.safe_load((role / "vars/main.yml").read_text(encoding="utf-8"))["__borgmatic_known_variables"]
    assert known == list(options(role))


def test_the_readme_tells_of_every_option(role):
    text = (role / "README.md").read_text(encoding="utf-8")
    told = [name for name, option in all_options(options(role)) if name.count(".") < 2]
    assert [name for name in told if f"`{name.rpartition('.')[2]}`" not in text] == []


def test_what_the_role_borgmatic_consumes_stands_in_its_table():
    text = (ROOT / "roles/borgmatic/README.md").read_text(encoding="utf-8")
    assert [name for name in plan._ALIKE if not re.search(rf"`(repositories\[\]\.)?{name}`", text)] == []


def test_a_schedule_of_the_role_borgmatic_is_one_of_the_module():
    described = options(ROOT / "roles/borgmatic")["borgmatic_configs"]["options"]["schedules"]["options"]
    assert set(described) == set(SCHEDULE_ARGUMENTS) - {"state", "spread_key", "configs"}
    for name, option in described.items():
        argument = SCHEDULE_ARGUMENTS[name]
        assert (option["type"], option.get("choices")) == (argument["type"], argument.get("choices")), name
        if "default" in option:
            assert option["default"] == argument["default"], name
    assert described["timeout"]["default"] == DEFAULT_TIMEOUT


def test_what_an_entry_says_of_its_repositories_is_an_option():
    described = options(ROOT / "roles/borgmatic")["borgmatic_configs"]["options"]
    assert set(plan._OF_ENTRIES) < set(described)


@pytest.fixture(scope="module")
def documented():
    """The variables that the first lines of the playbooks describe."""
    headers = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "playbooks").glob("*.yml"))
    return {name for names in re.findall(r"(?m)^#   (fleetbackup_\w+(?:, fleetbackup_\w+)*)  ", headers) for name in names.split(", ")}


def test_the_role_knows_the_variables_of_the_playbooks(documented):
    assert "fleetbackup_before" in documented
    assert read(ROOT / "roles/borgmatic", "vars/main.yml")["__borgmatic_playbook_variables"] == sorted(documented)


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name)
def test_a_page_names_variables_that_playbooks_have(page, documented):
    named = set(re.findall(r"""(?:-e |[{ ]")(fleetbackup_\w+)(?:=|":)""", page.read_text(encoding="utf-8")))
    assert named and named <= documented, named - documented
