# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no two clients of a server may have: a key, or a repository."""

from __future__ import annotations

import os
from typing import Iterator, Mapping, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys import Client
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey


def repository_problem(given: Sequence[Client], staying: Sequence[Client], *, shared: bool) -> Optional[str]:
    """The first repository that one of the clients given and another one claim, or that is within another's; None: there is none.

    :param staying: further clients that stay as they are.
    :param shared: whether several clients may have the same repository.
    """
    names = {client.name for client in given}
    owners: dict[str, list[str]] = {}
    for client in (*given, *staying):
        for path in client.access.repositories:
            owners.setdefault(path, []).append(client.name)
    for path, claimants in owners.items():
        if len(claimants) > 1 and not shared and names.intersection(claimants):
            return (
                f"clients, {claimants[0]}, repositories: {path} is the repository of {claimants[1]} too, so that each could spoil"
                " what the other one stored. Give each client its own; where they shall share it, say so with"
                " allow_shared_repositories."
            )
        for outer in _above(path):
            for inner, other in ((inner, other) for other in owners.get(outer, ()) for inner in claimants):
                if inner != other and names.intersection((inner, other)):
                    return (
                        f"clients, {inner}, repositories: {path} is within {outer}, the repository of {other}, which could write"
                        " over it. Put them beside each other."
                    )
    return None


def settle_keys(
    given: Sequence[Client], staying: Sequence[Client], present: Mapping[str, Client]
) -> tuple[list[Client], dict[str, str]]:
    """Leave no key to two clients: to the one that has it already, if there is one, and else to none.

    Who does not get a key goes on with those that it has. What it may do is what was given all the same.

    :param staying: further clients that stay as they are.
    :param present: every client as it is, by name.
    :return: the clients given, of which some may have other keys or none; and why, by name.
    """
    keys = {client.name: client.keys for client in given}
    fixed = {client.name: client.keys for client in staying}
    lost: dict[str, set[PublicKey]] = {}
    reasons: dict[str, str] = {}
    while True:
        disputed = [(key, names) for key, names in _claimants({**fixed, **keys}) if len(names) > 1 and not keys.keys().isdisjoint(names)]
        if not disputed:
            break
        for key, names in disputed:
            holders = [name for name in names if name in present and key in present[name].keys]
            for name in names:
                if name in keys and holders != [name]:
                    lost.setdefault(name, set()).add(key)
                    others = ", ".join(other for other in names if other != name)
                    reasons.setdefault(
                        name,
                        f"clients, {name}, public_keys: {key.fingerprint} is the key of {others} too, and sshd would take both for"
                        " the one that comes first. Was one machine cloned from the other? Make a new pair there (ssh-keygen -t"
                        " ed25519). Or has it another name now? Retire the former one (playbook retire_host).",
                    )
        for client in given:
            if client.name in lost:
                held = present[client.name].keys if client.name in present else ()
                keys[client.name] = tuple(key for key in dict.fromkeys((*client.keys, *held)) if key not in lost[client.name])
    return [client._replace(keys=keys[client.name]) for client in given], reasons


def _claimants(keys: Mapping[str, Sequence[PublicKey]]) -> Iterator[tuple[PublicKey, list[str]]]:
    names: dict[PublicKey, list[str]] = {}
    for name, claimed in keys.items():
        for key in claimed:
            names.setdefault(key, []).append(name)
    yield from names.items()


def _above(path: str) -> Iterator[str]:
    while path not in ("/", ""):
        path = os.path.dirname(path)
        yield path
