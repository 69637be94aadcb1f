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

from typing import Any, NamedTuple, Optional, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository as repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository_settings as repository_settings
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository_request import DEFAULT_ENCRYPTION, judged
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

NEW_SETTINGS = repository_settings.Settings(False, 0, 0)


def main() -> None:
    run_borg_module(
        ensure,
        {
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "encryption": {"type": "str", "choices": list(repositories.ENCRYPTION_MODES)},
            "previous_passphrases": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "make_parent_directories": {"type": "bool", "default": False},
            "allow_empty_directory": {"type": "bool", "default": False},
            "repair_broken_init": {"type": "bool", "default": False},
            "append_only": {"type": "bool"},
            "storage_quota": {"type": "str"},
            "additional_free_space": {"type": "str"},
            "confirm_id": {"type": "str"},
        },
        required_if=[("state", "absent", ["confirm_id"])],
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Bring the repository into the wanted state; the module's result."""
    parameters = module.params
    borg, settings = judged(parameters)
    if parameters["state"] == "absent":
        return _ensure_absent(module, borg)
    if borg.program is None and module.check_mode:
        return _made(borg, parameters, settings, assumed=True)
    try:
        found = _find(borg, parameters)
    except Failure as failure:
        if module.check_mode and _awaits_access(borg, failure):
            return _made(borg, parameters, settings, assumed=True)
        raise
    if found is None:
        return _create(module, borg, settings)
    return _update(module, borg, settings, found)


def _find(borg: Borg, parameters: dict[str, Any]) -> Optional[repositories.Found]:
    try:
        found = repositories.find(borg, parameters["previous_passphrases"])
    except Failure as failure:
        if failure.error in ("locked", "permission"):
            raise
        if repositories.is_empty_directory(borg):
            if parameters["allow_empty_directory"]:
                return None
            raise Failure(
                "not_a_repository",
                f"{borg.repository} is an empty directory, perhaps a disk that is not mounted. If it shall become the"
                " repository, say allow_empty_directory: true.",
            ) from failure
        if repositories.is_interrupted_creation(borg):
            if parameters["repair_broken_init"]:
                return None
            raise Failure(
                "broken_init",
                f"{borg.repository}: its creation was interrupted and it holds no data. To create it anew, say"
                " repair_broken_init: true.",
            ) from failure
        raise
    if found is not None:
        _compare_encryption(borg, parameters, found.description.encryption)
    return found


def _awaits_access(borg: Borg, failure: Failure) -> bool:
    """Whether an earlier step, which check mode did not execute, may be all that is missing: a key that the server accepts, a
    pinned host key, Borg on the server."""
    if borg.repository.is_local:
        return False
    return failure.error in ("auth", "borg_missing") or failure.reason in ("unconfigured", "unpinned")


def _compare_encryption(borg: Borg, parameters: dict[str, Any], present: str) -> None:
    wanted = parameters["encryption"]
    if wanted is not None and wanted != present:
        raise Failure(
            "encryption_mismatch",
            f"{borg.repository} is encrypted with {present}, not {wanted}. The mode of a repository cannot be changed:"
            f" say encryption: {present}, or choose another location for a new one.",
        )
    if present == "none" and not parameters["allow_unencrypted"]:
        raise Failure(
            "unencrypted", f"{borg.repository} is not encrypted. If you mean that, say allow_unencrypted: true."
        )


def _encryption(parameters: dict[str, Any]) -> str:
    return parameters["encryption"] or DEFAULT_ENCRYPTION


def _create(module: AnsibleModule, borg: Borg, wanted: repository_settings.Settings) -> dict[str, Any]:
    parameters = module.params
    encryption = _encryption(parameters)
    if encryption != "none" and borg.passphrase is None and borg.passcommand is None:
        raise Failure(
            "no_passphrase", f"{borg.repository} cannot be created without passphrase or passcommand; give one of them."
        )
    interrupted = repositories.is_interrupted_creation(borg)
    if interrupted:
        repositories.check_unlocked(borg)
    if borg.repository.is_local:
        repositories.check_parent(borg, parameters["make_parent_directories"])
    identity = None
    if not module.check_mode:
        if interrupted:
            repositories.remove_interrupted_creation(borg)
        repositories.create(
            borg,
            encryption,
            append_only=bool(wanted.append_only),
            storage_quota=wanted.storage_quota or None,
            parents=parameters["make_parent_directories"],
        )
        identity = repositories.describe(borg, "--last=1").id
        if wanted.additional_free_space is not None:
            repository_settings.apply(borg, {"additional_free_space": wanted.additional_free_space})
    return _made(borg, parameters, wanted, id=identity)


def _made(borg: Borg, parameters: dict[str, Any], wanted: repository_settings.Settings, **values: Any) -> dict[str, Any]:
    """The result of a creation, or of its prediction."""
    encryption = _encryption(parameters)
    difference = Difference()
    difference.add("exists", False, True)
    difference.add("encryption", None, encryption)
    for name, value in wanted.given().items():
        difference.add(name, None, value)
    settings = NEW_SETTINGS._replace(**{name: value for name, value in wanted._asdict().items() if value is not None})
    return _result(
        borg,
        difference,
        exists=True,
        created=True,
        encryption=encryption,
        settings=settings._asdict() if borg.repository.is_local else None,
        **values,
    )


def _update(
    module: AnsibleModule, borg: Borg, wanted: repository_settings.Settings, found: repositories.Found
) -> dict[str, Any]:
    difference = Difference()
    if found.accepted:
        difference.add("accepted", False, True)
    if found.passphrase is not None:
        difference.add("passphrase", "(hidden)", "(hidden, changed)")
    settings, missing = None, {}
    if borg.repository.is_local:
        present = repository_settings.read_settings(borg)
        missing = repository_settings.differing(present, wanted)
        for name in missing:
            difference.add(name, getattr(present, name), getattr(wanted, name))
        settings = present._replace(**{name: getattr(wanted, name) for name in missing})._asdict()
    if not module.check_mode:
        if found.accepted:
            repositories.describe(borg._replace(passphrase=found.passphrase or borg.passphrase), "--last=1", touch=True)
        if found.passphrase is not None:
            repositories.change_passphrase(borg, found.passphrase)
        repository_settings.apply(borg, missing)
    return _result(
        borg,
        difference,
        exists=True,
        id=found.description.id,
        encryption=found.description.encryption,
        passphrase_changed=found.passphrase is not None,
        settings=settings,
    )


def _ensure_absent(module: AnsibleModule, borg: Borg) -> dict[str, Any]:
    difference = Difference()
    if borg.program is None and module.check_mode:
        difference.add("exists", True, False)
        return _result(borg, difference, assumed=True)
    doomed = _find_doomed(borg, module.params["previous_passphrases"])
    if doomed is not None:
        if doomed.id != module.params["confirm_id"]:
            raise Failure(
                "unsafe",
                f"{borg.repository} has the id {doomed.id}, not the confirm_id"
                f" {module.params['confirm_id']!r}; it was left alone. Make sure which one you mean.",
            )
        difference.add("exists", True, False)
        difference.add("id", doomed.id, None)
        if not module.check_mode:
            repositories.delete(borg._replace(passphrase=doomed.passphrase or borg.passphrase), unopened=doomed.unopened)
    return _result(borg, difference)


class _Doomed(NamedTuple):
    """A repository that shall go.

    :ivar passphrase: the one in force, where it is not the wanted one.
    :ivar unopened: whether it could not be opened, and need not be.
    """

    id: str
    passphrase: Optional[str] = None
    unopened: bool = False


def _find_doomed(borg: Borg, previous_passphrases: Sequence[str]) -> Optional[_Doomed]:
    try:
        found = repositories.find(borg, previous_passphrases)
    except Failure as failure:
        # a server has neither the passphrase nor the key of its clients
        if not (borg.repository.is_local and borg.passphrase is None and borg.passcommand is None):
            raise
        if failure.error not in ("no_passphrase", "key_missing"):
            raise
        return _Doomed(repository_settings.read_id(borg), unopened=True)
    return found and _Doomed(found.description.id, found.passphrase)


def _result(borg: Borg, difference: Difference, **values: Any) -> dict[str, Any]:
    result: dict[str, Any] = {
        "exists": False,
        "created": False,
        "passphrase_changed": False,
        "id": None,
        "encryption": None,
        "location": str(borg.repository),
        "settings": None,
        "assumed": False,
        **values,
    }
    return {**result, "changed": difference.changed or result["assumed"], "diff": difference.as_diff()}


if __name__ == "__main__":
    main()
