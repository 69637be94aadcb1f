# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles derive from their variables, on the controller and before anything is touched."""

from __future__ import annotations

import functools
from typing import Any, Callable, Mapping, Optional, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_fleet as fleet
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_maintenance as maintenance
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_names as names
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_plan as plan
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _drill_table as drill_table

Configs = Sequence[Mapping[str, Any]]


class FilterModule:
    """The filters; each is described in a file of its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {
            "borg_server_authorised": _telling(fleet.authorised),
            "borg_server_settings": _telling(fleet.settings),
            "borgmatic_bundle": _telling(bundle),
            "borgmatic_claims": _telling(names.claims),
            "borgmatic_connected": _telling(fleet.connected),
            "borgmatic_destinations": _telling(destinations),
            "borgmatic_distrusted": _telling(maintenance.distrusted),
            "borgmatic_documents": _telling(documents),
            "borgmatic_drill_lines": _telling(drill_table.lines),
            "borgmatic_fact_needs": _telling(fleet.fact_needs),
            "borgmatic_files": _telling(files),
            "borgmatic_locations": _telling(names.locations),
            "borgmatic_maintained": _telling(maintenance.maintained),
            "borgmatic_pretended": _telling(fleet.pretended),
            "borgmatic_problems": _telling(plan.problems),
            "borgmatic_published": _telling(fleet.published),
            "borgmatic_repositories": _telling(repositories),
            "borgmatic_repository": _telling(repository),
            "borgmatic_represented": _telling(fleet.represented),
            "borgmatic_schedules": _telling(schedules),
            "borgmatic_server_problems": _telling(fleet.problems),
            "borgmatic_unmet": _telling(fleet.unmet),
            "borgmatic_unknown_variables": _telling(plan.unknown_variables),
        }


def destinations(
    configs: Configs,
    said: Mapping[str, Mapping[str, Any]],
    servers: Sequence[str],
    host_variables: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """See borgmatic_destinations.yml."""
    return [{**place._asdict(), "ssh": place.ssh} for place in fleet.destinations(configs, said, servers, host_variables)]


def documents(configs: Configs, directory: str, home: str) -> dict[str, Any]:
    """See borgmatic_documents.yml."""
    return plan.documents(configs, plan.Place(directory, home))


def bundle(
    configs: Configs, record: Mapping[str, Any], identity: Optional[Mapping[str, Any]] = None, ssh_key: bool = False
) -> dict[str, Any]:
    """See borgmatic_bundle.yml."""
    return plan.escrow(configs, plan.RepositoryRecord(**record), identity, ssh_key)


def files(configs: Configs, directory: str, home: str) -> list[dict[str, Any]]:
    """See borgmatic_files.yml."""
    return plan.files(configs, plan.Place(directory, home))


def repositories(configs: Configs) -> list[dict[str, Any]]:
    """See borgmatic_repositories.yml."""
    return [record._asdict() for record in plan.repositories(configs)]


def repository(configs: Configs, record: Mapping[str, Any]) -> dict[str, Any]:
    """See borgmatic_repository.yml."""
    return plan.repository(configs, plan.RepositoryRecord(**record))


def schedules(configs: Configs, directory: str, home: str, pauses: bool = False) -> list[dict[str, Any]]:
    """See borgmatic_schedules.yml."""
    return plan.schedules(configs, plan.Place(directory, home), pauses)


def _telling(function: Callable[..., Any]) -> Callable[..., Any]:
    """With our failures as those of a filter."""

    @functools.wraps(function)
    def filter_function(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except Failure as failure:
            raise AnsibleFilterError(failure.msg) from failure

    return filter_function
