#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_repository_info
short_description: Look up a Borg repository
version_added: 0.1.0
description:
  - Tells whether a repository exists and opens, and what its last archive is. It needs no lock and touches no file.
  - A repository that does not exist is no failure; one that cannot be reached or opened is.
  - In check mode, where an earlier task may be what installs Borg, no repository exists without it (RV(assumed)).
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes.info
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  statistics:
    description:
      - Whether to return sizes too. For that Borg may have to read all archives' metadata again, which can take long.
    type: bool
    default: false
seealso:
  - module: fleetbackup.borg.borg_repository
  - module: fleetbackup.borg.borg_archive_info
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Look the repository up
  fleetbackup.borg.borg_repository_info:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
  register: backup

- name: Fail where the last backup is older than two days
  ansible.builtin.assert:
    that:
      - backup.exists
      - backup.last_archive.age_seconds < 2 * 24 * 3600
"""

RETURN = r"""
exists:
  description: Whether the repository exists. Predicted in check mode.
  returned: success
  type: bool
  sample: true
id:
  description: Its id. Predicted in check mode.
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
  sample: /srv/backup/web1
archive_count:
  description: How many archives it holds. Predicted in check mode.
  returned: success
  type: int
  sample: 17
last_archive:
  description: Its newest archive; V(null) where there is none. Predicted in check mode.
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
    age_seconds:
      description: How long ago that was. Depends on the moment.
      type: int
  sample:
    name: web1-2026-11-20T03:00:00
    id: f3de76580692136bc67c8cfd9dd4ba16dc576ce699c4da839fc416dedc11f424
    time: "2026-11-20T03:00:00+00:00"
    age_seconds: 86400
statistics:
  description: Sizes in bytes, with O(statistics=true); otherwise V(null). Predicted in check mode.
  returned: success
  type: dict
  contains:
    original_size:
      description: What all archives hold, uncompressed.
      type: int
    compressed_size:
      description: The same, compressed.
      type: int
    deduplicated_size:
      description: What the repository stores.
      type: int
  sample:
    original_size: 8330000
    compressed_size: 8340000
    deduplicated_size: 4190000
assumed:
  description: Whether nothing could be looked up because Borg is not installed yet; in check mode only.
  returned: success
  type: bool
  sample: false
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository as repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import newest
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure


def main() -> None:
    run_borg_module(
        ensure,
        {
            "statistics": {"type": "bool", "default": False},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Look the repository up; the module's result."""
    borg = borg_from(module.params)
    result: dict[str, Any] = {
        "changed": False,
        "exists": False,
        "id": None,
        "encryption": None,
        "location": str(borg.repository),
        "archive_count": 0,
        "last_archive": None,
        "statistics": None,
        "assumed": False,
    }
    try:
        description = repositories.describe(borg)
    except Failure as failure:
        if borg.program is None and module.check_mode:
            return {**result, "assumed": True}
        if failure.error != "absent":
            raise
        return result
    result.update(
        exists=True,
        id=description.id,
        encryption=description.encryption,
        archive_count=len(description.archives),
        last_archive=newest(description.archives),
    )
    if module.params["statistics"]:
        result["statistics"] = repositories.statistics(borg, description.id)
    return result


if __name__ == "__main__":
    main()
