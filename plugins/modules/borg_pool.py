#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_pool
short_description: The directory of a backup server that all repositories are below
version_added: 0.1.0
description:
  - Ensures that the directory exists with its owner, group and mode, and that each repository in it keeps some space
    free, so that a full disk can be cleared.
  - Whatever is in the directory stays. A repository is set only where it differs, by borg, as the account that owns it.
  - A repository that somebody works with just now is no failure. It is named with a warning, and the next run sets it.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  directory:
    description:
      - The pool. The directory that it is in has to exist.
    type: path
    required: true
  owner:
    description:
      - The account that the clients log in to.
    type: str
    required: true
  group:
    description:
      - Its group. By default the owner's own.
    type: str
  mode:
    description:
      - Its mode, octal digits in quotes.
    type: raw
    default: "0700"
  additional_free_space:
    description:
      - How much each repository that is up to four directories deep in the pool leaves free, in borg's decimal units,
        such as V(2G); at least 10M, or 0 for nothing. On a disk with less than that borg stores nothing more, but can
        still delete and compact. By default each stays as it is.
    type: str
  host_id:
    description:
      - The server's C(BORG_HOST_ID), as O(fleetbackup.borg.borg_authorized_keys#module:host_id) has it. With another one
        nobody whom this server serves would know that a lock is stale which a run that was killed left behind.
    type: str
  executable:
    description:
      - Borg on the server, a name or a path.
    type: str
    default: borg
requirements:
  - borg 1.2 or 1.4 and setpriv (util-linux), where a repository has to be set
notes:
  - On failure this module returns C(msg), C(error) (a word to decide on), C(reason), C(retryable), C(rc), C(msgid),
    C(cmd) and C(stderr).
seealso:
  - module: fleetbackup.borg.borg_authorized_keys
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Have a place for all repositories, and space to clear it when it is full
  fleetbackup.borg.borg_pool:
    directory: /srv/borg
    owner: borg
    additional_free_space: 2G
    host_id: backup1.example.org@1
"""

RETURN = r"""
directory:
  description: The pool. Predicted in check mode.
  returned: success
  type: str
  sample: /srv/borg
repositories:
  description: The repositories in it, in the order of their paths. Predicted in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where it is.
      type: str
    id:
      description: Its id.
      type: str
    additional_free_space:
      description: How much it leaves free, in bytes; V(null) where what is set there is no size.
      type: int
  sample:
    - path: /srv/borg/client1
      id: 1ca3419d47d1e873f7f0979175a74f237e324f9b9cce42f6684aefc2ad5108f5
      additional_free_space: 2000000000
busy:
  description: The paths of those that were not set, for somebody works with them. Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: []
assumed:
  description: Whether check mode could not know, because an earlier step was not executed (there is no such account
    yet).
  returned: success
  type: bool
  sample: false
"""

import os
import pwd
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys import Serving
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._ownership import Ownership, group_id, user_id
from ansible_collections.fleetbackup.borg.plugins.module_utils._pool import Pooled, repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import find_program
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository_settings import parse_setting

_SPACE = "additional_free_space"


def main() -> None:
    run_module(
        ensure,
        {
            "directory": {"type": "path", "required": True},
            "owner": {"type": "str", "required": True},
            "group": {"type": "str"},
            "mode": {"type": "raw", "default": "0700"},
            "additional_free_space": {"type": "str"},
            "host_id": {"type": "str"},
            "executable": {"type": "str", "default": "borg"},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Bring the pool about; the module's result."""
    parameters = module.params
    directory = _checked(parameters["directory"])
    mode = _mode(parameters["mode"])
    serving = Serving(host_id=parameters["host_id"])
    serving.check()
    space = None if parameters[_SPACE] is None else parse_setting(parameters[_SPACE], _SPACE)
    found = repositories(directory) if os.path.isdir(directory) else []
    behind = [repository for repository in found if space is not None and repository.additional_free_space != space]
    busy = [repository for repository in behind if repository.is_locked]
    outdated = [repository for repository in behind if repository not in busy]
    program = find_program(parameters["executable"])
    missing = _missing(parameters, directory, needs_borg=bool(outdated) and program is None)
    if missing is not None and not module.check_mode:
        raise missing
    difference = Difference()
    ownership = _ownership(parameters, mode)
    _compare(directory, ownership, difference)
    if difference.changed and not module.check_mode:
        _provide(directory, ownership)
    if outdated and space is not None and program is not None and not module.check_mode:
        busy += [repository for repository in outdated if not repository.set_free_space(program, space, serving.host_id)]
    for repository in outdated:
        if repository not in busy:
            difference.add(f"{repository.path}: {_SPACE}", repository.additional_free_space, space)
    if busy:
        paths = ", ".join(repository.path for repository in busy)
        module.warn(f"Somebody works with {paths}: {_SPACE} is set there by the next run.")
    return {
        "changed": difference.changed or missing is not None,
        "assumed": missing is not None,
        "diff": difference.as_diff(),
        "directory": directory,
        "repositories": [_afterwards(repository, outdated, busy, space) for repository in found],
        "busy": sorted(repository.path for repository in busy),
    }


def _checked(directory: str) -> str:
    if (
        not directory.startswith("/")
        or not directory.isprintable()
        or os.path.normpath(directory) != directory.rstrip("/")
    ):
        raise Failure(
            "invalid_argument",
            f"directory: {directory!r} is no absolute path below /, without . and ..; for example /srv/borg.",
        )
    if os.path.lexists(directory) and not os.path.isdir(directory):
        raise Failure("invalid_argument", f"directory: {directory} exists and is no directory; say another.")
    return directory.rstrip("/")


def _mode(value: Any) -> int:
    example = "for example mode: '0700', in quotes"
    try:
        mode = value if isinstance(value, int) and not isinstance(value, bool) else int(str(value), 8)
    except ValueError as error:
        raise Failure("invalid_argument", f"mode: {value!r} is no octal number; {example}.") from error
    if mode & ~0o2775 or mode & 0o700 != 0o700:
        raise Failure("invalid_argument", f"mode: {mode:04o} shuts its owner out, or lets everybody write; {example}.")
    return mode


def _missing(parameters: dict[str, Any], directory: str, *, needs_borg: bool) -> Optional[Failure]:
    """What an earlier step has to bring."""
    for kind, number in (("owner", user_id), ("group", group_id)):
        name = parameters[kind]
        if name is not None and number(name) is None:
            return Failure("invalid_argument", f"{kind}: there is no {name} here; create it first.")
    above = os.path.dirname(directory)
    if not os.path.isdir(above):
        return Failure(
            "parent_missing", f"directory: {above}, which {directory} is to be in, does not exist; create it first."
        )
    if needs_borg:
        return Failure(
            "borg_missing",
            f"The program {parameters['executable']} is not installed here. Install borgbackup (Debian: apt install"
            f" borgbackup),"
            " or say with the option executable where it is.",
        )
    return None


def _ownership(parameters: dict[str, Any], mode: int) -> Ownership:
    uid = user_id(parameters["owner"])
    gid = None if parameters["group"] is None else group_id(parameters["group"])
    if uid is not None and parameters["group"] is None:
        gid = pwd.getpwuid(uid).pw_gid
    return Ownership(-1 if uid is None else uid, -1 if gid is None else gid, mode)


def _compare(directory: str, wanted: Ownership, difference: Difference) -> None:
    present = Ownership.of(directory).as_names() if os.path.isdir(directory) else None
    difference.add(directory, "absent" if present is None else "directory", "directory")
    for name, after in wanted.as_names().items():
        difference.add(f"{directory}: {name}", present and present[name], after)


def _provide(directory: str, ownership: Ownership) -> None:
    if not os.path.isdir(directory):
        os.mkdir(directory, 0o700)
    ownership.apply(directory)


def _afterwards(repository: Pooled, outdated: list[Pooled], busy: list[Pooled], space: Optional[int]) -> dict[str, Any]:
    is_set = repository in outdated and repository not in busy
    return (repository._replace(additional_free_space=space) if is_set else repository).as_result()


if __name__ == "__main__":
    main()
