# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A borgmatic configuration as the user wrote it, checked and brought into its one normal form."""

from __future__ import annotations

import math
import re
import sys
from typing import Any, Iterator, Union

try:
    from voluptuous import Invalid
except ImportError:  # HAS_VOLUPTUOUS tells
    Invalid = ValueError

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_diff import without_passwords
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import OPTIONS, SECTIONS
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_rules import broken_rules
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_schema import errors_of, validator
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_sections import flatten
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_values import HAS_VOLUPTUOUS
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest

NEWEST = "2.1.10"
LONGEST_SHOWN = 80

#: Signs that a value is not what the user meant, and where they come from.
_LEFT_OVERS = (
    ("$ANSIBLE_VAULT", "vault text that was not decrypted; give the decrypted value"),
    ("VARIABLE IS NOT DEFINED", "the message about a variable that is not defined; define it"),
    ("__omit_place_holder__", "what is left of an omit; leave the option out of the dictionary"),
)
_TEMPLATE = tuple((sign, "a template that was not resolved; see that its variables are defined") for sign in ("{{", "{%"))
#: Braces of other programs' templates (docker ps --format '{{.Names}}') stand here with good reason.
_COMMAND_KINDS = ("command", "commands", "command_hooks")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def check_document(config: Any, allow_unknown_options: bool = False) -> dict[str, Any]:
    """Check a configuration, flat or by sections.

    :param config: what the user gave.
    :param allow_unknown_options: let options through that this collection does not know; the installed borgmatic judges them.
    :returns: the flat document: lists for single values, dictionaries for repositories and checks, numbers for their digits.
    :raises Failure: ``invalid_argument`` with every problem in ``msg`` and, one by one, in ``problems``.
    """
    if not HAS_VOLUPTUOUS:
        raise Failure(
            "other",
            "The Python package voluptuous is missing on the controller. Install it into the Python that runs Ansible:"
            f" {sys.executable} -m pip install voluptuous",
        )
    if not isinstance(config, dict):
        raise _failure(["config: is no dictionary of borgmatic's options; for example {source_directories: [/etc], …}"])
    problems: list[str] = []
    plain = _plain(config, "config", problems)
    if problems:
        raise _failure(problems)
    flat, section_problems = flatten(plain)
    document, option_problems = _normalised(flat, allow_unknown_options)
    problems += section_problems + option_problems
    document["check_repositories"] = [_spelt_as_repositories(name) for name in document.get("check_repositories", [])]
    problems += broken_rules(document, set(flat))
    if problems:
        raise _failure(problems)
    # an empty list says nothing that its absence does not say
    return {name: value for name, value in document.items() if value != []}


def _failure(problems: list[str]) -> Failure:
    told = [without_passwords(problem) for problem in problems]
    sentence = "; ".join(told)
    return Failure("invalid_argument", sentence if sentence.endswith("?") else f"{sentence}.", problems=told)


# --- anything -> plain Python ------------------------------------------------------------------------------------


def _plain(value: Any, where: str, problems: list[str]) -> Any:
    """A value without Ansible's own types, and with only what JSON can hold."""
    if getattr(value, "__ENCRYPTED__", False):  # an inline !vault value of ansible-core up to 2.18, not yet decrypted
        value = str(value)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                problems.append(f"{where}: the key {key!r} is no text; put it in quotes")
        return {
            str(key): _plain(part, f"{where}.{key}", problems) for key, part in value.items() if isinstance(key, str)
        }
    if isinstance(value, (list, tuple)):
        return [_plain(part, f"{where}[{index}]", problems) for index, part in enumerate(value)]
    if isinstance(value, str):
        text = "".join(value)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            problems.append(f"{where}: holds bytes that are no UTF-8; write it in UTF-8")
            return text.encode("utf-8", "replace").decode("utf-8")
        return text
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    problems.append(f"{where}: is a {type(value).__name__}, which no configuration can hold; put it in quotes")
    return None


# --- option by option --------------------------------------------------------------------------------------------


def _normalised(flat: dict[str, Any], allow_unknown_options: bool) -> tuple[dict[str, Any], list[str]]:
    document: dict[str, Any] = {}
    problems: list[str] = []
    constants = flat.get("constants")
    constants = constants if isinstance(constants, dict) else {}
    for name, value in flat.items():
        left_overs = list(_left_overs(name, value))
        if left_overs:
            problems += left_overs
        elif value is None and not (name in OPTIONS and OPTIONS[name].kind == "switch"):
            problems.append(f"config.{name}: has no value; give it one, or leave it out")
        elif name in OPTIONS:
            try:
                document[name] = validator(OPTIONS[name], constants)(value)
            except Invalid as error:
                problems += [_told(name, value, one) for one in errors_of(error)]
        elif allow_unknown_options:
            document[name] = value
        else:
            problems.append(
                f"config.{name}: no borgmatic up to {NEWEST} has this option"
                f"{nearest(name, [*OPTIONS, *SECTIONS]) or '; see allow_unknown_options for newer ones'}"
            )
    return document, problems


def _left_overs(name: str, value: Any) -> Iterator[str]:
    command = name in OPTIONS and OPTIONS[name].kind in _COMMAND_KINDS
    for where, text in _texts(value, f"config.{name}"):
        for sign, source in _LEFT_OVERS if command or where.endswith("_command") else _LEFT_OVERS + _TEMPLATE:
            if sign in text:
                yield f"{where}: looks like {source}"
        if _CONTROL.search(text):
            yield f"{where}: holds a control character; write it without"


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, f"{where}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _texts(part, f"{where}[{index}]")


def _told(name: str, value: Any, error: Invalid) -> str:
    """One problem as a sentence, with the value where that may be shown."""
    where, shown = f"config.{name}", value
    public: Union[bool, frozenset[str]] = OPTIONS[name].public
    for step in error.path:
        where += f"[{step}]" if isinstance(step, int) else f".{step}"
        if isinstance(step, str):
            public = isinstance(public, frozenset) and step in public
        if isinstance(shown, (dict, list)):
            shown = _part(shown, step)
    scalar = isinstance(shown, (str, int, float)) and public is True
    if not scalar or getattr(error, "shown", False):
        return f"{where}: {error.msg}"
    text = repr(shown)
    return f"{where}: {text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + '…'} {error.msg}"


def _part(container: Any, step: Any) -> Any:
    try:
        return container[step]
    except (KeyError, IndexError, TypeError):
        return None


def _spelt_as_repositories(name: str) -> str:
    """A repository's path in the spelling in which ``repositories`` has it; a label as it is."""
    try:
        return str(Location.parse(name, "check_repositories"))
    except Failure:
        return name
