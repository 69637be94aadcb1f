# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module borg_ssh_identity ensures: a client has a key pair, and knows its servers."""

from __future__ import annotations

import os
from typing import Any, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._call import Call
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._known_hosts import parse_servers
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_config import check_path
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_identity import Identity
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import public_half

ARGUMENTS: dict[str, dict[str, Any]] = {
    "path": {"type": "str", "default": "~/.ssh/fleetbackup_ed25519"},
    "generate": {"type": "bool", "default": True},
    "private_key": {"type": "str", "no_log": True},
    "comment": {"type": "str"},
    "servers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 22},
            "host_keys": {"type": "list", "elements": "str", "no_log": False},
            "identity_file": {"type": "str"},
            "hostname": {"type": "str"},
        },
    },
    "names": {"type": "list", "elements": "str", "choices": ["hostname", "fqdn"], "default": []},
    "known_hosts": {"type": "str", "default": "~/.ssh/fleetbackup_known_hosts"},
    "config": {"type": "str", "default": "~/.ssh/fleetbackup_config"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "remove_key": {"type": "bool", "default": False},
}


def ensure(call: Call) -> dict[str, Any]:
    """Bring the identity about; the module's result."""
    parameters = call.params
    account = Account.named(None)
    key, known_hosts, config = (
        check_path(name, account.expand(parameters[name])) for name in ("path", "known_hosts", "config")
    )
    if len({key, known_hosts, config}) < 3:
        raise Failure("invalid_argument", "path, known_hosts and config are three files; name three.")
    servers = [
        {**server, "identity_file": server["identity_file"] and account.expand(server["identity_file"])}
        for server in parameters["servers"]
    ]
    for server in servers:
        check_path("servers: identity_file", server["identity_file"] or key)
    identity = Identity(
        key,
        known_hosts,
        config,
        generate=parameters["generate"],
        comment=_comment(parameters["comment"], account),
        servers=parse_servers(servers, key),
        private_key=_private_key(parameters["private_key"]),
    )
    if parameters["state"] == "absent":
        result = identity.remove(key=parameters["remove_key"], check_mode=call.check_mode)
    else:
        result = identity.ensure(check_mode=call.check_mode)
    return {**result, "names": {name: _called(name) for name in parameters["names"]}}


def _called(name: str) -> str:
    """What borg puts in the place of a placeholder: it asks the same function of Python."""
    import socket  # not for those who need no name

    return socket.gethostname().partition(".")[0] if name == "hostname" else socket.getfqdn()


def _private_key(given: Optional[str]) -> Optional[str]:
    if given is None:
        return None
    try:
        public_half(given.encode())
    except ValueError as error:
        raise Failure(
            "invalid_argument", f"private_key: {error}. Give the whole text of the private key's file, without a passphrase."
        ) from error
    return given if given.endswith("\n") else f"{given}\n"


def _comment(given: Optional[str], account: Account) -> str:
    comment = f"{account.name}@{os.uname().nodename}" if given is None else given
    if not comment.isprintable():
        raise Failure(
            "invalid_argument", "comment: it holds a line break or another control character; for example root@web1."
        )
    return comment
