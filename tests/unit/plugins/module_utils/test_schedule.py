# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import Schedule, parse_schedules


def raw(**changes):
    """An element of the module's option as AnsibleModule hands it on."""
    return {
        "name": "system-backup",
        "state": "present",
        "enabled": True,
        "actions": ["create"],
        "configs": ["/etc/borgmatic.d/system.yaml"],
        "calendar": "daily",
        "spread": None,
        "spread_key": None,
        "arguments": [],
        "profile": None,
        "read_write_paths": [],
        "network": None,
        "timeout": 604800,
        **changes,
    }


@pytest.mark.parametrize("name", ["a", "system-backup", "a.b_c-9", "_x", "x" * 64])
def test_good_names(name):
    assert Schedule.parse(raw(name=name), "web1").name == name


@pytest.mark.parametrize(
    "name",
    ["", "../b", ".", "..", "a/b", "-rf", ".hidden", "a..b", "x" * 65, "a b", "a\nb", "a\0b", "a@b", "a%b", "ä", "a\n"],
)
def test_bad_names(name):
    with pytest.raises(Failure) as caught:
        Schedule.parse(raw(name=name, state="absent"), "web1", 3)
    assert caught.value.error == "invalid_argument"
    assert "schedules[3].name" in caught.value.msg
    assert "for example system-backup" in caught.value.msg


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"actions": []}, "actions is empty; for example [create]"),
        ({"actions": ["drill", "create"]}, "actions: drill stands alone"),
        ({"configs": []}, "configs is empty; for example [/etc"),
        ({"configs": ["system.yaml"]}, "'system.yaml' is no absolute path"),
        ({"configs": ["~/config.yaml"]}, "is no absolute path"),
        ({"configs": ["/etc/a\nb"]}, "holds a control character"),
        ({"read_write_paths": ["srv"]}, "is no absolute path"),
        ({"read_write_paths": ["~other/x"]}, "is no absolute path"),
        ({"read_write_paths": ["/a\x7f"]}, "holds a control character"),
        ({"arguments": ["--encryption-passphrase", "x"]}, "looks like a secret"),
        ({"arguments": ["--override", "healthchecks.api_key=1"]}, "looks like a secret"),
        ({"arguments": [""]}, "is empty or holds a control character"),
        ({"arguments": ["a\nb"]}, "is empty or holds a control character"),
        ({"timeout": 59}, "give at least 60"),
        ({"timeout": -1}, "give at least 60"),
        ({"calendar": "dayly"}, "schedule system-backup: calendar: 'dayly'"),
    ],
)
def test_bad_input_is_named(changes, says):
    with pytest.raises(Failure) as caught:
        Schedule.parse(raw(**changes), "web1")
    assert caught.value.error == "invalid_argument"
    assert says in caught.value.msg


def test_a_secret_argument_is_not_shown():
    with pytest.raises(Failure) as caught:
        Schedule.parse(raw(arguments=["--encryption-passphrase=hunter2"]), "web1")
    assert "hunter2" not in caught.value.msg


def test_an_absent_schedule_needs_only_its_name():
    absent = Schedule.parse(raw(state="absent", actions=None, configs=None, calendar="nonsense"), "web1")
    assert (absent.name, absent.present) == ("system-backup", False)


def test_a_name_stands_once():
    with pytest.raises(Failure, match="system-backup stands twice"):
        parse_schedules([raw(), raw(state="absent")], "web1")


def test_actions_run_in_the_order_that_is_safe():
    schedule = Schedule.parse(raw(actions=["check", "prune", "create", "prune"], arguments=["--stats"]), "web1")
    assert schedule.borgmatic_arguments("--verbosity", "1") == [
        *("--config", "/etc/borgmatic.d/system.yaml", "--verbosity", "1", "create", "prune", "check", "--stats"),
    ]


def test_every_config_has_its_own_flag():
    schedule = Schedule.parse(raw(configs=["/b", "/a", "/b"]), "web1")
    assert schedule.borgmatic_arguments() == ["--config", "/b", "--config", "/a", "create"]


def test_what_spreads_machines():
    def offset(machine="web1", **changes):
        return Schedule.parse(raw(**changes), machine).calendar.offset

    assert offset() == offset(arguments=["--stats"], enabled=False, actions=["check"])
    others = {offset("web2"), offset(name="other"), offset(configs=["/x"]), offset(spread_key="web9 backup1")}
    assert offset() not in others and len(others) == 4
    assert offset("web2", spread_key="web1") == offset("web1")
