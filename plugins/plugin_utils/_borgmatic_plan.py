# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the list of configurations that the role borgmatic takes: files, repositories, schedules.

An entry of the list has a name and a borgmatic configuration, and what neither borgmatic nor borg can be told by that.
``enforced``, which :mod:`_borgmatic_fleet` adds, is what the servers of the inventory see to.
"""

from __future__ import annotations

import os
import re
import shlex
from functools import partial
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._known_hosts import DEFAULT_PORT
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository_request import (
    DEFAULT_ENCRYPTION,
    DEFAULTS,
    judged,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import DEFAULT_TIMEOUT, Schedule
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_document import check_document
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_schema import with_constants
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_values import verbatim
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,39}\Z"
#: What takes archives away: a repository that only grows refuses it, or pretends to do it.
_TAKING = ("prune", "compact")
#: borgmatic's option -> the option of borg_repository that means the same.
_ALIKE = {
    "local_path": "executable",
    "remote_path": "remote_path",
    "ssh_command": "rsh",
    "lock_wait": "lock_wait",
    "borg_base_directory": "base_directory",
    "borg_key_file": "key_file",
    "relocated_repo_access_is_ok": "accept_relocated",
    "encryption": "encryption",
    "append_only": "append_only",
    "storage_quota": "storage_quota",
    "make_parent_directories": "make_parent_directories",
    "encryption_passcommand": "passcommand",
}
#: What a backup server of the inventory sees to, whatever a client asks for.
_ENFORCED = ("append_only", "storage_quota")
#: What an entry says about its repositories and borgmatic has no option for.
_OF_ENTRIES = ("previous_passphrases", "allow_unencrypted", "allow_empty_directory", "repair_broken_init")
#: What borg_key_escrow has to know of a repository, as borg_repository does.
_OF_ESCROW = (
    "repository",
    "passphrase",
    "previous_passphrases",
    "encryption",
    "executable",
    "remote_path",
    "rsh",
    "lock_wait",
    "base_directory",
    "key_file",
)
#: What people call a role's variable who know other roles and programs -> its name; both without the role's.
_GUESSES = {
    "borgmatic": {
        **dict.fromkeys(("repositories", "repository", "schedules"), "configs"),
        **dict.fromkeys(("exec", "binary", "bin", "program"), "executable"),
        **dict.fromkeys(("owner", "account", "username"), "user"),
        **dict.fromkeys(("venv", "venv_path"), "virtualenv"),
        **dict.fromkeys(("version", "versions"), "requirements"),
        **dict.fromkeys(("ssh_private_key", "private_key", "identity_file"), "ssh_key"),
        **dict.fromkeys(("install", "method"), "install_method"),
        **dict.fromkeys(("backend", "scheduler", "timer_backend"), "schedule_backend"),
    },
    "borg_server": {
        **dict.fromkeys(("owner", "account", "username"), "user"),
        **dict.fromkeys(("path", "directory", "pool"), "home"),
        **dict.fromkeys(("keys", "authorized_keys"), "clients"),
        **dict.fromkeys(("quota", "default_quota"), "storage_quota"),
        **dict.fromkeys(("install", "method"), "install_method"),
    },
}
#: An element of the module's option ``schedules`` with nothing but defaults.
_SCHEDULE_DEFAULTS: dict[str, Any] = {
    "state": "present",
    "enabled": True,
    "actions": [],
    "calendar": "daily",
    "spread": None,
    "spread_key": None,
    "arguments": [],
    "profile": None,
    "read_write_paths": [],
    "network": None,
    "timeout": DEFAULT_TIMEOUT,
}


class Place(NamedTuple):
    """Where files belong on the target.

    :ivar directory: for configurations that name no path of their own.
    :ivar home: what a leading ``~`` stands for.
    """

    directory: str = "/etc/borgmatic.d"
    home: str = "/root"


class RepositoryRecord(NamedTuple):
    """One repository, without any secret.

    :ivar config: the name of the first entry that has it.
    :ivar position: its position in that entry's ``repositories``.
    :ivar location: where it is.
    """

    config: str
    position: int
    location: str


def unknown_variables(names: Iterable[str], known: Iterable[str], role: str = "borgmatic") -> list[str]:
    """What is wrong with the names of variables. A name that resembles none of the role's is the user's own.

    :param names: of all variables that begin with the role's name, or as if they did.
    :param known: those of the role.
    :param role: ``fleetbackup`` for the variables of the playbooks.
    """
    # names of the user's own that begin so are more likely than with a role's name
    subject, likeness = ("the playbooks have", 0.8) if role == "fleetbackup" else (f"the role {role} has", 0.6)
    stems = {name[len(role) + 1 :] for name in known}
    result = []
    for name in sorted(set(names) - set(known)):
        stem = re.sub(rf"\A{role}s?_?", "", name)
        meant = stem if stem in stems else _GUESSES.get(role, {}).get(stem, "")
        hint = f"; did you mean {meant}?" if meant in stems else nearest(stem, stems, likeness)
        if hint:
            result.append(f"{name}: {subject} no such variable{hint.replace('mean ', f'mean {role}_')}")
    return result


def problems(configs: Sequence[Mapping[str, Any]], state: str = "present") -> list[str]:
    """Everything that is wrong with the entries; no text holds a secret.

    :param state: with ``absent`` only what removal needs: a document may hold secrets that are gone by then.
    """
    found = list(_name_problems(configs))
    if state == "absent" or found:
        return found
    if not configs:
        return [
            "borgmatic_configs: is empty, so that nothing would be backed up; for example [{name: system, config:"
            " {source_directories: [/etc], repositories: [{path: /srv/backup}], encryption_passphrase: …, keep_daily: 7}}]."
        ]
    for entry in configs:
        # the same location may be wrong in more than one way of reading it
        found += [f"borgmatic_configs, {entry['name']}: {problem}" for problem in dict.fromkeys(_entry_problems(entry))]
    return found or list(_common_problems(configs))


def files(configs: Sequence[Mapping[str, Any]], place: Place) -> list[dict[str, Any]]:
    """Each configuration file, without what is in it: its name and path, and whether it may hold unknown options."""
    return [
        {
            "name": entry["name"],
            "path": _path(entry, place),
            "allow_unknown_options": bool(entry.get("allow_unknown_options")),
        }
        for entry in configs
    ]


def documents(configs: Sequence[Mapping[str, Any]], place: Place) -> dict[str, Any]:
    """The configurations by the paths of their files, as the user wrote them. They hold secrets."""
    return {_path(entry, place): entry["config"] for entry in configs}


def repositories(configs: Sequence[Mapping[str, Any]]) -> list[RepositoryRecord]:
    """Every repository once, whichever configurations share it."""
    records: dict[str, RepositoryRecord] = {}
    for entry in configs:
        document = _document(entry)
        for position in range(len(document["repositories"])):
            location = location_of(document, position)
            records.setdefault(location, RepositoryRecord(entry["name"], position, location))
    return list(records.values())


def repository(configs: Sequence[Mapping[str, Any]], record: RepositoryRecord) -> dict[str, Any]:
    """The arguments of borg_repository for one repository. They hold secrets; what is not said is left out."""
    entry = next(entry for entry in configs if entry["name"] == record.config)
    return _arguments(entry, _document(entry), record.position)


def escrowed(configs: Sequence[Mapping[str, Any]]) -> list[RepositoryRecord]:
    """Every repository that has a key: one that is not encrypted has none."""
    entries = {entry["name"]: entry for entry in configs}
    return [
        record
        for record in repositories(configs)
        if _mode(entries[record.config], repository(configs, record)) != "none"
    ]


def escrow(
    configs: Sequence[Mapping[str, Any]],
    record: RepositoryRecord,
    identity: Optional[Mapping[str, Any]],
    ssh_key: bool = False,
) -> dict[str, Any]:
    """The arguments of borg_key_escrow for one repository, but where the bundle stands and for whom. They hold secrets; what is not said is
    left out.

    :param identity: what borg_ssh_identity returned, where a repository is on another host.
    :param ssh_key: whether the bundle holds the client's SSH key, too.
    """
    entry = next(entry for entry in configs if entry["name"] == record.config)
    said = repository(configs, record)
    arguments = {name: said[name] for name in _OF_ESCROW if name in said}
    location = Location.parse(record.location)
    for server in (identity or {}).get("servers", ()):
        if location.host and (server["host"], server["port"]) == (location.host.strip("[]"), location.port or DEFAULT_PORT):
            arguments["host_keys"] = server["host_keys"]
            if ssh_key:
                arguments["identity_file"] = server["identity_file"]
                arguments["identity_public_key"] = server["public_key"]
    return {**arguments, "configuration": entry["config"]}


def schedules(configs: Sequence[Mapping[str, Any]], place: Place, pauses: bool = False) -> list[dict[str, Any]]:
    """The schedules of all configurations as borgmatic_schedule takes them.

    :param pauses: none of them runs by itself.
    """
    found = [schedule for entry in configs for schedule in _schedules(entry, _document(entry), _path(entry, place))]
    return [{**schedule, "enabled": False} for schedule in found] if pauses else found


# --- entries -----------------------------------------------------------------------------------------------------


def _name_problems(configs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [str(entry.get("name", "")) for entry in configs]
    for position, name in enumerate(names):
        where = f"borgmatic_configs[{position}].name: {name[:60]!r}"
        if not re.match(_NAME, name):
            yield f"{where} cannot name a file and a timer; give 1 to 40 letters, digits, '_' and '-', for example system."
        elif name in names[:position]:
            yield f"{where} stands there more than once; give each configuration its own."
    for position, entry in enumerate(configs):
        path = entry.get("path")
        if path and (not str(path).startswith(("/", "~/")) or ".." in str(path).split("/") or not str(path).isprintable()):
            yield f"borgmatic_configs[{position}].path: {path!r} is no absolute path; for example /etc/borgmatic.d/system.yaml."
    if names and not any(name in names[:position] for position, name in enumerate(names)):
        paths = [_path(entry, Place()) for entry in configs]
        for path in sorted({path for path in paths if paths.count(path) > 1}):
            yield f"borgmatic_configs: two of them shall stand in {path}; give each a path of its own."


def _entry_problems(entry: Mapping[str, Any]) -> Iterator[str]:
    try:
        document = _document(entry)
    except Failure as failure:
        yield from failure.details.get("problems", [failure.msg])
        return
    checks: list[Callable[[], Any]] = []
    for position in range(len(document["repositories"])):
        checks += [partial(location_of, document, position), partial(_judge_repository, entry, document, position)]
    for schedule in _schedules(entry, document, "/x"):
        checks.append(partial(Schedule.parse, {**_SCHEDULE_DEFAULTS, **schedule}, ""))
    for check in checks:
        try:
            check()
        except Failure as failure:
            yield failure.msg
    yield from _taking_problems(entry, document)


def _taking_problems(entry: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    growing = [location_of(document, index) for index in range(len(document["repositories"])) if _grows(entry, document, index)]
    for schedule in entry.get("schedules") or ():
        taking = [action for action in _TAKING if action in schedule.get("actions", ())]
        if growing and taking:
            yield (
                f"schedules, {schedule['name']}: actions: {' and '.join(taking)} cannot be done on {', '.join(growing)}, which is"
                " append-only: archives would vanish from its list and nothing would be freed. Take that out; archives of"
                " such a repository are pruned from a trusted machine with full access. A repository that shall be pruned"
                " belongs into a configuration of its own."
            )


def _common_problems(configs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [schedule["name"] for schedule in schedules(configs, Place())]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"borgmatic_configs: the schedule {name} stands there more than once; give each its own name."
    seen: dict[str, tuple[str, dict[str, Any]]] = {}
    for entry in configs:
        document = _document(entry)
        for position in range(len(document["repositories"])):
            location, arguments = location_of(document, position), _arguments(entry, document, position)
            other, before = seen.setdefault(location, (entry["name"], arguments))
            differing = sorted(key for key in {**before, **arguments} if before.get(key) != arguments.get(key))
            if differing:
                yield (
                    f"borgmatic_configs: {other} and {entry['name']} share the repository {location} and differ in"
                    f" {', '.join(differing)}; say the same in both."
                )


def _document(entry: Mapping[str, Any]) -> dict[str, Any]:
    if entry.get("config") is None:
        raise Failure("invalid_argument", "config: is missing; for example {source_directories: [/etc], …}.")
    return check_document(entry["config"], bool(entry.get("allow_unknown_options")))


def _path(entry: Mapping[str, Any], place: Place) -> str:
    path = entry.get("path") or f"{place.directory}/{entry['name']}.yaml"
    return os.path.normpath(place.home + path[1:] if path.startswith("~/") else path)


# --- repositories ------------------------------------------------------------------------------------------------


def location_of(document: Mapping[str, Any], position: int) -> str:
    """Where a repository of a normal document is."""
    path = document["repositories"][position]["path"]
    return str(Location.parse(with_constants(path, document.get("constants", {})), f"config.repositories[{position}].path"))


def _grows(entry: Mapping[str, Any], document: Mapping[str, Any], position: int) -> bool:
    said = bool(document["repositories"][position].get("append_only"))
    return bool(entry.get("enforced", {}).get(location_of(document, position), said))


def _arguments(entry: Mapping[str, Any], document: Mapping[str, Any], position: int) -> dict[str, Any]:
    # any option may stand in an entry of repositories, and counts more there
    said = {**document, **document["repositories"][position]}
    constants = document.get("constants", {})
    arguments = {
        option: with_constants(said[name], constants) if isinstance(said[name], str) else said[name]
        for name, option in _ALIKE.items()
        if name in said
    }
    arguments.update((name, entry[name]) for name in _OF_ENTRIES if entry.get(name))
    arguments["repository"] = location_of(document, position)
    if arguments["repository"] in entry.get("enforced", {}):
        for option in _ENFORCED:
            arguments.pop(option, None)
    if "encryption_passphrase" in said:
        arguments.update(_passphrase(said["encryption_passphrase"], said.get("working_directory", "")))
    return arguments


def _judge_repository(entry: Mapping[str, Any], document: Mapping[str, Any], position: int) -> None:
    """Refuse what borg_repository would refuse on the target, in the words of the configuration."""
    arguments = _arguments(entry, document, position)
    try:
        previous = [str(passphrase) for passphrase in entry.get("previous_passphrases") or ()]
        borg, _settings = judged({**DEFAULTS, **arguments, "previous_passphrases": previous})
    except Failure as failure:
        option, _colon, rest = failure.msg.partition(": ")
        where = _spelling_of(option, document, position)
        raise Failure(failure.error, f"{where}: {rest}" if where else failure.msg) from failure
    mode = _mode(entry, arguments)
    if mode != "none" and borg.passphrase is None and borg.passcommand is None:
        raise Failure(
            "no_passphrase",
            f"config.encryption_passphrase: is missing, and {borg.repository} shall be encrypted with {mode}; give one, for"
            " example from Ansible Vault, or an encryption_passcommand.",
        )


def _mode(entry: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """The encryption mode that a repository is made with."""
    return str(arguments.get("encryption") or ("none" if entry.get("allow_unencrypted") else DEFAULT_ENCRYPTION))


def _spelling_of(option: str, document: Mapping[str, Any], position: int) -> str:
    """What an option of borg_repository is called in the configuration; empty: it is none of borgmatic's."""
    names = {**{alike: name for name, alike in _ALIKE.items()}, "passphrase": "encryption_passphrase"}
    name = names.get(option, "")
    own = name in document["repositories"][position]
    return name and (f"config.repositories[{position}].{name}" if own else f"config.{name}")


def _passphrase(text: str, directory: str) -> dict[str, str]:
    """What tells borg the passphrase that borgmatic finds in its own option."""
    if not text.startswith("{credential "):
        return {"passphrase": verbatim(text)}
    hook, *parameters = shlex.split(text.strip("{}"))[1:]
    if hook != "file" or len(parameters) != 1:
        raise Failure(
            "invalid_argument",
            f"config.encryption_passphrase: only borgmatic reads {{credential {hook} …}}, and the repository has to be made"
            " without it; for example '{credential file /etc/pw}', or an encryption_passcommand.",
        )
    return {"passcommand": shlex.join(["cat", os.path.join(directory, parameters[0])])}


# --- schedules ---------------------------------------------------------------------------------------------------


def _schedules(entry: Mapping[str, Any], document: Mapping[str, Any], path: str) -> Iterator[dict[str, Any]]:
    given: Optional[Sequence[Mapping[str, Any]]] = entry.get("schedules")
    for schedule in _default_schedules(entry, document) if given is None else given:
        said = {name: value for name, value in schedule.items() if value is not None}
        yield {**said, "name": f"{entry['name']}-{schedule['name']}", "configs": [path]}


def _default_schedules(entry: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Back up daily, and check weekly. What is too old goes after each backup, where it may and somebody said how old."""
    skipped = set(document.get("skip_actions", ()))
    keeps = any(name.startswith("keep_") and value for name, value in document.items() if name != "keep_exclude_tags")
    grows = any(_grows(entry, document, position) for position in range(len(document["repositories"])))
    daily = [action for action in ("create", *(_TAKING if keeps and not grows else ())) if action not in skipped]
    if daily:
        yield {"name": "backup", "actions": daily, "calendar": "daily"}
    if "check" not in skipped and {"name": "disabled"} not in document.get("checks", ()):
        yield {"name": "check", "actions": ["check"], "calendar": "weekly"}
