# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cases: each one task with secrets in it, and what must come of it.

A file of cases holds the keys

``module``    what its tasks call, a module of this collection or ``borgmatic`` for the role;
``defaults``  arguments of each task;
``vars``      variables of each task;
``cases``     a list of

    ``case``      its name;
    ``args``      arguments;
    ``keywords``  further keywords of the task;
    ``action``    another module;
    ``vars``      further variables;
    ``expect``    ``ok``, ``changed``, a word of the modules' key ``error``, or ``failed`` where there is none;
    ``check``     the same for the run in check mode, where it differs; ``skipped``: it is not run there;
    ``leaks``     only of the leaky play: the places where its canary must be found.

A case with ``playbooks`` runs these, one after the other, in place of a task: a list of dictionaries with a playbook's ``name`` and its
``vars``. What is expected of it is ``ok`` or ``failed``.

``{{ secret.KIND_anything }}`` is a canary of this case alone, ``{{ shared.KIND_anything }}`` one that all share; a KIND is one of
:data:`canaries.KINDS`. ``{{ work }}`` is the working directory.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable

import yaml
from canaries import Canaries

COLLECTION = "fleetbackup.borg"
ROLES = ("borg_server", "borgmatic")


@dataclass(frozen=True)
class Case:
    """One case.

    :ivar name: begins with its module; the task has it, too.
    :ivar task: a task, or what playbooks are called.
    """

    name: str
    task: dict[str, Any]
    expect: str
    check: str
    leaks: tuple[str, ...]


def load(path: Path) -> list[Case]:
    """The cases of a file."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [_case(document, entry) for entry in document["cases"]]


def _case(document: dict[str, Any], entry: dict[str, Any]) -> Case:
    module = document["module"]
    if "playbooks" in entry:
        name = f"{module} | {entry['case']}"
        return Case(name, {"playbooks": entry["playbooks"]}, entry.get("expect", "ok"), "skipped", ())
    arguments = {**document.get("defaults", {}), **entry.get("args", {})}
    if module in ROLES and "action" not in entry:
        call: dict[str, Any] = {"ansible.builtin.include_role": {"name": f"{COLLECTION}.{module}", **arguments}}
    else:
        call = {entry.get("action", f"{COLLECTION}.{module}"): arguments}
    expect = entry.get("expect", "ok")
    name = f"{module} | {entry['case']}"
    variables = {"secret": f"{{{{ canaries[{name!r}] }}}}", **document.get("vars", {}), **entry.get("vars", {})}
    task = {"name": name, **call, **entry.get("keywords", {}), "vars": variables}
    return Case(name, task, expect, entry.get("check", expect), tuple(entry.get("leaks", ())))


def playbook(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """A play with all the cases, each of which may fail; or the playbooks of one case."""
    called = [entry for case in cases for entry in case.task.get("playbooks", [])]
    if called:
        return [{"ansible.builtin.import_playbook": f"{COLLECTION}.{entry['name']}", "vars": entry.get("vars", {})} for entry in called]
    blocks = [{"block": [case.task], "rescue": [{"ansible.builtin.meta": "noop"}]} for case in cases]
    return [{"name": "Secrets", "hosts": "localhost", "gather_facts": True, "tasks": blocks}]


def secrets_of(cases: Iterable[Case], canaries: Canaries, further: Iterable[str] = ()) -> dict[str, Any]:
    """The variables with all canaries that the cases use.

    :param further: shared ones that are needed anyway.
    """
    own, shared = {}, dict.fromkeys(further)
    for case in cases:
        text = json.dumps(case.task)
        own[case.name] = {key: canaries.make(f"{case.name}.{key}", _kind(key)) for key in _keys("secret", text)}
        for key in _keys("shared", text):
            shared.setdefault(key, None)
    for key in shared:
        shared[key] = canaries.make(f"shared {key}.", _kind(key))
    return {"canaries": own, "shared": shared}


def _keys(variable: str, text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(rf"\b{variable}\.(\w+)", text)))


def _kind(key: str) -> str:
    return key.partition("_")[0]
