# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module borg_factless, all of which runs on the controller: it has another one run, and drops what would become variables."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetbackup.borg.plugins.plugin_utils._factless import Factless, without_effects

#: The modules that it runs.
MODULES = {name: f"ansible.builtin.{name}" for name in ("copy", "file", "stat", "user")}

Result = dict[str, Any]


class ActionModule(Factless):
    """Runs the other module."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> Result:
        """Run it as a task of its own would."""
        result: Result = super().run(tmp, task_vars)
        _specification, options = self.validate_argument_spec(
            {"module": {"type": "str", "required": True, "choices": list(MODULES)}, "args": {"type": "dict", "default": {}}}
        )
        task = self._task.copy()
        task.action, task.args = MODULES[options["module"]], dict(self._task.args.get("args") or {})
        loader = self._shared_loader_obj.action_loader
        handler = loader.get(
            task.action if loader.has_plugin(task.action) else "ansible.legacy.normal",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        result.update(without_effects(handler.run(task_vars=task_vars), handler))
        return result
