# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what became of each task, and can kill the run where a task begins."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: outcome
type: aggregate
short_description: Writes what became of each task
description:
  - After each task writes a JSON object into the file named by E(OUTCOME_FILE).
  - Its C(changed) and C(failed) are the names of tasks, C(messages) what the failed ones said, and C(launches) how many
    modules were started on the target.
  - When the task named by E(OUTCOME_KILL_AT) begins, ansible-playbook kills itself.
"""

#: These do all their work on the controller.
CONTROLLER = {"assert", "debug", "fail", "include_role", "include_tasks", "set_fact", "validate_argument_spec"}


class CallbackModule(CallbackBase):
    """One object for the whole run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "outcome"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.outcome = {"changed": [], "failed": [], "messages": [], "launches": 0}
        self.write()

    def v2_playbook_on_task_start(self, task, is_conditional):
        """Die here, if this is the place."""
        if task.get_name().rpartition(" : ")[2] == os.environ.get("OUTCOME_KILL_AT"):
            os.kill(os.getpid(), signal.SIGKILL)

    def v2_runner_on_ok(self, result):
        """A task that did its work."""
        self.count(result)
        if self.values(result).get("changed"):
            self.outcome["changed"].append(self.name(result))
        self.write()

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """A task that failed, be it rescued or not."""
        self.count(result)
        self.outcome["failed"].append(self.name(result))
        values = self.values(result)
        self.outcome["messages"] += [item.get("msg") for item in values.get("results", [values]) if item.get("failed", True)]
        self.write()

    def count(self, result):
        """Count the modules that were started."""
        if self.task(result).action.rpartition(".")[2] not in CONTROLLER:
            items = self.values(result).get("results", [{}])
            self.outcome["launches"] += sum(not item.get("skipped", False) for item in items)

    def write(self):
        """Leave it where the test reads it, whatever happens next."""
        Path(os.environ["OUTCOME_FILE"]).write_text(json.dumps(self.outcome), encoding="utf-8")

    def name(self, result):
        """The task's name without its role's."""
        return self.task(result).get_name().rpartition(" : ")[2]

    @staticmethod
    def task(result):
        """Renamed in ansible-core 2.19."""
        return getattr(result, "task", None) or result._task

    @staticmethod
    def values(result):
        """Renamed in ansible-core 2.19."""
        return getattr(result, "result", None) or result._result
