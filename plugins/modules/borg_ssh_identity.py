#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_ssh_identity
short_description: Provide a client with an SSH key and the host keys of its servers
version_added: 0.1.0
description:
  - Ensures that a key pair, the pinned host keys of the servers, and a configuration of ssh that uses exactly these, exist for
    the account that runs this module.
  - No host is trusted on first use. A server whose host keys nobody gave is refused by ssh until they are given.
  - The account's own configuration of ssh is neither read nor changed. What it returns as RV(ssh_command) is for Borg's and
    borgmatic's option of that name.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  path:
    description:
      - The private key. A leading C(~) is the home that the user database gives for the account.
      - A key that exists is taken as it is, whatever its type; it is never overwritten. It needs no passphrase, as nobody is
        there to type it. Others lose the right to read it, and a missing or wrong public key beside it is written anew.
    type: str
    default: ~/.ssh/fleetbackup_ed25519
  generate:
    description:
      - Whether a key (ed25519, without passphrase) is made where there is none. Otherwise that is a failure, C(key_missing).
    type: bool
    default: true
  private_key:
    description:
      - The text of the private key that O(path) shall hold where there is none, for example out of a recovery bundle. One that exists is
        taken as it is.
    type: str
  comment:
    description:
      - The comment of a new key. By default the account and the name of the machine, V(root@web1).
    type: str
  servers:
    description:
      - The servers. Others are removed from O(known_hosts) and O(config).
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description:
          - The server as it is written in the repository's location, a name or an address; IPv6 without brackets.
        type: str
        required: true
      port:
        description:
          - The port as in the repository's location.
        type: int
        default: 22
      host_keys:
        description:
          - Its host keys, such as V(ssh-ed25519 AAAA…), or the lines of C(ssh-keyscan). They replace those that are pinned.
          - Without any, what is pinned for it stays.
        type: list
        elements: str
      identity_file:
        description:
          - Another private key for this server; it must exist. By default O(path).
        type: str
      hostname:
        description:
          - The name or address to connect to where it differs from O(servers[].host).
        type: str
  names:
    description:
      - What is to be told of how the machine calls itself, as Borg's placeholders C({hostname}) and C({fqdn}) do.
    type: list
    elements: str
    choices: [hostname, fqdn]
    default: []
  known_hosts:
    description:
      - The file with the pinned host keys. The whole file is this module's; one that it did not write is refused.
    type: str
    default: ~/.ssh/fleetbackup_known_hosts
  config:
    description:
      - The configuration of ssh. The whole file is this module's; one that it did not write is refused.
    type: str
    default: ~/.ssh/fleetbackup_config
  state:
    description:
      - V(absent) removes O(config) and O(known_hosts), and keeps the key, but for O(remove_key).
    type: str
    choices: [present, absent]
    default: present
  remove_key:
    description:
      - With O(state=absent), whether the key pair is removed as well, provided that this module made it.
      - It notes that in a file beside the key, C(PATH.generated).
    type: bool
    default: false
requirements:
  - ssh-keygen (openssh-client), to make a key or to read one in a format of old
notes:
  - Run it as the account that makes the backups (C(become_user)).
  - Two ports of one host that need different keys or addresses are told apart by a command that ssh runs with C(SHELL), so
    that variable must not name a shell that refuses to work.
  - On failure this module returns C(msg), C(error) (a word to decide on), C(reason), C(retryable), C(rc), C(msgid), C(cmd)
    and C(stderr).
seealso:
  - module: fleetbackup.borg.borg_authorized_keys
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Provide a key, and pin the host keys of a server
  fleetbackup.borg.borg_ssh_identity:
    servers:
      - host: backup.example.org
        port: 2222
        host_keys:
          - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUzcH8XkRr4d9q6nXw1sG5vHcQm0yJm9iB3T2kq7WcE
  register: identity

- name: Use it
  fleetbackup.borg.borg_repository_info:
    repository: ssh://borg@backup.example.org:2222/./web1
    rsh: "{{ identity.ssh_command }}"

- name: Use a key of one's own with a server outside of the inventory
  fleetbackup.borg.borg_ssh_identity:
    path: /home/ada/.ssh/id_ed25519
    generate: false
    servers:
      - host: u1234.storage.example.net
        host_keys: "{{ lookup('ansible.builtin.file', 'storage_host_keys').splitlines() }}"
  become: true
  become_user: ada

- name: Remove all of it, with the key if this module made it
  fleetbackup.borg.borg_ssh_identity:
    state: absent
    remove_key: true
"""

RETURN = r"""
public_key:
  description:
    - The public key, type, key and comment; V(null) where there is none.
    - V(null) in check mode where a key would be made.
  returned: success
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUzcH8XkRr4d9q6nXw1sG5vHcQm0yJm9iB3T2kq7WcE root@web1
fingerprint:
  description: Its fingerprint. V(null) in check mode where a key would be made.
  returned: success
  type: str
  sample: SHA256:Nl5Dq7xw2YkGg0Zb0mYp2wq4f1c6o0m0m6r4l3h1b9A
generated:
  description: Whether this module made the key that stands there, now or earlier. Predicted in check mode.
  returned: success
  type: bool
  sample: true
path:
  description: The private key's path. Predicted in check mode.
  returned: success
  type: str
  sample: /root/.ssh/fleetbackup_ed25519
known_hosts:
  description: The path of the file with the host keys. Predicted in check mode.
  returned: success
  type: str
  sample: /root/.ssh/fleetbackup_known_hosts
config:
  description: The path of the configuration. Predicted in check mode.
  returned: success
  type: str
  sample: /root/.ssh/fleetbackup_config
ssh_command:
  description: The command that uses it, quoted as a shell reads it. Predicted in check mode.
  returned: success
  type: str
  sample: ssh -F /root/.ssh/fleetbackup_config
servers:
  description: The servers in the order in which they were given. Predicted in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: As it was given.
      type: str
    port:
      description: As it was given.
      type: int
    public_key:
      description: The public key that this client shows it. V(null) in check mode where a key would be made.
      type: str
    identity_file:
      description: The private key for it.
      type: str
    pinned:
      description: Whether a host key of it is pinned.
      type: bool
    host_keys:
      description: The host keys that are pinned.
      type: list
      elements: str
    host_key_fingerprints:
      description: Type and fingerprint of each host key that is pinned.
      type: list
      elements: str
  sample:
    - host: backup.example.org
      port: 2222
      public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUzcH8XkRr4d9q6nXw1sG5vHcQm0yJm9iB3T2kq7WcE root@web1
      identity_file: /root/.ssh/fleetbackup_ed25519
      pinned: true
      host_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2Xb0yJm9iB3T2kq7WcEHUzcH8XkRr4d9q6nXw1sG5v]
      host_key_fingerprints: ["ssh-ed25519 SHA256:2Xb0yJm9iB3T2kq7WcEHUzcH8XkRr4d9q6nXw1sG5vA"]
unpinned:
  description: The hosts of which no host key is pinned, so that ssh refuses them. Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: []
names:
  description: What the machine calls itself, for each of O(names). Predicted in check mode.
  returned: success
  type: dict
  sample: {"hostname": "web1"}
assumed:
  description: Whether check mode could not know, because an earlier step was not executed (ssh-keygen is not installed yet).
  returned: success
  type: bool
  sample: false
"""

from ansible_collections.fleetbackup.borg.plugins.module_utils._client_identity import ARGUMENTS, ensure
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
