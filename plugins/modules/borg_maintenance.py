#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_maintenance
short_description: Ensure that an append-only Borg repository holds nothing outside of its retention, unless somebody tampered with it
version_added: 0.1.0
description:
  - Prunes and compacts a repository to which its clients may only add, from a trusted machine with a key that may do more.
  - A client in the wrong hands can hide archives, make false ones and destroy the key. All of that can be undone until the repository is
    compacted. So this module remembers which archives there were, in a file that no client can change (O(inventory)), and refuses with
    C(error=unsafe), before anything changes, where archives are gone that it did not prune, where some lie in the future or are new and
    claim to be older than the last inventory, where too many would go, where some may be somebody else's, or where the key is another
    one; and with C(error=drift), where another repository is in its place.
  - The first run takes the inventory, and prunes nothing. Where another inventory in the same directory is about the same repository,
    it refuses (C(error=unsafe)) to begin anew.
  - What it is about to prune is noted first. Killed anywhere, the next run goes on.
  - The gates of M(fleetbackup.borg.borg_prune) and M(fleetbackup.borg.borg_compact) hold here, too.
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  idempotent:
    support: partial
    details: The first run takes the inventory, and the second one prunes. After that, another run changes nothing.
options:
  inventory:
    description:
      - The file with the archives that there were. A leading C(~) is the home of whoever runs this. Its directory is made.
      - Everything that this module can tell about vanished archives stands in it. Keep it off the clients and off the server.
    type: path
    required: true
  retentions:
    description:
      - What to keep, each of the archives that match a pattern. What matches none of them stays.
      - Days begin at midnight of the machine's own zone, as for a scheduled prune.
    type: list
    elements: dict
    default: []
    suboptions:
      match_archives:
        description:
          - The shell-style pattern of the archives' names, for example V(web1-*).
        type: str
        required: true
      foreign_archives:
        description:
          - Patterns of archives that are another client's, or another configuration's, in the same repository. A policy that takes in one of
            them is refused with C(error=unsafe), and nothing is pruned.
        type: list
        elements: str
        default: []
      allow_any_series:
        description:
          - Whether O(retentions[].match_archives) is taken at its word, whatever series of archives it matches. The policy treats several as one.
          - The playbook C(maintain_server) says so where the pattern has the client's whole name and nothing but digits in place of a time.
        type: bool
        default: false
      keep_within:
        description:
          - Keep all archives of this interval, a number and V(H), V(d), V(w), V(m) (31 days) or V(y). At least O(keep_within) counts.
        type: str
      keep_last:
        description:
          - Keep this many of the newest archives.
        type: int
      keep_secondly:
        description:
          - Keep the newest archive of this many seconds. Excludes O(retentions[].keep_last).
        type: int
      keep_minutely:
        description:
          - Keep the newest archive of this many minutes.
        type: int
      keep_hourly:
        description:
          - Keep the newest archive of this many hours.
        type: int
      keep_daily:
        description:
          - Keep the newest archive of this many days.
        type: int
      keep_weekly:
        description:
          - Keep the newest archive of this many weeks.
        type: int
      keep_monthly:
        description:
          - Keep the newest archive of this many months.
        type: int
      keep_13weekly:
        description:
          - Keep the newest archive of this many quarters of 13 weeks. Needs Borg 1.4.1.
        type: int
      keep_3monthly:
        description:
          - Keep the newest archive of this many quarters of three months. Needs Borg 1.4.1.
        type: int
      keep_yearly:
        description:
          - Keep the newest archive of this many years.
        type: int
  keep_within:
    description:
      - All archives that are younger than this are kept, whatever the policies say. So long nobody's false archives can take the place
        of real ones, and as long there is time to notice.
    type: str
    default: 7d
  most_deletions:
    description:
      - How many archives of one policy one run may remove, a number such as V(20), or a percentage of those that match, such as V(50%).
    type: str
    default: 50%
  key_digest:
    description:
      - The digest of the repository's key, as M(fleetbackup.borg.borg_key_escrow) returns it. Another key is C(error=unsafe).
      - Without it the key is not compared.
    type: str
  key:
    description:
      - The repository's key as Borg exports it, for the modes C(keyfile) and C(keyfile-blake2), where it stands on the client alone.
        It is held in memory as long as this runs. Excludes O(key_file).
    type: str
  accept_missing:
    description:
      - The names of archives that may be gone.
    type: list
    elements: str
    default: []
  accept_backdated:
    description:
      - The names of archives that may be new and yet claim to be older than the last inventory.
    type: list
    elements: str
    default: []
notes:
  - While it works, it says so every 20 seconds.
  - Runs for the same inventory take turns, and each judges what it then carries out. What others add meanwhile is not in the inventory
    afterwards, so the next run judges it.
  - The archives are listed without a lock, and so is what is refused; only where there is something to prune or to reclaim, the lock
    is needed.
seealso:
  - module: fleetbackup.borg.borg_prune
  - module: fleetbackup.borg.borg_compact
  - module: fleetbackup.borg.borg_key_escrow
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Look after a repository that its client may only append to
  fleetbackup.borg.borg_maintenance:
    repository: ssh://borg@backup1/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    rsh: ssh -F /root/.ssh/fleetbackup_maintenance_config
    inventory: ~/fleetbackup-archives/web1.json
    retentions:
      - match_archives: web1-2*
        keep_daily: 7
        keep_weekly: 4

- name: Accept that an archive is gone, and allow twenty to be pruned
  fleetbackup.borg.borg_maintenance:
    repository: ssh://borg@backup1/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    inventory: ~/fleetbackup-archives/web1.json
    retentions:
      - match_archives: web1-2*
        keep_daily: 7
    accept_missing: [web1-2026-11-03T02:00:00]
    most_deletions: "20"
"""

RETURN = r"""
first:
  description:
    - Whether there was no inventory yet, so that only one was taken.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: bool
  sample: false
pruned:
  description:
    - The archives that were removed, newest first of each policy.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: list
  elements: dict
  contains: &archive
    name:
      description: Its name.
      type: str
    id:
      description: Its id.
      type: str
    time:
      description: When it was begun, in UTC.
      type: str
  sample: &archives
    - name: web1-2026-11-03
      id: 11cfcbed8bc8848f9e5833e4d3482810f49a97231536335e2e89a8d05dc03c7c
      time: "2026-11-03T10:00:00+00:00"
new:
  description:
    - The archives that came since the last inventory, oldest first.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: list
  elements: dict
  contains: *archive
  sample: *archives
accepted:
  description:
    - The archives that are gone, and were accepted as such.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: list
  elements: dict
  contains: *archive
  sample: []
archive_count:
  description:
    - How many archives are there afterwards.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 18
unmatched_count:
  description:
    - How many of them match none of the O(retentions), so that no policy ever removes them.
    - Predicted in check mode; V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 0
freed_bytes:
  description: How many bytes were reclaimed, by Borg's own words; V(0) where there was nothing to reclaim. V(null) in check mode.
  returned: success
  type: int
  sample: 48300000
assumed:
  description:
    - Whether C(changed) is an assumption because Borg, the key or the pinned host keys are not there yet; in check mode only.
  returned: success
  type: bool
  sample: false
"""

from contextlib import nullcontext
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _maintenance as maintenance
from ansible_collections.fleetbackup.borg.plugins.module_utils._archive_inventory import InventoryFile
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._held_key import held_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._retention import RULES
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg


def main() -> None:
    policy = {"keep_within": {"type": "str"}, **{rule: {"type": "int"} for rule in RULES}}
    run_borg_module(
        ensure,
        {
            "inventory": {"type": "path", "required": True},
            "retentions": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "match_archives": {"type": "str", "required": True},
                    "foreign_archives": {"type": "list", "elements": "str", "default": []},
                    "allow_any_series": {"type": "bool", "default": False},
                    **policy,
                },
            },
            "keep_within": {"type": "str", "default": "7d"},
            "most_deletions": {"type": "str", "default": "50%"},
            "key_digest": {"type": "str", "no_log": False},
            "key": {"type": "str", "no_log": True},
            "accept_missing": {"type": "list", "elements": "str", "default": []},
            "accept_backdated": {"type": "list", "elements": "str", "default": []},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Look after the repository; the module's result."""
    parameters = module.params
    rules = maintenance.Rules(
        maintenance.read_retentions(parameters["retentions"], parameters["keep_within"]),
        maintenance.Most.parse(parameters["most_deletions"]),
        parameters["key_digest"],
        frozenset(parameters["accept_missing"]),
        frozenset(parameters["accept_backdated"]),
    )
    file = InventoryFile(parameters["inventory"])
    file.check()
    borg = borg_from(parameters)
    try:
        rules.check(borg)
        lock = nullcontext() if module.check_mode else file.locked()
        with lock, held_key(borg, parameters["key"]) as keyed:
            planned = maintenance.plan(keyed, rules, file.read())
            if planned.before is None:
                file.check_first(planned.present.repository)
            freed = maintenance.carry_out(keyed, rules, planned, file) if planned.changes and not module.check_mode else 0
    except Failure as failure:
        if not module.check_mode or not _may_be_missing(borg, failure):
            raise
        return {"changed": True, **dict.fromkeys(_PREDICTED), "freed_bytes": None, "assumed": True, "diff": {"before": "", "after": ""}}
    for match in planned.idle(rules):
        module.warn(f"{borg.repository}: no archive matches {match!r}, so this policy keeps and prunes nothing. See how the archives are called.")
    return _result(planned, None if module.check_mode else freed)


#: What check mode cannot tell where it cannot look.
_PREDICTED = ("first", "pruned", "new", "accepted", "archive_count", "unmatched_count")


def _may_be_missing(borg: Borg, failure: Failure) -> bool:
    """Whether an earlier task, which check mode did not execute, may be all that is missing."""
    if failure.error == "borg_missing":
        return True
    return not borg.repository.is_local and (failure.error == "auth" or failure.reason in ("unconfigured", "unpinned"))


def _result(planned: maintenance.Plan, freed: Optional[int]) -> dict[str, Any]:
    """:param freed: None where it is not known."""
    return {
        "changed": planned.changes,
        "first": planned.before is None,
        "pruned": [archive.as_result() for archive in planned.pruned],
        "new": [archive.as_result() for archive in planned.new],
        "accepted": [archive.as_result() for archive in planned.accepted],
        "archive_count": len(planned.left),
        "unmatched_count": len(planned.unmatched),
        "freed_bytes": freed,
        "assumed": False,
        "diff": {
            "before": _lines(planned.before.archives if planned.before is not None else ()),
            "after": _lines(planned.left),
        },
    }


def _lines(archives: tuple[Archive, ...]) -> str:
    return "".join(f"{archive.name}\n" for archive in archives)


if __name__ == "__main__":
    main()
