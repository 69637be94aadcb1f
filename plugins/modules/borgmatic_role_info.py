#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borgmatic_role_info
short_description: Tell how far the role borgmatic has come on a machine
version_added: 0.1.0
description:
  - Asks what the modules of the role P(fleetbackup.borg.borgmatic#role) would change, in one launch and with one Borg command
    for each repository. The role uses it to launch them only where there is something to do.
  - The phases are asked in their order. The first that has something to do, cannot tell without an earlier one, or fails, ends
    that; what is the matter says the module that the role launches then.
  - It is no module for playbooks, and its options follow the role.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.info
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  async:
    support: none
options:
  objections:
    description:
      - What the role has found wrong with its variables. Where there is anything, the module fails with that.
    type: list
    elements: str
    default: []
  configs:
    description:
      - The variable C(borgmatic_configs) of the role. It does not reach the target as it is.
    type: list
    elements: dict
    required: true
  destinations:
    description:
      - What P(fleetbackup.borg.borgmatic_destinations#filter) found.
    type: list
    elements: dict
    default: []
  directory:
    description:
      - The directory of configurations that have no path of their own.
    type: str
    default: /etc/borgmatic.d
  user:
    description:
      - Whom the backups run as. Root asks in the name of that account.
    type: str
    default: root
  installation:
    description:
      - O(fleetbackup.borg.borgmatic_installation#module:method) and other options of that module.
    type: dict
    default: {}
  identity:
    description:
      - Options of M(fleetbackup.borg.borg_ssh_identity) but O(fleetbackup.borg.borg_ssh_identity#module:servers).
    type: dict
    default: {}
  scheduling:
    description:
      - Options of M(fleetbackup.borg.borgmatic_schedule) but
        O(fleetbackup.borg.borgmatic_schedule#module:schedules) and O(fleetbackup.borg.borgmatic_schedule#module:documents). Schedules
        of O(configs) that are none any more are left over.
    type: dict
    default: {}
  escrow:
    description:
      - Whether and where recovery bundles stand. C(keep) tells whether; C(on_client) that they may stand on the client itself,
        C(ssh_key) that they hold the client's SSH key. The rest are options of M(fleetbackup.borg.borg_key_escrow), such as
        O(fleetbackup.borg.borg_key_escrow#module:directory).
    type: dict
    default: {}
  requests:
    description:
      - What the controller's half of this module makes of the other options. It is not for users.
    type: str
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: See what is left to do
  fleetbackup.borg.borgmatic_role_info:
    configs: "{{ borgmatic_configs }}"
  register: state

- name: Tell
  ansible.builtin.debug:
    msg: "{{ state.done | join(', ') }}"
"""

RETURN = r"""
done:
  description:
    - The phases that have nothing left to do, C(install), C(ssh), C(repository), C(escrow), C(config) and C(schedule), up to the
      first that has. The same in check mode.
  returned: success
  type: list
  elements: str
  sample: [install, ssh, repository, escrow, config, schedule]
install:
  description:
    - What M(fleetbackup.borg.borgmatic_installation) returns; V(null) where that phase is not among RV(done). The same in check
      mode.
  returned: success
  type: dict
  sample: {"borg": "/usr/bin/borg", "borg_version": "1.4.0", "borgmatic": "/usr/bin/borgmatic", "borgmatic_version": "1.9.14"}
ssh:
  description:
    - What M(fleetbackup.borg.borg_ssh_identity) returns; V(null) where that phase is not among RV(done), or there is no
      repository on another host. The same in check mode.
  returned: success
  type: dict
  sample: {"path": "/root/.ssh/fleetbackup_ed25519", "ssh_command": "ssh -F /root/.ssh/fleetbackup_config", "unpinned": []}
repository:
  description:
    - What M(fleetbackup.borg.borg_repository) returns for each repository. The same in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"exists": true, "encryption": "repokey-blake2", "location": "ssh://borg@backup1/./web1"}]
config:
  description:
    - What M(fleetbackup.borg.borgmatic_config) returns for each configuration. The same in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"path": "/etc/borgmatic.d/system.yaml", "version": "1.9.14"}]
schedule:
  description:
    - What M(fleetbackup.borg.borgmatic_schedule) returns; V(null) where that phase is not among RV(done). The same in check mode.
  returned: success
  type: dict
  sample: {"backend": "systemd", "schedules": [{"name": "system-backup", "next_run": "2026-11-22T00:21:07+00:00"}]}
escrowed:
  description: The repositories that have a recovery bundle, or shall have one, without anything secret. The same in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"config": "system", "position": 0, "location": "ssh://borg@backup1/./web1"}]
unescrowed:
  description: The locations of the others that have a key, too. The same in check mode.
  returned: success
  type: list
  elements: str
  sample: []
servers:
  description:
    - What each server of the inventory may know of this client, by the server's name, see
      P(fleetbackup.borg.borgmatic_published#filter); only where RV(ssh) is there. The same in check mode.
  returned: success
  type: dict
  sample: {"backup1": {"append_only": true, "public_keys": ["ssh-ed25519 AAAA root@web1"], "repositories": ["web1"]}}
unmet:
  description:
    - The servers of the inventory that have not heard of this client in this run; only where RV(ssh) is there. The same in check
      mode.
  returned: success
  type: list
  elements: str
  sample: [backup1]
unpinned:
  description:
    - The servers whose host keys this client lacks; only where RV(ssh) is there. The same in check mode.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._role_state import Examination


def main() -> None:
    run_module(
        answer,
        {
            "objections": {"type": "list", "elements": "str", "default": []},
            "configs": {"type": "list", "elements": "dict", "required": True, "no_log": True},
            "destinations": {"type": "list", "elements": "dict", "default": []},
            "directory": {"type": "str", "default": "/etc/borgmatic.d"},
            "user": {"type": "str", "default": "root"},
            "installation": {"type": "dict", "default": {}},
            "identity": {"type": "dict", "default": {}},
            "scheduling": {"type": "dict", "default": {}},
            "escrow": {"type": "dict", "default": {}},
            "requests": {"type": "str", "no_log": True},
        },
    )


def answer(module: AnsibleModule) -> dict[str, Any]:
    """What the phases say; the module's result."""
    examination = Examination(module.params["requests"], module.params["user"], module.tmpdir)
    examination.run()
    return {"changed": False, "done": examination.done, **examination.answers}


if __name__ == "__main__":
    main()
