# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of ``borg prune``, without borg.

Its own dry run takes the repository's lock, so it would fail beside a running backup, and it clears stale locks, which
check mode may not. Source: `borg.archiver.Archiver.do_prune`, `borg.helpers.misc.prune_within` and `prune_split`, 1.2.4,
1.2.9, 1.4.0 and 1.4.5: all have the same rules; 1.4.1 brought the two for quarters.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive

Period = Callable[[time.struct_time], Any]


def _week(moment: time.struct_time) -> tuple[int, int]:
    year, week, _day = datetime.date(*moment[:3]).isocalendar()
    return year, week


def _quarter_of_weeks(moment: time.struct_time) -> tuple[int, int]:
    year, week = _week(moment)
    return year, min((week - 1) // 13, 3)


def _quarter_of_months(moment: time.struct_time) -> tuple[int, int]:
    return moment.tm_year, (moment.tm_mon - 1) // 3


#: Our name of a rule -> borg's name, and in which period a local time lies. In borg's order: what one rule keeps does
#: not count for the next. To borg, the last archives are those of the last seconds.
_RULES: Mapping[str, tuple[str, Period]] = {
    "keep_last": ("secondly", lambda moment: moment[:6]),
    "keep_secondly": ("secondly", lambda moment: moment[:6]),
    "keep_minutely": ("minutely", lambda moment: moment[:5]),
    "keep_hourly": ("hourly", lambda moment: moment[:4]),
    "keep_daily": ("daily", lambda moment: moment[:3]),
    "keep_weekly": ("weekly", _week),
    "keep_monthly": ("monthly", lambda moment: moment[:2]),
    "keep_13weekly": ("quarterly_13weekly", _quarter_of_weeks),
    "keep_3monthly": ("quarterly_3monthly", _quarter_of_months),
    "keep_yearly": ("yearly", lambda moment: moment[:1]),
}
_HOURS = {"H": 1, "d": 24, "w": 24 * 7, "m": 24 * 31, "y": 24 * 365}


class Policy(NamedTuple):
    """What to keep.

    :ivar counts: rule -> how many; -1: all of them.
    :ivar within: keep all that are younger, for example ``7d``.
    """

    counts: Mapping[str, int]
    within: Optional[str] = None

    def options(self) -> list[str]:
        """The options of ``borg prune``."""
        options = [f"--{rule.replace('_', '-')}={count}" for rule, count in self.counts.items()]
        return options + ([f"--keep-within={self.within}"] if self.within else [])

    def since(self, now: datetime.datetime) -> Optional[datetime.datetime]:
        """What is younger than this is kept."""
        if self.within is None:
            return None
        return now - datetime.timedelta(hours=int(self.within[:-1]) * _HOURS[self.within[-1]])


class Selection(NamedTuple):
    """What a policy makes of some archives, newest first.

    :ivar kept: archive and the rule that keeps it.
    """

    pruned: Sequence[Archive]
    kept: Sequence[tuple[Archive, str]]

    def archives(self) -> list[Archive]:
        """All of them, newest first."""
        return newest_first([*self.pruned, *(archive for archive, _rule in self.kept)])


def newest_first(archives: Sequence[Archive]) -> list[Archive]:
    """As borg judges them: where two have the same time, the names decide, since a manifest is sorted by them."""
    return sorted(archives, key=lambda archive: (archive.time, _bytes(archive.name)), reverse=True)


def select(archives: Sequence[Archive], policy: Policy, now: datetime.datetime, time_zone: str) -> Selection:
    """What borg would keep and prune.

    :param archives: those that match the filter, checkpoints too.
    :param time_zone: a value of the variable TZ.
    """
    ordered = newest_first(archives)
    finished = [archive for archive in ordered if not archive.is_checkpoint]
    kept: dict[str, str] = {}
    if ordered and ordered[0].is_checkpoint:
        kept[ordered[0].id] = "checkpoint"
    since = policy.since(now)
    if since is not None:
        young = (archive for archive in finished if archive.time > since)
        kept.update((archive.id, f"within #{number}") for number, archive in enumerate(young, 1))
    with _zone(time_zone):
        moments = [(archive, time.localtime(archive.time.timestamp())) for archive in finished]
    for rule, (name, period) in _RULES.items():
        _keep_by_period(moments, name, period, policy.counts.get(rule, 0), kept)
    return Selection(
        [archive for archive in ordered if archive.id not in kept],
        [(archive, kept[archive.id]) for archive in ordered if archive.id in kept],
    )


def _keep_by_period(
    moments: Sequence[tuple[Archive, time.struct_time]], name: str, period: Period, count: int, kept: dict[str, str]
) -> None:
    """Keep the newest archive of each of the last periods, without those that are kept already; and the oldest of all
    where there are not as many periods."""
    last, number = None, 0
    for archive, moment in moments:
        if number == count:
            return
        current = period(moment)
        if current != last and archive.id not in kept:
            number += 1
            kept[archive.id] = f"{name} #{number}"
        last = current
    if moments and number < count and moments[-1][0].id not in kept:
        kept[moments[-1][0].id] = f"{name}[oldest] #{number + 1}"


@contextlib.contextmanager
def _zone(name: str) -> Iterator[None]:
    """Let local time be that of a zone, as the C library of borg understands its name."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
