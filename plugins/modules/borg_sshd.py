#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_sshd
short_description: Have sshd give an account's clients nothing but their forced command
version_added: 0.1.0
description:
  - Ensures that this machine's sshd lets one account in with public keys only, without passwords, forwarding, terminals
    and files that run at login, whatever it does for others. Of their environment, clients can set C(LANG) and C(LC_*)
    only. It is the second line behind the options of each key.
  - The settings are a file of their own, a C(Match) block. What sshd then makes of its whole configuration is asked
    before anything changes. Where another setting would win, be it for connections from or to some addresses or ports
    only, this module fails with C(unsafe) and names it.
  - Where the account could not log in at all, because of C(AllowUsers), C(DenyUsers), C(AllowGroups) or C(DenyGroups),
    or because it is locked and C(UsePAM) is off, it fails with C(drift) before anything changes.
  - The running sshd is compared too. One that is older than its configuration is reloaded, so that a run that was
    killed halfway is repaired by the next.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  platform:
    platforms: linux
options:
  user:
    description:
      - The account that the clients log in to.
    type: str
    required: true
  state:
    description:
      - Whether sshd treats it so.
    type: str
    choices: [present, absent]
    default: present
  path:
    description:
      - The file. By default C(/etc/ssh/sshd_config.d/fleetbackup-USER.conf). C(/etc/ssh/sshd_config) has to include it.
    type: path
  keepalive_interval:
    description:
      - Seconds of silence after which sshd asks whether a client is still there. 0 is never.
    type: int
    default: 30
  keepalive_count:
    description:
      - How often it asks before it ends the connection, and with it the client's lock on its repository.
    type: int
    default: 10
requirements:
  - OpenSSH 8.7 or later
  - systemd, for the running sshd to be reloaded
notes:
  - Connections that are open go on as they are.
  - A C(Match) block with a condition on the connection (C(Address), C(Host), C(LocalAddress), C(LocalPort), C(RDomain))
    is judged as if every connection met that.
  - A pattern C(USER@HOST) in C(AllowUsers) counts as letting the account in, for it does from somewhere.
  - On failure this module returns C(msg), C(error) (a word to decide on), C(reason), C(retryable), C(rc), C(msgid),
    C(cmd) and C(stderr).
seealso:
  - module: fleetbackup.borg.borg_authorized_keys
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Give the clients' account nothing but its keys' forced commands
  fleetbackup.borg.borg_sshd:
    user: borg
  register: sshd

- name: Show what the clients have to pin
  ansible.builtin.debug:
    var: sshd.host_keys
"""

RETURN = r"""
path:
  description: The file. Predicted in check mode.
  returned: success
  type: str
  sample: /etc/ssh/sshd_config.d/fleetbackup-borg.conf
host_keys:
  description:
    - The public host keys that sshd uses, each as C(type base64); empty where there is no sshd. Predicted in check
      mode.
  returned: success
  type: list
  elements: str
  sample: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGqXfCZDnAcrmtPRmNXxdCVPuz4GvfMsh0S8uPp8ntKj]
ports:
  description: The ports that it listens on; empty where there is no sshd. Predicted in check mode.
  returned: success
  type: list
  elements: int
  sample: [22]
assumed:
  description: Whether check mode could not know, because an earlier step was not executed (sshd is not installed, or
    there is no such account, so that its groups are not known).
  returned: success
  type: bool
  sample: false
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._managed_files import ManagedFile
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._sshd import Sshd, host_keys, ports
from ansible_collections.fleetbackup.borg.plugins.module_utils._sshd_account import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._sshd_config import DIRECTORY, Treatment


def main() -> None:
    run_module(
        ensure,
        {
            "user": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "path": {"type": "path"},
            "keepalive_interval": {"type": "int", "default": 30},
            "keepalive_count": {"type": "int", "default": 10},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Bring sshd's treatment of the account about; the module's result."""
    parameters = module.params
    treatment = Treatment(parameters["user"], parameters["keepalive_interval"], parameters["keepalive_count"])
    treatment.check()
    path = parameters["path"] or f"{DIRECTORY}/sshd_config.d/fleetbackup-{treatment.user}.conf"
    if not path.startswith("/"):
        raise Failure(
            "invalid_argument", f"path: {path!r} is no absolute path; for example {DIRECTORY}/sshd_config.d/x.conf."
        )
    file = ManagedFile(path, treatment.text if parameters["state"] == "present" else None)
    difference = Difference()
    sshd = Sshd.find()
    if sshd is None:
        return _without(module, file, difference)
    account = Account.find(treatment.user)
    assumed = file.text is not None and account.groups is None
    if assumed and not module.check_mode:
        raise Failure("invalid_argument", f"user: there is no account {account.name}; create it first.")
    effective = sshd.judge(path, file.text, treatment)
    if file.text is not None:
        account.check(effective)
    write = file.compare(difference)
    if file.text is not None and not os.path.isdir(os.path.dirname(path)):
        raise Failure("parent_missing", f"path: {os.path.dirname(path)} does not exist; create it first.")
    service = sshd.service()
    if service is not None:
        difference.add("loaded by the running sshd", not service.is_outdated, True)
    elif write:
        module.warn("There is no sshd under systemd here: see that the running one reads its configuration again.")
    if difference.changed and not module.check_mode:
        if write:
            file.apply()
        if service is not None and service.since is not None:
            sshd.reload(service, effective)
    return {
        "changed": difference.changed or assumed,
        "assumed": assumed,
        "diff": difference.as_diff(),
        "path": path,
        "host_keys": host_keys(effective),
        "ports": ports(effective),
    }


def _without(module: AnsibleModule, file: ManagedFile, difference: Difference) -> dict[str, Any]:
    """Where there is no sshd."""
    assumed = file.text is not None
    if assumed and not module.check_mode:
        raise Failure("other", "sshd is not installed here. Install it (Debian: apt install openssh-server).")
    if file.compare(difference) and not module.check_mode:
        file.apply()
    return {
        "changed": difference.changed or assumed,
        "assumed": assumed,
        "diff": difference.as_diff(),
        "path": file.path,
        "host_keys": [],
        "ports": [],
    }


if __name__ == "__main__":
    main()
