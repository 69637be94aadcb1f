# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers, and the host keys that are pinned for them in a known_hosts file of our own."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey

DEFAULT_PORT = 22

# ssh would read anything else as an option, a pattern or a token.
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}\Z"


class Server(NamedTuple):
    """A server as a client sees it.

    :ivar host: as in the repository's location; IPv6 addresses without brackets.
    :ivar host_keys: those to pin; empty: those that are pinned stay.
    :ivar identity_file: the private key to log in with.
    :ivar hostname: where to connect to; None: to ``host``.
    """

    host: str
    port: int
    host_keys: tuple[PublicKey, ...]
    identity_file: str
    hostname: Optional[str]

    @property
    def known_as(self) -> str:
        """Its name in known_hosts."""
        return self.host.lower() if self.port == DEFAULT_PORT else f"[{self.host.lower()}]:{self.port}"


def parse_servers(given: Sequence[dict[str, Any]], identity_file: str) -> list[Server]:
    """Read the option ``servers``.

    :param identity_file: for servers that name none.
    :raises Failure: ``invalid_argument``.
    """
    servers: dict[str, Server] = {}
    for entry in given:
        host, hostname, port = entry["host"], entry.get("hostname"), entry.get("port") or DEFAULT_PORT
        _check_name("host", host)
        if hostname is not None:
            _check_name("hostname", hostname)
        if not 1 <= port <= 65535:
            raise Failure("invalid_argument", f"servers: {host}: port {port} is none from 1 to 65535; for example 22.")
        server = Server(host, port, (), entry.get("identity_file") or identity_file, hostname)
        server = server._replace(host_keys=_host_keys(server, entry.get("host_keys") or ()))
        if servers.setdefault(server.known_as, server) != server:
            raise Failure(
                "invalid_argument",
                f"servers: {host} port {port} is given twice, and not alike: ssh can only follow one; leave one of them.",
            )
    return list(servers.values())


def _check_name(parameter: str, name: str) -> None:
    if ":" in name:
        import socket

        try:
            socket.inet_pton(socket.AF_INET6, name)
            return
        except OSError:
            pass
    if re.match(_NAME, name) is None:
        raise Failure(
            "invalid_argument",
            f"servers: {parameter} {name!r} is neither a host's name nor an address, and ssh could take it for something"
            " else; for example backup.example.org, 192.0.2.1 or 2001:db8::1 (without brackets and port).",
        )


def _host_keys(server: Server, lines: Sequence[str]) -> tuple[PublicKey, ...]:
    keys = {}
    for number, line in enumerate((line for text in lines for line in text.splitlines()), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            key = _host_key(server, text)
        except ValueError as error:
            raise Failure(
                "invalid_argument",
                f"servers: host key {number} of {server.host}: {error}; for example ssh-ed25519 AAAA…, as in the server's"
                " /etc/ssh/ssh_host_ed25519_key.pub.",
            ) from error
        keys[key.bare] = key
    return tuple(keys[bare] for bare in sorted(keys))


def _host_key(server: Server, text: str) -> PublicKey:
    """A key, alone or behind the names that ssh-keyscan writes."""
    words = text.split()
    if text.startswith("@"):
        raise ValueError("lines with a marker such as @cert-authority or @revoked are not supported: give plain keys")
    if words[0].startswith("|"):
        raise ValueError("the name before it is hashed, so nobody can see whose key it is: leave it out")
    try:
        key = PublicKey.parse(text)
    except ValueError:
        if len(words) < 3:
            raise
        key = PublicKey.parse(" ".join(words[1:3]))
        own = {server.known_as, server.host.lower(), (server.hostname or server.host).lower()}
        own |= {f"[{name}]:{server.port}" for name in own}
        if not own & set(words[0].lower().split(",")):
            raise ValueError(
                "the name before it is another host's: give this host's key, or leave the name out"
            ) from None
    if key.kind.startswith("sk-"):
        raise ValueError("no server has a host key of this type")
    return key._replace(comment="")


def read_pinned(text: str) -> dict[str, tuple[PublicKey, ...]]:
    """What our file pins: by name, the keys. Lines that nobody but a human can have written do not count."""
    pinned: dict[str, tuple[PublicKey, ...]] = {}
    for line in text.splitlines():
        name, _blank, rest = line.partition(" ")
        try:
            key = PublicKey.parse(rest)
        except ValueError:
            continue
        pinned[name] = (*pinned.get(name, ()), key)
    return pinned


def render_pinned(header: str, pinned: dict[str, tuple[PublicKey, ...]]) -> str:
    """Our file."""
    return "".join([header, *(f"{name} {key.bare}\n" for name in sorted(pinned) for key in pinned[name])])
