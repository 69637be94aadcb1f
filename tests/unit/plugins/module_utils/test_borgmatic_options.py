# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of options agrees with itself."""

from __future__ import annotations

import re

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import (
    OPTIONS,
    RENAMED,
    REPOSITORY_KEYS,
    SECTIONS,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._packages import version_tuple
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_schema import validator

#: Whatever else is in the table, values under these are never shown.
SECRET = re.compile(
    r"passphrase\Z|passcommand|_databases\Z|^before_|^after_|on_error|^commands\Z|^constants\Z|ssh_command|extra_borg_options"
    r"|ntfy|pushover|zabbix|apprise|healthchecks|uptime_kuma|cronitor|cronhub|pagerduty|loki|sentry|watchgoose"
    r"|keepassxc|onepassword|^container\Z|^systemd\Z|^zfs\Z|^btrfs\Z|^lvm\Z"
)
FLAGS_ABOUT_SECRETS = {"debug_passphrase", "display_passphrase"}


@pytest.mark.parametrize("name", OPTIONS)
class TestOptions:
    def test_it_has_a_validator(self, name):
        assert callable(validator(OPTIONS[name], {}))

    def test_its_sections_exist(self, name):
        assert set(OPTIONS[name].sections) <= set(SECTIONS)

    def test_it_was_read_at_some_time(self, name):
        option = OPTIONS[name]
        assert all(re.fullmatch(r"(\d+\.\d+\.\d+)?", version) for version in (option.since, option.until))
        assert not option.until or version_tuple(option.since or "1.7.0") <= version_tuple(option.until)

    def test_it_has_a_section_where_sections_are_read(self, name):
        option = OPTIONS[name]
        if name != "constants" and version_tuple(option.since or "1.7.0") < (1, 8):
            assert option.sections

    def test_a_secret_is_hidden(self, name):
        if SECRET.search(name) and name not in FLAGS_ABOUT_SECRETS:
            assert OPTIONS[name].public is False


def test_the_keys_of_a_repository_have_validators():
    assert all(callable(validator(key, {})) for key in REPOSITORY_KEYS.values())


def test_renamed_options_exist():
    assert set(RENAMED.values()) <= set(OPTIONS)
    assert not set(RENAMED) & set(OPTIONS)
