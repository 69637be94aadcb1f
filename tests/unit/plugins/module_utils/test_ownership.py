# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owner, group and mode of a file that may hold secrets."""

from __future__ import annotations

import os

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._ownership import (
    Ownership,
    group_id,
    secret_mode,
    user_id,
)


class TestMode:
    @pytest.mark.parametrize(
        "value, mode", [("0600", 0o600), ("600", 0o600), ("0o640", 0o640), (0o600, 0o600), ("0400", 0o400), ("0440", 0o440)]
    )
    def test_good(self, value, mode):
        assert secret_mode(value) == mode

    @pytest.mark.parametrize("value", ["0644", "0660", "0604", "0700", "4600", "0000", "0200", 600, "u=rw", "", "0800", None, True, "-1"])
    def test_bad(self, value):
        with pytest.raises(Failure, match="^mode: .*; for example mode: '0600', in quotes") as caught:
            secret_mode(value)
        assert caught.value.error == "invalid_argument"


class TestAccounts:
    def test_names_and_ids(self):
        assert user_id("root") == group_id("root") == 0
        assert user_id("4711") == group_id("4711") == 4711

    def test_none(self):
        assert user_id("no-such-account") is None
        assert group_id("no-such-group") is None


class TestOwnership:
    def test_of_a_file(self, tmp_path):
        file = tmp_path / "file"
        file.touch(0o640)
        file.chmod(0o640)
        assert Ownership.of(str(file)) == (os.getuid(), file.stat().st_gid, 0o640)

    def test_apply(self, tmp_path):
        file = tmp_path / "file"
        file.touch(0o644)
        Ownership(-1, -1, 0o600).apply(str(file))
        assert Ownership.of(str(file)).mode == 0o600

    def test_as_names(self):
        assert Ownership(0, 0, 0o600).as_names() == {"owner": "root", "group": "root", "mode": "0600"}
        assert Ownership(-1, 54321, 0o640).as_names() == {"owner": None, "group": "54321", "mode": "0640"}
