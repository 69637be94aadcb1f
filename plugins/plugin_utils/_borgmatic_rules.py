# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold between the options of a borgmatic configuration, each option by itself being right."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Iterator

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import OPTIONS
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_schema import with_constants
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_values import objection_to_derived_filter
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest

_RETENTION = tuple(name for name, option in OPTIONS.items() if name.startswith("keep_") and option.kind != "flag")
#: What decides which archives are pruned and checked.
_FILTERS = frozenset(("archive_name_format", "match_archives", "prefix"))
_SECRETS = frozenset(("encryption_passphrase", "encryption_passcommand"))
_GLOB = re.compile(r"[*?\[]")
_ESCAPED_CONSTANT = re.compile(r"\\\{\w+\\\}")


def broken_rules(document: dict[str, Any], given: set[str]) -> Iterator[str]:
    """Everything that is wrong with a document as a whole.

    :param document: flat, its options normalised; those that were refused are left out.
    :param given: the names of all its options, refused ones too, so that nobody is told twice.
    """
    yield from _repositories(document, given)
    yield from _sources(document, given)
    yield from _retention(document, given)
    yield from _filter("config", document, given)
    yield from _secrets("config", document)
    for index, entry in enumerate(document.get("repositories", [])):
        if not _FILTERS.isdisjoint(entry):
            yield from _filter(f"config.repositories[{index}]", {**document, **entry}, given)
        if not _SECRETS.isdisjoint(entry):
            yield from _secrets(f"config.repositories[{index}]", {**document, **entry})


def _repositories(document: dict[str, Any], given: set[str]) -> Iterator[str]:
    if "repositories" not in given:
        yield "config.repositories: is missing; for example repositories: [{path: /srv/backup, label: local}]"
    entries = document.get("repositories", [])
    for key in ("label", "path"):
        counted = Counter(entry[key] for entry in entries if key in entry)
        for value in (value for value, count in counted.items() if count > 1):
            yield f"config.repositories: the {key} {value!r} stands there more than once; give each repository its own"
    names = {entry[key] for entry in entries for key in ("label", "path") if key in entry}
    for index, name in enumerate(document.get("check_repositories", [])):
        if entries and name not in names and not _GLOB.search(name):
            yield (
                f"config.check_repositories[{index}]: {name!r} is neither the label nor the path of a repository"
                f"{nearest(name, names)}"
            )


def _sources(document: dict[str, Any], given: set[str]) -> Iterator[str]:
    if "create" in document.get("skip_actions", []):
        return
    if not any(_is_source(name, document) for name in given):
        yield (
            "config.source_directories: is missing, and there is nothing else to back up;"
            " for example source_directories: [/etc, /home], or skip_actions: [create]"
        )
    if "working_directory" in given:
        return
    for index, path in enumerate(document.get("source_directories", [])):
        if not path.startswith(("/", "~", "{", "$")):
            yield (
                f"config.source_directories[{index}]: {path!r} is relative to wherever borgmatic happens to start;"
                f" for example /srv/{path}, or a working_directory"
            )


def _is_source(name: str, document: dict[str, Any]) -> bool:
    """Whether an option gives borg something to back up; one that was refused counts, for then its own problem is told."""
    if name not in ("source_directories", "patterns", "patterns_from", "zfs") and not name.endswith("_databases"):
        return False
    if name == "zfs" or name not in document:  # zfs finds its datasets by their properties
        return True
    if name == "patterns":
        return any(re.match(r"R\s", line) for line in document[name])
    return bool(document[name])


def _retention(document: dict[str, Any], given: set[str]) -> Iterator[str]:
    refused = any(name.startswith("keep_") and name not in document for name in given)
    if "prune" in document.get("skip_actions", []) or refused:
        return
    if not any(document.get(name) for name in _RETENTION):
        yield (
            "config: no keep_ option keeps anything, and pruning would fail; for example keep_daily: 7,"
            " or skip_actions: [prune] where this configuration never prunes"
        )


def _filter(where: str, document: dict[str, Any], given: set[str]) -> Iterator[str]:
    name_format = document.get("archive_name_format")
    refused = any(name in given and name not in document for name in _FILTERS)
    used = not {"prune", "check"} <= set(document.get("skip_actions", []))
    if refused or not used or not name_format or document.get("match_archives") or document.get("prefix"):
        return
    objection = objection_to_derived_filter(with_constants(name_format, document.get("constants", {})))
    if objection:
        yield (
            f"{where}.archive_name_format: {name_format!r} makes a filter for pruning and checking that {objection};"
            " for example {hostname}-{now}, or say which archives are this configuration's: match_archives: sh:{hostname}-*"
        )


def _secrets(where: str, document: dict[str, Any]) -> Iterator[str]:
    if _SECRETS <= document.keys():
        yield f"{where}: encryption_passphrase and encryption_passcommand are both given; give one of them"
    constants = document.get("constants")
    passphrase = document.get("encryption_passphrase")
    if constants and passphrase is not None and not _survives(passphrase, constants):
        yield (
            f"{where}.encryption_passphrase: borgmatic would change it, since the document has constants: it holds one"
            " of their names in braces, escaped braces, or reads as a number or boolean; choose another passphrase,"
            " or do without constants"
        )


def _survives(passphrase: str, constants: dict[str, Any]) -> bool:
    """Whether borgmatic's replacing of constants leaves a text alone. Source: borgmatic/config/constants.py, which after
    it also turns texts into numbers and booleans."""
    if any(f"{{{name}}}" in passphrase for name in constants) or _ESCAPED_CONSTANT.search(passphrase):
        return False
    try:
        int(passphrase)
    except ValueError:
        return passphrase not in ("true", "True", "false", "False")
    return False
