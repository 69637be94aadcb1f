#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_key
short_description: Ensure that a Borg repository's key stands in a file, or that the repository has the key of a file
version_added: 0.1.0
description:
  - Keeps an export of a repository's key in a file on the target, or brings the key back from one, for example after a client
    changed the passphrase, imported garbage, or lost the machine that held the key.
  - The key of C(keyfile) modes stands in a file on the machine that makes the backups, that of the other modes in the
    repository. Both are exported and imported alike.
  - Nothing is replaced before it is proven that the new key belongs to this repository and that the passphrase opens it. Borg
    itself proves neither. That it fits the archives is proven before as well, except for a key that goes into the repository,
    where only Borg can tell afterwards; then what was there before is put back.
  - Each file is the old or the new one, whole, at every moment, and private from the first byte on.
  - Where nothing is to be done it costs one Borg command, needs no lock and touches no file.
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  state:
    description:
      - V(exported) ensures that the repository's key stands in O(dest).
      - V(imported) ensures that the repository has the key of O(src) or O(content).
    type: str
    choices: [exported, imported]
    default: exported
  dest:
    description:
      - The file that the key is exported to, an absolute path in a directory that exists. Required with O(state=exported).
      - A file that holds something else than a key is left alone, and so is the key of another repository, but for
        O(confirm_id). A link is refused, and so is Borg's own directory of keys.
    type: path
  src:
    description:
      - The exported key on the target. O(state=imported) needs it or O(content).
    type: path
  content:
    description:
      - The exported key itself, so that it need not stand in a file on the target. O(state=imported) needs it or O(src).
    type: str
  format:
    description:
      - What O(dest) shall be, or what O(src) or O(content) is.
      - V(keyfile) is for machines, V(paper) is digits with checksums to print and to type in again, V(qr-html) a page to print
        with a code that a camera reads. Each is what C(borg key export) writes.
      - Borg imports V(paper) in a dialogue only, which reports success even where it was broken off, and V(qr-html) not at all.
        So this module reads both itself, with all checksums, and gives Borg the same key as a V(keyfile). Of V(paper), the line
        C(id:) and those with numbers count.
    type: str
    choices: [keyfile, paper, qr-html]
    default: keyfile
  owner:
    description:
      - The owner of O(dest), a name or an id. By default an existing file keeps its own, and a new one belongs to the user
        who runs this.
    type: str
  group:
    description:
      - The group of O(dest), a name or an id. By default as for O(owner).
    type: str
  mode:
    description:
      - The mode of O(dest) as an octal number in quotes. The group may read it at most, and others nothing, since a key is
        worth as much as its passphrase.
    type: raw
    default: "0600"
  confirm_id:
    description:
      - The id of the repository whose key may be replaced by a different one.
      - With O(state=imported) it is needed where the repository has a key already and this is another one, even if only its
        passphrase is. With O(state=exported) it is needed where O(dest) holds the key of another repository, and names that one.
    type: str
attributes:
  diff_mode:
    details: Of a key only digests are shown.
notes:
  - An export opens the repository with the passphrase that was in force when it was made, for ever, even after the passphrase
    has been changed. After a change export it again, and destroy the old ones.
  - An import brings back the passphrase of the export, too. Give that one as O(passphrase).
  - O(accept_relocated) matters only where something would be replaced, since only then the repository is opened.
seealso:
  - module: fleetbackup.borg.borg_repository
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Keep an export of the key
  fleetbackup.borg.borg_key:
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    dest: /root/backup-key

- name: Have it printed, too
  fleetbackup.borg.borg_key:
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    dest: /srv/print/web1.html
    format: qr-html
    owner: printer
    mode: "0400"

- name: Bring the key back to a new machine
  fleetbackup.borg.borg_key:
    repository: ssh://borg@backup1.example.org/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    state: imported
    content: "{{ vault_backup_key }}"

- name: Bring it back where somebody put another one in its place
  fleetbackup.borg.borg_key:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    state: imported
    src: /root/typed-from-paper
    format: paper
    confirm_id: 586f274595a184a69b7e937c90a87f93f5cb6f165d375db6393b048d91575adb
"""

RETURN = r"""
id:
  description: The id of the repository. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: str
  sample: 586f274595a184a69b7e937c90a87f93f5cb6f165d375db6393b048d91575adb
digest:
  description:
    - The SHA-256 of the key as its passphrase wraps it, the same for each format. It changes with the passphrase.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: str
  sample: 93daeaa81421f6b1a7a7f3c5b9d1c1ae3c0a6f21b1d4a0f6a7b1a2f7b4e9c0d2
previous_digest:
  description:
    - The same of the key that stood in its place before; V(null) where there was none.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: str
  sample: b0fc73db4d7a1c9be08a6c8b6a5b1bb05d3a1cd2a3c40f1b5c8f3f0e7d1a9b6c
dest:
  description: The file with the export; V(null) with O(state=imported). Predicted in check mode.
  returned: success
  type: str
  sample: /root/backup-key
format:
  description: What RV(dest) is, or what was imported. Predicted in check mode.
  returned: success
  type: str
  sample: keyfile
assumed:
  description:
    - Whether C(changed) is an assumption because Borg, the repository, O(src), the directory of O(dest) or an account is not there
      yet; in check mode only. But for an account, the diff is empty then.
  returned: success
  type: bool
  sample: false
"""

import os
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key as exported_key
from ansible_collections.fleetbackup.borg.plugins.module_utils import _key as keys
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._exported_key import ExportedKey
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg
from ansible_collections.fleetbackup.borg.plugins.module_utils._secret_file import SecretFile, check_path, ownership_for


def main() -> None:
    run_borg_module(
        ensure,
        {
            "state": {"type": "str", "choices": ["exported", "imported"], "default": "exported"},
            "dest": {"type": "path"},
            "src": {"type": "path"},
            "content": {"type": "str", "no_log": True},
            "format": {"type": "str", "choices": list(exported_key.FORMATS), "default": "keyfile"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            "confirm_id": {"type": "str"},
        },
        required_if=[("state", "exported", ["dest"]), ("state", "imported", ["src", "content"], True)],
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Bring the key to where it shall be; the module's result."""
    parameters = module.params
    _check(parameters)
    borg = borg_from(parameters)
    outcome = _ensure_exported if parameters["state"] == "exported" else _ensure_imported
    try:
        return outcome(module, borg)
    except Failure as failure:
        # what an earlier task, which check mode did not execute, would have made
        expected = failure.error in ("absent", "borg_missing", "source_missing", "parent_missing") or failure.awaits_access
        if not module.check_mode or not expected:
            raise
        return _result(parameters, Difference(), None, None, assumed=True)


def _check(parameters: dict[str, Any]) -> None:
    strange = {"exported": ("src", "content"), "imported": ("dest", "owner", "group")}[parameters["state"]]
    for name in strange:
        if parameters[name] is not None:
            raise Failure("invalid_argument", f"{name}: does not go with state: {parameters['state']}; leave it out.")
    if parameters["src"] is not None and parameters["content"] is not None:
        raise Failure("invalid_argument", "src: does not go with content; give one of them.")


def _ensure_exported(module: AnsibleModule, borg: Borg) -> dict[str, Any]:
    parameters = module.params
    dest = parameters["dest"]
    check_path("dest", dest, "/root/backup-key")
    if keys.is_borgs_own(borg, dest):
        raise Failure(
            "invalid_argument", f"dest: {dest!r} is where Borg itself keeps keys; for example /root/backup-key."
        )
    ownership, missing = ownership_for(
        dest, mode=parameters["mode"], owner=parameters["owner"], group=parameters["group"]
    )
    if missing and not module.check_mode:
        raise missing
    text, key = keys.read(borg, parameters["format"])
    key = key.opened(keys.passphrase_of(borg), f"The key of {borg.repository}")
    file = SecretFile(dest, text.encode("utf-8", "surrogateescape"), ownership)
    difference = Difference()
    file.compare(difference)
    previous = _previous_export(dest)
    if not file.is_current:
        keys.check_replaceable(dest, key, parameters["confirm_id"])
        keys.prove(borg)
    if difference.changed and not module.check_mode:
        file.apply()
    return _result(parameters, difference, key, previous, assumed=missing is not None)


def _previous_export(dest: str) -> Optional[ExportedKey]:
    text = keys.read_text(dest) if os.path.exists(dest) else ""
    form = exported_key.guess_format(text)
    try:
        return None if form is None else exported_key.parse(text, form)
    except ValueError:
        return None


def _ensure_imported(module: AnsibleModule, borg: Borg) -> dict[str, Any]:
    parameters = module.params
    key = _given(parameters)
    key = key.opened(keys.passphrase_of(borg), f"The key in {_source(parameters)}")
    present = keys.held(borg)
    difference = Difference()
    difference.add("digest", present.key and present.key.digest, key.digest)
    if difference.changed:
        keys.check_identity(borg, key, present)
        if present.key is not None and parameters["confirm_id"] != key.id:
            raise Failure(
                "unsafe",
                f"{borg.repository} has another key than {_source(parameters)}, or the same one under another passphrase. If it"
                f" shall be replaced, say confirm_id: '{key.id}'.",
            )
        _replace(module, borg, key, present)
    return _result(parameters, difference, key, present.key)


def _replace(module: AnsibleModule, borg: Borg, key: ExportedKey, present: keys.Held) -> None:
    if not keys.is_keyfile(borg):
        if not module.check_mode:
            keys.put_into_repository(borg, key, present)
        return
    path = keys.file_of(borg, key)
    keys.check_replaceable(path, key, None)
    keys.prove_key_file(borg, key)
    if not module.check_mode:
        keys.put_file(path, key)


def _given(parameters: dict[str, Any]) -> ExportedKey:
    """The key that somebody wants imported."""
    text, form, source = parameters["content"], parameters["format"], _source(parameters)
    if text is None:
        if not os.path.lexists(parameters["src"]):
            raise Failure("source_missing", f"There is no file {source}. Put the exported key there first, or give content.")
        if not os.path.isfile(parameters["src"]):
            raise Failure("invalid_argument", f"src: {source} is no file; for example /root/backup-key.")
        text = keys.read_text(parameters["src"])
    try:
        return exported_key.parse(text, form)
    except ValueError as error:
        seeming = exported_key.guess_format(text)
        if seeming not in (None, form):
            raise Failure("invalid_argument", f"format: {source} looks like {seeming}, not {form}; say so.") from error
        raise Failure(
            "key_mismatch", f"{source} holds no key of Borg in the format {form}: {error}. Give a complete export."
        ) from error


def _source(parameters: dict[str, Any]) -> str:
    return "content" if parameters["src"] is None else parameters["src"]


def _result(
    parameters: dict[str, Any],
    difference: Difference,
    key: Optional[ExportedKey],
    previous: Optional[ExportedKey],
    *,
    assumed: bool = False,
) -> dict[str, Any]:
    return {
        "changed": difference.changed or assumed,
        "id": None if key is None or assumed else key.id,
        "digest": None if key is None or assumed else key.digest,
        "previous_digest": None if previous is None or assumed else previous.digest,
        "dest": parameters["dest"],
        "format": parameters["format"],
        "assumed": assumed,
        "diff": difference.as_diff(),
    }


if __name__ == "__main__":
    main()
