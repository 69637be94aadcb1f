# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._dialects import DIALECTS, dialect_of
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("1.2.0", "1.2"), ("1.2.4", "1.2"), ("1.2.9", "1.2"), ("1.4.0b2", "1.4"), ("1.4.0", "1.4"), ("1.4.1", "1.4.1"),
        ("1.4.5", "1.4.1"), ("1.5.0", "1.4.1"),
    ],
)
def test_a_version_speaks_the_newest_dialect_not_newer_than_itself(version, name):
    assert dialect_of(version).name == name


@pytest.mark.parametrize("version", ["1.1.16", "0.30", "2.0.0b5", "2.0.0b25", "2.0", "3.1", "garbage", ""])
def test_any_other_version_is_refused_with_what_to_install(version):
    with pytest.raises(Failure) as caught:
        dialect_of(version)
    assert caught.value.error == "version"
    assert f"Borg {version} is not supported: install Borg 1.2 or 1.4" in caught.value.msg


def test_the_rules_of_each_dialect():
    old, middle, new = DIALECTS
    assert middle.retention_rules == old.retention_rules
    assert old.retention_rules == (
        "keep_last", "keep_secondly", "keep_minutely", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly",
    )
    assert set(new.retention_rules) - set(old.retention_rules) == {"keep_13weekly", "keep_3monthly"}
