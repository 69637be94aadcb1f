# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what a run does, and can kill it at any point of that."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections import Counter

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: steps
type: aggregate
short_description: Writes what a run does, and can kill it at any point of that
description:
  - Appends a JSON object to the file named by E(STEPS_FILE) where a task begins, and for the result of each host and each item.
  - Its C(point) is the task's name without the role's; with a number, where there are several of that name; followed by C(done 1) and
    so on for the items that are done.
  - At the point named by E(STEPS_KILL_AT) all processes of the run are killed.
"""


class CallbackModule(CallbackBase):
    """One file for the whole run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "steps"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.begun = Counter()
        self.items = 0
        self.task = ""

    def v2_playbook_on_task_start(self, task, is_conditional):
        """A point."""
        name = task.get_name().rpartition(" : ")[2]
        self.begun[name] += 1
        self.items = 0
        self.task = name if self.begun[name] == 1 else f"{name} ({self.begun[name]})"
        self.reach(self.task)

    def v2_runner_item_on_ok(self, result):
        """A point, too."""
        self.items += 1
        self.reach(f"{self.task}, done {self.items}", result)

    def v2_runner_item_on_failed(self, result):
        """One of several results."""
        self.write(point=self.task, result=result, failed=True)

    def v2_runner_on_ok(self, result):
        """A result."""
        self.write(point=self.task, result=result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """A result."""
        self.write(point=self.task, result=result, failed=True)

    def reach(self, point, result=None):
        """Tell of it, or die here."""
        if point == os.environ.get("STEPS_KILL_AT"):
            # they have sessions of their own
            for worker in multiprocessing.active_children():
                worker.kill()
            os.kill(os.getpid(), signal.SIGKILL)
        self.write(point=point, result=result)

    def write(self, *, point, result=None, failed=False):
        """Leave it where the test reads it, whatever happens next."""
        told = {"point": point, "host": None, "failed": failed}
        if result is not None:
            # both were renamed in ansible-core 2.19
            host = getattr(result, "host", None) or result._host
            values = getattr(result, "result", None) or result._result
            told.update(host=host.get_name(), changed=bool(values.get("changed")), error=values.get("error"), msg=str(values.get("msg", "")))
        with open(os.environ["STEPS_FILE"], "a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
