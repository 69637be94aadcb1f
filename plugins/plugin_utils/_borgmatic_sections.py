# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents by sections (``location:``, ``storage:`` …), as borgmatic had them up to 1.7, made flat."""

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import RENAMED, SECTIONS


def flatten(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Lift the options out of their sections, and give renamed ones their present name.

    :returns: the flat document, and what is wrong with the sections.
    """
    flat: dict[str, Any] = {}
    origin: dict[str, str] = {}
    problems = []
    for section, name, value in _entries(document):
        if section and name is None:
            problems.append(
                f"config.{section} is a section: give it options, for example {section}: {{{_EXAMPLES[section]}}}"
            )
            continue
        where = f"config.{section}.{name}" if section else f"config.{name}"
        name = RENAMED.get(name, name)
        if name in flat and flat[name] != value:
            problems.append(f"{where} differs from {origin[name]}, and they are one option: give it once")
            continue
        flat[name] = value
        origin.setdefault(name, where)
    return flat, problems


_EXAMPLES = {
    "location": "source_directories: [/etc]",
    "storage": "compression: zstd",
    "retention": "keep_daily: 7",
    "consistency": "checks: [repository]",
    "output": "color: false",
    "hooks": 'on_error: ["/usr/local/bin/alarm"]',
}


def _entries(document: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name, value in document.items():
        if name not in SECTIONS:
            yield "", name, value
        elif isinstance(value, dict):
            for inner, part in value.items():
                yield name, inner, part
        elif value is not None:  # an empty section, as seen in many examples, holds nothing
            yield name, None, value
