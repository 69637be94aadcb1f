# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action `truthful` with vault secrets that Ansible was not given: its arguments, and

vault   passwords by vault identity
once    true: run the module once, and prove nothing
"""

from __future__ import annotations

from ansible.parsing.vault import VaultSecret
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """One truthful case with vault secrets."""

    def run(self, tmp=None, task_vars=None):
        """Run the case."""
        task = self._task.copy()
        task.args = dict(self._task.args)
        vault = task.args.pop("vault")
        self._loader.set_vault_secrets([(name, VaultSecret(password.encode())) for name, password in vault.items()] or None)
        name = "truthful"
        if task.args.pop("once", False):
            name = task.action = task.args["module"]
            task.args = task.args["args"]
        action = self._shared_loader_obj.action_loader.get(
            name,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return action.run(task_vars=task_vars)
