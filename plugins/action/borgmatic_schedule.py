# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module borgmatic_schedule: what the schedules need follows from the configurations, which
themselves stay here."""

from __future__ import annotations

from functools import reduce
from typing import Any, Mapping

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_document import check_document
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._factless import Factless
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._schedule_needs import Needs
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest

#: The module's options. Others are refused here: a misspelt ``documents`` would show secrets in the module's own message.
ARGUMENTS = frozenset(
    ("schedules", "exclusive", "documents", "backend", "scope", "user", "linger", "executable", "base_directory")
    + ("distribution_timer", "passphrase_store")
)


class ActionModule(Factless):
    """Derives what ``documents`` tells, and drops them."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run the module with what the schedules need, or fail with what is wrong with a document."""
        result = super().run(tmp, task_vars)
        try:
            arguments, reasons = module_arguments(self._task.args, (task_vars or {}).get("inventory_hostname", ""))
        except Failure as failure:
            return {**result, "failed": True, "changed": False, **failure.as_result()}
        outcome = self._execute_module(
            module_name="fleetbackup.borg.borgmatic_schedule", module_args=arguments, task_vars=task_vars
        )
        result.update(with_reasons(outcome, reasons))
        return result


def module_arguments(task: Mapping[str, Any], machine: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The module's arguments for a task's, and why a schedule's sandbox has to be weaker, by its name.

    :param machine: the inventory's name of the host.
    :raises Failure: ``invalid_argument``; no message holds a value that is not public.
    """
    for name in task:
        if name not in ARGUMENTS:
            hint = nearest(name, ARGUMENTS) or f"; its options are {', '.join(sorted(ARGUMENTS))}."
            raise Failure("invalid_argument", f"{name}: is no option of borgmatic_schedule{hint}")
    arguments = dict(task)
    needs = _needs(arguments.pop("documents", None))
    schedules = arguments.get("schedules")
    if not isinstance(schedules, list) or not all(isinstance(schedule, dict) for schedule in schedules):
        return arguments, {}  # the module says what is wrong with it
    reasons: dict[str, list[str]] = {}
    arguments["schedules"] = [_completed(schedule, needs, machine, reasons) for schedule in schedules]
    return arguments, reasons


def with_reasons(outcome: dict[str, Any], reasons: Mapping[str, list[str]]) -> dict[str, Any]:
    """The module's result with the reasons in it, and a warning where a weaker sandbox comes into force."""
    warnings = list(outcome.get("warnings") or [])
    schedules = []
    for schedule in outcome.get("schedules") or []:
        because = reasons.get(schedule["name"], []) if schedule["profile"] == "hooks" else []
        schedules.append({**schedule, "profile_reasons": because})
        if because and outcome.get("changed"):
            warnings.append(
                f"The schedule {schedule['name']} runs in the weaker sandbox 'hooks', for its configuration has"
                f" {', '.join(because)}. Say profile: hooks to agree, or profile: strict if they write nowhere else."
            )
    return {**outcome, **({"schedules": schedules} if schedules else {}), **({"warnings": warnings} if warnings else {})}


def _needs(documents: Any) -> dict[str, Needs]:
    if documents is None:
        return {}
    if not isinstance(documents, dict):
        raise Failure(
            "invalid_argument",
            f"documents: is a {type(documents).__name__}, not a dictionary of configurations by their path; for example"
            " {/etc/borgmatic.d/system.yaml: {source_directories: [/etc], repositories: [{path: /srv/backup}]}}.",
        )
    return {path: Needs.of(check_document(document, True)) for path, document in documents.items()}


def _completed(
    schedule: dict[str, Any], needs: Mapping[str, Needs], machine: str, reasons: dict[str, list[str]]
) -> dict[str, Any]:
    """A schedule with what follows from its documents. What the user gave counts more."""
    configs = schedule.get("configs") or []
    paths = configs if isinstance(configs, list) else [configs]
    known = [needs[path] for path in paths if path in needs]
    total = reduce(Needs.__or__, known, Needs())
    completed = dict(schedule)
    if completed.get("spread_key") is None:
        completed["spread_key"] = " ".join((machine, *total.servers))
    if completed.get("profile") is None and total.hooks:
        completed["profile"] = "hooks"
        reasons[str(completed.get("name"))] = list(total.hooks)
    if completed.get("network") is None and known and len(known) == len(paths):
        completed["network"] = total.network
    if total.read_write_paths:
        completed["read_write_paths"] = [*_listed(completed.get("read_write_paths")), *total.read_write_paths]
    return completed


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
