# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
import os
import time
from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._prune_rules import Policy, select

#: The archives of a repository, then what borg itself said of them for random policies; made by compare.py of the
#: integration target borg_prune.
RECORDINGS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).resolve().parent / "recorded_prune").glob("borg-*.json"))
}
RECORDED = [
    pytest.param(recording[0], case, id=f"{name}-{number}")
    for name, recording in RECORDINGS.items()
    for number, case in enumerate(recording[1:], 1)
]
NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.timezone.utc)


def archive(name, moment):
    return Archive(name, name, datetime.datetime.fromisoformat(moment).astimezone(datetime.timezone.utc))


def verdicts(selection):
    kept = {each.name: rule for each, rule in selection.kept}
    return [[each.name, kept.get(each.name)] for each in selection.archives()]


def judged(moments, policy, zone="UTC"):
    """Names (their own times) with the rule that keeps them, newest first."""
    archives = [archive(moment, f"{moment}+00:00") for moment in moments]
    return dict(verdicts(select(archives, policy, NOW, zone)))


@pytest.mark.parametrize(("times", "case"), RECORDED)
def test_what_borg_said(times, case):
    matching = {name for name, _rule in case["verdicts"]}
    archives = [archive(name, moment) for name, moment in times.items() if name in matching]
    policy = Policy(case["counts"], case["within"])
    now = datetime.datetime.fromisoformat(case["now"])
    assert verdicts(select(archives, policy, now, case["zone"])) == case["verdicts"]


def test_both_generations_were_recorded():
    assert len(RECORDED) == 80
    cases = [case for recording in RECORDINGS.values() for case in recording[1:]]
    assert len({rule for case in cases for rule in case["counts"]}) == 10
    told = {rule for case in cases for _name, rule in case["verdicts"]}
    assert None in told
    assert any("[oldest]" in rule for rule in told if rule)
    assert any("within" in rule for rule in told if rule)


def test_nothing_is_made_of_nothing():
    assert select([], Policy({"keep_daily": 7}, "7d"), NOW, "UTC") == ([], [])


def test_what_one_rule_keeps_does_not_count_for_the_next():
    moments = ["2026-11-21T10:00:00", "2026-11-21T09:00:00", "2026-11-20T10:00:00", "2026-11-19T10:00:00", "2026-10-01T10:00:00"]
    policy = Policy({"keep_daily": 2, "keep_last": 1, "keep_monthly": 5})
    assert judged(moments, policy) == {
        "2026-11-21T10:00:00": "secondly #1",
        "2026-11-21T09:00:00": None,
        "2026-11-20T10:00:00": "daily #1",
        "2026-11-19T10:00:00": "daily #2",
        "2026-10-01T10:00:00": "monthly #1",
    }


def test_the_oldest_stays_while_there_are_too_few_periods():
    moments = ["2026-11-21T10:00:00", "2026-11-21T09:00:00", "2026-11-21T08:00:00"]
    assert judged(moments, Policy({"keep_daily": 2})) == dict(zip(moments, ["daily #1", None, "daily[oldest] #2"]))
    assert judged(moments, Policy({"keep_daily": 1})) == dict(zip(moments, ["daily #1", None, None]))
    assert judged(moments, Policy({"keep_daily": -1})) == dict(zip(moments, ["daily #1", None, None]))


def test_days_begin_in_the_zone():
    moments = ["2026-11-20T15:30:00", "2026-11-20T14:30:00", "2026-11-20T10:00:00"]
    policy = Policy({"keep_daily": 1})
    assert [*judged(moments, policy, "UTC").values()] == ["daily #1", None, None]
    policy = Policy({"keep_daily": 2})
    assert [*judged(moments, policy, "Asia/Tokyo").values()] == ["daily #1", "daily #2", None]


def test_a_clock_that_is_put_back_repeats_an_hour():
    moments = ["2025-10-26T01:30:00", "2025-10-26T00:30:00", "2025-10-25T23:30:00"]
    policy = Policy({"keep_hourly": 2})
    assert [*judged(moments, policy, "Europe/Berlin").values()] == ["hourly #1", None, "hourly #2"]


def test_the_same_second_is_one_period_and_names_decide():
    same = [archive(name, "2026-11-20T10:00:00+00:00") for name in ("b", "c", "a")]
    assert verdicts(select(same, Policy({"keep_last": 3}), NOW, "UTC")) == [["c", "secondly #1"], ["b", None], ["a", "secondly[oldest] #2"]]


@pytest.mark.parametrize(
    ("within", "kept"), [("1H", 0), ("2H", 1), ("25H", 1), ("26H", 2), ("2d", 2), ("1w", 3), ("1m", 4), ("32d", 5), ("1y", 6)]
)
def test_intervals(within, kept):
    ages = [datetime.timedelta(hours=hours, minutes=1) for hours in (1, 25, 72, 24 * 30, 24 * 31, 24 * 364)]
    archives = [Archive(str(age), str(age), NOW - age) for age in ages]
    assert len(select(archives, Policy({}, within), NOW, "UTC").kept) == kept


def test_an_archive_of_the_interval_s_edge_is_not_young():
    edge = Archive("edge", "edge", NOW - datetime.timedelta(hours=1))
    assert select([edge], Policy({}, "1H"), NOW, "UTC").pruned == [edge]


@pytest.mark.parametrize(("newest", "stays"), [("a.checkpoint", True), ("a", False)])
def test_a_checkpoint_stays_while_it_is_the_newest(newest, stays):
    archives = [
        archive("old.checkpoint.1", "2026-11-01T10:00:00+00:00"),
        archive("z.checkpoint", "2026-11-19T10:00:00+00:00"),
        archive(newest, "2026-11-20T10:00:00+00:00"),
    ]
    selection = select(archives, Policy({"keep_daily": 7}), NOW, "UTC")
    assert [(each.name, rule) for each, rule in selection.kept] == [(newest, "checkpoint" if stays else "daily #1")]
    assert [each.name for each in selection.pruned] == ["z.checkpoint", "old.checkpoint.1"]


@pytest.mark.parametrize("before", [None, "Asia/Kolkata"])
def test_the_zone_of_the_process_stays(monkeypatch, before):
    if before is None:
        monkeypatch.delenv("TZ", raising=False)
    else:
        monkeypatch.setenv("TZ", before)
    time.tzset()
    offset = time.localtime(0).tm_gmtoff
    judged(["2026-11-20T15:30:00"], Policy({"keep_daily": 1}), "America/New_York")
    assert os.environ.get("TZ") == before
    assert time.localtime(0).tm_gmtoff == offset


@pytest.fixture(autouse=True)
def fixture_zone_of_the_tests():
    yield
    time.tzset()
