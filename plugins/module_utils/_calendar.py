# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a schedule is due: four names that every scheduler understands, or an expression of systemd."""

from __future__ import annotations

import datetime
import hashlib
import re
import time
from typing import Iterable, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

HOUR = 3600
DAY = 24 * HOUR

#: The names that work everywhere, and their period in seconds; a month has at least 28 days.
PERIODS: dict[str, int] = {"hourly": HOUR, "daily": DAY, "weekly": 7 * DAY, "monthly": 28 * DAY}
#: Over how many seconds machines are spread unless the user says otherwise.
DEFAULT_SPREADS: dict[str, int] = {"hourly": HOUR, "daily": 3 * HOUR, "weekly": 3 * HOUR, "monthly": 3 * HOUR}

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: Single words that systemd takes as an expression. Source: systemd.time(7), 252 and 257.
_SYSTEMD_WORDS = frozenset(
    "minutely yearly annually quarterly semiannually semi-annually bi-annually biannually"
    " mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday".split()
)
#: What can stand in an expression of systemd, its time zone included; above all no line end and no '%'.
_EXPRESSION = r"[A-Za-z0-9*][A-Za-z0-9 *:,./~+_-]{0,255}\Z"


def stable_offset(key: str, window: int) -> int:
    """A second within a window that depends on nothing but the key: adding a machine moves no other.

    :param key: names the machine, the server and the configuration.
    :param window: seconds.
    """
    if window <= 1:
        return 0
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:8], "big") % window


class Calendar(NamedTuple):
    """When a schedule is due.

    :ivar expression: one of :data:`PERIODS`, or an expression for systemd's OnCalendar.
    :ivar offset: seconds after the begin of the period; 0 for an expression.
    :ivar delay: seconds over which systemd itself spreads an expression, always by the same amount on one machine.
    """

    expression: str
    offset: int = 0
    delay: int = 0

    @classmethod
    def parse(cls, text: str, spread: Optional[int], key: str, parameter: str = "calendar") -> Calendar:
        """The calendar that a user means.

        :param text: a name or an expression.
        :param spread: seconds over which machines are spread; None: the default of the name, none for an expression.
        :param key: see :func:`stable_offset`.
        :raises Failure: ``invalid_argument``. Whether systemd can read an expression, only systemd knows.
        """
        expression = text.strip() if "\n" not in text else text
        name = expression.lower()
        if name in PERIODS:
            window = DEFAULT_SPREADS[name] if spread is None else spread
            if not 0 <= window <= PERIODS[name]:
                raise Failure(
                    "invalid_argument",
                    f"{parameter}: a spread of {window} seconds does not fit {name}; give 0 to {PERIODS[name]},"
                    f" for example {DEFAULT_SPREADS[name]}.",
                )
            return cls(name, stable_offset(key, window))
        if not re.match(_EXPRESSION, expression):
            raise _invalid(parameter, text, "holds what no calendar can")
        if re.match(r"[A-Za-z-]+\Z", expression) and name not in _SYSTEMD_WORDS:
            raise _invalid(parameter, text, "is no calendar", nearest(name, (*PERIODS, *_SYSTEMD_WORDS)))
        if spread is not None and not 0 <= spread <= 28 * DAY:
            raise Failure("invalid_argument", f"{parameter}: a spread of {spread} seconds; give 0 to {28 * DAY}.")
        return cls(expression, delay=spread or 0)

    @property
    def is_portable(self) -> bool:
        """Whether every scheduler understands it."""
        return self.expression in PERIODS

    @property
    def on_calendar(self) -> str:
        """For systemd's OnCalendar."""
        if not self.is_portable:
            return self.expression
        days, seconds = divmod(self.offset, DAY)
        hour, minute, second = seconds // HOUR, seconds % HOUR // 60, seconds % 60
        if self.expression == "hourly":
            return f"*-*-* *:{minute:02}:{second:02}"
        clock = f"{hour:02}:{minute:02}:{second:02}"
        if self.expression == "daily":
            return f"*-*-* {clock}"
        if self.expression == "weekly":
            return f"{_WEEKDAYS[days]} *-*-* {clock}"
        return f"*-*-{days + 1:02} {clock}"

    def cron_fields(self, parameter: str = "calendar") -> str:
        """For a crontab: minute, hour, day of month, month, day of week.

        :raises Failure: ``invalid_argument``: cron knows no such calendar.
        """
        if not self.is_portable:
            meant = nearest(self.expression.lower(), PERIODS)
            raise _invalid(parameter, self.expression, "needs systemd, and this machine's schedules are cron's", meant)
        days, seconds = divmod(self.offset, DAY)
        hour, minute = seconds // HOUR, seconds % HOUR // 60
        return {
            "hourly": f"{minute} * * * *",
            "daily": f"{minute} {hour} * * *",
            "weekly": f"{minute} {hour} * * {(days + 1) % 7}",
            "monthly": f"{minute} {hour} {days + 1} * *",
        }[self.expression]


def next_cron_run(fields: str, now: float) -> Optional[float]:
    """When cron runs a line next, in seconds since 1970.

    :param fields: five fields, each a number or ``*``, as :meth:`Calendar.cron_fields` writes them; of the day of month
        and the day of week at most one is a number.
    :param now: seconds since 1970; the time zone is this machine's, as it is for cron.
    """
    minute, hour, day, month, weekday = (None if field == "*" else int(field) for field in fields.split())
    date = datetime.date.fromtimestamp(now)
    for candidate in (date + datetime.timedelta(days=ahead) for ahead in range(367)):
        if day not in (None, candidate.day) or month not in (None, candidate.month):
            continue
        if weekday is not None and weekday % 7 != candidate.isoweekday() % 7:
            continue
        for moment in _moments(candidate, hour, minute):
            if moment > now:
                return moment
    return None


def _moments(date: datetime.date, hour: Optional[int], minute: Optional[int]) -> Iterable[float]:
    hours: Sequence[int] = range(24) if hour is None else (hour,)
    minutes: Sequence[int] = range(60) if minute is None else (minute,)
    return (
        time.mktime((date.year, date.month, date.day, at_hour, at_minute, 0, 0, 0, -1))
        for at_hour in hours
        for at_minute in minutes
    )


def as_utc(moment: Optional[float]) -> Optional[str]:
    """A moment in seconds since 1970 as ISO 8601 in UTC."""
    if moment is None:
        return None
    return datetime.datetime.fromtimestamp(int(moment), datetime.timezone.utc).isoformat()


def nearest(word: str, known: Iterable[str]) -> Optional[str]:
    """The known word that a misspelt one most likely means."""
    import difflib  # only a mistake pays for it

    return next(iter(difflib.get_close_matches(word, list(known), 1)), None)


def _invalid(parameter: str, value: str, reason: str, meant: Optional[str] = None) -> Failure:
    hint = f" Did you mean {meant}?" if meant else ""
    return Failure(
        "invalid_argument",
        f"{parameter}: {value[:100]!r} {reason}.{hint} Give hourly, daily, weekly or monthly, or for systemd an expression"
        " such as 'Mon..Fri *-*-* 02:30:00'.",
    )
