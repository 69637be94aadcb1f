# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import fnmatch
import json

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _archives
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive, check_filter, check_name, escape_pattern
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

UTC = datetime.timezone.utc


def archive(name):
    return Archive(name, "0" * 64, datetime.datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("name", ["web1-2026-01-01T10:00:00.123456", "a b", "é→", "a.checkpoints", "x" * 255, "(a)[b]*?", "a:b", "1"])
def test_a_name_may_be_anything_that_borg_keeps_as_it_is(name):
    check_name(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        (" a", "white space"),
        ("a ", "white space"),
        ("a\n", "white space"),
        ("a\nb", "control character"),
        ("a\x7fb", "control character"),
        ("a/b", "'/' or '::'"),
        ("a::b", "'/' or '::'"),
        ("{now}", "a brace"),
        ("a}", "a brace"),
        ("{hostnam}", "a brace"),
        ("-rf", "begins with '-'"),
        ("a.checkpoint", "checkpoints"),
        ("a.checkpoint.3", "checkpoints"),
        ("x" * 256, "longer than 255"),
        ("x" * 3000, "longer than 255"),
    ],
)
def test_what_borg_would_refuse_expand_or_hide_is_refused(name, reason):
    with pytest.raises(Failure) as caught:
        check_name(name, "archive")
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith("archive: ")
    assert reason in caught.value.msg
    assert "inventory_hostname" in caught.value.msg
    assert len(caught.value.msg) < 600


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("web1-2026-01-01", "web1"),
        ("web1-2026-01-01T10:00:00.123456", "web1"),
        ("web1-2026-01-01T10:00:00+01:00", "web1"),
        ("web1-2026-01-01T10", "web1"),
        ("web1-2026-01-01_10-00-00", "web1"),
        ("web1-2026-01-01-100000", "web1"),
        ("web1 2026-01-01 10.00", "web1"),
        ("web1_20260101", "web1"),
        ("web1-20260101-1000", "web1"),
        ("web1-20260101T100000Z", "web1"),
        ("web1-20260101100000", "web1"),
        ("web1.2026.01.01", "web1"),
        ("web10-2026-01-01", "web10"),
        ("web", "web"),
        ("2026-01-01", ""),
        ("web1-2026-01-01.checkpoint", "web1"),
        ("web1-2026-01-01.checkpoint.2", "web1"),
        ("web1-2026-W03", "web1"),
        ("web1-1767225600", "web1"),
        ("web1-home-2026-01-01", "web1-home"),
        # digits of a machine's name
        ("web1", "web1"),
        ("web1-1", "web1-1"),
        ("web-2001-2026-01-01", "web-2001"),
        ("web-2001-2012-01-01", "web-2001"),
        ("web-2001-10-2012-01-01", "web-2001-10"),
        ("web-2001-10-10-2012-01-01", "web-2001-10-10"),
        ("web-20011010-2012-01-01T10:00:00", "web-20011010"),
        ("web-2001", "web-2001"),
        ("web-2001-01", "web-2001-01"),
        ("db-2026-13-01", "db-2026-13-01"),
        ("db-2026-01-32", "db-2026-01-32"),
        ("db-12026-01-01", "db-12026-01-01"),
        ("db-2026-01-011", "db-2026-01-011"),
        ("db-2026-01.01", "db-2026-01.01"),
        # what follows the date
        ("web1-2026-01-01-db", "web1\u2026-db"),
        ("web1-2026-01-01T10:00:00-files", "web1\u2026-files"),
        ("web1-2026-01-01-2", "web1\u2026-2"),
        ("2026-01-01-web1", "\u2026-web1"),
        ("2026-01-01-1001", "\u2026-1001"),
    ],
)
def test_a_series_is_the_name_without_its_last_date(name, series):
    assert archive(name).series == series


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("web1-2026-01-01", "web10-2026-01-01"),
        ("web-2026-01-01", "web-db-2026-01-01"),
        ("db1-2026-01-01", "db2-2026-01-01"),
        ("web-2026-01-01", "web-2001-2026-01-01"),
        ("web1-2026-01-01-db", "web1-2026-01-01-files"),
        ("web1-2026-01-01-db", "web1-db-2026-01-01"),
        ("web1", "web2"),
        ("web-1", "web-2"),
    ],
)
def test_a_neighbour_whose_name_begins_the_same_way_is_another_series(one, other):
    assert archive(one).series != archive(other).series
    assert not fnmatch.fnmatchcase(other, archive(one).series_filter)
    assert fnmatch.fnmatchcase(one, archive(one).series_filter)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("web-2026-01-01T10:00:00", "web-????-??-??*"),
        ("web1_20260101", "web1_????????*"),
        ("web1-2026-01-01-db", "web1-????-??-??*-db"),
        ("web1", "web1"),
        ("a[b]-2026-01-01.checkpoint", "a[[]b]-????-??-??*"),
    ],
)
def test_a_filter_for_a_series(name, pattern):
    assert archive(name).series_filter == pattern


@pytest.mark.parametrize(("name", "checkpoint"), [("a", False), ("a.checkpoint", True), ("a.checkpoint.2", True), ("a.checkpoints", False)])
def test_a_checkpoint_is_known_by_its_name(name, checkpoint):
    assert archive(name).is_checkpoint == checkpoint


@pytest.mark.parametrize(
    ("text", "pattern"),
    [("web1-*", "web1-*"), ("sh:web1-*", "web1-*"), ("{hostname}-2*", "{hostname}-2*"), ("*", "*"), ("a b", "a b"), ("a[0-9]", "a[0-9]")],
)
def test_a_filter_is_a_shell_pattern(text, pattern):
    assert check_filter(text) == pattern


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("sh:", "is empty"),
        ("re:^web", "style 're:'"),
        ("id:web", "style 'id:'"),
        ("aid:web", "style 'aid:'"),
        ("host:web", "style 'host:'"),
        ("a\nb", "control character"),
        ("{now}-*", "differs from run to run"),
        ("{hostnam}-*", "unknown placeholder"),
        ("{{ x }}", "left-over"),
    ],
)
def test_another_filter_is_refused(text, reason):
    with pytest.raises(Failure) as caught:
        check_filter(text, "the_filter")
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith("the_filter: ")
    assert reason in caught.value.msg
    assert "for example" in caught.value.msg


@pytest.mark.parametrize("name", ["web1-*", "a?b", "a[0-9]b", "a]b", "plain", "[*?]"])
def test_an_escaped_name_matches_itself_alone(name):
    pattern = escape_pattern(name)
    assert fnmatch.fnmatchcase(name, pattern)
    assert not fnmatch.fnmatchcase(name + "x", pattern)
    assert not fnmatch.fnmatchcase("web1-2", pattern)
    assert not fnmatch.fnmatchcase("axb", pattern)


def test_recorded_archives(recorded):
    found = [_archives.read_archive(entry) for entry in json.loads(recorded["list_archives"]["stdout"])["archives"]]
    assert [(each.name, each.time) for each in found] == [
        ("a-2026-01-01", datetime.datetime(2026, 1, 1, tzinfo=UTC)),
        ("a-2026-01-02", datetime.datetime(2026, 1, 2, tzinfo=UTC)),
    ]
    assert all(len(each.id) == 64 for each in found)
    assert found[0].as_result() == {"name": "a-2026-01-01", "id": found[0].id, "time": "2026-01-01T00:00:00+00:00"}


def test_a_time_of_borg_is_utc():
    assert _archives.parse_time("2026-01-01T10:00:00.123456").isoformat() == "2026-01-01T10:00:00.123456+00:00"


def test_the_removal_of_a_missing_archive_is_a_failure_whatever_borg_calls_it(recorded, monkeypatch):
    told = recorded["delete_missing"]
    monkeypatch.setattr(Borg, "run", lambda self, *words, **how: Outcome(told["rc"], "", Log(told["stderr"])))
    with pytest.raises(Failure) as caught:
        _archives.delete(Borg(Location.parse("/srv/x")), "missing")
    assert caught.value.error == "archive_absent"
    assert "missing" in caught.value.msg
