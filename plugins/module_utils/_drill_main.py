# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore drills of the repositories of borgmatic's configurations, from the command line: what schedules run."""

from __future__ import annotations

import argparse
import os
import sys
import syslog
from typing import Callable, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils import _drill_pick as picks
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic import Borgmatic
from ansible_collections.fleetbackup.borg.plugins.module_utils._configured import Entry, read_repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_status import Ledger, perform
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure, as_failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._scratch import DEFAULT_PARENT, Ended

#: Seconds to wait for a borg that works on the repository.
_LOCK_WAIT = 600

Say = Callable[[str], None]


def main(arguments: Sequence[str]) -> int:
    """Drill; the exit code is 1 where one repository failed.

    :param arguments: of the command line.
    """
    options = _parser().parse_args(arguments)
    say: Say = _to_syslog if options.syslog else _to_output
    try:
        request = picks.read_request({**vars(options), "match_archives": None})
        borgmatic = Borgmatic.find(options.borgmatic)
        if borgmatic is None:
            raise Failure("borg_missing", f"There is no {options.borgmatic}. Install borgmatic.")
        results = [_drill_configuration(borgmatic, path, request, options, say) for path in options.config]
    except Exception as error:
        results = [_failed("drill", error, say)]
    return 0 if all(results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="drill", description="Prove by restores that backups would give files back.", allow_abbrev=False)
    parser.add_argument("--config", action="append", required=True, help="a configuration of borgmatic; may be given more than once")
    parser.add_argument("--borgmatic", default="borgmatic", help="its program")
    parser.add_argument("--full", action="store_true", help="restore all of an archive, no sample")
    parser.add_argument("--sample", type=int, default=picks.DEFAULT_SAMPLE, help="how many files at most")
    parser.add_argument("--sample-bytes", type=int, default=picks.DEFAULT_SAMPLE_BYTES, help="how large they may be together")
    parser.add_argument("--within", default=picks.DEFAULT_WITHIN, help="an archive that is not older than this")
    parser.add_argument("--witness", help="a file that every archive holds")
    parser.add_argument("--seed", help="decides instead of chance")
    parser.add_argument("--lock-wait", type=int, default=_LOCK_WAIT, help="seconds to wait for another borg")
    parser.add_argument("--scratch-directory", default=DEFAULT_PARENT, help="where files are restored to")
    parser.add_argument("--status-directory", help="where the last drill of each repository is noted")
    parser.add_argument("--textfile-directory", help="where it is told to Prometheus")
    parser.add_argument("--syslog", action="store_true", help="report there")
    return parser


def _drill_configuration(
    borgmatic: Borgmatic, path: str, request: picks.Request, options: argparse.Namespace, say: Say
) -> bool:
    name = os.path.splitext(os.path.basename(path))[0]
    try:
        entries = read_repositories(borgmatic, path, executable="borg", timeout=None)
    except Exception as error:
        return _failed(f"{path}: drill", error, say)
    passed = [_drill_repository(entry, name, request, options, say) for entry in entries]
    return all(passed)


def _drill_repository(entry: Entry, config: str, request: picks.Request, options: argparse.Namespace, say: Say) -> bool:
    base = entry.borg.base_directory or os.environ.get("BORG_BASE_DIR")
    borg = entry.borg._replace(lock_wait=options.lock_wait, base_directory=base)
    ledger = Ledger(str(borg.repository), config, options.status_directory, options.textfile_directory)
    try:
        ledger.check()
        report = perform(borg, request._replace(match=entry.match_archives), options.scratch_directory, ledger)
    except Exception as error:
        return _failed(f"{borg.repository}: drill", error, say)
    picked = report.pick
    say(
        f"{borg.repository}: drill passed: {picked.archive.name}, {picked.files} files, {picked.size} bytes, {report.compared} compared"
        f" with those here, {report.duration:.1f} s"
    )
    return True


def _failed(what: str, error: Exception, say: Say) -> bool:
    """Tell what a drill failed of; that it did not pass. Only who is told to end leaves the others out."""
    failure = as_failure(error)
    say(f"{what} failed ({failure.error}): {failure.msg}")
    if isinstance(failure, Ended):
        raise SystemExit(1)
    return False


def _to_output(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _to_syslog(text: str) -> None:
    syslog.openlog("borgmatic")
    syslog.syslog(syslog.LOG_ERR if " failed (" in text else syslog.LOG_INFO, text)
