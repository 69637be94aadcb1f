# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _process, _transport
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import WORDS, Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location

#: What ssh of Debian 12 and 13 says, and what it means.
SAID = [
    ("ssh: Could not resolve hostname nowhere.invalid: Name or service not known", "unreachable", "name"),
    ("ssh: Could not resolve hostname nowhere: Temporary failure in name resolution", "unreachable", "name"),
    ("Host key verification failed.", "host_key", "unpinned"),
    ("No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.", "host_key", "unpinned"),
    ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "host_key", "changed"),
    ("borg@h: Permission denied (publickey,password).", "auth", None),
    ("Received disconnect from h port 22:2: Too many authentication failures", "auth", None),
    ("ssh: connect to host h port 22: Connection refused", "unreachable", "refused"),
    ("ssh: connect to host h port 22: Connection timed out", "unreachable", "timeout"),
    ("ssh: connect to host h port 22: No route to host", "unreachable", "timeout"),
    ("ssh: connect to host h port 22: Network is unreachable", "unreachable", "timeout"),
    ("bash: line 1: borg: command not found", "borg_missing", None),
    ("sh: 1: borg: not found", "borg_missing", None),
    ("bash: line 1: /opt/borg: No such file or directory", "borg_missing", None),
    ("Timeout, server 192.0.2.1 not responding.", "unreachable", "timeout"),
    ("Not allowed at this time", "unreachable", "closed"),
    ("kex_exchange_identification: read: Connection reset by peer", "unreachable", "closed"),
    ("Can't open user config file /nowhere: No such file or directory", "invalid_argument", "unconfigured"),
    ("/etc/x: line 1: Bad configuration option: nonsense\n/etc/x: terminating, 1 bad configuration options", "invalid_argument", None),
    ("Warning: Identity file /k not accessible: No such file or directory.\nb@h: Permission denied (publickey).", "auth", None),
    ("no such identity: /k: No such file or directory\nConnection closed by 192.0.2.1 port 22", "unreachable", "lost"),
    ("Got unexpected RPC data format from server:\nhello", "not_allowed", None),
    ("Connection closed by 192.0.2.1 port 22", "unreachable", "lost"),
    ("", "unreachable", "lost"),
]


@pytest.fixture(name="asked")
def fixture_asked(monkeypatch):
    """What ssh was asked, and a way to let it answer."""

    class Asked:
        calls: list[list[str]] = []
        answer = ""
        failure = None

    asked = Asked()
    asked.calls = []

    def run(argv, **how):
        asked.calls.append(list(argv))
        failure = asked.failure
        if failure is not None:
            raise failure
        return _process.Completed(tuple(argv), 255, "", asked.answer)

    monkeypatch.setattr(_process, "run", run)
    return asked


def diagnose(said, location="ssh://borg@h:2222/./x", rsh="ssh -o BatchMode=yes"):
    return _transport.diagnose(Location.parse(location), rsh, "borg", said)


@pytest.mark.parametrize(("text", "error", "reason"), SAID)
def test_what_borg_passed_on_is_enough(asked, text, error, reason):
    diagnosis = diagnose(f"Remote: {text}")
    assert (diagnosis.error, diagnosis.reason) == (error, reason)
    assert diagnosis.error in WORDS
    assert len(diagnosis.advice) > 20


@pytest.mark.parametrize(("text", "error", "reason"), SAID)
def test_where_borg_passed_nothing_on_ssh_is_asked_once(asked, text, error, reason):
    asked.answer = f"OpenSSH_9.2p1\ndebug1: Connecting to h\n{text}\n"
    diagnosis = diagnose("Connection closed by remote host. Is borg working on the server?")
    assert (diagnosis.error, diagnosis.reason) == (error, reason)
    assert len(asked.calls) == 1


def test_what_ssh_tells_for_debugging_is_no_cause(asked):
    asked.answer = (
        "debug1: load_hostkeys: fopen /root/.ssh/known_hosts2: No such file or directory\n"
        "debug1: identity file /root/.ssh/id_rsa type -1\n"
        "debug1: Connection refused by nobody\n"
        "Connection closed by 192.0.2.1 port 22\n"
    )
    assert diagnose("").reason == "lost"


KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIHzJ2pQo7r6hX1gG6nXJqk8bVXcU0x0s9Xn1u7w9s2vL"


def test_a_changed_host_key_is_told_with_the_one_that_is_expected(asked, tmp_path):
    known = tmp_path / "known hosts"
    known.write_text(f"# comment\nh ssh-ed25519 {KEY} comment\n")
    asked.answer = (
        "debug1: Server host key: ssh-ed25519 SHA256:shown\n"
        "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
        f"Offending ED25519 key in {known}:2\n"
        "Host key verification failed.\n"
    )
    diagnosis = diagnose("Remote: Host key verification failed.")
    expected = "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(KEY)).digest()).decode().rstrip("=")
    assert diagnosis.error == "host_key"
    assert "It shows the host key ssh-ed25519 SHA256:shown; " in diagnosis.advice
    assert f"expected is ssh-ed25519 {expected} ({known} line 2)" in diagnosis.advice


@pytest.mark.parametrize("line", ["", "@revoked h ssh-ed25519 AAAA", "h", "h ssh-ed25519 no*base64"])
def test_a_pinned_key_that_cannot_be_read_breaks_nothing(asked, tmp_path, line):
    known = tmp_path / "known_hosts"
    known.write_text(line)
    asked.answer = f"REMOTE HOST IDENTIFICATION HAS CHANGED!\nOffending ED25519 key in {known}:1\n"
    assert "expected is " in diagnose("").advice


def test_an_unknown_host_is_told_with_the_key_that_it_shows(asked):
    asked.answer = "debug1: Server host key: ssh-ed25519 SHA256:shown\nHost key verification failed.\n"
    diagnosis = diagnose("")
    assert diagnosis.error == "host_key"
    assert "It shows the host key ssh-ed25519 SHA256:shown, and none is pinned" in diagnosis.advice


def test_ssh_is_asked_in_the_same_way_as_borg_asks_it(asked):
    diagnose("", rsh="ssh -i '/a key' -F none")
    assert asked.calls[0][:6] == ["ssh", "-o", "ConnectTimeout=10", "-i", "/a key", "-F"]
    assert asked.calls[0][-5:] == ["-p", "2222", "borg@h", "borg", "--version"]


def test_an_address_loses_its_brackets_and_a_user_may_be_missing(asked):
    diagnose("", location="ssh://[::1]/./x")
    assert asked.calls[0][-3:] == ["::1", "borg", "--version"]


def test_a_probe_that_does_not_end_is_a_time_out(asked):
    asked.failure = Failure("timeout", "ssh did not end")
    assert diagnose("").reason == "timeout"


def test_a_remote_shell_that_is_not_there_is_told(asked):
    asked.failure = Failure("borg_missing", "The program no-ssh does not exist. Install it.")
    assert diagnose("", rsh="no-ssh").error == "unreachable"
