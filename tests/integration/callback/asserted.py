# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counts the assertions that held, for the totals of the test run."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: asserted
type: aggregate
short_description: Counts the assertions that held
description:
  - Writes the number of C(assert) results that held, loops counted by item, into the file named by E(ASSERTED_FILE).
  - A case of the harness C(truthful) counts like an assertion.
"""


class CallbackModule(CallbackBase):
    """One held assertion is one passed test."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "asserted"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.held = 0

    def v2_runner_on_ok(self, result):
        """Count an assertion, or the items of a looped one."""
        if self._is_assert(result):
            self.held += len(self._outcome(result).get("results", [None]))

    def v2_playbook_on_stats(self, stats):
        """Leave the number where the runner reads it."""
        Path(os.environ["ASSERTED_FILE"]).write_text(str(self.held), encoding="utf-8")

    @staticmethod
    def _is_assert(result):
        task = getattr(result, "task", None) or result._task  # renamed in ansible-core 2.19
        return task.action in ("assert", "ansible.builtin.assert", "truthful")

    @staticmethod
    def _outcome(result):
        return getattr(result, "result", None) or result._result
