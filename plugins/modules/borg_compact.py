#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_compact
short_description: Ensure that the space of what was deleted in a Borg repository is reclaimed
version_added: 0.1.0
description:
  - Archives that were pruned or deleted take up space until a repository is compacted.
  - Compacting makes every deletion final, also one that an intruder made with the key of an append-only client, and which could be
    taken back until then. So give the archives that were there last time as O(known_archives). The module refuses
    (C(error=unsafe), with their names in C(missing_archives)) and changes nothing where some of them are gone that are not among
    O(removed_archives).
  - It refuses, too, where an archive lies in the future, since a retention policy may have dropped real ones in its favour.
  - Where the server serves the repository append-only, nothing can be reclaimed, which is a failure (C(error=append_only)).
extends_documentation_fragment:
  - fleetbackup.borg.borg
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  check_mode:
    support: partial
    details: What is refused is predicted. Whether there is something to reclaim only a real run tells, so a change is assumed.
  idempotent:
    support: full
    details: Borg itself rewrites the list of archives each time. A run that freed no more than that reports no change.
options:
  known_archives:
    description:
      - The archives that are there as far as anybody knows, each with its C(name) and C(id), for example RV(archives) of the last
        run, kept where no client can change it. Further keys are ignored.
      - An archive that was replaced by another of the same name is gone, too, and so is a renamed one.
    type: list
    elements: dict
    default: []
  removed_archives:
    description:
      - Those of O(known_archives) that were removed on purpose, for example what M(fleetbackup.borg.borg_prune) returns as
        C(pruned).
    type: list
    elements: dict
    default: []
  threshold:
    description:
      - Rewrite only segments of which more than this many percent can be freed, from 0 to 99. By default Borg's own, 10.
    type: int
notes:
  - The archives are listed just before Borg compacts. Where somebody changes the list in the second between, a repository on another host
    is not compacted (C(error=unsafe), and C(retryable)). In a local one what is deleted then is made final, and found missing by the next run that
    gets RV(archives) as O(known_archives).
  - For a moment Borg needs as much free space as a few segments take, of up to 500 MB each.
seealso:
  - module: fleetbackup.borg.borg_prune
  - module: fleetbackup.borg.borg_archive_info
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Reclaim the space of what was pruned
  fleetbackup.borg.borg_compact:
    repository: /srv/backup/web1
    passphrase: "{{ vault_backup_passphrase }}"

- name: Prune what clients may only append to, with a key that may do more
  fleetbackup.borg.borg_prune:
    repository: ssh://borg@backup1/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    match_archives: web1-2*
    keep_daily: 7
  register: pruned

- name: Reclaim the space, unless anything else is gone since last time
  fleetbackup.borg.borg_compact:
    repository: ssh://borg@backup1/./web1
    passphrase: "{{ vault_backup_passphrase }}"
    known_archives: "{{ lookup('ansible.builtin.file', 'inventories/web1.json') | from_json }}"
    removed_archives: "{{ pruned.pruned }}"
  register: compacted

- name: Remember what is there now
  ansible.builtin.copy:
    content: "{{ compacted.archives | to_nice_json }}"
    dest: inventories/web1.json
    mode: "0600"
  delegate_to: localhost
"""

RETURN = r"""
freed_bytes:
  description:
    - How many bytes were reclaimed, as Borg tells it, rounded to three digits. V(null) in check mode.
    - What the run itself wrote and reclaimed is part of it.
  returned: success
  type: int
  sample: 48300000
archives:
  description:
    - The archives that are there, oldest first, for O(known_archives) of the next run. Predicted in check mode, unless there is no
      repository yet.
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
    - name: web1-2026-11-20
      id: 3c303280bb71c54ab8e533957f6b509245d51f337aa504e378f92e94860d0494
      time: "2026-11-20T03:00:00+00:00"
assumed:
  description: Whether C(changed) is an assumption, since only a real run tells; in check mode only.
  returned: success
  type: bool
  sample: false
"""

from typing import Any, Optional, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils import _compaction as compaction
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import borg_from, run_borg_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure


def main() -> None:
    run_borg_module(
        ensure,
        {
            "known_archives": {"type": "list", "elements": "dict", "default": []},
            "removed_archives": {"type": "list", "elements": "dict", "default": []},
            "threshold": {"type": "int"},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Compact the repository, unless an archive is missing; the module's result."""
    parameters = module.params
    threshold = parameters["threshold"]
    if threshold is not None and not 0 <= threshold <= 99:
        raise Failure("invalid_argument", f"threshold: {threshold} is no percentage from 0 to 99; for example 10.")
    known, removed = (compaction.read_known(parameters[name], name) for name in ("known_archives", "removed_archives"))
    borg = borg_from(parameters)
    try:
        archives = compaction.inventory(borg, known, removed)
    except Failure as failure:
        if not module.check_mode or failure.error not in ("absent", "borg_missing"):
            raise
        return _assumed(None)
    if module.check_mode:
        return _assumed(archives)
    judged = compaction.manifest(borg)
    if not borg.repository.is_local:
        # what was deleted before that is looked at, and what is deleted after it stops the compaction
        archives = compaction.inventory(borg, known, removed)
    freed, reclaimed = compaction.compact(borg, threshold, judged)
    return {"changed": reclaimed, "freed_bytes": freed, "archives": _listed(archives), "assumed": False, "diff": _NO_DIFF}


#: What is reclaimed has no text.
_NO_DIFF = {"before": "", "after": ""}


def _assumed(archives: Optional[Sequence[Archive]]) -> dict[str, Any]:
    """The result in check mode.

    :param archives: None where there is no repository yet.
    """
    listed = None if archives is None else _listed(archives)
    return {"changed": True, "freed_bytes": None, "archives": listed, "assumed": True, "diff": _NO_DIFF}


def _listed(archives: Sequence[Archive]) -> list[dict[str, Any]]:
    return [archive.as_result() for archive in archives]


if __name__ == "__main__":
    main()
