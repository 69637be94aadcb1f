# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import WORDS, Failure

#: The open list of words, and whether trying again later can help without hands.
EXPECTED = {
    "absent": False,
    "not_a_repository": False,
    "exists": False,
    "parent_missing": False,
    "broken_init": False,
    "encryption_mismatch": False,
    "wrong_passphrase": False,
    "no_passphrase": False,
    "key_missing": False,
    "key_mismatch": False,
    "drift": False,
    "locked": True,
    "unreachable": True,
    "host_key": False,
    "auth": False,
    "borg_missing": False,
    "not_allowed": False,
    "permission": False,
    "append_only": False,
    "quota": False,
    "disk_full": False,
    "relocated": False,
    "replayed": False,
    "unencrypted": False,
    "integrity": False,
    "archive_exists": False,
    "archive_absent": False,
    "source_missing": False,
    "version": False,
    "timeout": True,
    "unsafe": False,
    "invalid_argument": False,
    "warning": False,
    "other": False,
}


def test_no_word_is_missing_and_none_is_new():
    assert WORDS == EXPECTED


@pytest.mark.parametrize(("word", "retryable"), EXPECTED.items())
def test_a_failure_is_retryable_as_its_word_says(word, retryable):
    result = Failure(word, "what, why, what next").as_result()
    assert (result["error"], result["retryable"], result["msg"]) == (word, retryable, "what, why, what next")


def test_an_unknown_word_reads_as_other():
    assert Failure("brand_new", "x").error == "other"


def test_retryable_may_be_told():
    assert Failure("other", "x", retryable=True).as_result()["retryable"] is True
    assert Failure("locked", "x", retryable=False).as_result()["retryable"] is False


def test_every_failure_has_the_same_keys():
    assert Failure("other", "x").as_result() == {
        "msg": "x", "error": "other", "reason": None, "retryable": False, "rc": None, "msgid": None, "cmd": [], "stderr": "",
    }


def test_all_that_is_known_is_told():
    failure = Failure(
        "unreachable", "x", rc=81, msgid="ConnectionClosed", cmd=("borg", "list"), stderr="said", reason="refused", host="h"
    )
    assert failure.as_result() == {
        "msg": "x", "error": "unreachable", "reason": "refused", "retryable": True, "rc": 81, "msgid": "ConnectionClosed",
        "cmd": ["borg", "list"], "stderr": "said", "host": "h",
    }
    assert str(failure) == "x"


def test_a_detail_never_hides_what_every_failure_tells():
    failure = Failure("other", "x")
    failure.details["error"] = failure.details["msg"] = "other words"
    assert (failure.as_result()["error"], failure.as_result()["msg"]) == ("other", "x")
