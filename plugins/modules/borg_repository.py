#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_repository
short_description: Ensure that a Borg repository exists, with these settings and this passphrase
version_added: 0.1.0
description:
  - Creates a Borg repository where there is none, keeps its settings and its passphrase, or removes it.
  - A repository is created only when Borg itself says that none exists. A server that does not answer, a directory that
    holds something else, a missing permission or a wrong passphrase never leads to a new repository.
  - Where nothing is to be done it costs one Borg command, needs no lock and touches no file.
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  state:
    description:
      - V(present) ensures that the repository exists.
      - V(absent) ensures that it does not. Its archives are gone then; O(confirm_id) is required. For a local repository that is
        enough, without O(passphrase) and O(passcommand), since a backup server has neither.
    type: str
    choices: [present, absent]
    default: present
  encryption:
    description:
      - How the repository is encrypted. It can never be changed; a repository with another mode is a failure.
      - By default a new repository gets V(repokey-blake2), and the mode of an existing one is not compared.
    type: str
    choices: [repokey, repokey-blake2, keyfile, keyfile-blake2, authenticated, authenticated-blake2, none]
  previous_passphrases:
    description:
      - Passphrases that may still be in force. Where O(passphrase) does not open the repository and one of these does, the
        key gets O(passphrase), and it is proven that it opens then.
    type: list
    elements: str
    default: []
  key_digest:
    description:
      - The digest of a key that O(passphrase) is known to open, as M(fleetbackup.borg.borg_key_escrow) returns it. An empty one
        counts as none.
      - Where the repository still has this key, and Borg opened it before at this very location as this user, it is not opened
        again. That it exists, and with which key, one export of the key tells, which takes neither a lock nor the passphrase;
        the answer stands in RV(key_digest).
      - Where the key is another one, the repository is opened as without this option, by one more Borg command. If that fails, for the
        key does not fit the passphrase or the data, the error is C(drift).
      - Where there is no repository, none is made, for there was one; the error is C(drift).
      - What only opening it tells is left to the next backup, namely that somebody put an older state of it in its place
        (C(replayed)), or damaged it.
      - It has no effect with O(state=absent).
    type: str
  make_parent_directories:
    description:
      - Whether to create the directories above a new repository.
    type: bool
    default: false
  allow_empty_directory:
    description:
      - Whether an existing, empty local directory counts as no repository and gets one.
      - By default it is a failure, since it may be the mount point of a disk that is not mounted.
    type: bool
    default: false
  repair_broken_init:
    description:
      - Whether to remove and create anew a local repository whose creation was interrupted, when it holds no data.
    type: bool
    default: false
  append_only:
    description:
      - Whether archives can only be added. Kept on local repositories; on a remote one it counts at creation only.
    type: bool
  storage_quota:
    description:
      - How much the repository may store, in bytes or as in V(500G); V(0) for no quota. At least 10M.
      - Local repositories only.
    type: str
  additional_free_space:
    description:
      - How much space Borg leaves free on the file system, in bytes or as in V(2G); V(0) for none. At least 10M.
      - Local repositories only.
    type: str
  confirm_id:
    description:
      - The id of the repository that O(state=absent) may remove. Any other repository at that place is left alone.
    type: str
seealso:
  - module: fleetbackup.borg.borg_repository_info
  - module: fleetbackup.borg.borg_archive
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: An encrypted repository on a local disk
  fleetbackup.borg.borg_repository:
    repository: /srv/backup/{{ inventory_hostname }}
    passphrase: "{{ vault_backup_passphrase }}"
    encryption: repokey-blake2
    make_parent_directories: true
    additional_free_space: 2G

- name: A repository on a backup server
  fleetbackup.borg.borg_repository:
    repository: ssh://borg@backup1.example.org/./{{ inventory_hostname }}
    passphrase: "{{ vault_backup_passphrase }}"
    encryption: keyfile-blake2

- name: A repository right on a disk of its own, whose mount point is empty at first
  fleetbackup.borg.borg_repository:
    repository: /mnt/backup
    passphrase: "{{ vault_backup_passphrase }}"
    allow_empty_directory: true

- name: Create it anew where an earlier creation was interrupted, for example by a loss of power
  fleetbackup.borg.borg_repository:
    repository: /srv/backup/{{ inventory_hostname }}
    passphrase: "{{ vault_backup_passphrase }}"
    repair_broken_init: true

- name: A new passphrase; the old one may still be in force on some hosts
  fleetbackup.borg.borg_repository:
    repository: /srv/backup/{{ inventory_hostname }}
    passphrase: "{{ vault_backup_passphrase }}"
    previous_passphrases:
      - "{{ vault_backup_passphrase_2025 }}"

- name: As cheaply as it gets, where a bundle of it stands in escrow
  fleetbackup.borg.borg_repository:
    repository: ssh://borg@backup1.example.org/./{{ inventory_hostname }}
    passphrase: "{{ vault_backup_passphrase }}"
    key_digest: "{{ escrow.digest | default('', true) }}" # of an earlier task of borg_key_escrow

- name: Only this very repository may be removed, with all its archives
  fleetbackup.borg.borg_repository:
    repository: /srv/backup/old-host
    state: absent
    confirm_id: 586f274595a184a69b7e937c90a87f93f5cb6f165d375db6393b048d91575adb
"""

RETURN = r"""
exists:
  description: Whether the repository exists afterwards. Predicted in check mode.
  returned: success
  type: bool
  sample: true
created:
  description: Whether it was created. Predicted in check mode.
  returned: success
  type: bool
  sample: false
passphrase_changed:
  description: Whether its key got another passphrase. Predicted in check mode.
  returned: success
  type: bool
  sample: false
id:
  description:
    - The repository's id; for one that is absent V(null).
    - Of a repository that would be created V(null) in check mode.
  returned: success
  type: str
  sample: 586f274595a184a69b7e937c90a87f93f5cb6f165d375db6393b048d91575adb
encryption:
  description: Its encryption mode. Predicted in check mode.
  returned: success
  type: str
  sample: repokey-blake2
key_digest:
  description:
    - The SHA-256 of its key as its passphrase wraps it, as M(fleetbackup.borg.borg_key) returns it.
    - V(null) where O(key_digest) was not given, where there is no key, and where this task made or changed it. Predicted in check
      mode.
  returned: success
  type: str
  sample: 93daeaa81421f6b1a7a7f3c5b9d1c1ae3c0a6f21b1d4a0f6a7b1a2f7b4e9c0d2
location:
  description: Its location as Borg spells it. Predicted in check mode.
  returned: success
  type: str
  sample: ssh://borg@backup1.example.org/./web1
settings:
  description: The settings of a local repository; V(null) for a remote one. Predicted in check mode.
  returned: success
  type: dict
  contains:
    append_only:
      description: Whether archives can only be added.
      type: bool
    storage_quota:
      description: How many bytes it may store; 0 for no quota.
      type: int
    additional_free_space:
      description: How many bytes of the file system Borg leaves free.
      type: int
  sample:
    append_only: false
    storage_quota: 0
    additional_free_space: 2000000000
assumed:
  description:
    - Whether C(changed) is an assumption, in check mode only. Borg is not installed yet, or the server does not let this client in
      yet, or has no Borg yet, or its host key is not pinned yet. What else is returned holds for a repository that does not
      exist yet (with O(state=absent), for one that does; its diff lacks the id).
  returned: success
  type: bool
  sample: false
"""

from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._managed_repository import ARGUMENTS, REQUIRED_IF, ensure


def main() -> None:
    run_borg_module(ensure, ARGUMENTS, required_if=REQUIRED_IF)


if __name__ == "__main__":
    main()
