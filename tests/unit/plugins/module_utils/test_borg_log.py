# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log, Message


def line(message, level="ERROR", **more):
    return json.dumps({"type": "log_message", "message": message, "levelname": level, **more}) + "\n"


def test_nothing_said_is_nothing_found():
    log = Log("\n \n")
    assert (log.messages, log.statuses, log.questions, log.plain) == ([], [], [], [])
    assert log.failure() is None
    assert log.for_humans() == ""


def test_messages_keep_their_order_level_and_id():
    log = Log(line("one", "WARNING") + line("two", msgid="LockTimeout"))
    assert log.messages == [Message("WARNING", "one"), Message("ERROR", "two", "LockTimeout")]
    assert log.warnings() == ["one"]
    assert log.for_humans() == "one\ntwo"


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        (line("first", msgid="LockTimeout") + line("last"), "first"),
        (line("Local Exception", msgid="Exception") + line("why"), "why"),
        (line("named", msgid="PassphraseWrong") + line("Local Exception", msgid="Exception"), "named"),
        (line("critical", "CRITICAL"), "critical"),
        (line("a") + line("b"), "b"),
        (line("only a warning", "WARNING", msgid="LockTimeout"), None),
    ],
)
def test_the_failure_is_the_last_error_that_says_something(said, chosen):
    failure = Log(said).failure()
    assert (failure.text if failure else None) == chosen


def test_a_prompt_in_front_of_an_object_is_cut_off():
    log = Log("Enter passphrase for key /srv/x: " + line("wrong", msgid="PassphraseWrong"))
    assert log.messages == [Message("ERROR", "wrong", "PassphraseWrong")]
    assert log.plain == ["Enter passphrase for key /srv/x: "]


@pytest.mark.parametrize("text", ['{"broken', "{}", '["list"]', "plain", '{"type": "log_message"'])
def test_what_is_no_object_of_borg_stays_text(text):
    assert Log(text).plain == [text]


def test_other_objects_are_left_out():
    log = Log('{"type": "progress_percent", "current": 1}\n{"type": "archive_progress"}\n{"unknown": 1}\n')
    assert (log.messages, log.plain) == ([], [])


def test_statuses_of_files_are_kept():
    log = Log('{"type": "file_status", "status": "C", "path": "/a \\u00e9"}\n{"type": "file_status", "status": "E", "path": "/b"}\n')
    assert log.statuses == [("C", "/a é"), ("E", "/b")]


def test_a_question_is_kept_and_shown():
    log = Log('{"type": "question_prompt", "msgid": "BORG_X", "message": "Continue? "}\n')
    assert log.questions == ["BORG_X"]
    assert log.for_humans() == "Continue? "


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Traceback (most recent call last):\n  File \"x\", line 1\n    code\nValueError: why\n", "ValueError: why"),
        ("Traceback (most recent call last):\n\n  File \"x\", line 1\n    code\n\nValueError: why\n", "ValueError: why"),
        ("before\nException ignored in: <x>\nTraceback (most recent call last):\n  File \"x\"\nE: y\nafter\n", "before\nE: y\nafter"),
        (line("Traceback (most recent call last):\n  File \"x\"\nValueError: why\n\nPlatform: Linux\nPID: 1"), "ValueError: why"),
        (
            line("OSError: one\n\nDuring handling of the above exception, another exception occurred:\n\n"
                 "Traceback (most recent call last):\n  File \"x\"\nOSError: other\n\nPlatform: Linux"),
            "OSError: other",
        ),
        (line("Borg server: Platform: Linux\nsys.argv: []"), ""),
        (
            line("Remote: Traceback (most recent call last):", "WARNING") + line('Remote: File "x", line 1, in <module>', "WARNING")
            + line("Remote: import nowhere", "WARNING") + line("Remote: ModuleNotFoundError: why", "WARNING") + line("closed"),
            "Remote: ModuleNotFoundError: why\nclosed",
        ),
        (line("Remote: Traceback (most recent call last):", "WARNING") + line("closed"), "closed"),
    ],
)
def test_of_a_traceback_only_the_exception_is_shown(said, shown):
    assert Log(said).for_humans() == shown


def test_complaints_are_errors_and_text_without_warnings():
    log = Log("usage: borg\n" + line("/a: [Errno 13]", "WARNING") + line("bad"))
    assert log.complaints() == "bad\nusage: borg"


def test_no_recorded_output_shows_where_in_borg(recorded):
    for name, recording in recorded.items():
        log = Log(recording["stderr"])
        shown = log.for_humans()
        assert "Traceback" not in shown, name
        assert "/recording/lib" not in shown, name
        assert "sys.argv" not in shown, name
        assert not any(message.text.startswith(" ") or not message.text for message in log.messages), name


def test_every_recorded_failure_has_a_message(recorded):
    for name, recording in recorded.items():
        if recording["rc"] not in (0, 1, 100, 105, 107):
            log = Log(recording["stderr"])
            assert log.failure() or log.plain, name


def test_recorded_files_that_changed_or_could_not_be_read(recorded):
    unreadable = Log(recorded["create_unreadable"]["stderr"]).statuses
    assert sorted((status, path.rpartition("/")[2]) for status, path in unreadable) == [("E", "a file"), ("E", "other name")]
    changed = Log(recorded["create_changing"]["stderr"])
    assert [(status, path.rpartition("/")[2]) for status, path in changed.statuses] == [("C", "changing")]
    assert any("changed" in text for text in changed.warnings())


def test_recorded_warning_of_a_stale_lock(recorded):
    assert any("stale lock" in text for text in Log(recorded["stale_lock"]["stderr"]).warnings())


def test_recorded_question_about_a_moved_repository(situations):
    log = Log(situations["relocated"]["modern"]["stderr"])
    assert log.questions == ["BORG_RELOCATED_REPO_ACCESS_IS_OK"]
    assert "previously located at" in log.for_humans()
