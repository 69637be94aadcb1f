#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_archive
short_description: Ensure that an archive of this name exists in a Borg repository
version_added: 0.1.0
description:
  - Backs up files into an archive, unless the repository holds one of this name already, or removes the archive.
  - Files that could not be read, or changed while they were read, do not fail it; they come back in lists and as
    warnings.
  - A source that does not exist fails it before anything is written, and so does one on a file system of C(/etc/fstab) that is
    not mounted. Sources are looked at only where an archive is to be made. In check mode an earlier task may be what makes or
    mounts them, so there they are a warning and an assumption (RV(assumed)).
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  state:
    description:
      - V(present) ensures that the archive exists. An existing one is left as it is, whatever it holds.
      - V(absent) ensures that it does not. Its space is freed when the repository is compacted.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - The archive's name, without placeholders of Borg. Use Ansible's variables for the host and the date.
    type: str
    required: true
  paths:
    description:
      - What to back up, absolute paths. Each must exist, and at least one must hold something; other directories may be empty
        on purpose. Nothing is expanded.
      - May be left out where O(patterns) or O(patterns_from) name roots (C(R /path)).
    type: list
    elements: str
    default: []
  patterns:
    description:
      - Include and exclude patterns in order, as V(+ /home/*/keep), V(- /home/*/.cache) or V(R /srv).
    type: list
    elements: str
    default: []
  patterns_from:
    description:
      - Files on the target with such patterns, one a line. Regular files only.
    type: list
    elements: path
    default: []
  exclude:
    description:
      - Exclude patterns, for example V(/home/*/.cache) or V(sh:**/node_modules).
    type: list
    elements: str
    default: []
  exclude_from:
    description:
      - Files on the target with exclude patterns, one a line. Regular files only.
    type: list
    elements: path
    default: []
  exclude_caches:
    description:
      - Whether to leave out directories with a valid C(CACHEDIR.TAG).
    type: bool
    default: false
  exclude_if_present:
    description:
      - Names of files that keep the directory they lie in out of the archive, for example V(.nobackup).
    type: list
    elements: str
    default: []
  keep_exclude_tags:
    description:
      - Whether the files named by O(exclude_if_present) and C(CACHEDIR.TAG) are backed up themselves.
    type: bool
    default: false
  one_file_system:
    description:
      - Whether to stay on the file systems of the O(paths).
    type: bool
    default: false
  numeric_ids:
    description:
      - Whether to store numeric user and group ids only.
    type: bool
    default: false
  compression:
    description:
      - For example V(lz4), V(zstd,10), V(auto,lzma,6) or V(none). By default Borg's own, V(lz4).
    type: str
  comment:
    description:
      - A comment to keep with the archive, verbatim.
    type: str
seealso:
  - module: fleetbackup.borg.borg_archive_info
  - module: fleetbackup.borg.borg_prune
  - module: fleetbackup.borg.borg_extract
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Back up before the upgrade
  fleetbackup.borg.borg_archive:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    name: "{{ inventory_hostname }}-before-upgrade-{{ now(fmt='%Y-%m-%d') }}"
    paths: [/etc, /srv/www]
    exclude: ["/srv/www/*/cache"]
    exclude_caches: true
    compression: zstd,6
    comment: Before the upgrade to Debian 13

- name: Home directories by patterns
  fleetbackup.borg.borg_archive:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    name: homes-1
    patterns:
      - R /home
      - "- /home/*/.cache"
    exclude_if_present: [.nobackup]
    one_file_system: true

- name: Remove an archive
  fleetbackup.borg.borg_archive:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    name: homes-1
    state: absent
"""

RETURN = r"""
archive:
  description:
    - The archive; V(null) where there is none.
    - Of an archive that would be made V(null) in check mode.
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
    name: web1-before-upgrade-2026-11-21
    id: 9c899025f7384162fb5dbdb0e6d81bc2a51be7115477163570ccda55a7c0a154
    time: "2026-11-21T03:32:20+00:00"
stats:
  description:
    - What the making of the archive gave; V(null) where none was made. V(null) in check mode.
  returned: success
  type: dict
  contains:
    nfiles:
      description: How many files it holds.
      type: int
    original_size:
      description: Their size in bytes.
      type: int
    compressed_size:
      description: Their size in bytes, compressed.
      type: int
    deduplicated_size:
      description: How many bytes the repository did not hold yet.
      type: int
    duration:
      description: Seconds that it took.
      type: float
  sample:
    nfiles: 127
    original_size: 4160000
    compressed_size: 4170000
    deduplicated_size: 26780
    duration: 0.19
changed_while_read:
  description:
    - Files that changed while they were read. V(null) in check mode where an archive would be made.
  returned: success
  type: list
  elements: str
  sample: [/var/log/syslog]
unreadable:
  description:
    - Files that could not be read and are not in the archive. V(null) in check mode where an archive would be made.
  returned: success
  type: list
  elements: str
  sample: []
assumed:
  description:
    - Whether C(changed) is an assumption because Borg is not installed, the repository not made or a source not there yet; in
      check mode only.
  returned: success
  type: bool
  sample: false
"""

import os
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _archives as archives
from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository as repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils import _sources
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._compression import check_compression
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

LISTS_OF_SOURCES = ("paths", "patterns", "exclude", "exclude_if_present")
FILES_OF_PATTERNS = ("patterns_from", "exclude_from")


def main() -> None:
    strings = {"type": "list", "elements": "str", "default": []}
    files = {"type": "list", "elements": "path", "default": []}
    flag = {"type": "bool", "default": False}
    run_borg_module(
        ensure,
        {
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "name": {"type": "str", "required": True},
            **dict.fromkeys(LISTS_OF_SOURCES, strings),
            **dict.fromkeys(FILES_OF_PATTERNS, files),
            "exclude_caches": flag,
            "keep_exclude_tags": flag,
            "one_file_system": flag,
            "numeric_ids": flag,
            "compression": {"type": "str"},
            "comment": {"type": "str"},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Bring the archive into the wanted state; the module's result."""
    parameters = module.params
    archives.check_name(parameters["name"])
    check_compression(parameters["compression"])
    sources = _sources.Sources(
        **{name: parameters[name] for name in (*LISTS_OF_SOURCES, *FILES_OF_PATTERNS)},
        **{
            name: parameters[name]
            for name in ("exclude_caches", "keep_exclude_tags", "one_file_system", "numeric_ids")
        },
    )
    wanted = parameters["state"] == "present"
    if wanted:
        _sources.check_spelling(sources)
    borg = borg_from(parameters)
    try:
        present = _present(borg, parameters["name"])
    except Failure as failure:
        if not module.check_mode or failure.error not in ("absent", "borg_missing"):
            raise
        difference = _difference(parameters["name"], not wanted, wanted)
        return _result(difference, lists=None if wanted else [], assumed=True)
    difference = _difference(parameters["name"], present is not None, wanted)
    if not difference.changed:
        return _result(difference, archive=present.as_result() if present else None, lists=[])
    assumed = wanted and not _are_sources_there(module, sources)
    if module.check_mode:
        return _result(difference, lists=None if wanted else [], assumed=assumed)
    if not wanted:
        archives.delete(borg, parameters["name"])
        return _result(difference, lists=[])
    return _create(module, borg, sources, difference)


def _present(borg: Borg, name: str) -> Optional[archives.Archive]:
    pattern = archives.escape_pattern(name)
    found = repositories.describe(borg, f"--glob-archives={pattern}").archives
    return next((archive for archive in found if archive.name == name), None)


def _are_sources_there(module: AnsibleModule, sources: _sources.Sources) -> bool:
    """Whether all sources are there; False in check mode only, where an earlier task may be what makes them."""
    try:
        _sources.check_sources(sources)
    except Failure as failure:
        if not module.check_mode or failure.error != "source_missing":
            raise
        module.warn(f"{failure.msg} Check mode takes it that an earlier task would have seen to that.")
        return False
    return True


def _difference(name: str, before: bool, after: bool) -> Difference:
    difference = Difference()
    difference.add(name, "present" if before else "absent", "present" if after else "absent")
    return difference


def _create(
    module: AnsibleModule, borg: Borg, sources: _sources.Sources, difference: Difference
) -> dict[str, Any]:
    parameters = module.params
    made = _sources.create(
        borg, parameters["name"], sources, compression=parameters["compression"], comment=parameters["comment"]
    )
    for text in made.warnings:
        module.warn(os.fsencode(text).decode("utf-8", "backslashreplace"))
    result = _result(difference, archive=made.archive.as_result(), stats=made.stats)
    return {**result, "changed_while_read": made.changed_while_read, "unreadable": made.unreadable}


def _result(
    difference: Difference,
    *,
    archive: Optional[dict[str, Any]] = None,
    stats: Optional[dict[str, Any]] = None,
    lists: Optional[list[str]] = None,
    assumed: bool = False,
) -> dict[str, Any]:
    return {
        "changed": difference.changed or assumed,
        "archive": archive,
        "stats": stats,
        "changed_while_read": lists,
        "unreadable": lists,
        "assumed": assumed,
        "diff": difference.as_diff(),
    }


if __name__ == "__main__":
    main()
