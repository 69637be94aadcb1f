#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borgmatic_config
short_description: Ensure that a borgmatic configuration file holds this document
version_added: 0.1.0
description:
  - Checks a borgmatic configuration on the controller, more strictly than borgmatic does, has the borgmatic that is
    installed on the target judge it, and puts it in place in one step. Whatever is refused leaves the file as it is.
  - The document holds borgmatic's own options, flat or in the sections C(location), C(storage), C(retention),
    C(consistency), C(output) and C(hooks). Either form is written as the installed borgmatic reads it.
  - A scalar for a list, a string for a repository or a check, and a number in quotes are brought into their normal form.
  - C(encryption_passphrase) in O(config) reaches Borg verbatim, whatever it holds, except where all of it is borgmatic's
    C({credential ...}). One that is nothing but C(${VARIABLE}), or that the document's C(constants) would change, is
    refused. All other texts reach borgmatic as they are, so that its C({constant}), C({credential ...}) and
    C(${VARIABLE}) work in them.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  path:
    description:
      - The configuration file, an absolute path. Missing directories above it are made, mode V(0755), owned by the user
        who runs this.
      - What is there already must be a regular file; a link is refused in either state, so name the file that it leads to.
    type: path
    required: true
  config:
    description:
      - A dictionary of borgmatic's options. Required unless O(state=absent).
      - What borgmatic accepts and then fails or misleads by is refused, each problem with its parameter, its value unless
        that may be secret, the reason and an example; so are unknown options, with the nearest known name.
      - At least one C(keep_) option must keep something, unless C(skip_actions) holds C(prune).
      - C(archive_name_format) needs a moving placeholder such as C({now}). borgmatic derives from it which archives it prunes
        and checks; a format whose filter would match other hosts' archives, or none, needs C(match_archives) beside it.
      - Of C(umask), a text means its octal digits; a number is read as the mask that makes sense, as YAML turns V(0077)
        into V(63).
    type: raw
  state:
    description:
      - V(present) ensures that the file holds the document, V(absent) that there is no such file.
    type: str
    choices: [present, absent]
    default: present
  owner:
    description:
      - The file's owner, a name or an id. By default an existing file keeps its own, and a new one belongs to the user
        who runs this.
    type: str
  group:
    description:
      - The file's group, a name or an id. By default as for O(owner).
    type: str
  mode:
    description:
      - The file's mode as an octal number in quotes. A configuration may hold secrets, so the group may read it at most,
        and others nothing.
    type: raw
    default: "0600"
  executable:
    description:
      - borgmatic on the target, a name or a path.
    type: path
    default: borgmatic
  validate:
    description:
      - Whether the installed borgmatic judges the document before it takes the file's place. It is asked only when the
        file would change.
      - With V(false), borgmatic need not be installed yet; the document is then written as the newest version reads it.
    type: bool
    default: true
  allow_unknown_options:
    description:
      - Whether options that this collection does not know are let through to the judgement of the installed borgmatic.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that borgmatic may take for its judgement.
    type: int
    default: 60
notes:
  - Neither the values of secret, unknown or command-like options nor the document as a whole appear in any output. A
    difference shows values under options that this collection knows to be public, of everything else only that it changed.
  - There is no backup option, as copies of the file would be copies of its secrets.
  - On failure it returns C(msg), C(error) (a word to decide on), C(retryable), C(rc), C(cmd), C(stderr), and for a
    document with problems the list C(problems).
requirements:
  - borgmatic 1.7 or later on the target
  - the Python package voluptuous on the controller
seealso:
  - module: fleetbackup.borg.borgmatic_schedule
  - module: fleetbackup.borg.borgmatic_info
  - module: fleetbackup.borg.borg_repository
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: What to back up, where to, and for how long
  fleetbackup.borg.borgmatic_config:
    path: /etc/borgmatic.d/system.yaml
    config:
      source_directories: [/etc, /home]
      repositories:
        - path: ssh://borg@backup1.example.org/./{{ inventory_hostname }}
          label: backup1
      encryption_passphrase: "{{ vault_backup_passphrase }}"
      compression: zstd,3
      keep_daily: 7
      keep_weekly: 4
      checks:
        - name: repository
          frequency: 2 weeks
        - name: archives
          frequency: 4 weeks

- name: An older document in sections works as it is
  fleetbackup.borg.borgmatic_config:
    path: /etc/borgmatic/config.yaml
    config:
      location:
        source_directories: [/home]
        repositories: ["user@backupserver:sourcehostname.borg"]
      retention:
        keep_daily: 7
      consistency:
        checks: [repository, archives]

- name: A user's own configuration, with borgmatic from a virtual environment
  fleetbackup.borg.borgmatic_config:
    path: ~/.config/borgmatic/config.yaml
    executable: ~/.local/share/borgmatic/bin/borgmatic
    config:
      source_directories: ["~"]
      exclude_patterns: ["**/.cache"]
      repositories: [{path: /srv/backup/alice, label: local}]
      encryption_passcommand: secret-tool lookup backup borg
      keep_within: 2w
  become: false

- name: The configuration of a retired job; its repository stays
  fleetbackup.borg.borgmatic_config:
    path: /etc/borgmatic.d/old.yaml
    state: absent
"""

RETURN = r"""
path:
  description: The file. Predicted in check mode.
  returned: success
  type: str
  sample: /etc/borgmatic.d/system.yaml
digest:
  description:
    - SHA-256 of the file's content; V(null) where there is no file, or where that depends on a borgmatic that is not
      installed yet. Predicted in check mode.
  returned: success
  type: str
  sample: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
version:
  description: The version of the installed borgmatic; V(null) where there is none. Predicted in check mode.
  returned: success
  type: str
  sample: 2.1.10
not_rendered:
  description:
    - What the document says of creating or naming a repository and the installed borgmatic can't read, so that it is not
      in the file. Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: ["repositories[0].encryption"]
assumed:
  description:
    - Whether RV(ignore:changed) is only assumed, since in check mode an earlier step (borgmatic, an account) was not carried
      out. Predicted in check mode.
  returned: success
  type: bool
  sample: false
"""

import hashlib
import json
import os
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic import Borgmatic
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_dialect import translate
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_diff import compare, scrub
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_yaml import render
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import objection_to, write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._ownership import (
    Ownership,
    group_id,
    secret_mode,
    user_id,
)

#: Newer than any: where no borgmatic is installed, the document is written as the newest reads it.
NEWEST = "999"


def main() -> None:
    run_module(
        ensure,
        {
            "path": {"type": "path", "required": True},
            "config": {"type": "raw", "no_log": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "mode": {"type": "raw", "default": "0600"},
            "executable": {"type": "path", "default": "borgmatic"},
            "validate": {"type": "bool", "default": True},
            "allow_unknown_options": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 60},
        },
        required_if=[("state", "present", ["config"])],
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Bring the file into the wanted state; the module's result."""
    parameters = module.params
    path = parameters["path"]
    _check_path(path)
    borgmatic = Borgmatic.find(parameters["executable"], timeout=parameters["timeout"])
    difference = Difference()
    outcome = _ensure_absent if parameters["state"] == "absent" else _ensure_present
    result = {
        "path": path,
        "digest": None,
        "version": borgmatic.version if borgmatic else None,
        "not_rendered": [],
        "assumed": False,
        **outcome(module, borgmatic, difference),
    }
    result["changed"] = difference.changed or result["assumed"]
    if module._diff:
        result["diff"] = {"before_header": path, "after_header": path, **difference.as_diff()}
    return result


def _check_path(path: str) -> None:
    """Refuse a path where no configuration could be, or where reading might never end.

    :raises Failure: ``invalid_argument``.
    """
    reason = objection_to(path)
    if reason:
        example = os.path.join(path, "system.yaml") if os.path.isdir(path) else "/etc/borgmatic.d/system.yaml"
        raise Failure("invalid_argument", f"path: {path!r} {reason}; for example {example}.")


def _ensure_absent(module: AnsibleModule, borgmatic: Optional[Borgmatic], difference: Difference) -> dict[str, Any]:
    path = module.params["path"]
    if os.path.exists(path):
        compare(difference, _read(path).decode("utf-8", "replace"), "")
        difference.add("state", "present", "absent")
        _check_access(path)
        if not module.check_mode:
            os.unlink(path)
    return {}


def _ensure_present(module: AnsibleModule, borgmatic: Optional[Borgmatic], difference: Difference) -> dict[str, Any]:
    parameters = module.params
    document = json.loads(parameters["config"])
    path = parameters["path"]
    exists = os.path.exists(path)
    wanted, unknown_account = _ownership(module, Ownership.of(path) if exists else Ownership(-1, -1, -1))
    unjudged = borgmatic is None and parameters["validate"]
    if unjudged and not module.check_mode:
        raise Failure(
            "borg_missing",
            f"There is no {parameters['executable']} on this machine that could judge the configuration. Install"
            " borgmatic, name its program in executable, or say validate: false.",
        )
    translation = translate(document, borgmatic.version if borgmatic else NEWEST)
    text = render(translation.document)
    data, old = text.encode("utf-8"), _read(path)

    if data != old:
        compare(difference, old.decode("utf-8", "replace"), text)
    if exists:
        _compare_ownership(difference, Ownership.of(path), wanted)
    else:
        difference.add("state", "absent", "present")
    if data != old and borgmatic and parameters["validate"]:
        borgmatic.validate(
            text, lambda words: scrub(words, document), directory=module.tmpdir, timeout=parameters["timeout"]
        )
    if difference.changed:
        _check_access(path)
        if not module.check_mode:
            _put(path, data, wanted, replace=data != old)
    return {
        "digest": None if unjudged else hashlib.sha256(data).hexdigest(),
        "not_rendered": translation.left_out,
        "assumed": unjudged or unknown_account,
    }


def _ownership(module: AnsibleModule, present: Ownership) -> tuple[Ownership, bool]:
    """The wanted ownership, and whether an account in it does not exist yet: in check mode, an earlier task may be the
    one that makes it."""
    mode = secret_mode(module.params["mode"])
    ids, missing = {"owner": present.uid, "group": present.gid}, []
    for parameter, lookup in (("owner", user_id), ("group", group_id)):
        name = module.params[parameter]
        number = lookup(name) if name else ids[parameter]
        if number is None:
            missing.append(f"{parameter}: there is no {name!r} on this machine; create it first, or give another")
        else:
            ids[parameter] = number
    if missing and not module.check_mode:
        raise Failure("invalid_argument", f"{'; '.join(missing)}.")
    return Ownership(ids["owner"], ids["group"], mode), bool(missing)


def _compare_ownership(difference: Difference, present: Ownership, wanted: Ownership) -> None:
    before, after = present.as_names(), wanted.as_names()
    for name, value in after.items():
        difference.add(name, before[name], value)


def _check_access(path: str) -> None:
    """Fail in check mode, too, where the file's directory does not let us in."""
    directory = os.path.dirname(path)
    while not os.path.exists(directory):
        directory = os.path.dirname(directory)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise Failure("permission", f"{path}: {directory} does not let this user write. Run as its owner (become_user).")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _put(path: str, data: bytes, ownership: Ownership, replace: bool) -> None:
    if not replace and os.path.exists(path):
        ownership.apply(path)
        return
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    write_atomically(path, data, mode=ownership.mode, uid=ownership.uid, gid=ownership.gid)


if __name__ == "__main__":
    main()
