# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_document import check_document
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._schedule_needs import Needs

CANARY = "canary-4711"


def needs(**document):
    """The needs of a document with these options."""
    return Needs.of(
        check_document({"source_directories": ["/etc"], "repositories": [{"path": "/srv/b"}], "keep_daily": 7, **document}, True)
    )


def test_a_local_repository():
    assert needs() == Needs(("/srv/b",), (), False, ())


def test_a_remote_repository():
    assert needs(repositories=[{"path": "ssh://borg@backup1:2222/./x"}, {"path": "u@backup2:r"}]) == Needs(
        (), (), True, ("backup1", "backup2")
    )


@pytest.mark.parametrize(
    ("path", "writable"),
    [
        ("/srv/{hostname}", "/srv"),
        ("/srv/x-{hostname}/y", "/srv"),
        ("/{hostname}", None),
        ("file:///srv/y", "/srv/y"),
    ],
)
def test_what_only_the_target_can_resolve_is_cut_off(path, writable):
    assert needs(repositories=[{"path": path}]).read_write_paths == ((writable,) if writable else ())


def test_constants_are_resolved():
    found = needs(constants={"root": "/srv/all"}, repositories=[{"path": "{root}/r"}], borg_cache_directory="{root}/cache")
    assert found.read_write_paths == ("/srv/all/cache", "/srv/all/r")


@pytest.mark.parametrize(
    "option",
    [
        *("borg_base_directory", "borg_config_directory", "borg_cache_directory", "borg_security_directory"),
        *("borg_keys_directory", "user_state_directory", "user_runtime_directory", "temporary_directory"),
        "borgmatic_source_directory",
    ],
)
def test_directories_that_borg_writes_to(option):
    assert needs(**{option: "~/x"}).read_write_paths == ("/srv/b", "~/x")


def test_a_log_file_needs_its_directory():
    assert needs(log_file="/var/log/borgmatic/x.log").read_write_paths == ("/srv/b", "/var/log/borgmatic")


@pytest.mark.parametrize(
    ("document", "hook"),
    [
        ({"before_backup": [f"echo {CANARY}"]}, "before_backup"),
        ({"on_error": ["x"]}, "on_error"),
        ({"after_everything": ["x"]}, "after_everything"),
        ({"commands": [{"before": "action", "run": [f"echo {CANARY}"]}]}, "commands"),
        ({"postgresql_databases": [{"name": "all", "password": CANARY}]}, "postgresql_databases"),
        ({"sqlite_databases": [{"name": "x", "path": "/x"}]}, "sqlite_databases"),
        ({"zfs": None}, "zfs"),
        ({"btrfs": {}}, "btrfs"),
        ({"lvm": {"snapshot_size": "5%"}}, "lvm"),
        ({"encryption_passcommand": f"pass show {CANARY}"}, "encryption_passcommand"),
        ({"keepassxc": {"keepassxc_cli_command": "x"}}, "keepassxc"),
    ],
)
def test_hooks(document, hook):
    found = needs(**document)
    assert found.hooks == (hook,)
    assert found.network
    assert CANARY not in repr(found)


@pytest.mark.parametrize("command", ["cat /root/passphrase", "/usr/bin/cat '/a b'"])
def test_reading_a_file_is_no_hook(command):
    assert not needs(encryption_passcommand=command).hooks


def test_monitoring_needs_the_network_only():
    found = needs(healthchecks={"ping_url": f"https://hc.example/{CANARY}"})
    assert (found.hooks, found.network) == ((), True)
    assert CANARY not in repr(found)


def test_options_of_a_single_repository_count():
    found = needs(repositories=[{"path": "/srv/b", "borg_cache_directory": "/cache", "zfs": {}}])
    assert found.read_write_paths == ("/cache", "/srv/b")
    assert found.hooks == ("zfs",)


def test_needs_add_up():
    assert needs(lvm={}) | needs(repositories=[{"path": "ssh://h/./x"}], zfs={}) == Needs(
        ("/srv/b",), ("lvm", "zfs"), True, ("h",)
    )
