# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The validator of each option of a borgmatic configuration: its kind of value, lists and dictionaries of values."""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable, Mapping, Union

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import (
    ACTIONS,
    OPTIONS,
    REPOSITORY_KEYS,
    Option,
    RepositoryKey,
)
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_values as values
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_values import Validator, reject
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest

try:
    from voluptuous import Invalid, MultipleInvalid, Optional, Required, Schema
except ImportError:  # HAS_VOLUPTUOUS tells
    Invalid = MultipleInvalid = ValueError

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "weekday", "weekend")
CHECKS = ("repository", "archives", "data", "spot", "extract", "disabled")
MOMENTS = ("action", "repository", "configuration", "everything")
PERCENTAGES = ("count_tolerance_percentage", "data_sample_percentage", "data_tolerance_percentage")

_CONSTANT = re.compile(r"\{(\w+)\}")
_EMPTY = "is an empty list"


def validator(option: Union[Option, RepositoryKey], constants: Mapping[str, Any]) -> Validator:
    """The validator for an option.

    :param constants: the document's ``constants``. A text that names one is checked for what it will become, and left
        as it is.
    """
    if option.kind == "repositories":
        return _each(
            _repository(constants),
            empty=f"{_EMPTY}, and borgmatic would succeed without any backup; for example [{{path: /srv/backup}}]",
        )
    check = _KINDS[option.kind](option)
    if option.kind == "passphrase":
        return check

    def resolve(value: Any) -> Any:
        resolved = with_constants(value, constants) if isinstance(value, str) else value
        if resolved == value:
            return check(value)
        try:
            check(resolved)
        except Invalid as error:
            if getattr(error, "shown", False):  # a constant may be a secret
                raise Invalid("is no location once its constants are in place; for example /srv/{name}") from error
            raise
        return value

    return resolve


def errors_of(error: Exception) -> list[Any]:
    """The single errors in one that may hold several."""
    return list(error.errors) if isinstance(error, MultipleInvalid) else [error]


def with_constants(text: str, constants: Mapping[str, Any]) -> str:
    """A text with the document's constants in their places."""
    return _CONSTANT.sub(lambda match: str(constants.get(match.group(1), match.group(0))), text)


def _each(item: Validator, empty: str = "") -> Validator:
    """A list, every element checked; a single value is a list of one.

    :param empty: why an empty list is refused; without it, it is accepted.
    """

    def check(value: Any) -> list[Any]:
        normal: list[Any] = []
        errors: list[Any] = []
        for index, element in enumerate(value if isinstance(value, list) else [value]):
            try:
                normal.append(item(element))
            except Invalid as error:
                error.prepend([index])
                errors += errors_of(error)
        if errors:
            raise MultipleInvalid(errors)
        if empty and not normal:
            reject(empty)
        return normal

    return check


def _keyed(keys: Mapping[str, Validator], required: Iterable[str] = ()) -> Validator:
    """A dictionary of these keys."""
    needed = tuple(required)

    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            reject(f"is no dictionary; for example {{{', '.join(f'{key}: …' for key in needed)}}}")
        errors = [Invalid(f"is no key that is known here{nearest(key, keys)}", path=[key]) for key in value if key not in keys]
        schema = Schema(
            {
                (Required(key, msg="is missing") if key in needed else Optional(key)): item
                for key, item in keys.items()
                if key in value or key in needed
            }
        )
        try:
            normal = schema({key: part for key, part in value.items() if key in keys})
        except Invalid as error:
            errors += errors_of(error)
        if errors:
            raise MultipleInvalid(errors)
        return normal

    return check


def _mapping(value: Any) -> Any:
    """A dictionary whose keys are the installed borgmatic's to judge."""
    if not isinstance(value, dict):
        reject("is no dictionary; for example {key: value}")
    return value


def _switch(value: Any) -> Any:
    """Such as ``zfs:``, which is on by being there."""
    return {} if value is None else _mapping(value)


def _monitor(key: str) -> Validator:
    """A dictionary, or the value of its main key alone."""
    return lambda value: {key: value} if isinstance(value, str) else _mapping(value)


def _check(value: Any) -> Any:
    normal = _CHECK({"name": value} if isinstance(value, str) else value)
    spot = normal["name"] == "spot"
    errors = [Invalid("is missing; for example 1", path=[key]) for key in PERCENTAGES if spot and key not in normal]
    for key in (*PERCENTAGES, "xxh64sum_command"):
        if key in normal and not spot:
            errors.append(Invalid("belongs to the check spot only; leave it out", path=[key]))
    if "max_duration" in normal and normal["name"] != "repository":
        errors.append(Invalid("belongs to the check repository only; leave it out", path=["max_duration"]))
    if errors:
        raise MultipleInvalid(errors)
    if spot and normal["data_tolerance_percentage"] > normal["data_sample_percentage"]:
        raise Invalid(
            "is more than data_sample_percentage, so that nothing could fail; for example 0.5",
            path=["data_tolerance_percentage"],
        )
    return normal


_CHECK = _keyed(
    {
        "name": values.choice(CHECKS),
        "frequency": values.frequency,
        "only_run_on": _each(values.choice(WEEKDAYS), empty=f"{_EMPTY}, which means any day; leave it out"),
        "max_duration": values.count(1),
        **dict.fromkeys(PERCENTAGES, values.percentage),
        "xxh64sum_command": values.command,
    },
    required=("name",),
)


def _command_hook(value: Any) -> Any:
    normal = _COMMAND_HOOK(value)
    if ("before" in normal) == ("after" in normal):
        reject("needs one of before and after; for example {before: action, when: [create], run: [sync]}")
    return normal


_COMMAND_HOOK = _keyed(
    {
        "before": values.choice(MOMENTS),
        "after": values.choice((*MOMENTS, "error")),
        "when": _each(values.choice(ACTIONS)),
        "states": _each(values.choice(("finish", "fail"))),
        "run": _each(values.command, empty=f"{_EMPTY}; for example [sync]"),
    },
    required=("run",),
)


def _repository(constants: Mapping[str, Any]) -> Validator:
    """An entry of ``repositories``: its own keys, and any option that shall hold for it alone."""
    nowhere_else = ("constants", "repositories", "check_repositories")
    keys: dict[str, Union[Option, RepositoryKey]] = {
        **{name: option for name, option in OPTIONS.items() if name not in nowhere_else},
        **REPOSITORY_KEYS,
    }
    check = _keyed({name: validator(key, constants) for name, key in keys.items()}, required=("path",))
    return lambda value: check({"path": value} if isinstance(value, str) else value)


#: How the validator of each kind is made. The argument is an Option or a RepositoryKey.
_KINDS: dict[str, Callable[[Any], Validator]] = {
    "archive_filter": lambda option: values.archive_filter,
    "archive_name": lambda option: values.archive_name,
    "archive_prefix": lambda option: values.archive_prefix,
    "checks": lambda option: _each(
        _check, empty=f"{_EMPTY}, and borgmatic then runs its default checks; for example skip_actions: [check]"
    ),
    "choice": lambda option: values.choice(option.values),
    "choices": lambda option: _each(values.choice(option.values)),
    "chunker_params": lambda option: values.chunker_params,
    "command": lambda option: values.command,
    "command_hooks": lambda option: _each(_command_hook),
    "commands": lambda option: _each(values.command),
    "compression": lambda option: values.compression,
    "count": lambda option: values.count(option.least),
    "disabled": lambda option: values.disabled,
    "exit_codes": lambda option: _each(
        _keyed(
            {"code": values.count(1), "treat_as": values.choice(("error", "warning"))}, required=("code", "treat_as")
        )
    ),
    "files_cache": lambda option: values.files_cache,
    "flag": lambda option: values.flag,
    "interval": lambda option: values.interval,
    "location": lambda option: values.location,
    "mapping": lambda option: _mapping,
    "mappings": lambda option: _each(_mapping),
    "monitor": lambda option: _monitor(option.values[0]),
    "passphrase": lambda option: values.passphrase,
    "quota": lambda option: values.quota,
    "sources": lambda option: _each(values.trimmed, empty=f"{_EMPTY}; for example [/etc, /home]"),
    "switch": lambda option: _switch,
    "text": lambda option: values.text,
    "texts": lambda option: _each(values.text),
    "trimmed": lambda option: values.trimmed,
    "umask": lambda option: values.umask,
}
