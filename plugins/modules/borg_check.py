#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_check
short_description: Ensure that a Borg repository is consistent
version_added: 0.1.0
description:
  - Checks a repository and its archives. What it finds is a failure (C(error=integrity)) with the list of it in C(problems) and
    C(damaged_files); Borg itself calls problems a warning, and a repair that lost data a success.
  - Nothing is repaired unless O(repair=true) says so.
  - First it looks the repository up, so one that was moved, replaced or brought back from an older copy is a failure too.
  - Files that lost data in an earlier repair hold zeros in its place for ever. Borg finds nothing wrong with them; this
    module does, until O(allow_damaged_files=true).
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  check_mode:
    support: partial
    details: The repository is looked up, but not checked, since that takes long and takes its lock. So no repair is predicted.
options:
  part:
    description:
      - What is checked.
      - V(all) reads all segments of the repository, compares its index with them, and then looks through the metadata of the
        archives.
      - V(repository) is the first part alone. It needs no passphrase, so a server can do it; the repository is not looked
        up before.
      - V(archives) is the second part alone. Without O(verify_data) it does not read the data of files, so it finds missing
        data, but no damaged ones.
    type: str
    choices: [all, repository, archives]
    default: all
  match_archives:
    description:
      - Of the archives only those whose name matches this shell-style pattern, for example V(web1-2*). That none matches is a
        failure.
    type: str
  newest:
    description:
      - Of the archives only this many of the newest that match.
    type: int
  verify_data:
    description:
      - Whether to read, decrypt and verify all data, which takes as long as restoring everything. Borg does so whatever archives
        are chosen.
    type: bool
    default: false
  max_duration:
    description:
      - Seconds after which to stop; the next run with this option goes on from there. Goes with O(part=repository) only, and
        then leaves out the comparison with the index. RV(complete) tells whether the end was reached.
    type: int
  repair:
    description:
      - Whether to have Borg repair what is found, once more check it, and fail where problems are left.
      - What cannot be saved is lost then. Archives without their metadata are removed, and missing data of files are replaced by
        zeros. So copy the repository before, and find out what damaged it.
    type: bool
    default: false
  allow_damaged_files:
    description:
      - Whether files that lost data in an earlier repair are a warning, not a failure. O(repair=true) implies it.
    type: bool
    default: false
notes:
  - Borg takes the repository's lock for the whole check, so backups wait or fail meanwhile. See O(lock_wait).
seealso:
  - module: fleetbackup.borg.borg_extract
    description: Only a restore proves that a file can be restored.
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Check the repository and its archives
  fleetbackup.borg.borg_check:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"

- name: Check a part of a large repository each night, on the server, without its passphrase
  fleetbackup.borg.borg_check:
    repository: /srv/backup/web1
    part: repository
    max_duration: 3600
  become: true
  become_user: borg

- name: Verify all data
  fleetbackup.borg.borg_check:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    verify_data: true

- name: Repair what is damaged, once its copy stands elsewhere
  fleetbackup.borg.borg_check:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"
    repair: true
"""

RETURN = r"""
problems:
  description:
    - What was found and repaired, in Borg's words, at most a thousand of them. V(null) where it is RV(assumed).
    - A failure has them too.
  returned: success
  type: list
  elements: str
  sample: []
damaged_files:
  description:
    - The files that hold zeros where a repair found no data, each with its archive, at most a thousand of them. V(null) where it
      is RV(assumed).
    - A failure has them too.
  returned: success
  type: list
  elements: str
  sample: ["web1-2026-11-20: var/lib/db/table"]
lost_archives:
  description:
    - The names of the archives that the repair removed. V(null) where it is RV(assumed), and where the repository was too damaged
      to list them before.
  returned: success
  type: list
  elements: str
  sample: []
archive_count:
  description: How many archives were looked through. V(null) where it is RV(assumed).
  returned: success
  type: int
  sample: 42
complete:
  description: Whether the check got to its end within O(max_duration). V(null) where it is RV(assumed).
  returned: success
  type: bool
  sample: true
assumed:
  description: Whether nothing is known, since nothing was checked; in check mode only.
  returned: success
  type: bool
  sample: false
"""

from typing import Any, Optional, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _check as check
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import printable
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

SHOWN_LINES = 1000


def main() -> None:
    run_borg_module(
        ensure,
        {
            "part": {"type": "str", "choices": list(check.PARTS), "default": "all"},
            "match_archives": {"type": "str"},
            "newest": {"type": "int"},
            "verify_data": {"type": "bool", "default": False},
            "max_duration": {"type": "int"},
            "repair": {"type": "bool", "default": False},
            "allow_damaged_files": {"type": "bool", "default": False},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Check the repository, and repair it where that is asked for; the module's result."""
    parameters = module.params
    scope = check.read_scope(parameters)
    borg = borg_from(parameters)
    try:
        listed = check.listed_archives(borg, scope) if scope.part != "repository" else ()
    except Failure as failure:
        if not module.check_mode or failure.error not in ("absent", "borg_missing", "archive_absent"):
            raise
    if module.check_mode:
        return _assumed()
    findings = check.look(borg, scope)
    if parameters["repair"] and (findings.problems or findings.healable):
        return _repair(module, borg, scope, findings, listed)
    if findings.problems:
        raise _failure(borg, findings, "Nothing was repaired", "or have borg drop what it cannot save with repair: true")
    for text in findings.warnings:
        module.warn(printable(text))
    _judge_damaged(module, borg, findings)
    return _result(findings, changed=False)


def _repair(
    module: AnsibleModule, borg: Borg, scope: check.Scope, found: check.Findings, listed: Optional[Sequence[Archive]]
) -> dict[str, Any]:
    done = check.repair(borg, scope)
    left = check.look(borg, scope)
    if left.problems:
        raise _failure(borg, left, "Borg repaired it, and these are left", "since this one cannot be saved")
    _judge_damaged(module, borg, left)
    lost = None
    if listed is not None:
        names = {archive.name for archive in check.listed_archives(borg, scope) or ()}
        lost = [archive.name for archive in listed if archive.name not in names]
    problems = list(dict.fromkeys([*found.problems, *done.problems]))
    return _result(left._replace(problems=problems), changed=True, lost=lost)


def _judge_damaged(module: AnsibleModule, borg: Borg, findings: check.Findings) -> None:
    """Fail or warn where files hold zeros instead of what was archived."""
    if not findings.damaged:
        return
    told = f"{borg.repository}: {_count(findings.damaged, 'file')} with zeros where a repair found no data: {_some(findings.damaged)}."
    if findings.healable:
        told += " A newer backup brought some of it back: repair: true restores that."
    if not module.params["repair"] and not module.params["allow_damaged_files"]:
        advice = "Remove these archives with borg_archive, or say allow_damaged_files: true."
        raise Failure("integrity", f"{told} {advice}", **_lists(findings))
    module.warn(told)


def _failure(borg: Borg, findings: check.Findings, done: str, otherwise: str) -> Failure:
    return Failure(
        "integrity",
        f"{borg.repository}: borg check found {_count(findings.problems, 'problem')}: {_some(findings.problems)}. {done}. Copy the"
        " repository as it is, find out what damaged it (disk, memory, somebody), and bring it back from a good copy,"
        f" {otherwise}.",
        rc=1,
        **_lists(findings),
    )


def _count(texts: Sequence[str], noun: str) -> str:
    return f"{len(texts)} {noun}{'' if len(texts) == 1 else 's'}"


def _some(texts: Sequence[str]) -> str:
    return f"{'; '.join(printable(text) for text in texts[:3])}{' …' if len(texts) > 3 else ''}"


def _lists(findings: check.Findings) -> dict[str, list[str]]:
    return {
        "problems": [printable(text) for text in findings.problems[:SHOWN_LINES]],
        "damaged_files": [printable(text) for text in findings.damaged[:SHOWN_LINES]],
    }


def _assumed() -> dict[str, Any]:
    """The result in check mode, which checks nothing."""
    unknown = dict.fromkeys(("problems", "damaged_files", "lost_archives", "archive_count", "complete"))
    return {"changed": False, **unknown, "assumed": True, "diff": {"before": "", "after": ""}}


def _result(findings: check.Findings, lost: Optional[Sequence[str]] = (), *, changed: bool) -> dict[str, Any]:
    """:param lost: archives that are gone; None where they are not known."""
    lists = _lists(findings)
    return {
        "changed": changed,
        **lists,
        "lost_archives": None if lost is None else list(lost),
        "archive_count": len(findings.analysed),
        "complete": findings.complete,
        "assumed": False,
        "diff": {"before": "".join(f"{text}\n" for text in lists["problems"]), "after": ""},
    }


if __name__ == "__main__":
    main()
