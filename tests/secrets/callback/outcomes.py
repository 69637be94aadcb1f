# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes every result as one line of JSON, for the harness to know what came of each case, and to search."""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: outcomes
type: aggregate
short_description: Every result as one line of JSON
description:
  - Appends the result of each task, as any callback gets it, to the file named by E(OUTCOMES_FILE).
"""


class CallbackModule(CallbackBase):
    """One line for each result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "outcomes"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result):
        """The task went well."""
        self._write(result, failed=False)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """The task failed."""
        self._write(result, failed=True)

    def v2_runner_on_skipped(self, result):
        """The task was not run."""
        self._write(result, failed=False)

    def v2_runner_on_unreachable(self, result):
        """The host did not answer."""
        self._write(result, failed=True)

    @staticmethod
    def _write(result, failed):
        task = getattr(result, "task", None) or result._task  # renamed in ansible-core 2.19
        outcome = getattr(result, "result", None) or result._result
        with open(os.environ["OUTCOMES_FILE"], "a", encoding="utf-8") as file:
            print(json.dumps({"task": task.get_name(), "failed": failed, "result": outcome}, default=str), file=file)
