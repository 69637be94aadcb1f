#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_key_escrow
short_description: Ensure that an encrypted recovery bundle of a Borg repository stands in escrow
version_added: 0.1.0
description:
  - Keeps, on the controller, one file with everything that rebuilding a lost machine needs, encrypted by Ansible Vault. It opens
    with C(ansible-vault view) alone, and says inside, in plain words, how to restore by hand.
  - Where the repository does not exist yet the bundle is provisional. It holds the passphrase, so that no repository is ever
    made whose passphrase nobody has, and gives way to the full one as soon as there is a key.
  - A bundle is replaced only by one that was read back from the disk, decrypted, and whose passphrase opens the key in it. It
    is the old or the new one, whole, with mode 0600, at every moment. Nothing of it is ever on a disk in clear.
  - A repository whose key is not the one in escrow is an alarm, C(drift), for a client in the wrong hands can destroy its own
    key even where it cannot delete anything. Nothing is overwritten then.
  - Where the location has words for names that Borg puts in their places, such as C({hostname}) and C({user}), the target tells what they
    stand for there, and the bundle holds that location, too. Another machine or account would be led elsewhere.
  - Where nothing is to be done it costs one Borg command, and with O(key_digest) nothing at all on the target. The key comes to the
    controller only where the bundle lacks it, and is in no result.
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  state:
    description:
      - V(present) ensures that the bundle stands in escrow.
      - V(provisional) ensures that any bundle does before the repository is made, and does not ask the target. A full bundle is left
        alone, whatever it holds, unless O(previous_passphrases) has its passphrase.
      - As long as there is no full one, passphrases that stood in it stay in it beside the wanted one, for the repository may have been
        made with them.
    type: str
    choices: [present, provisional]
    default: present
  directory:
    description:
      - The directory of the bundles on the controller; a relative one begins at the playbook's. It is made with mode 0700.
      - Several controllers may share it. One in which everybody may write is refused.
      - The name of a bundle is made of the host's name in the inventory and the repository's location.
    type: path
    required: true
  stored:
    description:
      - The files that stand in O(directory) on another machine than the controller, as M(fleetbackup.borg.borg_escrow_store)
        fetched them from there. Nothing is written then; RV(files) is what that module shall write.
    type: list
    elements: dict
  vault_id:
    description:
      - The vault identity that the bundle is encrypted for, one of those that C(ansible-playbook) was given.
      - By default the one that C(--encrypt-vault-id) or its setting names, else the first one.
    type: str
  vault_ids:
    description:
      - Further vault identities. For each stands one more file, complete in itself, beside the first, so that one lost password
        loses nothing.
      - The file of one that is no longer named here stays as it is; remove it yourself.
    type: list
    elements: str
    default: []
  on_missing_secret:
    description:
      - What to do where Ansible was not given the vault secret of O(vault_id), or of one of O(vault_ids).
      - V(skip) leaves the file of that one as it is, neither compared nor written, provided that there is the secret of another one,
        under whatever name. It is for those who have lost one, and for whoever only looks. RV(left_alone) tells whose file that is.
    type: str
    choices: [fail, skip]
    default: fail
  age_recipients:
    description:
      - Public keys of age. Beside the other files stands one more, complete in itself, that each of them opens. The program C(age)
        makes it on the controller.
      - Nobody can read it there, so the first file notes what it was made of, and what came of it. A file that is not the noted one
        is made anew.
      - The file stays as it is where no key is named any more; remove it yourself.
    type: list
    elements: str
    default: []
  gpg_recipients:
    description:
      - The same with C(gpg), and with fingerprints, or the last 16 digits of them, of public keys in the keyring of the user who runs
        Ansible. Nobody else needs to vouch for these keys.
    type: list
    elements: str
    default: []
  previous_passphrases:
    description:
      - Passphrases that may be in force, as O(fleetbackup.borg.borg_repository#module:previous_passphrases).
      - A full bundle whose passphrase is among them takes up O(passphrase) beside it with O(state=provisional), so that one of the two
        opens the repository wherever a change is interrupted. O(state=present) leaves the proven one only.
    type: list
    elements: str
    default: []
  encryption:
    description:
      - The encryption mode of the repository, for the bundle to tell.
    type: str
  locations:
    description:
      - Further locations of the same repository, for the bundle to tell.
    type: list
    elements: str
    default: []
  key_digest:
    description:
      - The digest of the repository's key, as RV(fleetbackup.borg.borg_repository#module:key_digest) told it in the same run.
      - Where the key in escrow has this digest, the target is not asked for it, and nothing is executed there unless the bundle
        lacks the key of O(identity_file). With any other digest, and an empty one, it is asked.
    type: str
  identity_file:
    description:
      - A private SSH key on the target that the bundle shall hold, too. By default it holds none, and who restores needs
        another key that the server accepts.
    type: path
  identity_public_key:
    description:
      - The public key of O(identity_file), as M(fleetbackup.borg.borg_ssh_identity) returns it.
      - Where O(key_digest) spares asking the target, only this tells whether the key in the bundle is still the one of
        O(identity_file); without it, it is taken to be.
    type: str
  host_keys:
    description:
      - The server's host keys, as C(servers[].host_keys) of M(fleetbackup.borg.borg_ssh_identity) takes them.
    type: list
    elements: str
    default: []
  configuration:
    description:
      - The borgmatic configuration, as C(config) of M(fleetbackup.borg.borgmatic_config) takes it.
    type: dict
  on_drift:
    description:
      - What to do where the repository's key is not the one in escrow.
      - V(accept) puts the repository's key in its place, provided that the passphrase opens it. Say that only after you know why
        it differs, for example because you changed the passphrase.
      - The bundle of another repository is never replaced, nor is a full one while there is no repository. If that one is gone
        for good, move its bundle away.
    type: str
    choices: [fail, accept]
    default: fail
  known_digests:
    description:
      - What need not come to the controller. It is given by the controller's half of this module, and is not for users.
    type: list
    elements: str
    default: []
attributes:
  async:
    support: none
  diff_mode:
    details: Of keys only digests are shown, and of the passphrase and the configuration only whether they change.
notes:
  - The passphrase itself is needed, so O(passcommand) is refused. It does not reach the target.
  - What C(age) and C(gpg) make is read back from the disk, too, and yet only its recipients can prove that they open it. Have them
    try it once.
  - A vault secret is given by C(--vault-id), C(--vault-password-file) or E(ANSIBLE_VAULT_PASSWORD_FILE).
seealso:
  - module: fleetbackup.borg.borg_key
  - module: fleetbackup.borg.borg_repository
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Keep a recovery bundle
  fleetbackup.borg.borg_key_escrow:
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    directory: ~/escrow

- name: Keep one for each of two people, with the client's SSH key
  fleetbackup.borg.borg_key_escrow:
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    directory: /srv/escrow
    vault_id: ada
    vault_ids: [grace]
    encryption: repokey-blake2
    identity_file: /root/.ssh/fleetbackup_ed25519
    host_keys: "{{ borg_host_keys }}"
    configuration: "{{ backup_configuration }}"

- name: Keep one for two people outside, who know nothing of Ansible
  fleetbackup.borg.borg_key_escrow:
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    directory: ~/escrow
    age_recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]
    gpg_recipients: [5A1B2C3D4E5F60718293A4B5C6D7E8F901234567]

- name: See to it that the passphrase is in escrow before there is a repository
  fleetbackup.borg.borg_key_escrow:
    state: provisional
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    directory: ~/escrow
  register: escrow

- name: Have the repository, which need not be opened where its key is the one in escrow
  fleetbackup.borg.borg_repository:
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    key_digest: "{{ escrow.digest | default('', true) }}"
  register: repository

- name: Complete the bundle, which costs the target nothing where its key is the one in escrow
  fleetbackup.borg.borg_key_escrow:
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    directory: ~/escrow
    key_digest: "{{ repository.key_digest | default('', true) }}"

- name: Take the new key into escrow after the passphrase was changed
  fleetbackup.borg.borg_key_escrow:
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_new_backup_passphrase }}"
    directory: ~/escrow
    on_drift: accept
"""

RETURN = r"""
path:
  description: The bundle on the controller. Predicted in check mode.
  returned: success
  type: str
  sample: /home/ada/escrow/web1_ssh-borg-backup1.example.org-.-web1_5f1a2b3c.yml
paths:
  description: RV(path), and the files of O(vault_ids), O(age_recipients) and O(gpg_recipients). Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: [/home/ada/escrow/web1_ssh-borg-backup1.example.org-.-web1_5f1a2b3c.yml]
recipients:
  description: The vault identity, or the public keys, that each of RV(paths) is encrypted for. Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: [default]
left_alone:
  description: The vault identities whose files were left alone, see O(on_missing_secret). Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: []
repository_id:
  description:
    - The id of the repository, with O(state=provisional) of the one whose key is in escrow; V(null) where there is none yet.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: str
  sample: 586f274595a184a69b7e937c90a87f93f5cb6f165d375db6393b048d91575adb
digest:
  description:
    - The SHA-256 of the key as its passphrase wraps it, as M(fleetbackup.borg.borg_key) returns it; V(null) where there is none
      yet.
    - With O(state=provisional) it is the one of the key in escrow, and V(null) where that bundle was written with another
      O(passphrase) or another O(encryption).
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: str
  sample: 93daeaa81421f6b1a7a7f3c5b9d1c1ae3c0a6f21b1d4a0f6a7b1a2f7b4e9c0d2
previous_digest:
  description:
    - The same of the key that was in escrow before; V(null) where there was none.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: str
  sample: 93daeaa81421f6b1a7a7f3c5b9d1c1ae3c0a6f21b1d4a0f6a7b1a2f7b4e9c0d2
provisional:
  description:
    - Whether the bundle holds no key, with O(state=present) because the repository does not exist yet.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: bool
  sample: false
files:
  description:
    - What M(fleetbackup.borg.borg_escrow_store) shall write, encrypted; with O(stored) only.
    - V(null) in check mode, for each encryption comes out differently.
  returned: success
  type: list
  elements: dict
  sample: []
assumed:
  description:
    - Whether C(changed) is an assumption because Borg, O(identity_file) or the access to the server is not there yet, or because
      O(passphrase) does not open the repository yet, which the earlier task that O(key_digest) is from would change; in check mode
      only. The diff is empty then.
  returned: success
  type: bool
  sample: false
"""

import hashlib
import os
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _key as keys
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_arguments import ARGUMENTS
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

#: A private key has some 400 to 4,000 bytes.
_LARGEST_IDENTITY = 1 << 16


def main() -> None:
    run_borg_module(answer, ARGUMENTS)


def answer(module: AnsibleModule) -> dict[str, Any]:
    """What the controller's half needs of the target. What it knows by its digest stays here."""
    parameters = module.params
    borg = borg_from(parameters)
    result: dict[str, Any] = {"changed": False, "assumed": False, **dict.fromkeys(("digest", "key", "identity", "resolved"))}
    try:
        identity = _identity(parameters["identity_file"])
        key = _key(borg)
    except Failure as failure:
        if not module.check_mode or not _may_be_missing(borg, failure):
            raise
        return {**result, "assumed": True}
    if identity is not None:
        digest = hashlib.sha256(identity.encode()).hexdigest()
        result["identity"] = {"digest": digest, "text": None if digest in parameters["known_digests"] else identity}
    if key is not None:
        # another machine, or another account, would put its own names there
        result["resolved"] = borg.repository.canonical if "{" in str(borg.repository) else None
        result["digest"] = key.digest
        result["key"] = None if key.digest in parameters["known_digests"] else key.text
    return result


def _key(borg: Borg) -> Optional[keys.ExportedKey]:
    """The repository's key; None where there is no repository."""
    try:
        return keys.read(borg, "keyfile")[1]
    except Failure as failure:
        if failure.error != "absent":
            raise
        return None


def _identity(path: Optional[str]) -> Optional[str]:
    if path is None:
        return None
    if not os.path.lexists(path):
        raise Failure("source_missing", f"identity_file: there is no file {path}. Make the key first, or leave the option out.")
    text = ""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            text = file.read(_LARGEST_IDENTITY).decode("utf-8", "replace")
    if "PRIVATE KEY-----" not in text.partition("\n")[0]:
        raise Failure("invalid_argument", f"identity_file: {path} is no private SSH key; for example /root/.ssh/id_ed25519.")
    return text


def _may_be_missing(borg: Borg, failure: Failure) -> bool:
    """Whether an earlier task, which check mode did not execute, may be all that is missing."""
    if failure.error in ("source_missing", "borg_missing"):
        return True
    return not borg.repository.is_local and (failure.error == "auth" or failure.reason in ("unconfigured", "unpinned"))


if __name__ == "__main__":
    main()
