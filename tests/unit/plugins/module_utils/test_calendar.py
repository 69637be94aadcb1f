# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import os
import time
from collections import Counter

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._calendar import (
    DAY,
    PERIODS,
    Calendar,
    as_utc,
    next_cron_run,
    stable_offset,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure


def calendar(name: str, offset: int) -> Calendar:
    return Calendar(name, offset)


@pytest.fixture(name="berlin")
def fixture_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    """A moment of the local time zone."""
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M"))


@pytest.mark.parametrize(
    ("name", "offset", "on_calendar", "cron"),
    [
        ("hourly", 0, "*-*-* *:00:00", "0 * * * *"),
        ("hourly", 3599, "*-*-* *:59:59", "59 * * * *"),
        ("daily", 3661, "*-*-* 01:01:01", "1 1 * * *"),
        ("daily", DAY - 1, "*-*-* 23:59:59", "59 23 * * *"),
        ("weekly", 60, "Mon *-*-* 00:01:00", "1 0 * * 1"),
        ("weekly", 6 * DAY + 7200, "Sun *-*-* 02:00:00", "0 2 * * 0"),
        ("monthly", 0, "*-*-01 00:00:00", "0 0 1 * *"),
        ("monthly", 27 * DAY + 5 * 3600, "*-*-28 05:00:00", "0 5 28 * *"),
    ],
)
def test_a_name_means_the_same_to_both_schedulers(name, offset, on_calendar, cron):
    assert calendar(name, offset).on_calendar == on_calendar
    assert calendar(name, offset).cron_fields() == cron


@pytest.mark.parametrize("name", PERIODS)
def test_every_name_has_an_offset_within_its_period(name):
    for host in range(200):
        parsed = Calendar.parse(name, None, f"host{host}")
        assert 0 <= parsed.offset < PERIODS[name]
        widest = Calendar.parse(name, PERIODS[name], f"host{host}")
        assert 0 <= widest.offset < PERIODS[name]
        assert widest.on_calendar and widest.cron_fields()


def test_names_are_read_whatever_their_case():
    assert Calendar.parse(" Daily ", 0, "key") == Calendar("daily", 0)


def test_no_slot_holds_more_than_three_times_the_mean():
    slots = Counter(stable_offset(f"host{number}", 3 * 3600) // 60 for number in range(5000))
    assert max(slots.values()) <= 3 * 5000 / 180
    assert len(slots) == 180


def test_the_offset_depends_on_nothing_but_the_key():
    # literal: another value would move every machine there is
    assert stable_offset("web1\0system-backup\0/etc/borgmatic.d/system.yaml", 10800) == 10275
    assert stable_offset("web2\0system-backup\0/etc/borgmatic.d/system.yaml", 10800) != 10275


@pytest.mark.parametrize("window", [0, 1])
def test_no_window_is_no_offset(window):
    assert stable_offset("anything", window) == 0


@pytest.mark.parametrize(
    "expression",
    ["Mon..Fri *-*-* 02:30:00", "*-*-* 04:00 Europe/Berlin", "*:0/15", "2027-02-29", "*-*~01", "minutely", "Mon", "Sat,Sun 12:00 Etc/GMT+5"],
)
def test_expressions_are_left_to_systemd(expression):
    parsed = Calendar.parse(expression, None, "key")
    assert parsed.on_calendar == expression
    assert not parsed.is_portable
    assert parsed.delay == 0
    assert Calendar.parse(expression, 600, "key").delay == 600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dayly", "Did you mean daily?"),
        ("weekley", "Did you mean weekly?"),
        ("montly", "Did you mean monthly?"),
        ("minutly", "Did you mean minutely?"),
        ("daily\nExecStart=/bin/evil", "holds what no calendar can"),
        ("*-*-* 02:00\n", "holds what no calendar can"),
        ("", "holds what no calendar can"),
        ("   ", "holds what no calendar can"),
        ("%i", "holds what no calendar can"),
        ("daily; rm -rf /", "holds what no calendar can"),
        ("$(id)", "holds what no calendar can"),
        ("-daily", "holds what no calendar can"),
        ("*" * 300, "holds what no calendar can"),
        ("täglich", "holds what no calendar can"),
    ],
)
def test_bad_calendars_are_named_with_an_example(text, says):
    with pytest.raises(Failure) as caught:
        Calendar.parse(text, None, "key", "schedule x: calendar")
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith("schedule x: calendar: ")
    assert says in caught.value.msg
    assert "Mon..Fri" in caught.value.msg


@pytest.mark.parametrize(("name", "spread"), [("hourly", 3601), ("daily", DAY + 1), ("weekly", -1), ("Mon", 29 * DAY)])
def test_a_spread_fits_the_period(name, spread):
    with pytest.raises(Failure, match="spread of"):
        Calendar.parse(name, spread, "key")


def test_cron_takes_the_names_only():
    with pytest.raises(Failure, match="needs systemd") as caught:
        Calendar.parse("Mon..Fri 02:30", None, "key").cron_fields("schedule x: calendar")
    assert caught.value.msg.startswith("schedule x: calendar")


@pytest.mark.parametrize(
    ("fields", "now", "expected"),
    [
        ("5 * * * *", "2026-11-21 10:04", "2026-11-21 10:05"),
        ("5 * * * *", "2026-11-21 10:05", "2026-11-21 11:05"),
        ("5 * * * *", "2026-11-21 23:30", "2026-11-22 00:05"),
        ("30 2 * * *", "2026-11-21 02:29", "2026-11-21 02:30"),
        ("30 2 * * *", "2026-11-21 02:30", "2026-11-22 02:30"),
        ("0 3 * * 1", "2026-11-21 10:00", "2026-11-23 03:00"),
        ("0 3 * * 0", "2026-11-21 10:00", "2026-11-22 03:00"),
        ("0 3 28 * *", "2026-11-28 04:00", "2026-12-28 03:00"),
        ("0 3 1 * *", "2026-12-31 23:59", "2027-01-01 03:00"),
    ],
)
def test_when_cron_runs_next(berlin, fields, now, expected):
    assert next_cron_run(fields, at(now)) == at(expected)


def test_a_day_that_skips_the_hour_still_has_its_run(berlin):
    # on 2027-03-28 the clocks go from 02:00 to 03:00
    found = next_cron_run("30 2 * * *", at("2027-03-27 12:00"))
    assert datetime.datetime.fromtimestamp(found, datetime.timezone.utc).date() == datetime.date(2027, 3, 28)


def test_moments_are_told_in_utc(berlin):
    assert as_utc(at("2026-11-21 10:05")) == "2026-11-21T09:05:00+00:00"
    assert as_utc(None) is None
    assert os.environ["TZ"] == "Europe/Berlin"
