# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module borgmatic_config: the document is checked before anything reaches the target, and
reaches it as one secret text."""

from __future__ import annotations

import json
from typing import Any, Mapping

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_document import check_document
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_values import verbatim
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._factless import Factless
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest

#: The module's options. Others are refused here: the module would show their values in its own message.
ARGUMENTS = frozenset(
    ("path", "config", "state", "owner", "group", "mode", "executable", "validate", "allow_unknown_options", "timeout")
    + ("passphrase_store",)
)


class ActionModule(Factless):
    """Checks ``config`` and hands the rest on."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run the module with the checked document, or fail with every problem in it."""
        result = super().run(tmp, task_vars)
        try:
            arguments = module_arguments(self._task.args)
        except Failure as failure:
            return {**result, "failed": True, "changed": False, **failure.as_result()}
        result.update(
            self._execute_module(
                module_name="fleetbackup.borg.borgmatic_config", module_args=arguments, task_vars=task_vars
            )
        )
        return result


def module_arguments(task: Mapping[str, Any]) -> dict[str, Any]:
    """The module's arguments for a task's.

    :raises Failure: ``invalid_argument``; no message holds a value of ``config``.
    """
    for name in task:
        if name not in ARGUMENTS:
            hint = nearest(name, ARGUMENTS) or f"; its options are {', '.join(sorted(ARGUMENTS))}."
            raise Failure("invalid_argument", f"{name}: is no option of borgmatic_config{hint}")
    arguments = dict(task)
    config = arguments.pop("config", None)
    if arguments.get("state", "present") == "absent" or config is None:
        return arguments  # whether config may be missing is the module's to say
    document = check_document(config, _is_true(arguments.get("allow_unknown_options", False)))
    if "encryption_passphrase" in document and arguments.get("passphrase_store", "config") != "config":
        # only in a configuration would borgmatic see variables in it
        document["encryption_passphrase"] = verbatim(document["encryption_passphrase"])
    return {**arguments, "config": json.dumps(document)}


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() in ("true", "yes", "on", "1")
