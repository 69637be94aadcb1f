# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The passphrases that stand in a recovery bundle."""

from __future__ import annotations

DOCUMENTATION = """
name: escrowed_passphrase
short_description: The passphrases that stand in the recovery bundle of a repository
version_added: 0.1.0
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
description:
  - Opens the bundle that M(fleetbackup.borg.borg_key_escrow) keeps on the controller, with the vault secrets that Ansible was given.
  - Where a change of the passphrase was interrupted, there may be several; any of them may be in force.
  - The result is a secret. Use it nowhere but in options that are one, such as
    O(fleetbackup.borg.borg_repository#module:previous_passphrases).
options:
  _terms:
    description: The locations of repositories. One that has no bundle is left out.
    required: true
  directory:
    description: The directory of the bundles, as O(fleetbackup.borg.borg_key_escrow#module:directory).
    type: str
    required: true
  host:
    description: The inventory's name of the client. By default the present host.
    type: str
  stored:
    description:
      - The bundles themselves, where they stand on another machine, as M(fleetbackup.borg.borg_escrow_store) returned them.
    type: list
    elements: dict
"""

EXAMPLES = """
- name: Change the passphrase of a repository, whatever it was
  fleetbackup.borg.borg_repository:
    repository: /srv/backup
    passphrase: "{{ vault_new_backup_passphrase }}"
    previous_passphrases: "{{ query('fleetbackup.borg.escrowed_passphrase', '/srv/backup', directory='~/fleetbackup-escrow') }}"
"""

RETURN = """
_list:
  description: The passphrases.
  type: list
  elements: str
"""

from typing import Any, Optional, Sequence

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import EscrowFiles, stem_of
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._carried_files import files_of
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery import opened
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient


class LookupModule(LookupBase):
    """Reads bundles."""

    def run(self, terms: Sequence[str], variables: Optional[dict[str, Any]] = None, **options: Any) -> list[str]:
        """The passphrases of the repositories at these locations."""
        self.set_options(var_options=variables, direct=options)
        host = self.get_option("host") or (variables or {}).get("inventory_hostname", "")
        directory = self._loader.path_dwim(self.get_option("directory"))
        identities = [Recipient(*secret) for secret in self._loader._vault.secrets]
        try:
            files = [files_of(self.get_option("stored"), directory, host, str(Location.parse(term))) for term in terms]
            return [text for one in files for text in _passphrases(one, directory, host, identities)]
        except Failure as failure:
            raise AnsibleLookupError(failure.msg) from failure


def _passphrases(files: EscrowFiles, directory: str, host: str, identities: list[Recipient]) -> list[str]:
    names = [name for name in files.names(host) if stem_of(name) == files.stem]
    bundle = opened(files, directory, files.stem, names, identities)
    return [] if bundle is None else [bundle.passphrase, *bundle.other_passphrases]
