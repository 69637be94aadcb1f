#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_prune
short_description: Ensure that a Borg repository holds no archive outside of a retention policy
version_added: 0.1.0
description:
  - Removes the archives that no rule of the policy keeps. Space is freed when the repository is compacted.
  - It works on the archives that match a filter, or on all of them when that is said; on nothing otherwise.
  - It refuses where an archive lies in the future or the clock went back, since the policy would then drop the real
    archives, and where O(keep_within) keeps nothing, since the clock is ahead then or backups have stopped.
  - It refuses where the filter takes in more than one series of archives, such as C(web1-2026-…) and
    C(web1-db-2026-…) with V(web1-*), or one that it does not name in full, such as C(web1-db-2026-…) alone.
    A series is what the names of archives share without their last date.
  - Days begin at midnight of O(time_zone).
  - What is to be pruned is predicted from the list of archives, without a lock. Only where there is something to prune,
    Borg itself is asked with its dry run, has to agree, and prunes.
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
options:
  match_archives:
    description:
      - Only archives whose name matches this shell-style pattern, for example V(web1-2*) or V({hostname}-2*); for
        V(web) beside V(web-2001), whose archives V(web-2*) would match too, V(web-????-??-??*).
      - Either this or O(all_archives=true) is required.
    type: str
  all_archives:
    description:
      - Whether the policy is for all archives of the repository, whatever their names.
    type: bool
    default: false
  allow_any_series:
    description:
      - Whether O(match_archives) is taken at its word, whatever series of archives it matches. The policy treats several
        as one.
    type: bool
    default: false
  keep_within:
    description:
      - Keep all archives of this interval, a number and V(H), V(d), V(w), V(m) (31 days) or V(y), for example V(7d).
    type: str
  keep_last:
    description:
      - Keep this many of the newest archives; of several of the same second, the newest.
    type: int
  keep_secondly:
    description:
      - Keep the newest archive of this many seconds. Excludes O(keep_last).
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
      - Keep the newest archive of this many quarters of three months. Needs Borg 1.4.1. Excludes
        O(keep_13weekly).
    type: int
  keep_yearly:
    description:
      - Keep the newest archive of this many years.
    type: int
  time_zone:
    description:
      - The zone in which days, weeks, months and years begin, for example V(UTC) or V(Europe/Berlin).
      - By default the target's own, which a scheduled prune uses too.
    type: str
seealso:
  - module: fleetbackup.borg.borg_archive_info
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Keep a week of days, a month of weeks and half a year of this host's archives
  fleetbackup.borg.borg_prune:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    match_archives: "{{ inventory_hostname }}-2*"
    keep_daily: 7
    keep_weekly: 4
    keep_monthly: 6

- name: One policy for everything in the repository
  fleetbackup.borg.borg_prune:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    all_archives: true
    keep_within: 30d
"""

RETURN = r"""
pruned:
  description: The archives that were removed, newest first. Predicted in check mode; V(null) where RV(assumed=true).
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
  sample:
    - name: web1-2026-11-03
      id: 11cfcbed8bc8848f9e5833e4d3482810f49a97231536335e2e89a8d05dc03c7c
      time: "2026-11-03T10:00:00+00:00"
kept:
  description: The archives that match and are kept, newest first. Predicted in check mode; V(null) where RV(assumed=true).
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
    rule:
      description: The rule that keeps it.
      type: str
  sample:
    - name: web1-2026-11-20
      id: 3c303280bb71c54ab8e533957f6b509245d51f337aa504e378f92e94860d0494
      time: "2026-11-20T03:00:00+00:00"
      rule: "daily #1"
assumed:
  description:
    - Whether C(changed) is an assumption because Borg is not installed or the repository not made yet; in check mode only.
  returned: success
  type: bool
  sample: false
"""

import os
import re
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _retention as retention
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import check_filter
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure


def main() -> None:
    run_borg_module(
        ensure,
        {
            "match_archives": {"type": "str"},
            "all_archives": {"type": "bool", "default": False},
            "allow_any_series": {"type": "bool", "default": False},
            "keep_within": {"type": "str"},
            **{rule: {"type": "int"} for rule in retention.RULES},
            "time_zone": {"type": "str"},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Prune the repository; the module's result."""
    parameters = module.params
    match = _filter(parameters)
    time_zone = _time_zone(parameters["time_zone"])
    retention.read_policy(parameters, None)
    borg = borg_from(parameters)
    try:
        policy = retention.read_policy(parameters, borg.dialect())
        wanted = retention.Retention(policy, match, parameters["allow_any_series"], time_zone)
        selection = retention.predict(borg, wanted)
    except Failure as failure:
        if not module.check_mode or failure.error not in ("absent", "borg_missing"):
            raise
        return _result(None)
    if selection.pruned and not module.check_mode:
        selection = retention.prune(borg, wanted, selection)
    return _result(selection)


def _filter(parameters: dict[str, Any]) -> Optional[str]:
    match, everything = parameters["match_archives"], parameters["all_archives"]
    if match is None and not everything:
        raise Failure(
            "invalid_argument",
            "match_archives: is missing. Name the archives that the policy is for, e.g. 'web1-2*', or say all_archives:"
            " true; other machines may keep theirs in the same repository.",
        )
    if match is not None and everything:
        raise Failure("invalid_argument", "match_archives: excludes all_archives: true; leave one of them out.")
    return None if match is None else check_filter(match)


def _time_zone(name: Optional[str]) -> str:
    if name is None:
        return retention.LOCAL_TIME_ZONE
    known = re.match(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*\Z", name) and _is_time_zone(f"/usr/share/zoneinfo/{name}")
    if name != "UTC" and not known:
        raise Failure(
            "invalid_argument",
            f"time_zone: {name!r} is no zone that this machine knows; for example 'UTC' or 'Europe/Berlin' (package tzdata).",
        )
    return name


def _is_time_zone(path: str) -> bool:
    # whatever else stands there would be UTC to the C library
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"TZif"


def _result(selection: Optional[retention.Selection]) -> dict[str, Any]:
    """:param selection: None where check mode cannot know it."""
    if selection is None:
        return {"changed": True, "pruned": None, "kept": None, "assumed": True, "diff": {"before": "", "after": ""}}
    return {
        "changed": bool(selection.pruned),
        "pruned": [archive.as_result() for archive in selection.pruned],
        "kept": [{**archive.as_result(), "rule": rule} for archive, rule in selection.kept],
        "assumed": False,
        "diff": {"before": "".join(f"{archive.name}\n" for archive in selection.pruned), "after": ""},
    }


if __name__ == "__main__":
    main()
