# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _run_causes
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._causes import MSGIDS, VAGUE, classify
from ansible_collections.fleetbackup.borg.plugins.module_utils._run import Run
from ansible_collections.fleetbackup.borg.plugins.module_utils._run_causes import explain, failure

#: What no scheduled run does.
NOT_SCHEDULED = {
    *("init_exists", "init_in_folder", "init_without_parent", "init_denied", "import_garbage", "import_of_another"),
    *("export_unencrypted", "archive_absent", "nothing_to_keep", "usage"),
}


def borgmatic(*said, status=2, command="borg create --info /srv/x::{hostname}"):
    """The log of a run whose borg said this."""
    ended = f"Command '{command}' returned non-zero exit status {status}."
    return [
        "local: Creating archive",
        *said,
        "local: Error running actions for repository",
        f"local: {ended}",
        "/etc/borgmatic.d/system.yaml: An error occurred",
        "summary:",
        "An error occurred",
        "Error running actions for repository",
        *said,
        ended,
        "Need some help? https://torsion.org/borgmatic/#issues",
    ]


def test_borgs_words_mean_what_its_message_ids_mean(recorded):
    """Whatever borg says with a message id, borgmatic passes on without it."""
    checked = set()
    for name, recording in recorded.items():
        log = Log(recording["stderr"])
        message = log.failure()
        if recording["rc"] in (0, 1) or name in NOT_SCHEDULED or message is None or message.msgid in (None, *VAGUE):
            continue
        if not {message.msgid, message.msgid.rpartition(".")[2]} & MSGIDS.keys():
            continue
        wanted = classify(recording["rc"], message.msgid, log.complaints()).error
        explained = explain(borgmatic(*message.text.splitlines()), 1)
        if wanted == "unreachable":
            assert explained.error in ("unreachable", "host_key", "auth", "borg_missing", "not_allowed"), name
        else:
            assert explained.error == wanted, name
            assert explained.line, name
        checked.add(wanted)
    assert {"locked", "wrong_passphrase", "quota", "absent", "relocated", "integrity", "not_allowed"} <= checked


@pytest.mark.parametrize("status, word", [(52, "wrong_passphrase"), (73, "locked"), (20, "quota"), (13, "absent"), (99, "other")])
def test_without_words_the_status_decides(status, word):
    assert explain(borgmatic(status=status), 1).error == word


@pytest.mark.parametrize("status", [1, 100, 105, 107])
def test_a_warning_is_no_lost_backup(status):
    explained = explain(borgmatic("/etc/shadow: open: [Errno 13] Permission denied: 'shadow'", status=status), 1)
    assert explained.error == "warning"
    assert "shadow" in explained.line
    assert "archive was made" in explained.advice


@pytest.mark.parametrize("status", [1, 2, 52, 127])
def test_a_hook_is_no_borg(status):
    explained = explain(borgmatic("sh: curl: not found", status=status, command="curl …"), 1)
    assert explained.error == "other"
    assert "'curl …' returned" in explained.line
    assert "command of the configuration" in explained.advice


@pytest.mark.parametrize(
    ("said", "word", "reason"),
    [
        ("Remote: ssh: connect to host backup1 port 22: Connection refused", "unreachable", "refused"),
        ("Remote: Host key verification failed.", "host_key", None),
        ("Remote: borg@backup1: Permission denied (publickey).", "auth", None),
        ("Remote: ssh: Could not resolve hostname backup1: Name or service not known", "unreachable", "name"),
        ("something else", "unreachable", "lost"),
    ],
)
def test_ssh_is_overheard(said, word, reason):
    explained = explain(borgmatic(said, "Connection closed by remote host. Is borg working on the server?", status=81), 1)
    assert (explained.error, explained.reason) == (word, reason)
    assert explained.line == (said if "Remote" in said else "Connection closed by remote host. Is borg working on the server?")


@pytest.mark.parametrize(("code", "word"), [(137, "other"), (143, "other"), (124, "timeout")])
def test_what_was_ended_from_outside(code, word):
    assert explain(["local: Creating archive"], code).error == word


def test_nothing_was_said():
    assert explain([], None) == _run_causes.Explanation("other")


def test_the_message_says_what_why_and_where():
    said = "Failed to create/acquire the lock /srv/x/lock.exclusive (timeout)."
    runs = [
        Run("a", "systemd:1", "succeeded", 0, 1.0, 2.0),
        Run("b", "systemd:2", "failed", 1, 10.0, 13.0, log=tuple(borgmatic(said)), log_command="journalctl -u fleetbackup-b.service"),
    ]
    found = failure(runs, ["the results"])
    assert found.error == "locked" and found.retryable and found.rc == 1
    assert found.as_result()["runs"] == ["the results"]
    assert found.msg.startswith(f"b: the run failed after 3 s with exit code 1: {said} Another borg works on it.")
    assert found.msg.endswith("See: journalctl -u fleetbackup-b.service")


def test_one_that_no_retry_mends_is_enough():
    runs = [
        Run("a", "1", "failed", 1, log=tuple(borgmatic(status=73)), log_command="x"),
        Run("b", "2", "failed", 1, log=tuple(borgmatic(status=52)), log_command="y"),
    ]
    assert not failure(runs, []).retryable
