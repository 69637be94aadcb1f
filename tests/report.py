# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a test run tells: a line for each step, the end of a failed step's log, the totals."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.engine import LabError

TAIL_LINES = 30
# What tells the reason in a log whose end is about tidying up: Ansible's, pytest's and ansible-test's words for it.
REASON = re.compile(r"(fatal|failed): |E   |ERROR|FAILED |FATAL")
REASON_LINES = 15
REASON_LENGTH = 1500
# What the end of a run repeats of each failed step: often the end is all that is kept of a run.
SUMMARY_LINES = 3
SUMMARY_LENGTH = 220


@dataclass(frozen=True)
class Outcome:
    """How many tests a step passed and failed; `note` says in a few words what else there is to know."""

    passed: int = 0
    failed: int = 0
    note: str = ""


@dataclass(frozen=True)
class Step:
    """One line of the run. Without `needed`, a failure leaves the following steps of its lane alone."""

    name: str
    work: Callable[[IO[bytes]], Outcome]
    needed: bool = False


class Report:
    """Runs steps, tells about them, counts. Several lanes may share one."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.passed = 0
        self.failed = 0
        self._failures: list[str] = []
        self._lock = threading.Lock()
        self._started = time.monotonic()
        logs.mkdir(parents=True, exist_ok=True)

    def run(self, lane: str, steps: Iterable[Step]) -> None:
        """Run the steps one after the other; after a failed needed one, the rest counts as failed."""
        remaining = iter(steps)
        for step in remaining:
            outcome = self._run_one(lane, step)
            if outcome.failed and step.needed:
                left = len(list(remaining))
                self._tell(f"[{lane}] {left} further steps not run", Outcome(failed=left))
                return

    def close(self) -> int:
        """Print what failed and the totals; returns the exit code."""
        print(*self._failures, sep="\n", end="\n" if self._failures else "")
        print(f"total {time.monotonic() - self._started:.0f} s, logs in {self.logs}")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0

    def _run_one(self, lane: str, step: Step) -> Outcome:
        path = self.logs / f"{lane}-{step.name.replace(' ', '-').replace('/', '-')}.log"
        started = time.monotonic()
        with path.open("wb") as log:
            try:
                outcome = step.work(log)
            except (LabError, OSError, subprocess.SubprocessError) as error:
                log.write(f"\n{error}\n".encode())
                outcome = Outcome(failed=1)
        seconds = time.monotonic() - started
        verdict = "FAILED" if outcome.failed else "ok"
        counts = f"{outcome.passed} passed" + (f", {outcome.failed} failed" if outcome.failed else "")
        line = f"[{lane}] {step.name:<34} {verdict:<6} {seconds:6.1f} s  {counts if outcome.passed or outcome.failed else ''} {outcome.note}"
        self._tell(line.rstrip(), outcome, path if outcome.failed else None)
        return outcome

    def _tell(self, line: str, outcome: Outcome, log: Path | None = None) -> None:
        with self._lock:
            self.passed += outcome.passed
            self.failed += outcome.failed
            print(line, flush=True)
            if outcome.failed:
                self._failures.append(line)
            if log:
                lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
                print("\n".join(f"    | {text}" for text in _excerpt(lines)) + f"\n    whole log: {log}", flush=True)
                self._failures += [f"    | {text[:SUMMARY_LENGTH]}" for text in (_reasons(lines) or lines)[-SUMMARY_LINES:]]


def _excerpt(lines: list[str]) -> list[str]:
    """The end of a log, and before it the lines above that tell what went wrong."""
    reasons = [line[:REASON_LENGTH] for line in _reasons(lines[:-TAIL_LINES])]
    return [*reasons[:REASON_LINES], *(["…"] if reasons else []), *lines[-TAIL_LINES:]]


def _reasons(lines: list[str]) -> list[str]:
    return [line for line in lines if REASON.match(line)]
