# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _check
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._check import Scope, listed_archives, look, read_scope, repair
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import Description
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

NOW = datetime.datetime.now(datetime.timezone.utc)
BORG = Borg(Location.parse("/srv/x"))


def parameters(**given):
    defaults = {"part": "all", "match_archives": None, "newest": None, "verify_data": False, "max_duration": None, "repair": False}
    return {**defaults, **given}


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, []),
        ({"verify_data": True}, ["--verify-data"]),
        ({"part": "archives", "match_archives": "web1-*", "newest": 3}, ["--archives-only", "--glob-archives=web1-*", "--last=3"]),
        ({"part": "repository", "max_duration": 60}, ["--repository-only", "--max-duration=60"]),
        ({"part": "repository", "repair": True}, ["--repository-only"]),
    ],
)
def test_a_scope_becomes_options(given, options):
    assert read_scope(parameters(**given)).options() == options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"newest": 0}, "newest: 0 is less than 1"),
        ({"part": "repository", "max_duration": 0}, "max_duration: 0 is less than 1"),
        ({"max_duration": 60}, "max_duration: goes with part: repository only"),
        ({"part": "archives", "max_duration": 60}, "max_duration: goes with part: repository only"),
        ({"part": "repository", "max_duration": 60, "repair": True}, "max_duration: excludes repair"),
        ({"part": "repository", "verify_data": True}, "verify_data: is about archives"),
        ({"part": "repository", "newest": 1}, "newest: is about archives"),
        ({"part": "repository", "match_archives": "x"}, "match_archives: is about archives"),
        ({"match_archives": ""}, "match_archives: '' is empty"),
    ],
)
def test_what_borg_cannot_combine_is_refused(given, message):
    with pytest.raises(Failure) as caught:
        read_scope(parameters(**given))
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith(message)


@pytest.fixture(name="told")
def fixture_told(monkeypatch):
    """Let borg answer with a recording, or with log messages of these levels; it notes how it was called."""

    def tell(recording=None, *, rc=0, messages=()):
        def run(self, *words, **how):
            tell.called = (words, how)
            if recording is not None:
                return Outcome(recording["rc"], recording["stdout"], Log(recording["stderr"]))
            lines = [json.dumps({"type": "log_message", "levelname": level, "message": text}) for level, text in messages]
            return Outcome(rc, "", Log("\n".join(lines)))

        monkeypatch.setattr(Borg, "run", run)

    return tell


def test_a_sound_repository(told, recorded):
    told(recorded["check"])
    assert look(BORG, Scope("all")) == ([], [], False, ["a-2026-01-01", "a-2026-01-02"], True, [])
    assert told.called == (("check",), {"common": ("--info",)})


def test_a_damaged_repository(told, recorded):
    told(recorded["check_damaged"])
    findings = look(BORG, Scope("all"))
    assert findings.problems[0].startswith("Data integrity error: Segment entry checksum mismatch [segment ")
    assert "Index object count mismatch." in findings.problems
    assert not any("errors found" in text for text in findings.problems)
    assert (findings.damaged, findings.analysed, findings.complete) == ([], [], True)


def test_damaged_data(told, recorded):
    told(recorded["check_damaged_data"])
    findings = look(BORG, Scope("archives", verify_data=True))
    assert len(findings.problems) == 1
    assert findings.problems[0].startswith("chunk ")
    assert findings.analysed == ["one", "two"]


def test_what_a_server_finds_is_told_as_if_it_were_our_own(told, recorded):
    told(recorded["check_remote"])
    problems = look(BORG, Scope("all")).problems
    assert problems[0].startswith("Data integrity error")
    assert not any(text.startswith("Remote") for text in problems)


def test_a_repair_asks_for_it_by_name_and_tells_what_was_lost(told, recorded):
    told(recorded["check_repair"])
    findings = repair(BORG, Scope("all"))
    assert told.called[0] == ("check", "--repair")
    assert told.called[1]["environment"] == {"BORG_CHECK_I_KNOW_WHAT_I_AM_DOING": "YES"}
    assert [text.split(":")[0] for text in findings.problems] == ["Data integrity error", "one", "two"]
    assert "New missing file chunk" in findings.problems[1]


def test_files_with_zeros_are_told_though_borg_finds_no_problem(told, recorded):
    told(recorded["check_repaired"])
    findings = look(BORG, Scope("all"))
    assert [text.split(": ")[0] for text in findings.damaged] == ["one", "two"]
    assert all(text.endswith("files/sub/other name") for text in findings.damaged)
    assert (findings.problems, findings.healable) == ([], False)


def test_files_that_a_newer_backup_would_heal_are_told(told, recorded):
    told(recorded["check_healable"])
    findings = look(BORG, Scope("all"))
    assert [text.split(": ")[0] for text in findings.damaged] == ["one"]
    assert (findings.problems, findings.healable) == ([], True)


def test_a_file_with_several_zeros_is_told_once(told):
    text = "a: b\nc: Previously missing file chunk is still missing (Byte {}-{}, Chunk 12). It has an all-zero replacement chunk already."
    told(messages=[("INFO", text.format(0, 1)), ("INFO", text.format(1, 2))])
    assert look(BORG, Scope("all")).damaged == ["a: b\nc"]


def test_a_check_that_did_not_get_to_the_end_says_so(told, recorded):
    told(recorded["check_part_of_the_repository"])
    assert look(BORG, Scope("repository", max_duration=1)) == ([], [], False, [], False, [])


@pytest.mark.parametrize(
    ("messages", "problems"),
    [
        ([], ["borg check ended with exit code 1."]),
        ([("ERROR", "Archive consistency check complete, problems found.")], ["Archive consistency check complete, problems found."]),
        ([("WARNING", "something")], ["borg check ended with exit code 1."]),
    ],
)
def test_a_check_that_failed_is_never_without_a_problem(told, messages, problems):
    told(rc=1, messages=messages)
    assert look(BORG, Scope("all")).problems == problems


def test_an_error_is_a_problem_whatever_the_exit_code(told):
    told(rc=0, messages=[("ERROR", "Skipping corrupted chunk: x"), ("WARNING", "Killed stale lock")])
    findings = look(BORG, Scope("all"))
    assert findings.problems == ["Skipping corrupted chunk: x"]
    assert findings.warnings == ["Killed stale lock"]


@pytest.fixture(name="repository")
def fixture_repository(monkeypatch):
    """Let the repository hold these archives, or fail to be listed."""

    def make(*archives, error=None):
        def describe(borg, *options):
            if error is not None:
                raise Failure(error, "no")
            make.options = options
            return Description("id", "repokey", "/srv/x", NOW, archives)

        monkeypatch.setattr(_check, "describe", describe)

    return make


def test_the_archives_are_those_that_will_be_checked(repository):
    repository(Archive("a", "0" * 64, NOW))
    assert listed_archives(BORG, Scope("all", "a*", 2)) == (Archive("a", "0" * 64, NOW),)
    assert repository.options == ("--glob-archives=a*", "--last=2")


def test_a_repository_without_archives_can_be_checked(repository):
    repository()
    assert listed_archives(BORG, Scope("all")) == ()


def test_a_check_of_nothing_is_a_failure(repository):
    repository()
    with pytest.raises(Failure, match="no archive that matches 'web1-.*nothing would be checked") as caught:
        listed_archives(BORG, Scope("all", "web1-*"))
    assert caught.value.error == "archive_absent"


@pytest.mark.parametrize("error", ["integrity", "broken_init"])
def test_what_is_too_damaged_to_be_listed_is_left_to_the_check(repository, error):
    repository(error=error)
    assert listed_archives(BORG, Scope("all")) is None


@pytest.mark.parametrize("error", ["absent", "wrong_passphrase", "replayed"])
def test_what_cannot_be_opened_cannot_be_checked(repository, error):
    repository(error=error)
    with pytest.raises(Failure) as caught:
        listed_archives(BORG, Scope("all"))
    assert caught.value.error == error
