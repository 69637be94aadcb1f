# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a target answers is a result, and nothing else: ansible-core would make variables of its facts, and these count more than the
inventory, ``inventory_hostname`` included."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Any, Mapping, Optional

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

#: The keys of a module's result that have an effect beyond the task. Source: executor/task_executor.py and plugins/strategy/__init__.py of
#: ansible-core 2.18 to 2.20, _internal/_task.py of 2.21. What begins with ``_ansible_`` it drops itself.
EFFECTIVE = ("ansible_facts", "ansible_stats", "add_host", "add_group")
_INTERPRETER = re.compile(r"(/[\w.+-]+)+", re.ASCII)

Result = dict[str, Any]


def without_effects(answer: Mapping[str, Any], action: ActionBase) -> Result:
    """A module's result without what would become variables.

    :param action: who ran it. The interpreter that ansible-core itself has found stays a fact: finding it costs a launch.
    """
    result = {name: value for name, value in answer.items() if name not in EFFECTIVE}
    key, found = action._discovered_interpreter_key, action._discovered_interpreter
    if key and found and _INTERPRETER.fullmatch(str(found)):
        result["ansible_facts"] = {key: found}
    return result


class Factless(ActionBase):
    """An action whose modules make no variables."""

    TRANSFERS_FILES = False

    def _execute_module(self, *arguments: Any, **options: Any) -> Result:
        """Run a module on the target."""
        return without_effects(super()._execute_module(*arguments, **options), self)

    def as_told(self, task_vars: Any) -> Result:
        """Run the task's module, with ``async`` where the task says so.

        :returns: its result, where the task waits for it. ansible-core would take facts from what it is told while it waits.
        """
        seconds = self._task.async_val
        answer = self._execute_module(task_vars=task_vars, wrap_async=bool(seconds))
        if not seconds or self._task.poll <= 0 or answer.get("failed") or answer.get("skipped"):
            return answer
        try:
            return self._awaited(answer.get("ansible_job_id"), seconds, task_vars)
        finally:
            self._task.async_val = 0  # there is nothing left to wait for

    def job(self, job: Optional[str], task_vars: Any, mode: str = "status") -> Result:
        """Look at a module that runs by itself, or remove what it leaves behind."""
        directory = self._remote_expand_user(self.get_shell_option("async_dir", default="~/.ansible_async"))
        return self._execute_module(
            module_name="ansible.legacy.async_status",
            module_args={"jid": job, "mode": mode, "_async_dir": directory},
            task_vars=task_vars,
        )

    def _awaited(self, job: Optional[str], seconds: int, task_vars: Any) -> Result:
        host, module = (task_vars or {}).get("inventory_hostname", ""), self._task.action.rpartition(".")[2]
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            time.sleep(self._task.poll)
            try:
                found = self.job(job, task_vars)
            except AnsibleError:  # a connection that is lost for a while does not end it
                with contextlib.suppress(AttributeError):
                    self._connection.reset()
                continue
            if found.get("finished"):
                self.job(job, task_vars, mode="cleanup")
                return found
            Display().display(f"[{host}] {module}: running for {time.monotonic() - begun:.0f} s")
        return {"failed": True, "msg": f"{module}: has not ended within the {seconds} s that async allows."}


class FactlessAction(Factless):
    """Runs the module of its name."""

    _supports_async = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> Result:
        """Run the module."""
        result: Result = super().run(tmp, task_vars)
        result.update(self.as_told(task_vars))
        return result
