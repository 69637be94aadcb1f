# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of a drill, of honest clients and of one that answers nonsense."""

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _drill_table as drill_table

LOCATION = "ssh://borg@backup1/./web1"
PASSED = {"verdict": "passed", "archive": {"name": "web1-2026"}, "files": 20, "bytes": 416000, "duration": 2.3, "problems": [], "failed": False}
NONSENSE = ["x\nweb2 | passed", -1, 10**400, True, [["x"]], {"name": {"x": 1}}, {"x": "\u2028"}, 1.5, ""]


def line(**result):
    (only,) = drill_table.lines([{"__borgmatic_repository": {"location": LOCATION}, **result}], "web1")
    return only


def test_a_drill_that_passed():
    assert line(**PASSED) == f"web1 | {LOCATION} | passed | web1-2026 | 20 files, 406.25 KB, 2.3 s"


def test_a_drill_that_failed_says_why():
    problems = ["etc/hosts: differs", "etc/motd: is gone", "third", "fourth"]
    assert line(**{**PASSED, "verdict": "failed", "failed": True, "problems": problems, "msg": "not this"}).endswith(
        "| failed | web1-2026 | 20 files, 406.25 KB, 2.3 s | etc/hosts: differs; etc/motd: is gone; third"
    )


@pytest.mark.parametrize("problems", [None, []])
def test_where_borg_has_failed_its_words_are_the_reason(problems):
    told = line(verdict=None, archive=None, files=None, bytes=None, duration=None, problems=problems, failed=True, msg="Locked.")
    assert told == f"web1 | {LOCATION} | failed | - | 0 files, 0.00 Bytes, 0 s | Locked."


def test_in_check_mode_nothing_was_tried():
    assert "| not tried |" in line(**{**PASSED, "verdict": None})


def test_a_client_without_drills():
    assert drill_table.lines([], "web1") == ["web1 | not drilled, see above"]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
@pytest.mark.parametrize("failed", [True, False])
@pytest.mark.parametrize("name", ["verdict", "archive", "files", "bytes", "duration", "problems", "msg"])
def test_nonsense_stays_in_the_lines_of_its_client(name, nonsense, failed):
    told = line(**{**PASSED, "failed": failed, "msg": "m", name: nonsense})
    assert told.startswith(f"web1 | {LOCATION} | ") and told.splitlines() == [told]
    assert told.count(" | ") == (5 if failed else 4)


def test_who_failed_has_not_passed():
    assert "| failed |" in line(**PASSED | {"failed": True})
