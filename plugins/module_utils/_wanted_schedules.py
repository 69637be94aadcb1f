# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module borgmatic_schedule ensures: schedules stand and are enabled, or are gone."""

from __future__ import annotations

import os
from typing import Any, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic import Borgmatic
from ansible_collections.fleetbackup.borg.plugins.module_utils._call import Call
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account, Launch
from ansible_collections.fleetbackup.borg.plugins.module_utils._packages import version_tuple
from ansible_collections.fleetbackup.borg.plugins.module_utils._passphrase_path import CONFIG, CREDENTIAL, STORES
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import ACTIONS, DEFAULT_TIMEOUT, parse_schedules
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedulers import as_result
from ansible_collections.fleetbackup.borg.plugins.module_utils._scheduling import Scheduling, choose

#: Where check mode expects a borgmatic that is not installed yet.
_EXPECTED_DIRECTORY = "/usr/bin"

SCHEDULE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "enabled": {"type": "bool", "default": True},
    "actions": {"type": "list", "elements": "str", "choices": list(ACTIONS)},
    "configs": {"type": "list", "elements": "str"},
    "calendar": {"type": "str", "default": "daily"},
    "spread": {"type": "int"},
    "spread_key": {"type": "str", "no_log": False},
    "arguments": {"type": "list", "elements": "str", "default": []},
    "profile": {"type": "str", "choices": ["strict", "hooks", "none"]},
    "read_write_paths": {"type": "list", "elements": "str", "default": []},
    "network": {"type": "bool"},
    "timeout": {"type": "int", "default": DEFAULT_TIMEOUT},
}

ARGUMENTS: dict[str, dict[str, Any]] = {
    "schedules": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": SCHEDULE_ARGUMENTS,
        "required_if": [("state", "present", ("actions", "configs"))],
    },
    "exclusive": {"type": "list", "elements": "str", "default": []},
    "documents": {"type": "dict", "no_log": True},
    "backend": {"type": "str", "choices": ["auto", "systemd", "cron"], "default": "auto"},
    "scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
    "user": {"type": "str"},
    "linger": {"type": "bool", "default": True},
    "executable": {"type": "str", "default": "borgmatic"},
    "base_directory": {"type": "path"},
    "passphrase_store": {"type": "str", "choices": list(STORES), "default": CONFIG, "no_log": False},
    "distribution_timer": {"type": "str", "choices": ["disabled", "untouched"], "default": "disabled"},
}


def ensure(call: Call) -> dict[str, Any]:
    """Bring the schedules about; the module's result."""
    parameters = call.params
    backend = choose(parameters["backend"], parameters["scope"])
    account = _account(parameters["scope"], parameters["user"])
    given = [_at_home(schedule, account) for schedule in parameters["schedules"]]
    schedules = parse_schedules(given, os.uname().nodename)
    launch, missing = _launch(parameters, account)
    if not any(schedule.present for schedule in schedules):
        missing = None
    if missing is not None and not call.check_mode:
        raise missing
    scheduling = Scheduling(
        backend,
        parameters["scope"],
        launch,
        linger=parameters["linger"],
        keep_distribution_timer=parameters["distribution_timer"] == "untouched",
    )
    difference = Difference()
    schedules += scheduling.strays(schedules, parameters["exclusive"])
    scheduling.compare(schedules, difference)
    if difference.changed and not call.check_mode:
        scheduling.apply()
    return {
        "changed": difference.changed or missing is not None,
        "assumed": missing is not None,
        "diff": difference.as_diff(),
        "backend": backend,
        "schedules": [as_result(schedule, scheduling.standing(schedule)) for schedule in schedules],
    }


def _at_home(schedule: dict[str, Any], account: Account) -> dict[str, Any]:
    return {**schedule, "configs": [account.expand(path) for path in schedule["configs"] or ()]}


def _account(scope: str, user: Optional[str]) -> Account:
    own = Account.named(None)
    if scope == "system":
        return Account.named(user or "root")
    if user not in (None, own.name):
        raise Failure(
            "invalid_argument",
            f"user: {user}: with scope: user it can only be {own.name}, which runs this. Say become_user: {user}.",
        )
    return own


def _launch(parameters: dict[str, Any], account: Account) -> tuple[Launch, Optional[Failure]]:
    """How borgmatic runs, or will run once what is missing is there."""
    executable, base = parameters["executable"], parameters["base_directory"]
    credentials = parameters["passphrase_store"] == CREDENTIAL
    if base is not None and not base.startswith("/"):
        raise Failure("invalid_argument", f"base_directory: {base!r} is no absolute path; for example /var/lib/borg.")
    installed = Borgmatic.find(executable)
    if installed is None:
        expected = executable if executable.startswith("/") else f"{_EXPECTED_DIRECTORY}/{executable}"
        return Launch(expected, account, base, (), credentials), Failure(
            "borg_missing",
            f"The program {executable} is not installed here. Install borgmatic (Debian: apt install borgmatic), or say with"
            " the option executable where it is.",
        )
    launch = Launch(installed.program, account, base, version_tuple(installed.version), credentials)
    if account.uid is None:
        return launch, Failure("invalid_argument", f"user: there is no account {account.name}; create it first.")
    return launch, None
