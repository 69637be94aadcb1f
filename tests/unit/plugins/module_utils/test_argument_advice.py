# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words are those of the ansible-core that runs this; the tests run on each supported one."""

from __future__ import annotations

import pytest
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError

from ansible_collections.fleetbackup.borg.plugins.module_utils._argument_advice import advised

SPEC = {
    "repository": {"type": "str"},
    "keep_daily": {"type": "int"},
    "keep_weekly": {"type": "int"},
    "append_only": {"type": "bool"},
    "encryption": {"type": "str", "choices": ["repokey", "repokey-blake2", "none"]},
    "actions": {"type": "list", "elements": "str", "choices": ["create", "prune"]},
    "ports": {"type": "list", "elements": "int"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "confirm_id": {"type": "str"},
    "passphrase": {"type": "str", "no_log": True},
    "passcommand": {"type": "str", "no_log": False},
    "schedules": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "timeout": {"type": "int"},
            "calendar": {"type": "str"},
            "backend": {"type": "str", "choices": ["systemd", "cron"]},
        },
    },
}


def told(arguments, shown=None):
    """AnsibleModule's message about the arguments, with our advice."""
    validator = ModuleArgumentSpecValidator(
        SPEC,
        mutually_exclusive=[("passphrase", "passcommand")],
        required_if=[("state", "absent", ["confirm_id"])],
    )
    errors = validator.validate(arguments).errors
    message = errors.msg
    if isinstance(errors[0], UnsupportedError):
        message = f"Unsupported parameters for (borg_prune) module: {message}"
    return message, advised(message, SPEC, arguments if shown is None else shown)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"keep_daily": 7.5}, "; keep_daily: 7.5 is no int, for example keep_daily: 7."),
        ({"keep_daily": "seven"}, "; keep_daily: 'seven' is no int, for example keep_daily: 7."),
        ({"append_only": "perhaps"}, "; append_only: 'perhaps' is no bool, for example append_only: true."),
        ({"ports": ["x"]}, "; ports: ['x'] is no int, for example ports: 7."),
        ({"keep_dayly": 7}, "; keep_dayly: did you mean keep_daily?."),
        ({"keep_dayly": 7, "xyzzy": 1}, "; keep_dayly: did you mean keep_daily?; xyzzy: leave it out."),
        ({"encryption": "repokey-blake"}, "; encryption: did you mean repokey-blake2?."),
        ({"encryption": "rot13"}, "; encryption: for example repokey."),
        ({"actions": ["creat"]}, "; actions: did you mean create?."),
        ({"state": "absent"}, "; give confirm_id: the id of the one repository that may go, which borg_repository_info returns as id."),
        ({"passphrase": "a", "passcommand": "b"}, "; give one of passphrase and passcommand."),
        ({"schedules": [{}]}, "; give name: system."),
        ({"schedules": [{"name": "x", "timeout": "long"}]}, "; timeout is no int, for example timeout: 7."),
        ({"schedules": [{"name": "x", "calender": "daily"}]}, "; calender: did you mean calendar?."),
        ({"schedules": [{"name": "x", "backend": "crn"}]}, "; backend: did you mean cron?."),
    ],
    ids=str,
)
def test_what_to_do_follows_what_is_wrong(arguments, advice):
    message, text = told(arguments)
    assert text == message.rstrip(".") + advice.replace("?.", "?")


def test_what_may_not_be_shown_is_not_shown():
    _message, text = told({"keep_daily": "canary"}, shown={"keep_daily": "(hidden)"})
    assert "keep_daily: '(hidden)' is no int" in text


def test_words_that_are_not_known_stay_as_they_are():
    assert advised("something else.", SPEC, {}) == "something else."
