# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the recovery bundles of a host."""

from __future__ import annotations

DOCUMENTATION = """
name: recovery_bundle
short_description: What stands in the recovery bundles of a host
version_added: 0.1.0
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
description:
  - Opens the bundles that M(fleetbackup.borg.borg_key_escrow) keeps, with the vault secrets that Ansible was given. The host need not be
    in the inventory any more. Of a host without a bundle there is nothing.
  - The result holds secrets. Use it nowhere but in options that are one, such as
    O(fleetbackup.borg.borg_key#module:content).
options:
  _terms:
    description: The inventory's names of hosts.
    required: true
  directory:
    description: The directory of the bundles, as O(fleetbackup.borg.borg_key_escrow#module:directory).
    type: str
    required: true
  stored:
    description:
      - The bundles themselves, where they stand on another machine, as M(fleetbackup.borg.borg_escrow_store) returned them.
    type: list
    elements: dict
seealso:
  - module: fleetbackup.borg.borg_key_escrow
  - plugin: fleetbackup.borg.borgmatic_recovered
    plugin_type: filter
"""

EXAMPLES = """
- name: Give a repository its key back
  fleetbackup.borg.borg_key:
    repository: "{{ bundle.repository }}"
    passphrase: "{{ bundle.passphrase }}"
    state: imported
    content: "{{ bundle.key }}"
    confirm_id: "{{ bundle.id }}"
  vars:
    bundle: "{{ query('fleetbackup.borg.recovery_bundle', 'web1', directory='~/fleetbackup-escrow') | first }}"
"""

RETURN = """
_list:
  description: The bundles, one for each repository.
  type: list
  elements: dict
  contains:
    repository:
      description: The location of the repository.
      type: str
    locations:
      description: All its locations, C(resolved) among them.
      type: list
      elements: str
    resolved:
      description: >-
        The location as the client's Borg reads it, where it has words such as C({hostname}); V(null) where it has none, or where the
        bundle is of an older release.
      type: str
    id:
      description: The repository's id; V(null) where it did not exist yet when the bundle was written.
      type: str
    key:
      description: The repository's key as Borg exports it; V(null) as for the id.
      type: str
    encryption:
      description: The encryption mode, where it is known.
      type: str
    passphrase:
      description: The passphrase.
      type: str
    identity:
      description: The client's private SSH key, where the bundle holds it.
      type: str
    known_hosts:
      description: The server's host keys, as lines for ssh.
      type: list
      elements: str
    configuration:
      description: The borgmatic configuration, a text of YAML.
      type: str
"""

from typing import Any, Optional, Sequence

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import EscrowDirectory
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._carried_files import CarriedFiles
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery import bundles_in, described
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient


class LookupModule(LookupBase):
    """Reads bundles."""

    def run(self, terms: Sequence[str], variables: Optional[dict[str, Any]] = None, **options: Any) -> list[dict[str, Any]]:
        """The bundles of these hosts."""
        self.set_options(var_options=variables, direct=options)
        directory = self._loader.path_dwim(self.get_option("directory"))
        identities = [Recipient(*secret) for secret in self._loader._vault.secrets]
        stored = self.get_option("stored")
        try:
            return [
                described(bundle)
                for host in terms
                for bundle in bundles_in(
                    EscrowDirectory(directory) if stored is None else CarriedFiles(stored, directory, host, ""),
                    directory, host, identities,
                )
            ]
        except Failure as failure:
            raise AnsibleLookupError(failure.msg) from failure
