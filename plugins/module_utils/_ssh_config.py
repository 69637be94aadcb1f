# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration of ssh that logs in to known servers with known keys, and does nothing else."""

from __future__ import annotations

from typing import Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._known_hosts import DEFAULT_PORT, Server

# For servers that are not listed, too: none of their keys is pinned, so ssh refuses them.
_FOR_ALL = """
Host *
    IdentitiesOnly yes
    UserKnownHostsFile {known_hosts}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    BatchMode yes
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    ForwardAgent no
    ForwardX11 no
    ConnectTimeout 30
    ServerAliveInterval 30
    ServerAliveCountMax 10
"""


def render_config(header: str, servers: Sequence[Server], known_hosts: str) -> str:
    """The file's text.

    ssh takes the first value that it meets of each setting, so the servers come first.

    :param known_hosts: the path of the file with their keys.
    """
    groups: dict[str, list[Server]] = {}
    for server in servers:
        groups.setdefault(server.host.lower(), []).append(server)
    blocks = [block for host in sorted(groups) for block in _blocks(groups[host])]
    return header + "".join(blocks) + _FOR_ALL.format(known_hosts=_path(known_hosts))


def _blocks(group: list[Server]) -> list[str]:
    """What ssh needs to know of one host, on whichever ports."""
    first = group[0]
    if any(server.host != first.host for server in group):
        raise Failure(
            "invalid_argument", f"servers: {first.host} is spelt in two ways; choose one, for ssh tells them apart."
        )
    if len(group) == 1:
        # borg passes the location's port on; this is for a location without one, and for humans
        port = {} if first.port == DEFAULT_PORT else {"Port": str(first.port)}
        return [_block(f"Host {first.host}", {**_settings(first), **port})]
    if first.hostname is None and all(_settings(server) == _settings(first) for server in group):
        return [_block(f"Host {first.host}", _settings(first))]
    # ssh has no condition on the port, but it tells it to a command
    return [
        _block(f'Match originalhost {server.host} exec "test %p = {server.port}"', _settings(server))
        for server in sorted(group, key=lambda server: server.port)
    ]


def _settings(server: Server) -> dict[str, str]:
    settings = {"IdentityFile": _path(server.identity_file)}
    if server.hostname is not None:
        # without the alias ssh would look for the keys of the address
        settings.update(HostName=server.hostname, HostKeyAlias=server.known_as)
    return settings


def _block(condition: str, settings: dict[str, str]) -> str:
    return "\n" + condition + "\n" + "".join(f"    {name} {value}\n" for name, value in settings.items())


def _path(path: str) -> str:
    return '"' + path.replace("%", "%%") + '"'


def check_path(parameter: str, path: str) -> str:
    """Refuse a path that cannot be written so that ssh reads the same.

    :raises Failure: ``invalid_argument``.
    """
    if not path.startswith("/"):
        reason = "is no absolute path"
    elif any(ord(character) < 32 or ord(character) == 127 or character in '"\\' for character in path) or "${" in path:
        reason = "holds a quote, a backslash, a control character or '${', which ssh reads otherwise"
    else:
        return path
    raise Failure("invalid_argument", f"{parameter}: {path!r} {reason}; for example ~/.ssh/fleetbackup_ed25519.")
