# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module borg_extract: a restore that takes long runs by itself on the target, and people see how
it goes."""

from __future__ import annotations

import base64
import binascii
import re
import time
from typing import Any, Callable, Mapping, Optional

from ansible.errors import AnsibleError
from ansible.utils.display import Display

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._extraction import RESTORING
from ansible_collections.fleetbackup.borg.plugins.module_utils._interruption import NOTE
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._factless import Factless

#: How long a restore may take: Ansible wants to know a limit.
_LIMIT = 30 * 24 * 3600
#: The longest time between two looks, in seconds. Each costs a launch of a module.
_PAUSE = 5.0

Result = dict[str, Any]


class ActionModule(Factless):
    """Starts the module, waits for it, and tells how far it is."""

    _supports_async = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> Result:
        """Run the module, by itself where a progress is wanted."""
        result: Result = super().run(tmp, task_vars)
        every = self._every()
        if every is None:
            result.update(self.as_told(task_vars))
            return result
        progress = Progress((task_vars or {}).get("inventory_hostname", ""), every)
        outcome = self._follow(task_vars, progress)
        while outcome.get("reason") == RESTORING:
            # what an earlier run of Ansible left at work; it ends before this one completes what is missing
            progress.wait(lambda: self._note(task_vars), _PAUSE)
            outcome = self._follow(task_vars, progress)
        result.update(outcome)
        return result

    def _every(self) -> Optional[float]:
        """Seconds between two lines; None: the module runs in the foreground, and judges the option."""
        try:
            seconds = float(self._task.args.get("progress") or 0)
        except (TypeError, ValueError):
            return None
        return seconds if seconds > 0 and not self._task.check_mode and not self._task.async_val else None

    def _follow(self, task_vars: Any, progress: Progress) -> Result:
        """Have the module run by itself, and wait until it has ended."""
        self._task.async_val = _LIMIT
        try:
            started = self._execute_module(task_vars=task_vars, wrap_async=True)
        finally:
            self._task.async_val = 0
        job = started.get("ansible_job_id")
        if started.get("failed") or job is None:
            return started
        outcome = wait(lambda: self.job(job, task_vars), lambda: self._note(task_vars), progress)
        self.job(job, task_vars, mode="cleanup")
        return {name: value for name, value in outcome.items() if name not in _OF_JOBS}

    def _note(self, task_vars: Any) -> str:
        """What the module says at the destination, if it has come so far."""
        place = str(self._task.args.get("destination", "")).rstrip("/")
        found = self._execute_module(
            module_name="ansible.legacy.slurp", module_args={"src": f"{place}/{NOTE}"}, task_vars=task_vars
        )
        try:
            return base64.b64decode(found.get("content", ""), validate=True).decode("utf-8", "replace")
        except binascii.Error:
            return ""


#: What Ansible adds to the result of a module that ran by itself.
_OF_JOBS = ("ansible_job_id", "results_file", "started", "finished", "stdout", "stdout_lines", "stderr_lines")


class Progress:
    """Tells how far a restore is.

    :param every: seconds between two lines.
    """

    def __init__(
        self,
        host: str,
        every: float,
        show: Optional[Callable[[str], None]] = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host = host
        self._every = every
        self._show = show or Display().display
        self._clock = clock
        self._sleep = sleep
        self._begun = self._last = clock()

    def wait(self, note: Callable[[], str], seconds: float) -> None:
        """Wait for a moment, and say how far it is where that is due before the next one.

        :param note: reads what the module says at the destination.
        """
        self._sleep(max(0.1, min(seconds, self._last + self._every - self._clock())))
        now = self._clock()
        if now >= self._last + self._every:
            self._last = now
            self._show(f"[{self._host}] restoring for {int(now - self._begun)} s: {standing(note())}")


def wait(look: Callable[[], Mapping[str, Any]], note: Callable[[], str], progress: Progress) -> Result:
    """Wait until a job has ended; its result.

    :param look: asks for the job. A connection that is lost for a while does not end it.
    """
    pause, lost = 1.0, 0
    while True:
        progress.wait(note, pause)
        pause = min(pause * 2, _PAUSE)
        try:
            found = look()
        except AnsibleError:
            lost += 1
            if lost > 5:
                raise
            continue
        lost = 0
        if found.get("finished"):
            if "msg" in found and "destination" not in found and "error" not in found:
                return {**found, "failed": True, **_vanished().as_result()}
            return dict(found)


def standing(note: str) -> str:
    """How far a restore is, as its note says."""
    found = re.search(r"(?m)^progress: (\d+ of \d+ entries)$", note)
    return found.group(1) if found else "reading the archive, and comparing"


def _vanished() -> Failure:
    return Failure(
        "other",
        "The restore ended without a result: it was killed, or the machine restarted. What it has brought back stays; run again, which"
        " completes it.",
        retryable=True,
    )
