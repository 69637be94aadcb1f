# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _archive_choice
from ansible_collections.fleetbackup.borg.plugins.module_utils._archive_choice import Choice
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive, matches
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import Description
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

BORG = Borg(Location.parse("/srv/x"))
DAYS = [datetime.datetime(2026, 11, day, 3, tzinfo=datetime.timezone.utc) for day in (18, 19, 20)]
ARCHIVES = tuple(Archive(name, "ab" * 32, day) for name, day in zip(("web1-[a]", "web10", "web1-c"), DAYS))


@pytest.fixture(autouse=True)
def repository(monkeypatch):
    def describe(_borg, *options):
        patterns = [option.partition("=")[2] for option in options if option.startswith("--glob-archives=")]
        found = [each for each in ARCHIVES if all(matches(each.name, pattern) for pattern in patterns)]
        return Description("ab" * 32, "repokey", "/srv/x", DAYS[-1], tuple(found[-1:] if "--last=1" in options else found))

    monkeypatch.setattr(_archive_choice, "describe", describe)


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (("latest", None, None), "web1-c"),
        (("latest", "web10*", None), "web10"),
        (("latest", None, "2026-11-20"), "web10"),
        (("latest", None, "2026-11-20T05:00:00+02:00"), "web10"),
        (("latest", None, "2026-11-20T03:00:01Z"), "web1-c"),
        (("latest", "web1-*", "2026-11-20"), "web1-[a]"),
        (("web1-[a]", None, None), "web1-[a]"),
    ],
)
def test_the_archive_that_is_meant_is_found(choice, name):
    assert Choice.parse(*choice).find(BORG).name == name


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (("gone", None, None), "/srv/x holds no archive 'gone'. List"),
        (("latest", "db-*", None), "/srv/x holds no archive that matches 'db-*'. List"),
        (("latest", None, "2026-11-18"), "/srv/x holds no archive from before 2026-11-18. List"),
    ],
)
def test_one_that_is_not_there_is_told(choice, told):
    with pytest.raises(Failure) as caught:
        Choice.parse(*choice).find(BORG)
    assert caught.value.error == "archive_absent" and caught.value.msg.startswith(told)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (("a/b", None, None), "archive: 'a/b' holds '/'"),
        (("one", "web1-*", None), "match_archives: goes with archive: latest only"),
        (("one", None, "2026-11-18"), "before: goes with archive: latest only"),
        (("latest", " ", None), "match_archives: ' ' is empty"),
        (("latest", None, "yesterday"), "before: 'yesterday' is no time; for example"),
    ],
)
def test_what_means_none_is_refused(choice, told):
    with pytest.raises(Failure) as caught:
        Choice.parse(*choice).find(BORG)
    assert caught.value.error == "invalid_argument" and caught.value.msg.startswith(told)
