#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_mount
short_description: Ensure that a Borg repository or an archive is mounted, or is not
version_added: 0.1.0
description:
  - Mounts a repository, with a directory for each archive, or one archive as a read-only file system (FUSE), for looking around and
    for copying single files. Large restores are much faster with M(fleetbackup.borg.borg_extract).
  - As long as it is mounted, Borg holds a lock of the repository, and backups into it fail. So unmount it soon.
  - Only what Borg mounted of this repository is ever unmounted, and what a Borg left that has died. Anything else that is mounted
    there, or stands in the directory, is left alone (C(error=unsafe)); so is this repository, where Borg was told another spelling of
    its location.
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  state:
    description:
      - V(mounted) ensures that it is mounted, V(unmounted) that it is not.
    type: str
    choices: [mounted, unmounted]
    default: mounted
  mount_point:
    description:
      - The directory to mount on. It is made, with mode 0700, where there is none, and never removed.
    type: path
    required: true
  archive:
    description:
      - The archive's name, or V(latest) for the newest one, which is mounted in place of an older one. By default the whole
        repository is mounted.
      - With O(state=unmounted) it does not matter.
    type: str
  match_archives:
    description:
      - With O(archive=latest), only archives whose name matches this shell-style pattern, for example V(web1-2*).
    type: str
  allow_other:
    description:
      - Whether other users may read what is mounted, as far as the modes of the files allow. For ordinary users C(/etc/fuse.conf)
        has to permit it. What is mounted already stays as it is.
    type: bool
    default: false
requirements:
  - A FUSE library for Borg's Python on the target (Debian packages python3-pyfuse3 and fuse3)
seealso:
  - module: fleetbackup.borg.borg_extract
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Look into the newest archive of this host
  fleetbackup.borg.borg_mount:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    archive: latest
    match_archives: "{{ inventory_hostname }}-2*"
    mount_point: /mnt/backup

- name: Have it unmounted
  fleetbackup.borg.borg_mount:
    repository: /srv/backup/web1
    mount_point: /mnt/backup
    state: unmounted
"""

RETURN = r"""
mount_point:
  description: Where it is mounted, or not, without links. Predicted in check mode.
  returned: success
  type: str
  sample: /mnt/backup
mounted:
  description: Whether it is mounted there. Predicted in check mode.
  returned: success
  type: bool
  sample: true
archive:
  description:
    - The name of the archive that is mounted; V(null) for a whole repository and where nothing is mounted. Predicted in check mode;
      V(null) where it is RV(assumed).
  returned: success
  type: str
  sample: web1-2026-11-20
assumed:
  description:
    - Whether C(changed) is an assumption because Borg, the repository or the archive is not there yet; in check mode only.
  returned: success
  type: bool
  sample: false
"""

import os
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _archives as archives
from ansible_collections.fleetbackup.borg.plugins.module_utils import _mount as mounts
from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository as repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg


def main() -> None:
    run_borg_module(
        ensure,
        {
            "state": {"type": "str", "choices": ["mounted", "unmounted"], "default": "mounted"},
            "mount_point": {"type": "path", "required": True},
            "archive": {"type": "str"},
            "match_archives": {"type": "str"},
            "allow_other": {"type": "bool", "default": False},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Mount it, or unmount it; the module's result."""
    parameters = module.params
    _check(parameters)
    borg = borg_from(parameters)
    mount_point = os.path.realpath(parameters["mount_point"])
    present = mounts.look(mount_point)
    if present is not None and not (present.is_borg and (present.dead or present.is_of(borg))):
        what = f"{present.source!r} is mounted there, not by borg"
        if present.is_borg:
            what = f"{present.target or 'a repository of borg, and nothing tells which one,'} is mounted there"
        raise Failure("unsafe", f"mount_point: {mount_point}: {what}. It is left alone; name another directory.")
    before = None if present is None else present.target or "a borg that has died"
    if parameters["state"] == "unmounted":
        if present is not None and not module.check_mode:
            mounts.unmount(borg, mount_point, present)
        return _result(mount_point, before, None, None)
    if present is None:
        _check_directory(mount_point)
    try:
        archive = _archive(borg, parameters)
    except Failure as failure:
        if not module.check_mode or failure.error not in ("absent", "borg_missing", "archive_absent"):
            raise
        return _result(mount_point, before, str(borg.repository), None, assumed=True)
    if not module.check_mode and not (present is not None and present.shows(borg, archive)):
        if present is not None:
            mounts.unmount(borg, mount_point, present)
        os.makedirs(mount_point, 0o700, exist_ok=True)
        mounts.mount(borg, archive, mount_point, allow_other=parameters["allow_other"])
    wanted = str(borg.repository) + (f"::{archive}" if archive is not None else "")
    return _result(mount_point, before, wanted, archive)


def _check(parameters: dict[str, Any]) -> None:
    mount_point, archive = parameters["mount_point"], parameters["archive"]
    if not mount_point.startswith("/"):
        raise Failure("invalid_argument", f"mount_point: {mount_point!r} is no absolute path; for example '/mnt/backup'.")
    if archive is not None and archive != "latest":
        archives.check_name(archive, "archive")
    if parameters["match_archives"] is not None and archive != "latest":
        raise Failure("invalid_argument", "match_archives: goes with archive: latest only; leave one of them out.")


def _check_directory(mount_point: str) -> None:
    """Refuse what nothing should be mounted on."""
    if not os.path.lexists(mount_point):
        return
    if not os.path.isdir(mount_point):
        raise Failure("invalid_argument", f"mount_point: {mount_point!r} is no directory; name a directory.")
    if os.listdir(mount_point):
        raise Failure(
            "unsafe", f"mount_point: {mount_point} is not empty, and what it holds would be hidden; name an empty directory."
        )


def _archive(borg: Borg, parameters: dict[str, Any]) -> Optional[str]:
    """The name of the archive that is to be mounted, where that is one; all of it is proven to open."""
    name, match = parameters["archive"], parameters["match_archives"]
    options = ["--last=1"]
    if name == "latest":
        options += [f"--glob-archives={archives.check_filter(match)}"] if match is not None else []
    elif name is not None:
        options = [f"--glob-archives={archives.escape_pattern(name)}"]
    found = repositories.describe(borg, *options).archives
    if name is None:
        return None
    if not found:
        what = f"archive {name!r}" if name != "latest" else f"archive that matches {match!r}" if match else "archive"
        raise Failure("archive_absent", f"{borg.repository} holds no {what}. List what there is with borg_archive_info.")
    return found[-1].name


def _result(
    mount_point: str, before: Optional[str], after: Optional[str], archive: Optional[str], *, assumed: bool = False
) -> dict[str, Any]:
    """:param before: what was mounted; None: nothing.
    :param after: likewise.
    """
    return {
        "changed": assumed or before != after,
        "mount_point": mount_point,
        "mounted": after is not None,
        "archive": archive,
        "assumed": assumed,
        "diff": {"before": _line(before, mount_point), "after": _line(after, mount_point)},
    }


def _line(target: Optional[str], mount_point: str) -> str:
    return "" if target is None else f"{target} on {mount_point}\n"


if __name__ == "__main__":
    main()
