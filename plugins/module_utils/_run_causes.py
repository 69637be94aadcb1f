# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a run failed. borgmatic's exit code says nothing, and passes borg's words on without their message ids."""

from __future__ import annotations

import os
import re
from typing import Iterable, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._causes import EXIT_CODES, MSGIDS, VAGUE, classify
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import WORDS, Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._run import FAILED, Run

#: What borg's messages hold, in whatever case -> their message id.
#: Source: borg 1.2.9 and 1.4.5, as for _causes.MSGIDS.
_SPOKEN: tuple[tuple[str, str], ...] = (
    (r"Failed to create/acquire the lock .*\(timeout\)", "LockTimeout"),
    (r"Failed to create/acquire the lock ", "LockFailed"),
    (r"passphrase supplied in .* is incorrect", "PassphraseWrong"),
    (r"passcommand supplied in BORG_PASSCOMMAND failed", "PasscommandFailure"),
    (r"can ?not acquire a passphrase", "NoPassphraseFailure"),
    (r"Repository \S.* does not exist\.", "Repository.DoesNotExist"),
    (r"is not a valid repository\. Check repo config", "InvalidRepository"),
    (r"does not have a valid configuration\. Check repo config", "InvalidRepositoryConfig"),
    (r"Attic repository detected", "AtticRepository"),
    (r"Inconsistency detected\. Please run", "CheckNeeded"),
    (r"Repository has no manifest", "NoManifestError"),
    (r"No key entry found in the config of repository", "RepoKeyNotFoundError"),
    (r"No key file for repository .* found in", "KeyfileNotFoundError"),
    (r"Mismatch between repository .* and key file", "KeyfileMismatchError"),
    (r"Invalid key (?:file|data) for repository", "KeyfileInvalidError"),
    (r"Cache initialization aborted", "CacheInitAbortedError"),
    (r"Repository access aborted", "RepositoryAccessAborted"),
    (r"Repository encryption method changed since last access", "EncryptionMethodMismatch"),
    (r"is newer than repository - this is either an attack", "RepositoryReplay"),
    (r"The storage quota .* has been exceeded", "StorageQuotaExceeded"),
    (r"Insufficient free space to complete transaction", "InsufficientFreeSpaceError"),
    (r"Repository path not allowed", "PathNotAllowed"),
    (r"Connection closed by remote host", "ConnectionClosedWithHint"),
    (r"Connection to remote host is broken", "ConnectionBrokenWithHint"),
    (r"Got unexpected RPC data format from server", "UnexpectedRPCDataFormatFromServer"),
    (r"Data integrity error", "IntegrityError"),
    (r"Object with key .* not found in repository", "ObjectNotFound"),
    (r"Archive \S+ already exists", "Archive.AlreadyExists"),
)
_ENDED = r"Command '(\S+).*' returned non-zero exit status (\d+)"
#: What borgmatic says at the end of any run that failed, systemd around it, and Python when it leaves.
_NOISE = (
    r"(?:summary:|(?:.*: )?An error occurred|.*Error running (?:actions for repository|configuration(?: file)?)"
    r"|Need some help\?.*|Exception ignored in:.*|Traceback \(most recent call last\):|File \".*"
    r"|FileNotFoundError: .*/borgmatic/tmp.*)\Z"
)


class Explanation(NamedTuple):
    """Why a run failed.

    :ivar line: the line of its log that says so; empty where none does.
    """

    error: str
    line: str = ""
    advice: str = ""
    reason: Optional[str] = None


def failure(runs: Sequence[Run], results: Sequence[object]) -> Failure:
    """The failure for runs of which at least one failed.

    :param results: what the module returns of them.
    """
    failed = [run for run in runs if run.result == FAILED]
    explained = [explain(run.log, run.exit_code) for run in failed]
    first = explained[0]
    return Failure(
        first.error,
        " ".join(_told(run, explanation) for run, explanation in zip(failed, explained)),
        rc=failed[0].exit_code,
        reason=first.reason,
        retryable=all(WORDS[explanation.error] for explanation in explained),
        runs=list(results),
    )


def explain(lines: Sequence[str], exit_code: Optional[int]) -> Explanation:
    """Why a run failed that said this.

    :param exit_code: of borgmatic, or as a shell tells of a signal.
    """
    if exit_code is not None and exit_code > 128:
        return Explanation("other", "", f"It was ended by signal {exit_code - 128}.")
    if exit_code == 124:
        return Explanation("timeout", _last(lines), "It took longer than the schedule's timeout and was ended.")
    for line in reversed(lines):
        for pattern, msgid in _SPOKEN:
            if re.search(pattern, line, re.IGNORECASE):
                return _named(line, msgid, lines)
    for line in reversed(lines):
        ended = re.search(_ENDED, line)
        if ended:
            return _of_command(line, ended.group(1), int(ended.group(2)), lines)
    return Explanation("other", _last(lines))


def _named(line: str, msgid: str, lines: Iterable[str]) -> Explanation:
    cause = classify(2, msgid, line if msgid in VAGUE else "")
    if cause.error != "unreachable":
        return Explanation(cause.error, line, cause.advice)
    from ansible_collections.fleetbackup.borg.plugins.module_utils._transport import overheard

    # where it broke in mid-transfer, ssh's last words stand there as well
    said = [other for other in lines if "Remote: " in other or "ssh: " in other]
    diagnosis = overheard("\n".join(said))
    return Explanation(diagnosis.error, said[-1] if said else line, diagnosis.advice or cause.advice, diagnosis.reason)


def _of_command(line: str, program: str, status: int, lines: Sequence[str]) -> Explanation:
    if not os.path.basename(program).startswith("borg"):
        return Explanation("other", line, "It is a command of the configuration: mend or remove it.")
    if status == 1 or 100 <= status < 128:
        said = [other for other in lines if not re.search(_ENDED, other) and not re.match(_NOISE, other)]
        return Explanation("warning", said[-1] if said else line, "The archive was made; see what is missing in it.")
    cause = MSGIDS[EXIT_CODES[status]] if status in EXIT_CODES else classify(status, None, "\n".join(lines))
    return Explanation(cause.error, line, cause.advice)


def _last(lines: Sequence[str]) -> str:
    return next((line for line in reversed(lines) if line and not re.match(_NOISE, line)), "")


def _told(run: Run, explanation: Explanation) -> str:
    code = "" if run.exit_code is None else f" with exit code {run.exit_code}"
    took = f" after {run.seconds(run.ended or 0.0)} s" if run.started is not None and run.ended is not None else ""
    line = f": {explanation.line}" if explanation.line else "."
    stop = "" if line.endswith((".", "!", "?")) else "."
    said = (f"{run.schedule}: the run failed{took}{code}{line}{stop}", explanation.advice, f"See: {run.log_command}")
    return " ".join(part for part in said if part)
