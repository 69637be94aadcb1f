# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no two clients of a server may have: a key, or a repository."""

from __future__ import annotations

import os
from typing import Iterator, NamedTuple, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys import Client


class Contest(NamedTuple):
    """Two clients want what only one can have.

    :ivar names: of the two.
    :ivar reason: what it is, why that is refused, and what to do.
    """

    names: tuple[str, str]
    reason: str


def contests(clients: Sequence[Client], *, shared: bool) -> list[Contest]:
    """Every key and repository that two clients claim, a repository within another's too.

    :param clients: everyone who would be let in.
    :param shared: whether several clients may have the same repository.
    """
    return [*_keys(clients), *_repositories(clients, shared)]


def _keys(clients: Sequence[Client]) -> Iterator[Contest]:
    owners: dict[object, str] = {}
    for client in clients:
        for key in client.keys:
            other = owners.setdefault(key, client.name)
            if other != client.name:
                yield Contest(
                    (other, client.name),
                    f"clients, {client.name}, public_keys: {key.fingerprint} is the key of {other} too, and sshd would take both for the"
                    " one that comes first. Was one machine cloned from the other? Make a new pair there (ssh-keygen -t ed25519).",
                )


def _repositories(clients: Sequence[Client], shared: bool) -> Iterator[Contest]:
    owners: dict[str, str] = {}
    for client in clients:
        for path in client.access.repositories:
            other = owners.setdefault(path, client.name)
            if other != client.name and not shared:
                yield Contest(
                    (other, client.name),
                    f"clients, {client.name}, repositories: {path} is the repository of {other} too, so that each could spoil what the other"
                    " one stored. Give each client its own; where they shall share it, say so with allow_shared_repositories.",
                )
    for path, name in owners.items():
        for outer in _above(path):
            if owners.get(outer, name) != name:
                yield Contest(
                    (owners[outer], name),
                    f"clients, {name}, repositories: {path} is within {outer}, the repository of {owners[outer]}, which could write"
                    " over it. Put them beside each other.",
                )


def _above(path: str) -> Iterator[str]:
    while path not in ("/", ""):
        path = os.path.dirname(path)
        yield path
