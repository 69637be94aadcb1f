# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that a schedule runs for restore drills: where it stands, how it is run. :mod:`_drill_zipapp` makes it; units name
it on each run, so this loads nothing else."""

from __future__ import annotations

import os
import sys
from typing import Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Launch

#: Options of the program that name a directory in which it writes.
_DIRECTORIES = ("--scratch-directory=", "--status-directory=", "--textfile-directory=")


def program_path(scope: str, launch: Launch) -> str:
    """Where it stands.

    :param scope: ``system`` or ``user``.
    """
    prefix = "/usr/local" if scope == "system" else f"{launch.account.home}/.local"
    return f"{prefix}/lib/fleetbackup/drill.pyz"


def notes_directory(launch: Launch) -> str:
    """Where it notes how drills ended."""
    return "/var/lib/fleetbackup/drills" if launch.account.is_root else f"{launch.account.home}/.local/state/fleetbackup/drills"


def command(scope: str, launch: Launch, configs: Sequence[str], arguments: Sequence[str], *options: str) -> list[str]:
    """How it is run.

    :param arguments: the schedule's own.
    :param options: what the scheduler needs.
    """
    files = [f"--config={path}" for path in configs]
    fixed = [f"--borgmatic={launch.program}", f"--status-directory={notes_directory(launch)}"]
    return [_interpreter(), "-I", program_path(scope, launch), *options, *fixed, *files, *arguments]


def written(launch: Launch, arguments: Sequence[str]) -> list[str]:
    """The directories in which it writes, besides borg's own and those for temporary files."""
    named = [argument[len(option) :] for argument in arguments for option in _DIRECTORIES if argument.startswith(option)]
    return [notes_directory(launch), *named]


def _interpreter() -> str:
    """The one that runs this, by the name that outlives its updates where it has that."""
    usual = "/usr/bin/python3"
    return usual if os.path.realpath(usual) == os.path.realpath(sys.executable) else sys.executable
