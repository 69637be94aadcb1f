# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be shown of a borgmatic configuration: values under public options, of everything else that it is there.

Both files are at hand only on the target, so they are compared there: the old secrets never travel.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterator

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import OPTIONS
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_yaml import UNREAD, read
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference

HIDDEN = "(hidden)"
HIDDEN_CHANGED = "(hidden, changed)"

_URL_PASSWORD = r"(//[^/@:\s]*):[^/@\s]*@"
#: A value shorter than this is looked for only where it stands in quotes, one shorter than the next only as a word.
_SHORTEST, _TELLING = 4, 12


def compare(difference: Difference, before: str, after: str) -> None:
    """Note every option that differs between two files.

    :param before: the text of the present file; empty: there is none.
    :param after: the text of the wanted file; empty: there shall be none.
    """
    old, new = read(before), read(after)
    for name in [*new, *(name for name in old if name not in new)]:
        if name in old and name in new and old[name] == new[name]:
            continue
        shown_before = _shown(name, old[name]) if name in old else None
        shown_after = _shown(name, new[name]) if name in new else None
        if shown_before == shown_after:
            shown_after = HIDDEN_CHANGED if shown_after == HIDDEN else f"{shown_after} {HIDDEN_CHANGED}"
        difference.add(name, shown_before, shown_after)
    if before != after and not difference.changed:
        difference.add("layout", "(other comments, order or spelling)", "(as this module writes it)")


def _shown(name: str, value: Any) -> Any:
    option = OPTIONS.get(name)
    if option is None or not option.public or value is UNREAD:
        return HIDDEN
    return _redacted(value, option.public)


def _redacted(value: Any, public: Any) -> Any:
    if isinstance(value, list):
        return [_redacted(element, public) for element in value]
    if isinstance(value, dict):
        if public is True:
            return HIDDEN
        return {key: _redacted(part, True) if key in public else HIDDEN for key, part in value.items()}
    return without_passwords(value) if isinstance(value, str) else value


def without_passwords(text: str) -> str:
    """A text whose URLs show no password."""
    return re.sub(_URL_PASSWORD, r"\1:(hidden)@", text)


def scrub(text: str, document: dict[str, Any]) -> str:
    """Take the hidden values of a document out of what a program printed about it.

    :param document: flat or by sections.
    """
    hidden = {leaf for name, value in document.items() for leaf in _hidden(name, value)}
    patterns = [_in_any_spelling(leaf) for leaf in sorted(hidden, key=len, reverse=True)]
    return without_passwords(re.sub("|".join(patterns), HIDDEN, text) if patterns else text)


def _hidden(name: str, value: Any) -> Iterator[str]:
    option = OPTIONS.get(name)
    public = option.public if option else False
    if public is not True:
        for leaf in _leaves(value, public or frozenset()):
            if leaf not in (None, "") and not isinstance(leaf, bool):
                yield from (str(leaf), str(leaf).replace("\\${", "${"))


def _in_any_spelling(value: str) -> str:
    """A pattern for a value as it is, and quoted or escaped as YAML, JSON and Python do it, once or several times over. A
    short value counts only where it is no part of a longer word: it may be a word such as ``backup``."""
    pattern = "".join(map(_spellings, re.findall(r"\\+|\s+|.", value)))
    if len(value) < _SHORTEST:
        return rf"""(?<=['"]){pattern}(?=\\*['"])"""
    return pattern if len(value) >= _TELLING else rf"(?:(?<!\w)|(?<=\\[nrt])){pattern}(?!\w)"


def _spellings(part: str) -> str:
    """A pattern for one character, or for a run of backslashes or of white space."""
    if part.isascii() and part.isalnum():
        return part
    if part[0] == "\\":
        return r"\\+"
    if part.isspace():
        return r"(?:\s|\\+[nrt])+"
    escapes = (json.dumps(part)[1:-1], part.encode("unicode_escape").decode())
    patterns = [r"\\*" + re.escape(part), *(r"\\+".join(map(re.escape, escape.split("\\"))) for escape in escapes)]
    if part == "'":
        patterns.append("''")
    return "(?:" + "|".join(patterns) + ")"


def _leaves(value: Any, public: frozenset[str]) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in public:
                yield from _leaves(part, public)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part, public)
    else:
        yield value
