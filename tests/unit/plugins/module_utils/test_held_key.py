# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._held_key import held_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

BORG = Borg(Location.parse("ssh://borg@backup1/./web1"))
RECORDED = json.loads((Path(__file__).resolve().parent / "recorded_keys/borg-1.4.0.json").read_text(encoding="utf-8"))
KEY = RECORDED["exports"]["keyfile-blake2"]["keyfile"]


def test_a_process_of_ours_can_read_it_more_than_once_and_afterwards_nobody_can():
    with held_key(BORG, KEY) as keyed:
        assert [subprocess.run(["cat", keyed.key_file], capture_output=True, text=True, check=True).stdout for _time in range(2)] == [KEY, KEY]
        assert stat.S_IMODE(os.stat(keyed.key_file).st_mode) == 0o600
        assert not os.path.realpath(keyed.key_file).startswith(("/tmp", "/home", "/root", "/var"))
    assert not os.path.exists(keyed.key_file)


@pytest.mark.parametrize("text", [None, ""])
def test_there_need_be_none(text):
    with held_key(BORG, text) as keyed:
        assert keyed is BORG


@pytest.mark.parametrize(("borg", "text"), [(BORG, "CANARY"), (BORG._replace(key_file="/k"), KEY)])
def test_what_makes_no_sense(borg, text):
    with pytest.raises(Failure, match="^key: ") as caught, held_key(borg, text):
        pass
    assert caught.value.error == "invalid_argument" and "CANARY" not in caught.value.msg
