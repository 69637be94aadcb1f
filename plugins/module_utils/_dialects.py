# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the versions of Borg, as data."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._packages import version_tuple

#: The retention rules that every supported Borg knows, as ``borg prune`` names them.
RETENTION_RULES = (
    "keep_last",
    "keep_secondly",
    "keep_minutely",
    "keep_hourly",
    "keep_daily",
    "keep_weekly",
    "keep_monthly",
    "keep_yearly",
)


class Dialect(NamedTuple):
    """What some releases of Borg have in common.

    :ivar name: its first version.
    :ivar since: the same as numbers.
    :ivar retention_rules: the counting rules of ``borg prune``.
    """

    name: str
    since: tuple[int, ...]
    retention_rules: tuple[str, ...]


#: Oldest first. Source: `borg prune --help` of 1.2.4, 1.2.9, 1.4.0 and 1.4.5; https://github.com/borgbackup/borg/pull/8337
#: came after 1.4.0.
DIALECTS = (
    Dialect("1.2", (1, 2), RETENTION_RULES),
    Dialect("1.4", (1, 4), RETENTION_RULES),
    Dialect("1.4.1", (1, 4, 1), (*RETENTION_RULES, "keep_13weekly", "keep_3monthly")),
)
#: The first version that is none of the above: another command line, another repository format.
UNSUPPORTED = (2,)


def dialect_of(version: str) -> Dialect:
    """The dialect that a version speaks.

    :param version: for example ``1.4.0``.
    :raises Failure: ``version``: too old, or Borg 2, which changes its command line with every beta.
    """
    number = version_tuple(version)
    known = [dialect for dialect in DIALECTS if dialect.since <= number < UNSUPPORTED]
    if not known:
        raise Failure(
            "version",
            f"Borg {version} is not supported: install Borg 1.2 or 1.4 (Debian 12 and 13 have them), or name it with"
            " the option executable.",
        )
    return known[-1]
