#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_extract
short_description: Ensure that files of a Borg archive stand at a destination, byte for byte
version_added: 0.1.0
description:
  - Compares the archive with the destination, extracts what is missing or differs, and compares again.
  - Content, mode, owner, modification time, hard and symbolic links, extended attributes and ACLs come back as far as the
    user and the file system allow. Other files at the destination are left alone.
  - Nothing is written outside of the destination, and no file there gets a further name. Archives with absolute paths, with
    C(..), or with files below a link, and destinations where a directory of the archive is a symbolic link, are refused.
    The same holds for the files that hard links of the archive lead to.
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  archive:
    description:
      - The archive's name, or V(latest) for the newest one.
    type: str
    default: latest
  match_archives:
    description:
      - With O(archive=latest), only archives whose name matches this shell-style pattern, for example V(web1-2*).
    type: str
  destination:
    description:
      - The directory that the files go to. It is made, with mode 0700, where there is none. A file archived from
        C(/etc/hosts) goes to C(etc/hosts) below it.
    type: path
    required: true
  paths:
    description:
      - Only these paths and what lies below them, without a leading slash. By default all.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Borg's exclude patterns.
    type: list
    elements: str
    default: []
  compare:
    description:
      - What makes a file at the destination the archived one.
      - V(metadata) compares type, mode, owner, size, modification time and links.
      - V(content) compares the SHA-256 of the content too, for which all of it is read here and in the repository.
    type: str
    choices: [metadata, content]
    default: metadata
  numeric_ids:
    description:
      - Whether owners are restored by number, not by name.
    type: bool
    default: false
seealso:
  - module: fleetbackup.borg.borg_archive_info
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: One file of the newest archive, into a scratch directory
  fleetbackup.borg.borg_extract:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    match_archives: "{{ inventory_hostname }}-2*"
    paths: [etc/ssh/sshd_config]
    destination: /root/restored

- name: A whole archive, proven by content
  fleetbackup.borg.borg_extract:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    archive: web1-2026-11-20
    destination: /srv/restored
    compare: content
"""

RETURN = r"""
archive:
  description: The archive. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: dict
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
  sample:
    name: web1-2026-11-20
    id: f3de76580692136bc67c8cfd9dd4ba16dc576ce699c4da839fc416dedc11f424
    time: "2026-11-20T03:00:00+00:00"
destination:
  description: Where the files stand. Predicted in check mode.
  returned: success
  type: str
  sample: /srv/restored
entries:
  description: How many files, directories and links are wanted there. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 140
files:
  description: How many of them are files. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 127
bytes:
  description: The size of their contents in bytes. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 4160000
extracted:
  description: How many of the entries were missing or differed, and were extracted. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 127
paths:
  description: The first thousand of those. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: list
  elements: str
  sample: [etc/ssh/sshd_config]
truncated:
  description: Whether there are more. Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: bool
  sample: false
assumed:
  description:
    - Whether C(changed) is an assumption because Borg, the repository or the archive is not there yet; in check mode only.
      What would be extracted is not known then, and its diff is empty.
  returned: success
  type: bool
  sample: false
"""

import os
from typing import Any, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _archives as archives
from ansible_collections.fleetbackup.borg.plugins.module_utils import _extraction as extraction
from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository as repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import printable, read_contents
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

SHOWN_PATHS = 1000


def main() -> None:
    run_borg_module(
        ensure,
        {
            "archive": {"type": "str", "default": "latest"},
            "match_archives": {"type": "str"},
            "destination": {"type": "path", "required": True},
            "paths": {"type": "list", "elements": "str", "default": []},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "compare": {"type": "str", "choices": ["metadata", "content"], "default": "metadata"},
            "numeric_ids": {"type": "bool", "default": False},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Bring the files to the destination; the module's result."""
    parameters = module.params
    _check(parameters)
    borg = borg_from(parameters)
    try:
        archive = _archive(borg, parameters)
    except Failure as failure:
        if not module.check_mode or failure.error not in ("absent", "borg_missing", "archive_absent"):
            raise
        return _assumed(parameters)
    entries = read_contents(
        borg, archive.name, parameters["paths"], parameters["exclude"], hashes=parameters["compare"] == "content"
    )
    plan = extraction.make_plan(entries, parameters["destination"], numeric_ids=parameters["numeric_ids"])
    if plan.outstanding and not module.check_mode:
        _extract(module, borg, archive.name, plan)
    return _result(parameters, archive, plan)


def _check(parameters: dict[str, Any]) -> None:
    destination = parameters["destination"]
    if not destination.startswith("/"):
        raise Failure("invalid_argument", f"destination: {destination!r} is no absolute path; for example '/srv/restored'.")
    if os.path.lexists(destination) and not os.path.isdir(destination):
        raise Failure("invalid_argument", f"destination: {destination!r} is no directory; name a directory.")
    for path in parameters["paths"]:
        if path.startswith("/") or not path.strip() or ".." in path.split("/"):
            raise Failure("invalid_argument", f"paths: {path!r} is no path in an archive; for example 'etc/hosts'.")
    if parameters["archive"] != "latest":
        archives.check_name(parameters["archive"], "archive")
        if parameters["match_archives"] is not None:
            raise Failure("invalid_argument", "match_archives: goes with archive: latest only; leave one of them out.")


def _archive(borg: Borg, parameters: dict[str, Any]) -> archives.Archive:
    name, match = parameters["archive"], parameters["match_archives"]
    if name == "latest":
        options = ["--last=1"] + ([f"--glob-archives={archives.check_filter(match)}"] if match is not None else [])
    else:
        options = [f"--glob-archives={archives.escape_pattern(name)}"]
    found = repositories.describe(borg, *options).archives
    if not found:
        what = f"archive {name!r}" if name != "latest" else f"archive that matches {match!r}" if match else "archive"
        raise Failure(
            "archive_absent", f"{borg.repository} holds no {what}. List what there is with borg_archive_info."
        )
    return found[-1]


def _extract(module: AnsibleModule, borg: Borg, archive: str, plan: extraction.Plan) -> None:
    parameters = module.params
    warnings = extraction.extract(
        borg,
        archive,
        plan,
        parameters["destination"],
        paths=parameters["paths"],
        exclude=parameters["exclude"],
        numeric_ids=parameters["numeric_ids"],
    )
    for text in warnings:
        module.warn(printable(text))
    left = extraction.make_plan(plan.entries, parameters["destination"], numeric_ids=parameters["numeric_ids"]).outstanding
    if left:
        shown = ", ".join(printable(entry.path) for entry in left[:5])
        raise Failure(
            "warning",
            f"{len(left)} of {len(plan.entries)} files could not be restored as they were archived: {shown}"
            f"{' …' if len(left) > 5 else ''}. {_said(warnings)}Make room where something else stands, restore as root or onto"
            " a file system that can hold them, or leave them out with exclude.",
        )


def _said(warnings: Sequence[str]) -> str:
    return f"Borg said: {'; '.join(printable(text) for text in warnings[:5])}. " if warnings else ""


def _assumed(parameters: dict[str, Any]) -> dict[str, Any]:
    """The result where check mode cannot look into the archive."""
    unknown = dict.fromkeys(("archive", "entries", "files", "bytes", "extracted", "paths", "truncated"))
    return {
        "changed": True,
        **unknown,
        "destination": parameters["destination"],
        "assumed": True,
        "diff": {"before": "", "after": ""},
    }


def _result(parameters: dict[str, Any], archive: archives.Archive, plan: extraction.Plan) -> dict[str, Any]:
    paths = [printable(entry.path) for entry in plan.outstanding]
    return {
        "changed": bool(paths),
        "archive": archive.as_result(),
        "destination": parameters["destination"],
        "entries": len(plan.entries),
        "files": sum(entry.kind in "-h" for entry in plan.entries),
        "bytes": sum(entry.size for entry in plan.entries if entry.kind == "-"),
        "extracted": len(paths),
        "paths": paths[:SHOWN_PATHS],
        "truncated": len(paths) > SHOWN_PATHS,
        "assumed": False,
        "diff": {"before": "", "after": "".join(f"{path}\n" for path in paths[:SHOWN_PATHS])},
    }


if __name__ == "__main__":
    main()
