#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borgmatic_info
short_description: Look up how the backups of a machine stand
version_added: 0.1.0
description:
  - Tells which Borg and borgmatic are installed, which configurations there are, what the last archive of each of their
    repositories is, and when each schedule of this collection runs next. It touches no file and runs no hook.
  - A repository that cannot be opened, or a configuration that cannot be read, is no failure of the module; C(error) and
    C(msg) of its entry tell what is wrong.
extends_documentation_fragment:
  - fleetbackup.borg.attributes.info
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  configs:
    description:
      - The configuration files to look at. By default those that borgmatic itself finds for the user who runs this.
    type: list
    elements: path
  archives:
    description:
      - Whether to open the repositories and return their last archives. Without it neither borg nor borgmatic runs.
    type: bool
    default: true
  executable:
    description:
      - borgmatic on the target, a name or a path.
    type: str
    default: borgmatic
  borg_executable:
    description:
      - Borg on the target, a name or a path.
    type: str
    default: borg
  scope:
    description:
      - Whose schedules to look at, those of the V(system) (with systemd and cron) or of the V(user) who runs this.
    type: str
    choices: [system, user]
    default: system
  timeout:
    description:
      - Seconds that any one command may take.
    type: int
    default: 60
seealso:
  - module: fleetbackup.borg.borgmatic_config
  - module: fleetbackup.borg.borgmatic_schedule
  - module: fleetbackup.borg.borg_repository_info
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: How do the backups of this machine stand?
  fleetbackup.borg.borgmatic_info:
  register: backups

- name: Every repository has an archive of the last two days
  ansible.builtin.assert:
    that:
      - item.error is none
      - item.last_archive.age_seconds < 2 * 24 * 3600
  loop: "{{ backups.configs | map(attribute='repositories') | flatten }}"
  loop_control:
    label: "{{ item.location }}"

- name: Which versions are installed?
  fleetbackup.borg.borgmatic_info:
    archives: false
"""

RETURN = r"""
versions:
  description: What is installed; V(null) for what is not. Predicted in check mode.
  returned: success
  type: dict
  contains:
    borg:
      description: Borg's version.
      type: str
    borgmatic:
      description: borgmatic's version.
      type: str
  sample:
    borg: 1.4.0
    borgmatic: 1.9.14
configs:
  description: The configuration files. Predicted in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    error:
      description: A word for why it cannot be read; V(null) where it can.
      type: str
    msg:
      description: The same for humans.
      type: str
    repositories:
      description: Its repositories; empty with O(archives=false).
      type: list
      elements: dict
      contains:
        label:
          description: Its label; V(null) where it has none.
          type: str
        location:
          description: Where it is, as Borg spells it.
          type: str
        id:
          description: Its id.
          type: str
        encryption:
          description: Its encryption mode.
          type: str
        archive_count:
          description: How many archives it holds.
          type: int
        last_archive:
          description: Its newest archive; V(null) where there is none.
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
        error:
          description: A word for why it cannot be opened, for example V(absent) or V(wrong_passphrase); V(null) where it can.
          type: str
        msg:
          description: The same for humans.
          type: str
  sample:
    - path: /etc/borgmatic.d/system.yaml
      error: null
      msg: null
      repositories:
        - label: disk
          location: /srv/backup/web1
          id: 586f274595a184a69b7e937c90a87f93f5cb6f165d375db6393b048d91575adb
          encryption: repokey-blake2
          archive_count: 17
          last_archive:
            name: web1-2026-11-20T03:00:00
            id: f3de76580692136bc67c8cfd9dd4ba16dc576ce699c4da839fc416dedc11f424
            time: "2026-11-20T03:00:00+00:00"
            age_seconds: 86400
          error: null
          msg: null
schedules:
  description: The schedules of this collection. Predicted in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    backend:
      description: V(systemd) or V(cron).
      type: str
    enabled:
      description: Whether it runs by itself.
      type: bool
    active:
      description: Whether its timer is started, or its job is in force.
      type: bool
    next_run:
      description: When it runs next, ISO 8601 in UTC; V(null) where it does not, or is running now.
      type: str
  sample:
    - name: system-backup
      backend: systemd
      enabled: true
      active: true
      next_run: "2026-11-22T01:12:43+00:00"
"""

from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository as repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import newest
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic import Borgmatic
from ansible_collections.fleetbackup.borg.plugins.module_utils._configured import (
    Entry,
    find_configurations,
    read_repositories,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._packages import package_version
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import find_program
from ansible_collections.fleetbackup.borg.plugins.module_utils._scheduled import scheduled


def main() -> None:
    run_module(
        ensure,
        {
            "configs": {"type": "list", "elements": "path"},
            "archives": {"type": "bool", "default": True},
            "executable": {"type": "str", "default": "borgmatic"},
            "borg_executable": {"type": "str", "default": "borg"},
            "scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
            "timeout": {"type": "int", "default": 60},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Look everything up; the module's result."""
    parameters = module.params
    if parameters["timeout"] <= 0:
        raise Failure("invalid_argument", f"timeout: {parameters['timeout']} is no time; give seconds, e.g. 60.")
    borgmatic = Borgmatic.find(parameters["executable"], timeout=parameters["timeout"])
    borg = find_program(parameters["borg_executable"])
    paths = find_configurations() if parameters["configs"] is None else parameters["configs"]
    return {
        "changed": False,
        "versions": {
            "borg": None if borg is None else package_version(borg, "borgbackup"),
            "borgmatic": None if borgmatic is None else borgmatic.version,
        },
        "configs": [_config(path, borgmatic, parameters) for path in paths],
        "schedules": [schedule._asdict() for schedule in scheduled(parameters["scope"])],
    }


def _config(path: str, borgmatic: Optional[Borgmatic], parameters: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"path": path, "error": None, "msg": None, "repositories": []}
    if not parameters["archives"]:
        return result
    try:
        if borgmatic is None:
            raise Failure("borg_missing", f"{parameters['executable']} is not installed: {path} cannot be read.")
        entries = read_repositories(
            borgmatic, path, executable=parameters["borg_executable"], timeout=parameters["timeout"]
        )
    except Failure as failure:
        return {**result, "error": failure.error, "msg": failure.msg}
    return {**result, "repositories": [_repository(entry) for entry in entries]}


def _repository(entry: Entry) -> dict[str, Any]:
    result: dict[str, Any] = {
        "label": entry.label,
        "location": str(entry.borg.repository),
        "id": None,
        "encryption": None,
        "archive_count": None,
        "last_archive": None,
        "error": None,
        "msg": None,
    }
    try:
        found = repositories.describe(entry.borg)
    except Failure as failure:
        return {**result, "error": failure.error, "msg": failure.msg}
    return {
        **result,
        "id": found.id,
        "encryption": found.encryption,
        "archive_count": len(found.archives),
        "last_archive": newest(found.archives),
    }


if __name__ == "__main__":
    main()
