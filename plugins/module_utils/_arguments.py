# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that all modules about one repository share, and the borg that they describe."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._passphrase import check_passphrase
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import DEFAULT_RSH, Borg

#: As the doc fragment fleetbackup.borg.borg documents them.
COMMON_ARGUMENTS: dict[str, dict[str, Any]] = {
    "repository": {"type": "str", "required": True},
    "passphrase": {"type": "str", "no_log": True},
    "passcommand": {"type": "str", "no_log": False},  # see HIDDEN
    "rsh": {"type": "str"},
    "remote_path": {"type": "str", "default": "borg"},
    "executable": {"type": "str", "default": "borg"},
    "lock_wait": {"type": "int", "default": 1},
    "timeout": {"type": "int"},
    "key_file": {"type": "path", "no_log": False},
    "base_directory": {"type": "path"},
    "accept_relocated": {"type": "bool", "default": False},
    "allow_unencrypted": {"type": "bool", "default": False},
}
#: Command lines, in which somebody's secret may stand.
HIDDEN = ("passcommand", "rsh")
_EXAMPLES = {"key_file": "/root/.config/borg/keys/backup1", "base_directory": "/var/lib/borg"}


def run_borg_module(
    ensure: Callable[[AnsibleModule], dict[str, Any]], argument_spec: dict[str, Any], **options: Any
) -> None:
    """Run a module about one repository.

    :param ensure: as :func:`run_module` takes it.
    :param argument_spec: the module's own options.
    :param options: further arguments of AnsibleModule.
    """
    # with both it would be left to borg which one counts
    exclusive = [("passphrase", "passcommand")]
    spec = {**COMMON_ARGUMENTS, **argument_spec}
    run_module(ensure, spec, hidden=HIDDEN, mutually_exclusive=exclusive, **options)


def borg_from(parameters: dict[str, Any]) -> Borg:
    """The borg that a module's parameters describe.

    :raises Failure: ``invalid_argument``.
    """
    if parameters["passphrase"] is not None:
        check_passphrase(parameters["passphrase"])
    for name in ("key_file", "base_directory"):
        _check_absolute(name, parameters[name])
    if parameters["lock_wait"] < 0:
        raise Failure("invalid_argument", f"lock_wait: {parameters['lock_wait']} is negative; give seconds, e.g. 5.")
    if parameters["timeout"] is not None and parameters["timeout"] <= 0:
        raise Failure("invalid_argument", f"timeout: {parameters['timeout']} is no time; give seconds, e.g. 600.")
    return Borg(
        repository=Location.parse(parameters["repository"]),
        passphrase=parameters["passphrase"],
        passcommand=parameters["passcommand"],
        rsh=parameters["rsh"] or DEFAULT_RSH,
        remote_path=parameters["remote_path"],
        executable=parameters["executable"],
        lock_wait=parameters["lock_wait"],
        timeout=parameters["timeout"],
        key_file=parameters["key_file"],
        base_directory=parameters["base_directory"],
        accept_relocated=parameters["accept_relocated"],
        allow_unencrypted=parameters["allow_unencrypted"],
    )


def _check_absolute(name: str, path: Optional[str]) -> None:
    if path is not None and not path.startswith("/"):
        raise Failure("invalid_argument", f"{name}: {path!r} is no absolute path; for example {_EXAMPLES[name]}.")
