# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a host's archives are, for who brings them back."""

from __future__ import annotations

import functools
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_names as archive_names
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _recovery as recovery


class FilterModule:
    """The filters; each is described in a file of its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {
            "borgmatic_claimants": _telling(archive_names.claimants),
            "borgmatic_known_servers": _telling(recovery.servers),
            "borgmatic_narrowed": _telling(recovery.narrowed),
            "borgmatic_newest_first": _telling(recovery.newest_first),
            "borgmatic_opened": _telling(recovery.options),
            "borgmatic_recovered": _telling(recovery.recovered),
            "borgmatic_resolved": _telling(recovery.resolved),
            "borgmatic_sources": _telling(recovery.sources),
        }


def _telling(function: Callable[..., Any]) -> Callable[..., Any]:
    """With our failures as those of a filter."""

    @functools.wraps(function)
    def filter_function(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except Failure as failure:
            raise AnsibleFilterError(failure.msg) from failure

    return filter_function
