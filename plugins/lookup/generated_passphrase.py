# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A passphrase that is made where it does not exist."""

from __future__ import annotations

DOCUMENTATION = """
name: generated_passphrase
short_description: A passphrase that is made once and kept encrypted beside the recovery bundles
version_added: 0.1.0
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
description:
  - Gives the passphrase of a name. Where there is none yet, one of 192 bits is made on the controller, and stands encrypted by Ansible
    Vault in the directory of the recovery bundles before anybody gets it. Several controllers that share the directory get the same one.
  - In check mode none is made. The playbook C(fleetbackup.borg.verify_escrow) makes none either, and fails where one is missing.
  - Another name is another passphrase. So a repository gets a new one when the name in its configuration changes; run the playbook
    C(fleetbackup.borg.rotate_passphrase) then.
  - The result is a secret. Use it nowhere but in options that are one.
options:
  _terms:
    description: Names of passphrases, such as the inventory's names of hosts.
    required: true
  directory:
    description: The directory, as O(fleetbackup.borg.borg_key_escrow#module:directory).
    type: str
    default: ~/fleetbackup-escrow
    vars:
      - name: borgmatic_escrow_directory
  vault_id:
    description: The vault identity that it is encrypted for, as O(fleetbackup.borg.borg_key_escrow#module:vault_id).
    type: str
    vars:
      - name: borgmatic_escrow_vault_id
  vault_ids:
    description:
      - Further vault identities, as O(fleetbackup.borg.borg_key_escrow#module:vault_ids). For each stands one more file beside the first, and
        any of them is enough to find the passphrase again.
      - There is none for keys of age and GnuPG. Their recovery bundles, which are there before a repository is made, hold its passphrase.
    type: list
    elements: str
    default: []
    vars:
      - name: borgmatic_escrow_vault_ids
"""

EXAMPLES = """
- name: Back up with a passphrase that nobody has to think of
  hosts: borg_clients
  become: true
  roles:
    - role: fleetbackup.borg.borgmatic
  vars:
    borgmatic_configs:
      - name: system
        config:
          source_directories: [/etc]
          repositories:
            - path: "ssh://borg@backup1/./{{ inventory_hostname }}"
          encryption_passphrase: "{{ lookup('fleetbackup.borg.generated_passphrase', inventory_hostname) }}"
          keep_daily: 7
"""

RETURN = """
_list:
  description: The passphrases.
  type: list
  elements: str
"""

from typing import Any, Callable, Optional, Sequence

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._generated_passphrase import GeneratedPassphrase
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient, recipients_of

#: Within one process the same passphrase is asked for again and again.
_known: dict[str, str] = {}


class LookupModule(LookupBase):
    """Finds or makes passphrases."""

    def run(self, terms: Sequence[str], variables: Optional[dict[str, Any]] = None, **options: Any) -> list[str]:
        """The passphrases of these names."""
        self.set_options(var_options=variables, direct=options)
        said = variables or {}
        only_looks, predicts = bool(said.get("__borgmatic_only_looks")), bool(said.get("ansible_check_mode"))
        find = GeneratedPassphrase.existing if only_looks else GeneratedPassphrase.expected if predicts else GeneratedPassphrase.ensure
        try:
            return [self._passphrase(str(term), find) for term in terms]
        except Failure as failure:
            raise AnsibleLookupError(failure.msg) from failure

    def _passphrase(self, name: str, find: Callable[[GeneratedPassphrase], str]) -> str:
        secrets = self._loader._vault.secrets
        recipients = recipients_of(secrets, self.get_option("vault_id"), self.get_option("vault_ids"), may_lack=True)
        directory = self._loader.path_dwim(self.get_option("directory"))
        wanted = GeneratedPassphrase(directory, name, recipients, [Recipient(*secret) for secret in secrets])
        if wanted.path not in _known:
            _known[wanted.path] = find(wanted)
        return _known[wanted.path]
