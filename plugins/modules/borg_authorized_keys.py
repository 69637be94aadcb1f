#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_authorized_keys
short_description: Let clients into a backup server, each only to its own repositories
version_added: 0.1.0
description:
  - Ensures that an account's C(authorized_keys) holds these clients and nobody else, or with O(remove) these beside others. One
    launch serves thousands of them.
  - Whatever a client asks for, sshd runs C(borg serve) with the limits given here. It has no shell, no terminal, no
    forwarding.
  - The module owns the whole file and replaces it in one step. The mode of a file that only its owner may write stays
    as it is.
  - What would make sshd ignore the file is repaired, such as a group that may write to it, to its directory or to a home
    of the account's own. Directories outside of the home stay as they are.
  - Sessions of a client that loses its access are ended. Where it shared a repository with one that stays, a session
    may be that one's, and goes on. Connections to the account over which nothing has run for 10 seconds are closed
    then, for nobody can tell whose they are.
  - Two runs at the same time take turns, so each finds whom the other one let in.
  - Everything is checked before anything changes.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  user:
    description:
      - The account on the backup server. This module runs as root or as this account.
    type: str
    required: true
  path:
    description:
      - The file. By default C(.ssh/authorized_keys) in the account's home; a missing C(.ssh) is made. A link is
        refused.
    type: path
  directory:
    description:
      - The pool, which all repositories are below. By default the account's home.
    type: path
  clients:
    description:
      - The clients. Those that are neither here nor in O(retain) lose their access, unless O(remove) says otherwise. Their
        repositories stay.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Names the client; 1 to 64 letters, digits, C(.), C(_), C(-) and C(:), of which the first is a letter, a
            digit or C(_).
        type: str
        required: true
      public_keys:
        description:
          - Its public keys, each as in its C(.pub) file; two while a key is replaced. Types are ed25519, ECDSA, those
            of security keys, and RSA from 2048 bits on. No two clients may have the same key.
        type: list
        elements: str
        required: true
      repositories:
        description:
          - The paths of its repositories, absolute or relative to O(directory). It can create them, and reach nothing
            else.
        type: list
        elements: str
        default: []
      paths:
        description:
          - Instead of O(clients[].repositories), paths in which it may reach everything, such as C(.) for all of
            O(directory). For an identity that maintains the repositories of others.
        type: list
        elements: str
        default: []
      append_only:
        description:
          - Whether it can only add. What it deletes can be brought back until somebody else compacts the repository.
        type: bool
        default: true
      storage_quota:
        description:
          - How much each of its repositories may hold, in borg's decimal units, such as V(50G); at least 10M. By
            default, or with an empty text, whatever the repository's own settings say.
        type: str
      from:
        description:
          - Addresses, networks or patterns of sshd that it has to come from. By default any.
        type: list
        elements: str
        default: []
  retain:
    description:
      - Names of clients whose lines stay as they are, where O(clients) does not say otherwise. For those that a run
        knows nothing of. A name that has no line is no error.
    type: list
    elements: str
    default: []
  remove:
    description:
      - Names of clients that lose their access, where O(clients) does not say otherwise. All others keep theirs, with V([]) everybody
        does. For runs that do not know all clients. A name that has no line is no error.
      - By default whoever is in neither of the other lists loses it.
    type: list
    elements: str
  contested:
    description:
      - What to do where two clients give the same key. With V(fail) nothing is changed. With V(retain) the key stays with
        the one that has it already, if there is one; whoever does not get it goes on with the keys that it has, and a warning
        says why. What each may do follows from O(clients) all the same. That way no client can keep a whole fleet out with a key
        that it copied.
    type: str
    choices: [fail, retain]
    default: fail
  allow_shared_repositories:
    description:
      - Whether several clients may have the same repository. Each of them can then spoil what the others stored. Without it,
        and for a repository within another's, the module fails. Those that only O(remove) keeps are not looked at.
    type: bool
    default: false
  exclusive:
    description:
      - Whether lines that are not this module's, comments included, are removed. Otherwise they make it fail.
    type: bool
    default: false
  borg:
    description:
      - Borg on the server, a name or a path.
    type: str
    default: borg
  host_id:
    description:
      - The server's C(BORG_HOST_ID). With it borg knows its own stale locks again when the name or the network card of
        the server changes. By default borg makes one up.
    type: str
  umask:
    description:
      - The mask for what borg writes, three octal digits in quotes.
    type: str
    default: "077"
notes:
  - On failure this module returns C(msg), C(error) (a word to decide on), C(reason), C(retryable), C(rc), C(msgid),
    C(cmd) and C(stderr).
seealso:
  - module: fleetbackup.borg.borg_pool
  - module: fleetbackup.borg.borg_sshd
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Let two clients in
  fleetbackup.borg.borg_authorized_keys:
    user: borg
    directory: /srv/borg
    clients:
      - name: web1.example.org
        public_keys: ["{{ web1_public_key }}"]
        repositories: [web1.example.org]
        storage_quota: 50G
      - name: db1.example.org
        public_keys: ["{{ db1_public_key }}", "{{ db1_next_public_key }}"]
        repositories: [db1.example.org, db1.example.org-dumps]
        from: [192.0.2.0/24]

- name: Let one identity maintain all repositories, and keep the clients
  fleetbackup.borg.borg_authorized_keys:
    user: borg
    directory: /srv/borg
    clients:
      - name: maintenance
        public_keys: ["{{ maintenance_public_key }}"]
        paths: [.]
        append_only: false
    retain: "{{ groups['borg_clients'] }}"
"""

RETURN = r"""
path:
  description: The file. Predicted in check mode.
  returned: success
  type: str
  sample: /home/borg/.ssh/authorized_keys
clients:
  description: The names of the clients that have a line afterwards, sorted. Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: [db1.example.org, web1.example.org]
added:
  description: The names of those that had none before. Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: [web1.example.org]
changed_clients:
  description: The names of those whose lines were changed. Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: [db1.example.org]
removed:
  description: The names of those that have none any more. Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: []
contested:
  description: The names of those that did not get a key which they gave, because it is another one's too. Predicted in
    check mode.
  returned: success
  type: list
  elements: str
  sample: []
ended_sessions:
  description: The names of those that were removed and of which a session was running, which was told to end. Predicted in
    check mode.
  returned: success
  type: list
  elements: str
  sample: []
retained:
  description: The names of those whose lines stayed because of O(retain). Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: []
assumed:
  description: Whether check mode could not know, because an earlier step was not executed (there is no such
    account yet, or O(clients[].public_keys) is empty, as the key has not been made).
  returned: success
  type: bool
  sample: false
"""

from contextlib import nullcontext
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys import (
    Access,
    Client,
    Present,
    Serving,
    check_retained,
    parse_clients,
    read,
    render,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys_file import KeysFile, exclusively
from ansible_collections.fleetbackup.borg.plugins.module_utils._claims import (
    repository_problem,
    settle_keys,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._sessions import Sessions, of_removed


def main() -> None:
    run_module(
        ensure,
        {
            "user": {"type": "str", "required": True},
            "path": {"type": "path"},
            "directory": {"type": "path"},
            "clients": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "public_keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
                    "repositories": {"type": "list", "elements": "str", "default": []},
                    "paths": {"type": "list", "elements": "str", "default": []},
                    "append_only": {"type": "bool", "default": True},
                    "storage_quota": {"type": "str"},
                    "from": {"type": "list", "elements": "str", "default": []},
                },
            },
            "retain": {"type": "list", "elements": "str", "default": []},
            "remove": {"type": "list", "elements": "str"},
            "contested": {"type": "str", "choices": ["fail", "retain"], "default": "fail"},
            "allow_shared_repositories": {"type": "bool", "default": False},
            "exclusive": {"type": "bool", "default": False},
            "borg": {"type": "str", "default": "borg"},
            "host_id": {"type": "str"},
            "umask": {"type": "str", "default": "077"},
        },
        # Thousands of them cost time in the result and in the journal, and somebody may have given a private key for a
        # public one.
        hidden=("clients",),
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Bring the file about; the module's result."""
    parameters = module.params
    account = Account.named(parameters["user"])
    path = parameters["path"] or f"{account.home}/.ssh/authorized_keys"
    if not path.startswith("/"):
        raise Failure("invalid_argument", f"path: {path!r} is no absolute path; for example /etc/ssh/keys/borg.")
    wanted = _wanted(parameters, account, module.check_mode)
    with nullcontext() if module.check_mode else exclusively(path, account):
        return _bring_about(module, KeysFile(path, account), account, wanted)


def _bring_about(module: AnsibleModule, file: KeysFile, account: Account, wanted: list[Client]) -> dict[str, Any]:
    """Nobody else changes the file meanwhile."""
    parameters = module.params
    pending = {client.name for client in wanted if not client.keys}
    missing = _missing(account, file)
    if missing is not None and not module.check_mode:
        raise missing
    present = read(file.text, wanted)
    if present.foreign and not parameters["exclusive"]:
        raise _foreign(file.path, present)
    served, contested = _settled(module, wanted, present)
    given = {client.name for client in served}
    retained = sorted({*_staying(parameters, present), *pending} - given & {*present.lines})
    check_retained(present, retained)
    text = render(served, {name: present.lines[name] for name in retained})
    difference = Difference()
    file.compare(difference)
    changes = _compare(served, present, retained, difference)
    _assume(pending, present, difference, changes)
    if text != file.text and not difference.changed:
        difference.add(f"{file.path}: layout", "other lines or another order", "as this module writes it")
    if difference.changed and not module.check_mode:
        file.write(text)
    staying = [*(client.access for client in served), *(present.clients[name].access for name in retained)]
    sessions = _sessions(account, present, changes["removed"], staying)
    if not module.check_mode:
        for process in sessions.processes:
            process.end()
    return {
        "changed": difference.changed or missing is not None,
        "assumed": missing is not None or bool(pending),
        "diff": difference.as_diff(),
        "path": file.path,
        "clients": sorted({*given, *retained, *pending}),
        **changes,
        "contested": contested,
        "ended_sessions": sessions.names,
        "retained": [name for name in retained if name not in pending],
    }


def _sessions(account: Account, present: Present, removed: list[str], staying: list[Access]) -> Sessions:
    """Those that go on for clients that were removed."""
    if account.uid is None:
        return Sessions([], [])
    reaches = {name: present.clients[name].access.reach for name in removed if name in present.clients}
    return of_removed(account.name, account.uid, reaches, [access.reach for access in staying])


def _staying(parameters: dict[str, Any], present: Present) -> set[str]:
    """The names of those that keep their lines, where they are not given anew."""
    if parameters["remove"] is None:
        return {*parameters["retain"]}
    return {*parameters["retain"], *present.lines} - {*parameters["remove"]}


def _settled(module: AnsibleModule, wanted: list[Client], present: Present) -> tuple[list[Client], list[str]]:
    """The clients that get a line, and the names of those that do not get a key which they gave."""
    names = {client.name for client in wanted}
    keyless = [present.clients[client.name] for client in wanted if not client.keys and client.name in present.clients]
    stay = [present.clients[name] for name in sorted(_staying(module.params, present) - names) if name in present.clients]
    named = [client for client in stay if client.name in module.params["retain"]]
    problem = repository_problem(wanted, named, shared=module.params["allow_shared_repositories"])
    if problem is not None:
        raise Failure("invalid_argument", problem)
    settled, contested = settle_keys([client for client in wanted if client.keys], [*stay, *keyless], present.clients)
    for reason in contested.values():
        if module.params["contested"] == "fail":
            raise Failure("invalid_argument", reason)
        module.warn(f"{reason} Until then only the keys that it has let it in.")
    return [client for client in settled if client.keys], sorted(contested)


def _assume(pending: set[str], present: Present, difference: Difference, changes: dict[str, list[str]]) -> None:
    for name in sorted(pending):
        changes["changed_clients" if name in present.lines else "added"].append(name)
        difference.add(name, None, "a key that does not exist yet")
    for names in changes.values():
        names.sort()


def _wanted(parameters: dict[str, Any], account: Account, check_mode: bool) -> list[Client]:
    """The clients; in check mode, those whose keys an earlier step would have made have none."""
    serving = Serving(parameters["borg"], parameters["host_id"], parameters["umask"])
    return parse_clients(parameters["clients"], parameters["directory"] or account.home, serving, keyless=check_mode)


def _missing(account: Account, file: KeysFile) -> Optional[Failure]:
    if account.uid is None:
        return Failure("invalid_argument", f"user: there is no account {account.name}; create it first.")
    return file.missing


def _foreign(path: str, present: Present) -> Failure:
    numbers = ", ".join(map(str, present.foreign[:20])) + (" …" if len(present.foreign) > 20 else "")
    return Failure(
        "unsafe",
        f"{path} holds {len(present.foreign)} lines that are not this module's (line {numbers}). Whoever has such a"
        f" key may get"
        " in without a restriction. Give them as clients, or let them be removed with exclusive: true.",
    )


def _compare(
    wanted: list[Client], present: Present, retained: list[str], difference: Difference
) -> dict[str, list[str]]:
    """Note which clients differ; their names."""
    after = {client.name: client for client in wanted}
    changed = []
    for name, client in after.items():
        lines = present.lines.get(name)
        if lines is not None and lines != client.lines:
            changed.append(name)
            before, record = _differing(_record(present, name), client.as_record())
            difference.add(name, before, record)
    added = sorted(set(after) - set(present.lines))
    for name in added:
        difference.add(name, None, after[name].as_record())
    removed = sorted(set(present.lines) - set(after) - set(retained))
    for name in removed:
        difference.add(name, _record(present, name), None)
    difference.add("foreign lines", len(present.foreign), 0)
    return {"added": added, "changed_clients": changed, "removed": removed}


def _record(present: Present, name: str) -> dict[str, Any]:
    client = present.clients.get(name)
    return client.as_record() if client else {"lines": "not as this module writes them"}


def _differing(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = [name for name in after if name not in before or before[name] != after[name]]
    if not names:
        return {"order of keys": "another"}, {"order of keys": "as given"}
    return {name: before[name] for name in before if name in names or name not in after}, {
        name: after[name] for name in names
    }


if __name__ == "__main__":
    main()
