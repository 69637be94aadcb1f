# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one version of borgmatic can read of a document, and the document as that version wants it.

A document is a flat dictionary of options as the controller has checked and normalised it.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, NamedTuple

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import (
    CREDENTIALS_SINCE,
    FLAT_SINCE,
    OLDEST,
    OPTIONS,
    PER_REPOSITORY_SINCE,
    REPOSITORY_KEYS,
    SECTIONS,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._packages import version_tuple

#: borgmatic looks only at the beginning. Source: borgmatic/hooks/credential/parse.py.
_CREDENTIAL = r"\{credential(?: +.*)?\}"


class Translation(NamedTuple):
    """A document for one version.

    :ivar document: flat, or by sections for borgmatic 1.7.
    :ivar left_out: what that version can't read and loses nothing by.
    """

    document: dict[str, Any]
    left_out: list[str]


def translate(document: dict[str, Any], version: str) -> Translation:
    """Bring a flat document into the form that a version of borgmatic reads.

    :raises Failure: ``version`` naming everything in the document that this version can't read.
    """
    unreadable = list(_unreadable(document, version))
    if unreadable:
        raise Failure(
            "version",
            f"The installed borgmatic {version} can't read this configuration: {'; '.join(unreadable)}."
            " Take it out, or install a version of borgmatic that reads it.",
        )
    entries, left_out = _repositories(document.get("repositories", []), version)
    translated = {**document, "repositories": entries}
    if not _older(version, FLAT_SINCE):
        return Translation(translated, left_out)
    # borgmatic 1.7 compares check_repositories with the paths: there are no labels
    paths = {entry["label"]: entry["path"] for entry in document["repositories"] if "label" in entry}
    translated["repositories"] = [entry["path"] for entry in entries]
    if "check_repositories" in translated:
        translated["check_repositories"] = [paths.get(name, name) for name in translated["check_repositories"]]
    return Translation(_sectioned(translated), left_out)


def is_credential(text: str) -> bool:
    """Whether borgmatic takes a text for a reference to a credential."""
    return bool(re.match(_CREDENTIAL, text))


def _unreadable(document: dict[str, Any], version: str) -> Iterator[str]:
    if _older(version, OLDEST):
        yield f"borgmatic before {OLDEST} is not supported"
    for name in document:
        option = OPTIONS.get(name)
        if option and option.since and _older(version, option.since):
            yield f"{name} is read from borgmatic {option.since} on"
        if option and option.until and _older(option.until, version):
            yield f"{name} is read up to borgmatic {option.until}"
    for index, entry in enumerate(document.get("repositories", [])):
        for name in entry:
            key = REPOSITORY_KEYS.get(name)
            since = key.since if key else PER_REPOSITORY_SINCE
            if _older(version, since) and not (key and key.consumed):
                yield f"repositories[{index}].{name} is read from borgmatic {since} on"
    if _older(version, CREDENTIALS_SINCE):
        for name, value in document.items():
            if any(map(is_credential, _texts(value))):
                yield f"{name}: {{credential ...}} is read from borgmatic {CREDENTIALS_SINCE} on"


def _repositories(entries: list[dict[str, Any]], version: str) -> tuple[list[dict[str, Any]], list[str]]:
    readable, left_out = [], []
    for index, entry in enumerate(entries):
        lost = [name for name in entry if name in REPOSITORY_KEYS and _older(version, REPOSITORY_KEYS[name].since)]
        left_out += [f"repositories[{index}].{name}" for name in lost]
        readable.append({name: value for name, value in entry.items() if name not in lost})
    return readable, left_out


def _sectioned(document: dict[str, Any]) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    for name, value in document.items():
        option = OPTIONS.get(name)
        if option is None or not option.sections:
            sections[name] = value
            continue
        for section in option.sections:
            sections.setdefault(section, {})[name] = value
    return {name: sections[name] for name in (*SECTIONS, *sections) if name in sections}


def _older(version: str, than: str) -> bool:
    return bool(than) and version_tuple(version) < version_tuple(than)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
