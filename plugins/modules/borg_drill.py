#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_drill
short_description: Prove by a restore that a Borg repository would give files back
version_added: 0.1.0
description:
  - Takes an archive and some of its files by chance, restores them to a scratch place, and compares them with what the archive recorded
    (type, mode, owner, size, modification time, links). Borg authenticates all data on the way, so damage that making and listing
    archives, and a check of the archives alone, do not see is found.
  - Files of this machine that have the archived size and modification time are compared byte by byte, too, where this machine made the
    archive.
  - What it finds is a failure (C(error=integrity)) with the list of it in C(problems). Nothing is repaired.
  - The scratch place is for the one who runs this alone, and is removed, however the drill ends.
  - How the drill ended, well or not, is noted where O(status_directory) and O(textfile_directory) say; that does not count as a change.
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  check_mode:
    support: partial
    details: It picks, and says what would be restored, but restores and notes nothing. So no problem is predicted.
options:
  match_archives:
    description:
      - Only archives whose name matches this shell-style pattern, for example V(web1-2*).
    type: str
  within:
    description:
      - An archive that is not older than this, as a number and C(H), C(d), C(w), C(m) or C(y). Where there is none, the newest one.
    type: str
    default: 30d
  full:
    description:
      - Whether to restore all of the archive. That needs as much space in O(scratch_directory).
    type: bool
    default: false
  sample:
    description:
      - How many regular files to restore at most, with O(full=false).
    type: int
    default: 20
  sample_bytes:
    description:
      - How large they may be together. A file that is larger is not taken, unless all are, when the smallest one is; O(full=true) takes
        those, too.
    type: int
    default: 100000000
  witness:
    description:
      - The absolute path of a file below the sources that is never changed. It is always part of the sample, and an archive that was
        made since that file was, and does not hold it as it stands here, is a problem.
    type: str
  seed:
    description:
      - Decides what chance would decide, so that the same drill can be done again. By default each drill differs.
    type: str
  scratch_directory:
    description:
      - The directory below which the scratch place is made. There have to be 100 MB and a thousand inodes more than what is restored
        takes, where each file, directory and link counts as 4 KiB at least.
    type: path
    default: /var/tmp
  config:
    description:
      - The name of the configuration that the repository belongs to, for the notes.
    type: str
    default: ""
  status_directory:
    description:
      - Where a JSON file for each repository says how its last drill ended. By default nowhere.
      - The playbook C(restore_drill) and the schedules of M(fleetbackup.borg.borgmatic_schedule) use V(/var/lib/fleetbackup/drills).
    type: path
  textfile_directory:
    description:
      - Where a file C(fleetbackup_drill_*.prom) for each repository says it to the node exporter of Prometheus. It has to exist. By
        default nowhere.
    type: path
notes:
  - Borg takes the repository's lock while it restores, so that a backup that is under way makes the drill wait or fail. See O(lock_wait).
seealso:
  - module: fleetbackup.borg.borg_check
  - module: fleetbackup.borg.borg_extract
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Restore twenty files of some archive of the last month, and compare them
  fleetbackup.borg.borg_drill:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    match_archives: "{{ inventory_hostname }}-2*"

- name: Restore all of the newest archive, and tell Prometheus
  fleetbackup.borg.borg_drill:
    repository: ssh://borg@backup1/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    within: 1H
    full: true
    textfile_directory: /var/lib/prometheus/node-exporter
  async: 86400
  poll: 30

- name: Do the drill once more that found something
  fleetbackup.borg.borg_drill:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    seed: 1f0c52bd1a0d7e55
"""

RETURN = r"""
verdict:
  description:
    - V(passed), or V(failed) where the module fails. V(null) in check mode.
    - A failure with C(error=integrity) has all of these keys, too.
  returned: success
  type: str
  sample: passed
archive:
  description: The archive. Predicted in check mode where O(seed) is given; V(null) where it is RV(assumed).
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
time:
  description: When the drill began, in UTC. V(null) in check mode.
  returned: success
  type: str
  sample: "2026-11-22T04:00:00+00:00"
files:
  description: How many files were restored. Predicted in check mode where O(seed) is given; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 20
bytes:
  description: The size of their contents. Predicted in check mode where O(seed) is given; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 416000
paths:
  description:
    - What was restored, at most a thousand of them. Predicted in check mode where O(seed) is given; V(null) where it is RV(assumed).
  returned: success
  type: list
  elements: str
  sample: [etc/ssh/sshd_config]
compared:
  description: How many of the files were compared with those of this machine. V(null) in check mode.
  returned: success
  type: int
  sample: 17
problems:
  description: What did not come back as it was, one line each, at most a thousand. V(null) in check mode.
  returned: success
  type: list
  elements: str
  sample: []
truncated:
  description:
    - Whether one of these lists leaves some out, or so much is damaged that not all was tried. Predicted in check mode where O(seed) is
      given; V(null) where it is RV(assumed).
  returned: success
  type: bool
  sample: false
duration:
  description: How many seconds the restore and the comparison took. V(null) in check mode.
  returned: success
  type: float
  sample: 2.3
seed:
  description: What decided instead of chance. Predicted in check mode where O(seed) is given.
  returned: success
  type: str
  sample: 1f0c52bd1a0d7e55
assumed:
  description: Whether nothing could be picked because Borg, the repository or an archive is not there yet; in check mode only.
  returned: success
  type: bool
  sample: false
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _drill_pick as picks
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_status import Ledger, perform
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg
from ansible_collections.fleetbackup.borg.plugins.module_utils._scratch import DEFAULT_PARENT

NO_DIFF = {"before": "", "after": ""}


def main() -> None:
    run_borg_module(
        ensure,
        {
            "match_archives": {"type": "str"},
            "within": {"type": "str", "default": picks.DEFAULT_WITHIN},
            "full": {"type": "bool", "default": False},
            "sample": {"type": "int", "default": picks.DEFAULT_SAMPLE},
            "sample_bytes": {"type": "int", "default": picks.DEFAULT_SAMPLE_BYTES},
            "witness": {"type": "str"},
            "seed": {"type": "str"},
            "scratch_directory": {"type": "path", "default": DEFAULT_PARENT},
            "config": {"type": "str", "default": ""},
            "status_directory": {"type": "path"},
            "textfile_directory": {"type": "path"},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Drill; the module's result."""
    parameters = module.params
    request = picks.read_request(parameters)
    borg = borg_from(parameters)
    places = (parameters["status_directory"], parameters["textfile_directory"])
    ledger = Ledger(str(borg.repository), parameters["config"], *places)
    ledger.check()
    if module.check_mode:
        return _predicted(borg, request)
    report = perform(borg, request, parameters["scratch_directory"], ledger)
    for text in report.warnings:
        module.warn(text)
    return {"changed": False, **report.as_result(), "assumed": False, "diff": NO_DIFF}


def _predicted(borg: Borg, request: picks.Request) -> dict[str, Any]:
    """The result in check mode, which restores nothing."""
    keys = ("verdict", "archive", "time", "files", "bytes", "paths", "compared", "problems", "truncated", "duration")
    unknown = {"changed": False, **dict.fromkeys(keys), "seed": request.seed, "diff": NO_DIFF}
    try:
        picked = picks.pick(borg, request)
    except Failure as failure:
        if failure.error not in ("absent", "borg_missing", "archive_absent"):
            raise
        return {**unknown, "assumed": True}
    return {**unknown, **picked.as_result(), "assumed": False}


if __name__ == "__main__":
    main()
