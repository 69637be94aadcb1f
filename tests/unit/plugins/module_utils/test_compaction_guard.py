# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _compaction_guard
from ansible_collections.fleetbackup.borg.plugins.module_utils._compaction_guard import MANIFEST, REFUSED, SAID

# What stands before and behind it in an answer must not complete a part of it by chance.
LIST = b"<" + os.urandom(300_000) + b">"
#: As borg's protocol spells it. Source: msgpack of ``{b'i': 7, b'm': 'commit', b'a': {…}}``, 1.2.4 and 1.4.0.
COMMIT = b"\x83\xa1i\x07\xa1m\xa6commit\xa1a\x80"
#: It answers the first byte that it gets with the list, and notes all that it gets.
SERVER = """
import os, sys
os.read(0, 1)
with open(sys.argv[1], "rb") as file:
    sys.stdout.buffer.write(b"before" + file.read() + b"after")
sys.stdout.flush()
with open(sys.argv[2], "wb", buffering=0) as file:
    while data := os.read(0, 1000):
        file.write(data)
sys.exit(7)
"""


class Session:
    """The guard between a client and a server."""

    def __init__(self, directory, answer):
        (directory / MANIFEST).write_bytes(LIST)
        (directory / "answer").write_bytes(answer)
        self.got, self.refused, self.answer = directory / "got", directory / REFUSED, b"before" + answer + b"after"
        server = [sys.executable, "-c", SERVER, str(directory / "answer"), str(self.got)]
        command = [sys.executable, "-I", _compaction_guard.__file__, str(directory), *server]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def ask(self):
        """What it answers."""
        self.process.stdin.write(b"?")
        answer = b""
        while len(answer) < len(self.answer):
            answer += self.process.stdout.read(65536)
        return answer

    def end(self):
        self.process.stdin.close()
        rest = self.process.stdout.read()
        return self.process.wait(20), rest


@pytest.fixture(name="session")
def fixture_session(tmp_path):
    return lambda answer=LIST: Session(tmp_path, answer)


def test_all_passes_both_ways_where_the_list_is_the_one_that_was_judged(session):
    running = session()
    assert running.ask() == running.answer
    said = COMMIT + os.urandom(500_000)
    running.process.stdin.write(said)
    assert running.end() == (7, b"")
    assert running.got.read_bytes() == said and not running.refused.exists()


@pytest.mark.parametrize(
    "answer", [b"", LIST[:-1], LIST[:-1] + bytes([LIST[-1] ^ 1]), LIST[1:]], ids=["nothing", "cut", "other", "without its beginning"]
)
@pytest.mark.parametrize("cut", [0, 5, 8])
def test_nothing_is_committed_where_it_is_another_one(session, answer, cut):
    running = session(answer)
    assert running.ask() == running.answer
    running.process.stdin.write(b"put" + COMMIT[:cut])
    while not running.got.exists() or not running.got.read_bytes():
        time.sleep(0.01)
    running.process.stdin.write(COMMIT[cut:])
    assert running.end() == (1, b"")
    assert b"commit" not in running.got.read_bytes() and running.refused.exists()


def test_what_commits_nothing_passes(session):
    running = session(b"another")
    assert running.ask() == running.answer
    running.process.stdin.write(b"a path such as /srv/commit")
    assert running.end() == (7, b"") and not running.refused.exists()


def test_a_server_that_ends_is_no_reason_to_wait(tmp_path):
    (tmp_path / MANIFEST).write_bytes(LIST)
    command = [sys.executable, "-I", _compaction_guard.__file__, str(tmp_path), "false"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.read() == b""
        process.stdin.close()
        assert process.wait(20) == 1


def test_what_the_server_says_late_is_noted_and_what_it_says_in_time_is_passed_on(tmp_path):
    (tmp_path / MANIFEST).write_bytes(LIST)
    words = "echo early >&2; echo answer; cat > /dev/null; sleep 0.3; printf '\\377 late\\n' >&2"
    command = [sys.executable, "-I", _compaction_guard.__file__, str(tmp_path), "sh", "-c", words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        # as borg does: it hears what came with the answer, and closes its ears
        assert process.stdout.readline() == b"answer\n" and process.stderr.readline() == b"early\n"
        process.stderr.close()
        process.stdin.close()
        assert process.wait(20) == 0
    assert (tmp_path / SAID).read_bytes() == b"early\n\xff late\n"


def test_one_that_stays_behind_is_not_waited_for(tmp_path):
    """As the master of ssh's shared connections does."""
    (tmp_path / MANIFEST).write_bytes(LIST)
    began = time.monotonic()
    command = [sys.executable, "-I", _compaction_guard.__file__, str(tmp_path), "sh", "-c", "sleep 20 >/dev/null </dev/null & echo gone >&2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.close()
        assert process.wait(15) == 0
    assert time.monotonic() - began < 15 and (tmp_path / SAID).read_bytes() == b"gone\n"
