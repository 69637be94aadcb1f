# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _run_log
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import Completed
from ansible_collections.fleetbackup.borg.plugins.module_utils._run_log import Scrubber, entries, without_likely_secrets

CANARY = "canary-77aa12"


@pytest.mark.parametrize(
    "line",
    [
        f"Command 'curl -s --user me:{CANARY} http://localhost:1' returned non-zero exit status 127.",
        f"Command 'sh -c \"x {CANARY}\"' returned non-zero exit status 7.",
        f"https://me:{CANARY}@example.org/ping failed",
        f"using --password {CANARY} now",
        f"PGPASSWORD={CANARY} pg_dump",
        f"token: {CANARY}",
        f"'api_key': '{CANARY}'",
        f"curl -u me:{CANARY} https://example.org",
        f"Authorization: Bearer {CANARY}",
        f'passphrase = "{CANARY} and more"',
    ],
)
def test_what_looks_like_a_secret_is_hidden(line):
    assert CANARY not in without_likely_secrets(line)


@pytest.mark.parametrize(
    "line",
    [
        "passphrase supplied in BORG_PASSPHRASE, by BORG_PASSCOMMAND or via BORG_PASSPHRASE_FD is incorrect.",
        "can not acquire a passphrase: BORG_PASSPHRASE is not set."[:29],
        "Command 'borg create --info /srv/x::{hostname}' returned non-zero exit status 52.",
        "Failed to create/acquire the lock /srv/x/lock.exclusive (timeout).",
        'Creating archive at "ssh://borg@backup1/./x::host-2026-11-21T11:50:45"',
        "summary:",
    ],
)
def test_what_does_not_stays(line):
    assert without_likely_secrets(line) == line


def test_a_hooks_program_stays():
    line = without_likely_secrets(f"l: Command '/usr/bin/curl {CANARY}' returned non-zero exit status 22.")
    assert line == "l: Command '/usr/bin/curl …' returned non-zero exit status 22."


def test_what_the_configurations_hide_is_hidden(tmp_path):
    first, second = tmp_path / "a b.yaml", tmp_path / "second.yaml"
    first.write_text(f"repositories: [{{path: /srv/x}}]\nencryption_passphrase: {CANARY}\n")
    second.write_text("repositories: [{path: /srv/x}]\nencryption_passphrase: another one\n")
    words = ["flock", "borgmatic", "--config", str(first), "--config", str(second), "--config", "/nowhere", "create"]
    assert _run_log.configurations(words) == [str(first), str(second), "/nowhere"]
    lines = Scrubber(words).lines([f"hook says {CANARY}", "and another one", "done"])
    assert lines == ("hook says (hidden)", "and (hidden)", "done")


def test_the_journals_entries(monkeypatch):
    said = [
        {"__REALTIME_TIMESTAMP": "1795261837218026", "MESSAGE": "hello ", "PRIORITY": "6"},
        {"__REALTIME_TIMESTAMP": "1795261838000000", "MESSAGE": [104, 105, 255], "PRIORITY": "3"},
        {"__REALTIME_TIMESTAMP": "1795261839000000", "MESSAGE": None},
    ]
    calls = []

    def run(argv, **how):
        calls.append(argv)
        return Completed(tuple(argv), 0, "\n".join([*map(json.dumps, said), "no JSON"]), "")

    monkeypatch.setattr(_run_log, "run", run)
    monkeypatch.setattr(_run_log, "find_program", lambda name: f"/usr/bin/{name}")
    found = entries("A=1", "+", "B=2", since=12.5)
    assert [(entry.text, entry.is_error) for entry in found] == [("hello", False), ("hi\ufffd", True)]
    assert found[0].moment == 1795261837.218026
    assert calls[0][-4:] == ["--since=@12.500000", "A=1", "+", "B=2"]


def test_without_a_journal_there_are_none(monkeypatch):
    monkeypatch.setattr(_run_log, "find_program", lambda name: None)
    assert entries("A=1") == []


@pytest.mark.parametrize(("command", "words"), [("a 'b c' \"d\"", ["a", "b c", "d"]), ("a 'b", [])])
def test_words(command, words):
    assert _run_log.words_of(command) == words


def test_where_in_borgmatic_it_broke_helps_nobody():
    said = [
        "Need some help? https://torsion.org/borgmatic/#issues",
        "Exception ignored in: <function _TemporaryFileCloser.__del__ at 0x7efcc11dff60>",
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3.11/tempfile.py", line 605, in __del__',
        "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/borgmatic-x/borgmatic/tmpq'",
    ]
    assert Scrubber([]).lines(said) == (said[0], said[-1])
