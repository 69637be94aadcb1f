# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about arguments that AnsibleModule refuses: it says what is wrong with them, and not how it would be right.

Its words are those of ansible-core 2.18 to 2.21; of others it is left at them.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, Callable, Iterable, Iterator, Mapping

#: An example of what each type takes.
_OF_TYPES = {
    "int": "7",
    "float": "0.5",
    "bool": "true",
    "list": "[a, b]",
    "dict": "{key: value}",
    "str": "text",
    "path": "/srv/x",
}
#: Of options, where a type says too little.
_OF_NAMES = {
    "archive": "archive: latest",
    "clients": "clients: [{name: web1, public_keys: [ssh-ed25519 AAAA…], repositories: [web1]}]",
    "actions": "actions: [create]",
    "config": "config: {source_directories: [/etc], repositories: [{path: /srv/backup}], keep_daily: 7}",
    "configs": "configs: [/etc/borgmatic.d/system.yaml]",
    "confirm_id": "confirm_id: the id of the one repository that may go, which borg_repository_info returns as id",
    "destination": "destination: /srv/restored",
    "host": "host: backup1.example.org",
    "name": "name: system",
    "path": "path: /etc/borgmatic.d/system.yaml",
    "public_keys": "public_keys: [ssh-ed25519 AAAA…]",
    "repository": "repository: /srv/backup/host or ssh://borg@backup.example.org/./host",
    "schedules": "schedules: [{name: system, actions: [create], configs: [/etc/borgmatic.d/system.yaml]}]",
    "user": "user: borg",
}


def advised(msg: str, spec: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    """AnsibleModule's message with the nearest name, or the value and an example, after it.

    :param spec: the module's argument spec.
    :param shown: the arguments as others may see them.
    """
    advice = [text for pattern, how in _HOW for match in re.finditer(pattern, msg) for text in how(match, spec, shown)]
    if not advice:
        return msg
    sentence = "; ".join([msg.rstrip("."), *advice])
    return sentence if sentence.endswith("?") else f"{sentence}."


def _unsupported(match: re.Match[str], spec: Mapping[str, Any], _shown: Mapping[str, Any]) -> Iterator[str]:
    for name in match.group(1).split(", "):
        *parents, last = name.split(".")
        near = _nearest(last, _options(spec, parents))
        yield f"{last}: did you mean {near}?" if near else f"{last}: leave it out"


def _wrong_choice(match: re.Match[str], spec: Mapping[str, Any], _shown: Mapping[str, Any]) -> Iterator[str]:
    name, choices, given = match.group(1), match.group(2).split(", "), match.group(3)
    near = _nearest(given, choices)
    yield f"{name}: did you mean {near}?" if near else f"{name}: for example {choices[0]}"


def _wrong_type(match: re.Match[str], spec: Mapping[str, Any], shown: Mapping[str, Any]) -> Iterator[str]:
    name, parents, wanted = match.group(1), _parents(match.group(2)), match.group(3)
    value = shown.get(name)
    # which of several entries it is, nobody says
    subject = name if parents or value is None else f"{name}: {value!r}"
    yield f"{subject} is no {wanted}, for example {_example(name, wanted)}"


def _missing(match: re.Match[str], spec: Mapping[str, Any], _shown: Mapping[str, Any]) -> Iterator[str]:
    options = _options(spec, _parents(match.group(2)))
    for name in match.group(1).split(", "):
        yield f"give {_example(name, options.get(name, {}).get('type', 'str'))}"


def _exclusive(match: re.Match[str], _spec: Mapping[str, Any], _shown: Mapping[str, Any]) -> Iterator[str]:
    yield f"give one of {' and '.join(match.group(1).split('|'))}"


_HOW: tuple[tuple[str, Callable[[re.Match[str], Mapping[str, Any], Mapping[str, Any]], Iterator[str]]], ...] = (
    (r"\AUnsupported parameters for \(\S+\) module: (.+?)\. Supported parameters include: ", _unsupported),
    (
        r"\Avalue of (\S+) must be one (?:or more )?of: (.+?)(?:, got: |\. Got no match for: )(.*?)(?: found in .*)?\Z",
        _wrong_choice,
    ),
    (r"\A(?:argument|Elements value for option) '(\w+)' (.*?)and we were unable to convert to (\w+)", _wrong_type),
    (r"(?:missing required arguments|of the following are missing): ([\w, ]+?)((?: found in .*)?)\Z", _missing),
    (r"\Aparameters are mutually exclusive: ([\w|]+)", _exclusive),
)


def _example(name: str, wanted: str) -> str:
    return _OF_NAMES.get(name) or f"{name}: {_OF_TYPES.get(wanted, '…')}"


def _parents(text: str) -> list[str]:
    """The options around the one at hand, outermost first."""
    found = re.search(r"found in '?([\w> -]+)", text)
    return found.group(1).strip().split(" -> ") if found else []


def _options(spec: Mapping[str, Any], parents: Iterable[str]) -> Mapping[str, Any]:
    """The options that an argument spec has at some depth."""
    for parent in parents:
        spec = spec.get(parent, {}).get("options") or {}
    return spec


def _nearest(name: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, list(known), 1)), "")
