# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python runs this at the start of every process that has this directory in PYTHONPATH: it notes the CPU time of a
module's own process and of the programs that it started, at its end."""

from __future__ import annotations

import atexit
import os
import resource


def note(path: str) -> None:
    """Append CPU milliseconds: own, of children."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{1000 * (own.ru_utime + own.ru_stime):.1f} {1000 * (children.ru_utime + children.ru_stime):.1f}\n")


if "BENCH_NOTES" in os.environ:
    # children must not measure themselves
    atexit.register(note, os.environ.pop("BENCH_NOTES"))
