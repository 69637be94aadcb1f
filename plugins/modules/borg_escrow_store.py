#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_escrow_store
short_description: Keep recovery bundles on a machine that cannot read them
version_added: 0.1.0
description:
  - Runs on the machine where recovery bundles stand in escrow, if that is not the controller. M(fleetbackup.borg.borg_key_escrow)
    makes them on the controller; this module fetches them for it, and ensures that those that it made are there.
  - A file is the old or the new one, whole, with mode 0600, at every moment. Of two controllers that replace the same one, the
    second fails (C(error=locked)), and nothing is replaced.
  - What is not encrypted is refused. The machine needs no vault secret, and should have none.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  directory:
    description:
      - The directory of the bundles. It is made, with mode 0700, with the first of them.
    type: path
    required: true
  machine:
    description:
      - The inventory's name of the machine, which is returned.
    type: str
  hosts:
    description:
      - The inventory's names of the clients whose files are told.
    type: list
    elements: str
    default: []
  files:
    description:
      - Files that shall be there, as RV(fleetbackup.borg.borg_key_escrow#module:files) has them.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: The client.
        type: str
      name:
        description: The file's name.
        type: str
        required: true
      data:
        description: What it holds, encrypted, in Base64.
        type: str
        required: true
      mode:
        description: Has no effect.
        type: str
      replaces:
        description: The SHA-256 of the file in whose place it comes. By default there shall be none.
        type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Of each file the SHA-256 and the mode.
  idempotent:
    support: full
seealso:
  - module: fleetbackup.borg.borg_key_escrow
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Fetch the bundles
  fleetbackup.borg.borg_escrow_store:
    directory: /srv/escrow
    hosts: ["{{ inventory_hostname }}"]
  delegate_to: vault1
  register: fetched

- name: Make the bundle
  fleetbackup.borg.borg_key_escrow:
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    directory: /srv/escrow
    stored: "{{ fetched.files }}"
  register: made

- name: Keep it
  fleetbackup.borg.borg_escrow_store:
    directory: /srv/escrow
    files: "{{ made.files }}"
  delegate_to: vault1
"""

RETURN = r"""
machine:
  description: O(machine). Predicted in check mode.
  returned: success
  type: str
  sample: vault1
files:
  description: The files of O(hosts), after what was done. Predicted in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The client.
      type: str
    name:
      description: The file's name.
      type: str
    data:
      description: What it holds, encrypted, in Base64.
      type: str
    mode:
      description: Its mode.
      type: str
  sample:
    - host: web1
      name: web1_ssh-borg-backup1.example.org-.-web1_5f1a2b3c.yml
      data: JEFOU0lCTEVfVkFVTFQ7MS4xO0FFUzI1NgozNjM4
      mode: "0600"
"""

from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_store import ARGUMENTS, ensure
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ensure, ARGUMENTS, hidden=("files",))


if __name__ == "__main__":
    main()
