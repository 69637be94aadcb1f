# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import COMMON_ARGUMENTS, HIDDEN, borg_from
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import DEFAULT_RSH


def parameters(**given):
    defaults = {name: specification.get("default") for name, specification in COMMON_ARGUMENTS.items()}
    return {**defaults, "repository": "/srv/x", **given}


def test_the_defaults():
    borg = borg_from(parameters())
    assert (str(borg.repository), borg.rsh, borg.remote_path, borg.executable) == ("/srv/x", DEFAULT_RSH, "borg", "borg")
    assert (borg.lock_wait, borg.timeout, borg.passphrase, borg.accept_relocated, borg.allow_unencrypted) == (1, None, None, False, False)


def test_all_of_them_reach_borg():
    given = {
        "passphrase": "secret", "rsh": "ssh -p 1", "remote_path": "borg2", "executable": "/opt/borg", "lock_wait": 5, "timeout": 7,
        "key_file": "/key", "base_directory": "/base", "accept_relocated": True, "allow_unencrypted": True,
    }
    borg = borg_from(parameters(**given))
    assert {name: getattr(borg, name) for name in given} == given
    assert borg_from(parameters(passcommand="cat x")).passcommand == "cat x"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"repository": "http://h/x"}, "repository: "),
        ({"passphrase": ""}, "passphrase: is empty"),
        ({"passphrase": "x\n"}, "passphrase: ends in a newline"),
        ({"key_file": "key"}, "key_file: 'key' is no absolute path; for example /root/.config/borg/keys/"),
        ({"base_directory": "base"}, "base_directory: 'base' is no absolute path; for example /var/lib/borg."),
        ({"lock_wait": -1}, "lock_wait: -1 is negative"),
        ({"timeout": 0}, "timeout: 0 is no time"),
        ({"timeout": -5}, "timeout: -5 is no time"),
    ],
)
def test_bad_values_are_refused(given, message):
    with pytest.raises(Failure) as caught:
        borg_from(parameters(**given))
    assert caught.value.error == "invalid_argument"
    assert message in caught.value.msg


def test_secrets_are_marked():
    assert COMMON_ARGUMENTS["passphrase"]["no_log"] is True
    assert HIDDEN == ("passcommand", "rsh")
