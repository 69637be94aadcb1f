# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _drill_pick
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC, Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_pick import Request, pick, read_request
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import Description
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

NOW = datetime.datetime.now(UTC)
BORG = Borg(Location.parse("/srv/x"))
DEFAULTS = {
    "match_archives": None,
    "within": "30d",
    "full": False,
    "sample": 20,
    "sample_bytes": 100_000_000,
    "witness": None,
    "seed": None,
}


def archive(name, days):
    return Archive(name, name * 2, NOW - datetime.timedelta(days=days))


def entry(path, size=1, mode="-rw-r--r--"):
    return Entry(path, mode, 0, 0, "root", "root", size, 0, "", "")


@pytest.fixture(name="repository")
def fixture_repository(monkeypatch):
    """A repository with these archives, each of which holds these entries."""

    class Listed:
        def json(self):
            return {"archives": [{"hostname": "web1"}]}

    def have(archives, entries=()):
        def describe(_borg, *options):
            have.options = options
            return Description("id", "repokey", "/srv/x", NOW, tuple(archives))

        monkeypatch.setattr(_drill_pick, "describe", describe)
        monkeypatch.setattr(_drill_pick, "read_contents", lambda _borg, _name: list(entries))
        monkeypatch.setattr(Borg, "read", lambda *_words, **_how: Listed())

    return have


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"within": "30"}, "within: '30' is no interval"),
        ({"within": "0d"}, "within: '0d' is no interval"),
        ({"within": "a month"}, "within: 'a month' is no interval"),
        ({"sample": 0}, "sample: 0 is less than 1"),
        ({"sample_bytes": -1}, "sample_bytes: -1 is less than 1"),
        ({"witness": "srv/witness"}, "witness: 'srv/witness' is no absolute path"),
        ({"witness": "/srv/../etc/passwd"}, "witness: '/srv/../etc/passwd' is no absolute path"),
        ({"match_archives": "re:x"}, "match_archives: 're:x' has the style"),
    ],
)
def test_what_nobody_can_mean_is_refused(given, message):
    with pytest.raises(Failure) as caught:
        read_request({**DEFAULTS, **given})
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith(message)


def test_without_a_seed_each_drill_has_its_own():
    assert read_request(DEFAULTS).seed != read_request(DEFAULTS).seed


def test_an_archive_of_the_window_is_taken(repository):
    repository([archive("old", 40), archive("first", 20), archive("second", 10)])
    assert {pick(BORG, Request(str(seed))).archive.name for seed in range(50)} == {"first", "second"}


def test_where_none_is_young_the_newest_is_taken(repository):
    repository([archive("oldest", 90), archive("old", 40)])
    assert {pick(BORG, Request(str(seed))).archive.name for seed in range(20)} == {"old"}


def test_only_archives_that_match_are_taken(repository):
    repository([archive("web1-1", 1)])
    pick(BORG, Request("x", match="web1-*"))
    assert repository.options == ("--glob-archives=web1-*",)


def test_a_repository_without_archives_is_a_failure(repository):
    repository([])
    with pytest.raises(Failure) as caught:
        pick(BORG, Request("x", match="web1-*"))
    assert caught.value.error == "archive_absent"
    assert "matches 'web1-*'" in caught.value.msg


def test_a_seed_decides(repository):
    repository([archive(str(number), number) for number in range(20)], [entry(str(number)) for number in range(100)])
    assert pick(BORG, Request("one")) == pick(BORG, Request("one"))
    assert pick(BORG, Request("one")).chosen != pick(BORG, Request("two")).chosen


def test_a_sample_is_of_regular_files_and_in_order(repository):
    others = [entry("d", mode="drwxr-xr-x"), entry("l", mode="lrwxrwxrwx"), entry("h", mode="hrw-r--r--")]
    repository([archive("a", 1)], [*others, *(entry(f"f{number}") for number in range(10))])
    chosen = [chosen.path for chosen in pick(BORG, Request("x", sample=5)).chosen]
    assert len(chosen) == 5 and chosen == sorted(chosen) and all(path.startswith("f") for path in chosen)


def test_every_file_may_be_taken(repository):
    repository([archive("a", 1)], [entry(f"f{number}") for number in range(10)])
    taken = {chosen.path for seed in range(200) for chosen in pick(BORG, Request(str(seed), sample=1)).chosen}
    assert taken == {f"f{number}" for number in range(10)}


def test_a_sample_is_no_larger_than_it_may_be(repository):
    repository([archive("a", 1)], [entry("huge", 1000), *(entry(f"f{number}", 10) for number in range(10))])
    picked = pick(BORG, Request("x", sample_bytes=35))
    assert picked.size == 30 and "huge" not in [chosen.path for chosen in picked.chosen]


def test_where_all_files_are_too_large_the_smallest_is_tried(repository):
    repository([archive("a", 1)], [entry("huge", 1000), entry("large", 100)])
    assert [chosen.path for chosen in pick(BORG, Request("x", sample_bytes=10)).chosen] == ["large"]


def test_the_witness_is_always_taken(repository):
    repository([archive("a", 1)], [entry(f"srv/f{number}", 10) for number in range(50)])
    for seed in range(20):
        picked = pick(BORG, Request(str(seed), sample=1, sample_bytes=5, witness="/srv/f7"))
        assert [chosen.path for chosen in picked.chosen] == ["srv/f7"]


def test_a_full_drill_takes_everything(repository):
    entries = [entry("d", 0, "drwxr-xr-x"), entry("f", 7), entry("h", 7, "hrw-r--r--")]
    repository([archive("a", 1)], entries)
    picked = pick(BORG, Request("x", full=True))
    assert (picked.chosen, picked.files, picked.size, picked.sizes, picked.host) == (entries, 2, 7, [0, 7], "web1")


def test_an_archive_that_cannot_be_listed_is_named(repository, monkeypatch):
    def fail(_borg, _name):
        raise Failure("integrity", "no")

    repository([archive("broken", 1)])
    monkeypatch.setattr(_drill_pick, "read_contents", fail)
    with pytest.raises(Failure) as caught:
        pick(BORG, Request("x"))
    assert caught.value.details["archive"]["name"] == "broken"
