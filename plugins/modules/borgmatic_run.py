#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borgmatic_run
short_description: Run schedules of borgmatic now
version_added: 0.1.0
description:
  - Ensures that each of these schedules runs now, and ends well.
  - Starts what M(fleetbackup.borg.borgmatic_schedule) has set up, not a copy of it. With systemd that is the schedule's
    own service with its sandbox, with cron the command of its file, as its account and with its variables.
  - A run belongs to the machine. It goes on when Ansible is killed or the connection is lost.
  - A run that is under way already is joined, not doubled. Its result counts.
  - Tells for each host how long its runs have taken so far, and what they said last.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  async:
    support: none
    details: Say O(wait=false), and look later with O(follow).
  idempotent:
    support: none
    details: Each time it runs the schedules once more.
  platform:
    platforms: linux
options:
  schedules:
    description:
      - The names of the schedules, as M(fleetbackup.borg.borgmatic_schedule) has them. One whose timer is not enabled
        runs too.
      - Exactly one of this and O(follow) is required.
    type: list
    elements: str
  follow:
    description:
      - Starts nothing, but looks after runs that were started earlier. They are elements of C(runs) that this module
        returned.
    type: list
    elements: dict
  scope:
    description:
      - V(system) are the machine's schedules, and needs root.
      - V(user) are those in the systemd of the account that runs this module.
    type: str
    choices: [system, user]
    default: system
  wait:
    description:
      - Whether to wait until all the runs have ended. A run that fails is a failure then.
      - Otherwise only what failed already is one.
    type: bool
    default: true
  timeout:
    description:
      - How many seconds to wait at most. Then it is a failure, and the runs go on. By default there is no limit.
    type: int
  progress:
    description:
      - Every how many seconds to tell how the runs stand, 1 to 30.
    type: int
    default: 15
notes:
  - On failure this module returns C(msg), C(error) (a word to decide on), C(reason), C(retryable), C(rc), C(msgid),
    C(cmd) and C(stderr), and C(runs) where a run has failed. C(error) is V(warning) where borg gave only a warning.
  - cron keeps no exit codes. Of a run that cron itself has started and this module joined, an error in the journal is a
    failure.
  - Values that the configurations hide, the arguments of hooks, and what looks like a secret are taken out of the log.
    What else a hook prints is shown.
seealso:
  - module: fleetbackup.borg.borgmatic_schedule
  - module: fleetbackup.borg.borgmatic_info
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Back up before an upgrade
  fleetbackup.borg.borgmatic_run:
    schedules: [system-backup]

- name: Start a long check and do something else meanwhile
  fleetbackup.borg.borgmatic_run:
    schedules: [system-check]
    wait: false
  register: started

- name: Wait for the check, at most for an hour
  fleetbackup.borg.borgmatic_run:
    follow: "{{ started.runs }}"
    timeout: 3600

- name: Run the schedule of an ordinary account's own systemd
  fleetbackup.borg.borgmatic_run:
    scope: user
    schedules: [documents]
  become: true
  become_user: ada
"""

RETURN = r"""
runs:
  description:
    - The runs in the order in which they were given. Predicted in check mode.
  returned: success, and where a run has failed
  type: list
  elements: dict
  contains:
    schedule:
      description: The schedule's name.
      type: str
    id:
      description: Names the run for O(follow). V(null) in check mode.
      type: str
    result:
      description: V(succeeded), V(failed), or V(running). V(null) in check mode.
      type: str
    exit_code:
      description:
        - borgmatic's; more than 128 where a signal ended it, 124 where it took longer than its schedule allows.
        - V(null) while it runs, where nothing told it, and V(null) in check mode.
      type: int
    started:
      description: When it started, ISO 8601 in UTC; V(null) while it waits for its turn. V(null) in check mode.
      type: str
    ended:
      description: When it ended, ISO 8601 in UTC; V(null) while it runs. V(null) in check mode.
      type: str
    seconds:
      description: How long it took, or has taken so far. V(null) in check mode.
      type: int
    joined:
      description: Whether it was under way already.
      type: bool
    log:
      description: The last 20 lines of what it said, without secrets. V(null) in check mode.
      type: list
      elements: str
  sample:
    - schedule: system-backup
      id: systemd:7ac178b337524294acebcd0dc9e459d1@549706c8
      result: succeeded
      exit_code: 0
      started: "2026-11-21T11:50:37+00:00"
      ended: "2026-11-21T11:51:38+00:00"
      seconds: 61
      joined: false
      log: ["summary:", "/etc/borgmatic.d/system.yaml: Successfully ran configuration file"]
assumed:
  description:
    - Whether check mode could not know, because an earlier step was not executed (a schedule is not there yet).
  returned: success
  type: bool
  sample: false
"""

import os
import time
from typing import Any, Optional, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._job_runs import JobRuns
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._run import FAILED, RUNNING, Run, Runs
from ansible_collections.fleetbackup.borg.plugins.module_utils._systemd import Systemd
from ansible_collections.fleetbackup.borg.plugins.module_utils._unit_runs import UnitRuns

_SYSTEMD_RUNS = "/run/systemd/system"
#: An element of the result in check mode.
_UNKNOWN = dict.fromkeys(("id", "result", "exit_code", "started", "ended", "seconds", "log"))


def main() -> None:
    run_module(
        ensure,
        {
            "schedules": {"type": "list", "elements": "str"},
            "follow": {"type": "list", "elements": "dict"},
            "scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
            "wait": {"type": "bool", "default": True},
            "timeout": {"type": "int"},
            "progress": {"type": "int", "default": 15},
        },
        mutually_exclusive=[("schedules", "follow")],
        required_one_of=[("schedules", "follow")],
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Start the runs, or look after them; the module's result. Its action plugin waits."""
    parameters = module.params
    _check(parameters)
    backends = _backends(parameters["scope"])
    if parameters["follow"] is not None:
        return _result([_look(backends, given) for given in parameters["follow"]], Difference())
    chosen = {name: _backend_of(backends, name) for name in dict.fromkeys(parameters["schedules"])}
    absent = [name for name, backend in chosen.items() if backend is None]
    if absent and not module.check_mode:
        raise _absent(absent[0], set().union(*(backend.schedules() for backend in backends)))
    under_way = {name: backend.under_way(name) if backend else None for name, backend in chosen.items()}
    difference = Difference()
    for name, run in under_way.items():
        difference.add(f"{name}: runs", run is not None, True)
    if module.check_mode:
        predicted = [{"schedule": name, **_UNKNOWN, "joined": run is not None} for name, run in under_way.items()]
        return {"changed": difference.changed, "runs": predicted, "assumed": bool(absent), "diff": difference.as_diff()}
    runs = [
        _named(backend, under_way[name] or backend.start(name))
        for name, backend in chosen.items()
        if backend is not None
    ]
    return _result(runs, difference)


def _check(parameters: dict[str, Any]) -> None:
    if not parameters["schedules"] and not parameters["follow"]:
        raise Failure("invalid_argument", "schedules: is empty; for example [system-backup].")
    if not 1 <= parameters["progress"] <= 30:
        raise Failure(
            "invalid_argument", f"progress: {parameters['progress']} is not between 1 and 30 seconds; for example 15."
        )
    if parameters["timeout"] is not None and parameters["timeout"] < 1:
        raise Failure(
            "invalid_argument", f"timeout: {parameters['timeout']} is no time to wait; give seconds, for example 3600."
        )
    if parameters["scope"] == "system" and os.geteuid() != 0:
        raise Failure(
            "permission",
            "scope: system needs root. Say become: true, or scope: user for schedules of this account's own.",
        )


def _backends(scope: str) -> list[Runs]:
    found: list[Runs] = []
    if os.path.isdir(_SYSTEMD_RUNS):
        found.append(UnitRuns(Systemd(scope, Account.named(None))))
    if scope == "system":
        found.append(JobRuns())
    return found


def _backend_of(backends: Sequence[Runs], schedule: str) -> Optional[Runs]:
    return next((backend for backend in backends if schedule in backend.schedules()), None)


def _absent(name: str, known: set[str]) -> Failure:
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(known)) or 'none'}."
    return Failure(
        "absent",
        f"schedules: there is no schedule {name[:100]!r} on this machine; {hint} borgmatic_schedule makes them.",
    )


def _named(backend: Runs, run: Run) -> Run:
    return run._replace(id=f"{backend.name}:{run.id}")


def _look(backends: Sequence[Runs], given: dict[str, Any]) -> Run:
    name, _colon, identity = str(given.get("id") or "").partition(":")
    backend = next((backend for backend in backends if backend.name == name), None)
    if backend is None or not identity or "/" in identity or not given.get("schedule"):
        raise Failure(
            "invalid_argument",
            "follow: give elements of the list 'runs' that borgmatic_run has returned for this host and scope.",
        )
    return _named(backend, backend.look(str(given["schedule"]), identity))._replace(joined=bool(given.get("joined")))


def _result(runs: Sequence[Run], difference: Difference) -> dict[str, Any]:
    results = [run.as_result(time.time()) for run in runs]
    words = [run.result for run in runs]
    if FAILED in words and RUNNING not in words:
        # what succeeds need not load this
        from ansible_collections.fleetbackup.borg.plugins.module_utils._run_causes import failure

        raise failure(runs, results)
    return {"changed": difference.changed, "runs": results, "assumed": False, "diff": difference.as_diff()}


if __name__ == "__main__":
    main()
