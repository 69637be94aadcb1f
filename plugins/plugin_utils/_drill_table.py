# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that tell who passed a drill. A client in the wrong hands may answer anything; it is told in its own line, and in no other's."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible.module_utils.common.text.formatters import bytes_to_human

_SHOWN_PROBLEMS = 3
_LONGEST_CELL = 500


def lines(drilled: Sequence[Mapping[str, Any]], host: str) -> list[str]:
    """A line for each drill of a client, or one that says that there was none.

    :param drilled: what the client has answered for each ``__borgmatic_repository``, the loop's variable.
    """
    if not drilled:
        return [f"{host} | not drilled, see above"]
    return [" | ".join(map(_cell, [host, result["__borgmatic_repository"]["location"], *_outcome(result)])) for result in drilled]


def _outcome(result: Mapping[str, Any]) -> list[str]:
    """Verdict, archive, extent, and of a failure its reason."""
    failed = bool(result.get("failed"))
    verdict = "failed" if failed else "passed" if result.get("verdict") == "passed" else "not tried"
    archive = result.get("archive")
    name = archive.get("name") if isinstance(archive, Mapping) else None
    files, size, duration = (_number(result.get(key)) for key in ("files", "bytes", "duration"))
    extent = f"{files} files, {bytes_to_human(size)}, {duration} s"
    problems = result.get("problems")
    named = "; ".join(map(_cell, problems[:_SHOWN_PROBLEMS])) if isinstance(problems, Sequence) and not isinstance(problems, str) else ""
    return [verdict, name or "-", extent, *([named or result.get("msg") or "no reason given"] if failed else [])]


def _number(value: Any) -> Any:
    """A count as the module has it; nonsense counts for nothing."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1 << 63 else 0


def _cell(value: Any) -> str:
    """Text that stays in its cell."""
    return " ".join(str(value).replace("|", "¦").split())[:_LONGEST_CELL]
