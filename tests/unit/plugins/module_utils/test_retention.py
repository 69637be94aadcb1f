# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _retention
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive, read_archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._dialects import dialect_of
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import Description
from ansible_collections.fleetbackup.borg.plugins.module_utils._retention import RULES, Policy, read_policy
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

UTC = datetime.timezone.utc
NOW = datetime.datetime.now(UTC)
DAY = datetime.timedelta(days=1)


def parameters(**given):
    return {**dict.fromkeys(RULES), "keep_within": None, **given}


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"keep_daily": 7}, ["--keep-daily=7"]),
        ({"keep_daily": 7, "keep_weekly": 0}, ["--keep-daily=7", "--keep-weekly=0"]),
        ({"keep_within": "7d"}, ["--keep-within=7d"]),
        ({"keep_last": 1, "keep_within": "12H"}, ["--keep-last=1", "--keep-within=12H"]),
        ({"keep_3monthly": 1}, ["--keep-3monthly=1"]),
    ],
)
def test_a_policy_becomes_options(given, options):
    assert read_policy(parameters(**given), dialect_of("1.4.1")).options() == options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "No rule keeps anything"),
        ({"keep_daily": 0}, "No rule keeps anything"),
        ({"keep_daily": -1}, "keep_daily: -1 is no number of archives"),
        ({"keep_daily": 7, "keep_weekly": -5}, "keep_weekly: -5"),
        ({"keep_daily": True}, "keep_daily: True"),
        ({"keep_within": "banana"}, "keep_within: 'banana' is no interval"),
        ({"keep_within": "7"}, "keep_within: '7'"),
        ({"keep_within": "0d"}, "keep_within: '0d'"),
        ({"keep_within": "7D"}, "keep_within: '7D'"),
        ({"keep_within": "7d\n"}, "keep_within: "),
    ],
)
def test_a_policy_that_keeps_nothing_or_means_nothing_is_refused(given, message):
    with pytest.raises(Failure) as caught:
        read_policy(parameters(**given), None)
    assert caught.value.error == "invalid_argument"
    assert message in caught.value.msg


@pytest.mark.parametrize("version", ["1.2.4", "1.4.0"])
@pytest.mark.parametrize("rule", ["keep_13weekly", "keep_3monthly"])
def test_a_rule_that_the_installed_borg_does_not_know_is_refused(rule, version):
    with pytest.raises(Failure) as caught:
        read_policy(parameters(**{rule: 1}), dialect_of(version))
    assert caught.value.error == "version"
    assert "needs Borg 1.4.1" in caught.value.msg


def archive(name, time):
    return Archive(name, f"{abs(hash(name)):064d}"[:64], time)


@pytest.fixture(name="repository")
def fixture_repository(monkeypatch):
    """Let the repository hold these archives."""

    def make(*archives, last_modified=NOW):
        monkeypatch.setattr(
            _retention, "describe", lambda borg, *options: Description("id", "repokey", "/srv/x", last_modified, tuple(archives))
        )
        return Borg(Location.parse("/srv/x"))

    return make


def test_archives_of_the_past_are_judged(repository):
    archives = [archive("a-1", NOW - DAY), archive("a-2", NOW)]
    assert _retention.check_archives(repository(*archives), "a-*") == ("id", archives)


def test_one_archive_in_the_future_stops_everything(repository):
    borg = repository(archive("a-1", NOW - DAY), archive("a-2", NOW + DAY))
    with pytest.raises(Failure) as caught:
        _retention.check_archives(borg, "a-*")
    assert caught.value.error == "unsafe"
    assert "a-2" in caught.value.msg
    assert "nothing was pruned" in caught.value.msg


def test_a_clock_that_went_back_stops_everything(repository):
    with pytest.raises(Failure, match="went back") as caught:
        _retention.check_archives(repository(archive("a-1", NOW - DAY), last_modified=NOW + DAY), "a-*")
    assert caught.value.error == "unsafe"


def test_clocks_may_differ_a_little(repository):
    soon = NOW + datetime.timedelta(seconds=30)
    _retention.check_archives(repository(archive("a-1", soon), last_modified=soon), "a-*")


def test_a_filter_that_takes_in_a_neighbour_is_refused():
    mixed = [archive("web1-2026-01-01", NOW), archive("web10-2026-01-01", NOW)]
    _retention.check_one_series(mixed[:1], "web1*")
    _retention.check_one_series([], "web1*")
    with pytest.raises(Failure) as caught:
        _retention.check_one_series(mixed, "web1*")
    assert caught.value.error == "unsafe"
    assert "web1, web10" in caught.value.msg
    assert "allow_mixed_series" in caught.value.msg


@pytest.mark.parametrize("name", ["prune_preview", "prune"])
def test_recorded_verdicts(situations, recorded, monkeypatch, name):
    told = recorded[name]
    verdicts = [message.text for message in Log(told["stderr"]).messages if "a-2026" in message.text]
    identities = {text.split("[")[-1].rstrip("]"): text for text in verdicts}
    archives = [Archive("a-2026-01-02" if "a-2026-01-02" in text else "a-2026-01-01", identity, NOW) for identity, text in identities.items()]
    asked = []

    def run(self, command, *options, **how):
        asked.append((command, options, how))
        return Outcome(told["rc"], told["stdout"], Log(told["stderr"]))

    monkeypatch.setattr(Borg, "run", run)
    monkeypatch.setattr(Borg, "read", run)
    borg = Borg(Location.parse("/srv/x"))
    if name == "prune":
        selection = _retention.prune(borg, archives, Policy({"keep_daily": 1}), "a-*", "Europe/Berlin")
    else:
        selection = _retention.preview(borg, "id", archives, Policy({"keep_daily": 1}), "a-*", "Europe/Berlin")
    assert [each.name for each in selection.pruned] == ["a-2026-01-01"]
    assert [(each.name, rule) for each, rule in selection.kept] == [("a-2026-01-02", "daily #1")]
    command, options, how = asked[0]
    assert ("--dry-run" in options) == (name == "prune_preview")
    assert options[-2:] == ("--keep-daily=1", "--glob-archives=a-*")
    assert how["environment"] == {"TZ": "Europe/Berlin"}


def test_recorded_archives_are_those_of_the_verdicts(recorded):
    listed = {read_archive(entry).name for entry in json.loads(recorded["list_archives"]["stdout"])["archives"]}
    assert listed == {"a-2026-01-01", "a-2026-01-02"}
