# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records what came of each task, for tests that ask."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: recorded
type: notification
short_description: Records what came of each task
description:
  - Appends one line of JSON for each task and host to the file named by E(RECORDED_FILE), as soon as it is over.
"""


class CallbackModule(CallbackBase):
    """One line for each task on each host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recorded"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.play = ""

    def v2_playbook_on_play_start(self, play):
        self.play = play.get_name()

    def v2_runner_on_ok(self, result):
        self._record(result, "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._record(result, "failed")

    def v2_runner_on_unreachable(self, result):
        self._record(result, "unreachable")

    def _record(self, result, outcome):
        line = {
            "play": self.play, "task": result.task.get_name(), "host": result.host.get_name(), "outcome": outcome,
            "changed": bool(result.result.get("changed")), "assumed": bool(result.result.get("assumed")),
            "message": "\n".join(str(part.get("msg", "")) for part in [result.result, *result.result.get("results", [])]),
        }
        with Path(os.environ["RECORDED_FILE"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
