# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trusted machine has to know of the repositories to which a client may only add, to prune them as the client itself would."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._retention import RULES
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_names as archive_names
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_plan as plan
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_document import check_document

#: What the controller calls itself.
_CONTROLLER = ("localhost", "127.0.0.1", "::1")
#: Names of connections that go the same way.
_BY_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh")


def maintained(
    configs: Sequence[Mapping[str, Any]], name: str, user: str, claims: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Every repository to which a client may only add, once: its ``location`` and ``record`` (:class:`plan.RepositoryRecord`), its ``address``
    where the client's own names are in their places, the name of its ``inventory``, and ``retentions`` as borg_maintenance takes them.
    Nothing secret is in it.

    :param configs: with what their servers enforce, as :func:`_borgmatic_fleet.connected` gives them.
    :param name: the client's, in the inventory: it is what counts, and not what the client calls itself.
    :param user: whom its backups run as.
    :param claims: what it and others call their archives, as :func:`_borgmatic_names.claims` gives it.
    """
    found: dict[str, dict[str, Any]] = {}
    for entry in configs:
        for record in plan.repositories([entry]):
            if not entry.get("enforced", {}).get(record.location):
                continue
            address = archive_names.fixed(record.location, name, user)
            repository = found.setdefault(
                record.location,
                {
                    "location": record.location,
                    "record": record._asdict(),
                    "address": address,
                    "inventory": inventory_name(address),
                    "retentions": [],
                },
            )
            others = archive_names.foreign(claims, name, entry["name"], record.location)
            repository["retentions"] += _retentions(entry, record, name, user, others)
    return list(found.values())


def distrusted(
    host: str, clients: Sequence[str], servers: Sequence[str], host_variables: Mapping[str, Mapping[str, Any]]
) -> str:
    """Why a machine can't be trusted with the maintenance; empty: nothing is known against it.

    Who has a client or the server in his hands would have the key that may delete, and what tells that something was deleted.

    :param host: its name in the inventory, or localhost.
    :param clients: the names of the clients.
    :param servers: those of the backup servers.
    :param host_variables: the variables of every host of the inventory.
    """
    machine = _machine(host, host_variables)
    for names, role in ((servers, "a backup server"), (clients, "a client")):
        for name in names:
            if name == host:
                return f"{host} is {role} itself"
            if _machine(name, host_variables) == machine:
                return f"{host} is the same machine as {name}, which is {role}"
    return ""


def _machine(name: str, host_variables: Mapping[str, Mapping[str, Any]]) -> tuple[str, str, str]:
    """What two names of one machine have in common: how Ansible gets there."""
    variables: Mapping[str, Any] = host_variables[name] if name in host_variables else {}
    address = str(variables.get("ansible_host") or name)
    connection = str(variables.get("ansible_connection") or ("local" if name in _CONTROLLER else "ssh")).rpartition(".")[2]
    port = str(variables.get("ansible_port") or "22")
    if connection == "local" or (address in _CONTROLLER and port == "22"):
        return ("local", "", "")
    return ("ssh" if connection in _BY_SSH else connection, address, port)


def inventory_name(address: str) -> str:
    """The name of a file that belongs to one repository, whichever clients share it."""
    location = Location.parse(address)
    readable = re.sub(r"[^A-Za-z0-9.]+", "_", f"{location.host}_{location.path}").strip("_.")
    return f"{readable[:60]}-{hashlib.sha256(address.encode()).hexdigest()[:8]}.json"


def _retentions(
    entry: Mapping[str, Any], record: plan.RepositoryRecord, name: str, user: str, others: Sequence[str]
) -> Iterator[dict[str, Any]]:
    document = check_document(entry["config"], bool(entry.get("allow_unknown_options")))
    said = {**document, **document["repositories"][record.position]}
    policy = {rule: said[rule] for rule in ("keep_within", *RULES) if said.get(rule)}
    if policy and "prune" not in said.get("skip_actions", ()):
        match = archive_names.own(said, name, user)
        # a module that knows no such dates would take each archive for another machine's
        certain = match == archive_names.made_by(said, name, user) and archive_names.is_certain(match, name)
        yield {"match_archives": match, "foreign_archives": list(others), "allow_any_series": certain, **policy}
