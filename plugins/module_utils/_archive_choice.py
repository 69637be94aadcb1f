# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which archive is meant: one by its name, the newest, or the newest from before a time."""

from __future__ import annotations

import datetime
import re
from typing import NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC, Archive, check_filter, check_name, escape_pattern
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import describe
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

_LATEST = "latest"


class Choice(NamedTuple):
    """An archive that is meant.

    :ivar name: its name, or ``latest``.
    :ivar match: of those whose names match this pattern; None: of all.
    :ivar before: of those that were begun before this time, as somebody wrote it; None: whenever.
    """

    name: str
    match: Optional[str] = None
    before: Optional[str] = None

    @classmethod
    def parse(cls, name: str, match: Optional[str], before: Optional[str]) -> Choice:
        """From a module's parameters ``archive``, ``match_archives`` and ``before``.

        :raises Failure: ``invalid_argument``.
        """
        if name != _LATEST:
            check_name(name, "archive")
            for parameter, value in (("match_archives", match), ("before", before)):
                if value is not None:
                    raise Failure("invalid_argument", f"{parameter}: goes with archive: latest only; leave one of them out.")
        return cls(name, match, before)

    def find(self, borg: Borg) -> Archive:
        """Look for it.

        :raises Failure: ``archive_absent``, ``invalid_argument`` (a pattern or a time that is none), and what opening the repository may meet.
        """
        moment = None if self.before is None else _moment(self.before)
        if self.name == _LATEST:
            options = ["--last=1"] if moment is None else []
            options += [f"--glob-archives={check_filter(self.match)}"] if self.match is not None else []
        else:
            options = [f"--glob-archives={escape_pattern(self.name)}"]
        found = [each for each in describe(borg, *options).archives if moment is None or each.time < moment]
        if not found:
            what = f"archive {self.name!r}" if self.name != _LATEST else f"archive that matches {self.match!r}" if self.match else "archive"
            age = f" from before {self.before}" if self.before is not None else ""
            raise Failure("archive_absent", f"{borg.repository} holds no {what}{age}. List what there is with borg_archive_info.")
        return found[-1]


def _moment(text: str) -> datetime.datetime:
    # before Python 3.11 the letter is not understood
    try:
        moment = datetime.datetime.fromisoformat(re.sub(r"[Zz]\Z", "+00:00", text.strip()))
    except ValueError as error:
        raise Failure(
            "invalid_argument", f"before: {text!r} is no time; for example '2026-11-20' or '2026-11-20T03:00:00+01:00'."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
