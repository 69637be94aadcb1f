# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A borgmatic configuration as text and back, with nothing but the standard library.

JSON is YAML: every option takes one line, or one line for each element of a list, and each value is JSON. So any YAML
parser reads what the user wrote, whatever quotes, braces, colons or hashes it holds, and we read our own files without one.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterator

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import OPTIONS, SECTIONS

HEADER = "# Managed by Ansible (fleetbackup.borg.borgmatic_config): changes made here will be overwritten.\n"

#: Stands for a value of somebody else's file that we did not understand.
UNREAD = object()

#: These keys of a dictionary come first, for whoever reads the file.
_LEADING = ("path", "label", "name", "code", "before", "after", "when")
#: What JSON leaves as it is, but YAML takes for a line break or does not allow in a file.
_NOT_PRINTABLE = "[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]"

_KEY = r"([A-Za-z_]\w*):(?:[ \t]+(.*))?\Z"
_ITEM = r" *-[ \t]+(.*)\Z"
#: What may stand before a value on its line: dashes, keys, tags and anchors.
_OPENING = r"""\s*(?:-\s+|[^\s"'\[{#:][^:"']*:\s+|[&!]\S*\s+)*["'\[{]"""
_QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'"""
_PLAIN = r"[\w./~+](?:[^\n#:]|:(?=\S)|(?<=\S)#)*\Z"


def render(document: dict[str, Any]) -> str:
    """The file's text: the same for the same options, in whatever order they came.

    :param document: flat, or by sections.
    """
    return HEADER + "".join(_lines(document, ""))


def _lines(document: dict[str, Any], indent: str) -> Iterator[str]:
    known = [name for name in (*SECTIONS, *OPTIONS) if name in document]
    for name in known + sorted(name for name in document if name not in known):
        value = document[name]
        if name in SECTIONS:
            yield f"{name}:\n"
            yield from _lines(value, indent + "    ")
        elif isinstance(value, list) and value:
            yield f"{indent}{name}:\n"
            for element in value:
                yield f"{indent}    - {_json(element)}\n"
        else:
            yield f"{indent}{name}: {_json(value, ordered=name != 'constants')}\n"


def _json(value: Any, ordered: bool = True) -> str:
    # borgmatic replaces constants one after the other before 2.1: their order has a meaning
    text = json.dumps(_in_order(value) if ordered else value, ensure_ascii=False, allow_nan=False)
    return re.sub(_NOT_PRINTABLE, lambda match: f"\\u{ord(match.group(0)):04x}", text)


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        names = [name for name in _LEADING if name in value]
        return {name: _in_order(value[name]) for name in names + sorted(set(value) - set(names))}
    if isinstance(value, list):
        return [_in_order(element) for element in value]
    return value


def read(text: str) -> dict[str, Any]:
    """The options of a file: exact for our own, as far as it goes for one that a human wrote.

    :returns: a flat dictionary; a value that was not understood is :data:`UNREAD`.
    """
    lines = [line.rstrip() for line in text.splitlines()]
    blocks = _blocks([line for line in lines if line and not line.lstrip().startswith("#")])
    return {name: _value(inline, below) for name, inline, below in blocks}


def _blocks(lines: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Of each option, those in sections too: its name, what follows on its line, the lines below it."""
    if not lines:
        return
    indent = len(lines[0]) - len(lines[0].lstrip())
    blocks: list[tuple[str, str, list[str]]] = []
    inside = False
    for line in lines:
        key = None if inside or line[:indent].strip() else re.match(_KEY, line[indent:])
        if key:
            blocks.append((key.group(1), key.group(2) or "", []))
        elif blocks:
            blocks[-1][2].append(line)
        inside = inside or _stays_open(line)
    for name, inline, below in blocks:
        if name in SECTIONS and not inline:
            yield from _blocks(below)
        else:
            yield name, inline, below


def _stays_open(line: str) -> bool:
    """Whether a quote or a bracket that a value begins with is not closed on its line. What follows then belongs to that
    value, at any indentation: it may look like options and be part of a secret. Where it ends we do not try to tell."""
    if not re.match(_OPENING, line):
        return False
    bare = re.sub(r"\s#.*", "", re.sub(_QUOTED, "", line))
    return bool(re.search("[\"']", bare)) or sum(map(bare.count, "[{")) > sum(map(bare.count, "]}"))


def _value(inline: str, below: list[str]) -> Any:
    if inline:
        return UNREAD if below else _scalar(inline)
    elements = [_scalar(item.group(1)) if item else UNREAD for item in (re.match(_ITEM, line) for line in below)]
    return UNREAD if UNREAD in elements else elements


def _scalar(text: str) -> Any:
    """A value on one line: JSON, in single quotes, or a plain word that can be nothing else."""
    text = text.strip()
    try:
        return json.loads(text)
    except ValueError:
        pass
    if len(text) >= 2 and text[0] == text[-1] == "'" and "'" not in text[1:-1].replace("''", ""):
        return text[1:-1].replace("''", "'")
    return text if re.match(_PLAIN, text) else UNREAD
