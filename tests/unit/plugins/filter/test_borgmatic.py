# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters are what their documentation says; what they do is tested with the plan."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.fleetbackup.borg.plugins.filter import borgmatic, recovery

DIRECTORY = Path(__file__).resolve().parents[4] / "plugins/filter"
FILTERS = {**borgmatic.FilterModule().filters(), **recovery.FilterModule().filters()}
CONFIGS = [
    {
        "name": "system",
        "config": {
            "source_directories": ["/etc"],
            "repositories": ["/srv/backup"],
            "encryption_passphrase": "CANARY",
            "keep_daily": 7,
        },
    }
]


def documentation(name):
    return yaml.safe_load((DIRECTORY / f"{name}.yml").read_text(encoding="utf-8"))["DOCUMENTATION"]


def test_every_filter_is_documented_and_nothing_else():
    assert sorted(path.stem for path in DIRECTORY.glob("*.yml")) == sorted(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
def test_the_documented_options_are_the_parameters(name):
    first, *others = inspect.signature(FILTERS[name]).parameters
    documented = documentation(name)
    assert documented["name"] == name and first
    assert list(documented["options"]) == ["_input", *others]
    assert [option for option in documented.get("positional", "").split(", ") if option] == others


def test_public_records_lead_to_the_arguments():
    (record,) = FILTERS["borgmatic_repositories"](CONFIGS)
    assert record == {"config": "system", "position": 0, "location": "/srv/backup"}
    assert FILTERS["borgmatic_repository"](CONFIGS, record) == {"repository": "/srv/backup", "passphrase": "CANARY"}


def test_files_documents_and_schedules_agree_on_paths():
    place = ("/etc/borgmatic.d", "/root")
    (path,) = FILTERS["borgmatic_documents"](CONFIGS, *place)
    assert [file["path"] for file in FILTERS["borgmatic_files"](CONFIGS, *place)] == [path]
    assert {config for schedule in FILTERS["borgmatic_schedules"](CONFIGS, *place) for config in schedule["configs"]} == {path}


def test_problems_are_texts():
    assert FILTERS["borgmatic_problems"](CONFIGS) == []
    assert FILTERS["borgmatic_problems"](CONFIGS * 2, "absent") != []
    assert FILTERS["borgmatic_unknown_variables"](["borgmatic_confgs"], ["borgmatic_configs"]) != []


def test_a_failure_is_one_of_a_filter():
    with pytest.raises(AnsibleFilterError, match="config: is missing"):
        FILTERS["borgmatic_repositories"]([{"name": "system"}])
