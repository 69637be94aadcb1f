# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module borgmatic_run: the module starts runs and looks at them, each time in a moment;
the waiting is done here, where people see how it goes."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, Optional

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.display import Display

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._factless import Factless

#: The longest time between two looks, in seconds. Each costs a launch of the module.
_PAUSE = 5.0
_PROGRESS = 15
#: How much of what a run said last fits on a line.
_WIDTH = 120

Result = dict[str, Any]


class ActionModule(Factless):
    """Starts the runs, waits for them, and tells how they stand."""

    _supports_async = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> Result:
        """Run the module until no run is under way."""
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        scope = {name: arguments[name] for name in ("scope",) if name in arguments}
        host = (task_vars or {}).get("inventory_hostname", "")

        def look(runs: list[Result]) -> Result:
            followed = [{name: run[name] for name in ("schedule", "id", "joined")} for run in runs]
            return self._launch({"follow": followed, **scope}, task_vars)

        outcome = self._launch(arguments, task_vars)
        # the module has judged the arguments by now
        if not outcome.get("failed") and not self._task.check_mode and boolean(arguments.get("wait", True)):
            progress = Progress(host, int(arguments.get("progress") or _PROGRESS))
            limit = arguments.get("timeout")
            outcome = wait(outcome, look, progress, None if limit in (None, "") else float(limit))
        result.update(outcome)
        return result

    def _launch(self, arguments: Mapping[str, Any], task_vars: Any) -> Result:
        return self._execute_module(
            module_name="fleetbackup.borg.borgmatic_run", module_args=dict(arguments), task_vars=task_vars
        )


class Progress:
    """Tells how the runs of one host stand.

    :param every: seconds between two lines of a run that is under way.
    """

    def __init__(self, host: str, every: float, show: Optional[Callable[[str], None]] = None) -> None:
        self.every = every
        self._host = host
        self._show = show or Display().display
        self._last: dict[str, float] = {}
        self._ended: set[str] = set()

    def tell(self, runs: list[Result], now: float, cost: float) -> None:
        """Say what is new, or due before another look could be done.

        :param cost: how many seconds a look takes.
        """
        for run in runs:
            name = run["schedule"]
            if run["result"] == "running":
                if now + cost >= self._last.get(name, float("-inf")) + self.every:
                    self._last[name] = now
                    self._line(name, _standing(run))
            elif name not in self._ended:
                self._ended.add(name)
                self._last.pop(name, None)
                self._line(name, f"{run['result']} after {run['seconds']} s")

    def pause(self, now: float) -> float:
        """Seconds until the next line is due."""
        return min((last + self.every - now for last in self._last.values()), default=self.every)

    def _line(self, name: str, text: str) -> None:
        self._show(f"[{self._host}] {name}: {text}")


def wait(
    outcome: Result,
    look: Callable[[list[Result]], Result],
    progress: Progress,
    timeout: Optional[float],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Wait until no run is under way.

    :param outcome: what the module returned when it had started them.
    :param look: runs the module to look at them.
    :param timeout: seconds; None: no limit.
    :returns: the module's last result, with what the first one changed.
    """
    first, begun, pause, cost = outcome, clock(), 1.0, 0.0
    while True:
        now = clock()
        runs = outcome.get("runs") or []
        progress.tell(runs, now, cost)
        if outcome.get("failed") or not any(run["result"] == "running" for run in runs):
            break
        left = None if timeout is None else begun + timeout - now
        if left is not None and left <= 0:
            return {"failed": True, **_too_long(runs, timeout or 0.0).as_result()}
        sleep(max(0.1, min(pause, progress.pause(now) - cost, *([] if left is None else [left]))))
        pause = min(pause * 2, _PAUSE)
        begun_look = clock()
        outcome = look(runs)
        cost = clock() - begun_look
    if outcome.get("failed"):
        return outcome
    return {**outcome, "changed": first.get("changed", False), "diff": first.get("diff", {})}


def _standing(run: Result) -> str:
    text = f"running for {run['seconds']} s" if run["started"] else "waiting for its turn"
    log = run.get("log") or []
    return f"{text}: {log[-1][:_WIDTH]}" if log else text


def _too_long(runs: list[Result], timeout: float) -> Failure:
    names = ", ".join(run["schedule"] for run in runs if run["result"] == "running")
    return Failure(
        "timeout",
        f"{names}: still running after {timeout:g} seconds of waiting. It goes on by itself: follow it later with the"
        " option follow, or raise the option timeout.",
        runs=runs,
    )
