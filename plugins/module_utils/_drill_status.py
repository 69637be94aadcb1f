# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of a repository's last restore drill: a file for this collection, and one for Prometheus."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import time
from typing import Any, Mapping, NamedTuple, Optional, Union

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill import FAILED, PASSED, Report, drill
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_pick import Request, pick
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure, as_failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

#: name -> what it says, the key of the status that it shows.
_GAUGES = {
    "timestamp_seconds": ("When the last restore drill ended, in seconds since 1970.", "timestamp"),
    "success": ("Whether the last restore drill brought back everything as it was.", "success"),
    "files": ("How many files the last restore drill was about.", "files"),
    "bytes": ("How many bytes the last restore drill was about.", "bytes"),
    "duration_seconds": ("How long the last restore drill took.", "duration"),
}


class Ledger(NamedTuple):
    """Where the drills of one repository are noted.

    :ivar config: the name of the configuration that the repository belongs to.
    :ivar directory: for the status; None: nowhere.
    :ivar textfile_directory: where the node exporter of Prometheus looks; None: nowhere.
    """

    repository: str
    config: str = ""
    directory: Optional[str] = None
    textfile_directory: Optional[str] = None

    def check(self) -> None:
        """Refuse places where nothing can be noted.

        :raises Failure: ``invalid_argument``.
        """
        for name, path in (("status_directory", self.directory), ("textfile_directory", self.textfile_directory)):
            if path is not None and not path.startswith("/"):
                raise Failure("invalid_argument", f"{name}: {path!r} is no absolute path; for example /var/lib/fleetbackup/drills.")
        if self.textfile_directory is not None and not os.path.isdir(self.textfile_directory):
            raise Failure(
                "invalid_argument",
                f"textfile_directory: {self.textfile_directory!r} is no directory. Make the one that the node exporter is told with"
                " --collector.textfile.directory; for example /var/lib/prometheus/node-exporter.",
            )

    def note(self, outcome: Union[Report, Failure], seconds: float) -> None:
        """Note how a drill ended.

        :param seconds: how long it took.
        :raises OSError:
        """
        status = {**_status(outcome), "repository": self.repository, "config": self.config, "duration": round(seconds, 1)}
        status["ended"] = datetime.datetime.now(UTC).isoformat(timespec="seconds")
        if self.directory is not None:
            os.makedirs(self.directory, 0o700, exist_ok=True)
            text = json.dumps(status, indent=2, sort_keys=True) + "\n"
            write_atomically(f"{self.directory}/{self._slug}.json", text.encode(), mode=0o600)
        if self.textfile_directory is not None:
            path = f"{self.textfile_directory}/fleetbackup_drill_{self._slug}.prom"
            write_atomically(path, self._metrics(status).encode(), mode=0o644)

    @property
    def _slug(self) -> str:
        """A name for files: readable, and one for each repository."""
        readable = re.sub(r"[^A-Za-z0-9]+", "_", self.repository).strip("_")[-60:]
        return f"{readable}_{hashlib.sha256(os.fsencode(self.repository)).hexdigest()[:8]}"

    def _metrics(self, status: Mapping[str, Any]) -> str:
        moment = datetime.datetime.fromisoformat(status["ended"]).timestamp()
        values = {**status, "timestamp": int(moment), "success": int(status["verdict"] == PASSED)}
        labels = f'repository="{_escaped(self.repository)}",config="{_escaped(self.config)}"'
        lines = []
        for gauge, (help_text, key) in _GAUGES.items():
            name = f"fleetbackup_drill_{gauge}"
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} gauge", f"{name}{{{labels}}} {values[key]}"]
        return "\n".join([*lines, ""])


def perform(borg: Borg, request: Request, scratch_directory: str, ledger: Ledger) -> Report:
    """Drill, and note how that ended, whichever way it did.

    :raises Failure: ``integrity`` with what was found; whatever keeps a drill from being done or noted.
    """
    began = time.monotonic()
    try:
        report = drill(borg, request, pick(borg, request), scratch_directory)
    except Exception as error:  # whatever it is, the note of the last drill must not stand for this one
        failure = as_failure(error)
        raise _joined(failure, _note(ledger, failure, time.monotonic() - began)) from None
    unnoted = _note(ledger, report, time.monotonic() - began)
    if report.problems:
        raise _joined(report.failure(borg), unnoted)
    if unnoted is not None:
        raise unnoted
    return report


def _note(ledger: Ledger, outcome: Union[Report, Failure], seconds: float) -> Optional[Failure]:
    """Note how a drill ended; what keeps that from being noted."""
    try:
        ledger.note(outcome, seconds)
    except OSError as error:
        reason = as_failure(error)
        return Failure(reason.error, f"How the drill ended could not be noted: {reason.msg} What was noted before is out of date.")
    return None


def _joined(failure: Failure, unnoted: Optional[Failure]) -> Failure:
    """Why a drill failed counts for more than why that is not noted, which is told too."""
    if unnoted is not None:
        failure.msg += f" {unnoted.msg}"
    return failure


def _status(outcome: Union[Report, Failure]) -> dict[str, Any]:
    if isinstance(outcome, Report):
        told = {name: value for name, value in outcome.as_result().items() if name != "paths"}
        return {**told, "error": "integrity" if outcome.problems else None, "msg": None}
    told = {"archive": outcome.details.get("archive"), "error": outcome.error, "msg": outcome.msg}
    return {"verdict": FAILED, "files": 0, "bytes": 0, "compared": 0, "problems": [], "truncated": False, **told}


def _escaped(text: str) -> str:
    """A label's value as Prometheus reads it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
