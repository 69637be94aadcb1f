# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a borgmatic configuration needs of the schedule that runs it. Nothing secret is in it."""

from __future__ import annotations

import os
import re
import shlex
from typing import Any, Iterable, Iterator, Mapping, NamedTuple

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import OPTIONS
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_schema import with_constants

#: Options that name a directory in which borg or borgmatic writes.
_DIRECTORIES = (
    *("borg_base_directory", "borg_config_directory", "borg_cache_directory", "borg_security_directory"),
    *("borg_keys_directory", "borgmatic_source_directory", "user_runtime_directory", "user_state_directory"),
    "temporary_directory",
)
#: Options whose programs read secrets from somewhere that only the account itself can reach.
_SECRET_STORES = ("keepassxc", "onepassword")
_MONITORS = (
    *("ntfy", "pushover", "zabbix", "apprise", "healthchecks", "uptime_kuma", "cronitor", "cronhub", "pagerduty"),
    *("loki", "sentry", "watchgoose"),
)
#: What only the target can resolve: borg's placeholders and variables of the environment.
_UNRESOLVED = re.compile(r"\{|\$")


class Needs(NamedTuple):
    """The needs of one or more configurations.

    :ivar read_write_paths: what is written to.
    :ivar hooks: the options that run commands of the user's, or others that a sandbox would hinder.
    :ivar network: whether anything is reached over the network.
    :ivar servers: the hosts of the repositories.
    """

    read_write_paths: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    network: bool = False
    servers: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Needs:
        """The needs of one configuration.

        :param document: flat and normalised, as ``check_document`` gives it.
        """
        # any option may stand in an entry of repositories too
        layers = [document, *document["repositories"]]
        constants = document.get("constants", {})
        locations = [Location.parse(with_constants(entry["path"], constants)) for entry in document["repositories"]]
        hooks = tuple(name for name in OPTIONS if any(_is_hook(name, layer) for layer in layers))
        servers = _sorted(location.host for location in locations if location.host)
        paths = [location.path for location in locations if location.is_local]
        paths += [with_constants(path, constants) for layer in layers for path in _directories(layer)]
        return cls(
            read_write_paths=_sorted(filter(None, map(_resolvable, paths))),
            hooks=hooks,
            network=bool(servers or hooks or any(name in document for name in _MONITORS)),
            servers=servers,
        )

    def __or__(self, other: Needs) -> Needs:
        """The needs of both."""
        return Needs(
            _sorted((*self.read_write_paths, *other.read_write_paths)),
            _sorted((*self.hooks, *other.hooks)),
            self.network or other.network,
            _sorted((*self.servers, *other.servers)),
        )


def _is_hook(name: str, layer: Mapping[str, Any]) -> bool:
    if name not in layer:
        return False
    if name == "encryption_passcommand":
        return not _only_reads(layer[name])
    kind = OPTIONS[name].kind
    return kind in ("commands", "command_hooks", "switch") or name.endswith("_databases") or name in _SECRET_STORES


def _only_reads(command: str) -> bool:
    """Whether a command needs nothing but to read a file."""
    return os.path.basename((shlex.split(command) or [""])[0]) == "cat"


def _directories(layer: Mapping[str, Any]) -> Iterator[str]:
    yield from (layer[name] for name in _DIRECTORIES if name in layer)
    if "log_file" in layer:
        yield os.path.dirname(layer["log_file"])


def _resolvable(path: str) -> str:
    """The directory above the first part that only the target can resolve; empty where that is everything."""
    parts: list[str] = []
    for part in path.split("/"):
        if _UNRESOLVED.search(part):
            break
        parts.append(part)
    return "/".join(parts).rstrip("/") if path.startswith(("/", "~")) else ""


def _sorted(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))
