#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_archive_info
short_description: Look up the archives of a Borg repository and what they hold
version_added: 0.1.0
description:
  - Lists archives, oldest first, and with O(contents=true) their files. It needs no lock and touches no file.
  - A repository that does not exist is a failure; use M(fleetbackup.borg.borg_repository_info) to ask for it.
  - In check mode, where an earlier task may be what installs Borg, makes the repository or gives access to it, there are no archives
    then (RV(assumed)).
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes.info
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  match_archives:
    description:
      - Only archives whose name matches this shell-style pattern, for example V(web1-2026-*) or V({hostname}-2*).
    type: str
  newest:
    description:
      - Only this many of the newest archives that match.
    type: int
  contents:
    description:
      - Whether to return each archive's files too. That reads each archive's metadata.
    type: bool
    default: false
  paths:
    description:
      - With O(contents=true), only these paths and what lies below them, without a leading slash.
    type: list
    elements: str
    default: []
  limit:
    description:
      - With O(contents=true), at most this many files of each archive; RV(archives[].truncated) tells whether there are more.
    type: int
    default: 10000
seealso:
  - module: fleetbackup.borg.borg_archive
  - module: fleetbackup.borg.borg_extract
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: The newest archive of this host
  fleetbackup.borg.borg_archive_info:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    match_archives: "{{ inventory_hostname }}-2*"
    newest: 1
  register: newest

- name: What it holds of /etc/ssh
  fleetbackup.borg.borg_archive_info:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    match_archives: "{{ newest.archives[0].name }}"
    contents: true
    paths: [etc/ssh]
"""

RETURN = r"""
archives:
  description: The archives, oldest first. Predicted in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    id:
      description: Its id.
      type: str
    time:
      description: When it was begun, in UTC.
      type: str
    files:
      description: What it holds, with O(contents=true); otherwise V(null).
      type: list
      elements: dict
      contains:
        path:
          description:
            - Its path, without a leading slash. Bytes that are not UTF-8 are shown as escapes.
          type: str
        type:
          description: V(-) file, V(d) directory, V(l) symbolic link, V(h) hard link, V(p) FIFO, V(b) and V(c) devices.
          type: str
        mode:
          description: Its mode as C(ls) shows it.
          type: str
        user:
          description: Its owner's name.
          type: str
        group:
          description: Its group's name.
          type: str
        size:
          description: Its size in bytes.
          type: int
        mtime:
          description: When it was last changed, in UTC.
          type: str
        target:
          description: Where a symbolic link leads, or the first name of a hard link's file; V(null) for others.
          type: str
    truncated:
      description: Whether it holds more files than O(limit).
      type: bool
  sample:
    - name: web1-2026-11-20
      id: f3de76580692136bc67c8cfd9dd4ba16dc576ce699c4da839fc416dedc11f424
      time: "2026-11-20T03:00:00+00:00"
      truncated: false
      files:
        - path: etc/hostname
          type: "-"
          mode: -rw-r--r--
          user: root
          group: root
          size: 5
          mtime: "2026-05-01T10:11:12+00:00"
          target: null
assumed:
  description:
    - Whether nothing could be looked up because Borg is not installed, the repository not made or the access to it not given yet; in
      check mode only.
  returned: success
  type: bool
  sample: false
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _archives as archives
from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository as repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import read_contents
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg


def main() -> None:
    run_borg_module(
        ensure,
        {
            "match_archives": {"type": "str"},
            "newest": {"type": "int"},
            "contents": {"type": "bool", "default": False},
            "paths": {"type": "list", "elements": "str", "default": []},
            "limit": {"type": "int", "default": 10000},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Look the archives up; the module's result."""
    parameters = module.params
    for name in ("newest", "limit"):
        if parameters[name] is not None and parameters[name] < 1:
            raise Failure("invalid_argument", f"{name}: {parameters[name]} is less than one; give a number such as 1.")
    options = []
    if parameters["match_archives"] is not None:
        options.append(f"--glob-archives={archives.check_filter(parameters['match_archives'])}")
    if parameters["newest"] is not None:
        options.append(f"--last={parameters['newest']}")
    borg = borg_from(parameters)
    try:
        found = repositories.describe(borg, *options).archives
    except Failure as failure:
        expected = failure.error == "absent" or borg.program is None or failure.awaits_access
        if not module.check_mode or not expected:
            raise
        return {"changed": False, "archives": [], "assumed": True}
    listed = [{**archive.as_result(), **_contents(borg, archive, parameters)} for archive in found]
    return {"changed": False, "archives": listed, "assumed": False}


def _contents(borg: Borg, archive: archives.Archive, parameters: dict[str, Any]) -> dict[str, Any]:
    if not parameters["contents"]:
        return {"files": None, "truncated": False}
    limit = parameters["limit"]
    entries = read_contents(borg, archive.name, parameters["paths"])
    return {"files": [entry.as_result() for entry in entries[:limit]], "truncated": len(entries) > limit}


if __name__ == "__main__":
    main()
