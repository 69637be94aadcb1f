# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._known_hosts import parse_servers, read_pinned, render_pinned


def key(number):
    data = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + bytes([number]) * 32
    return "ssh-ed25519 " + base64.b64encode(data).decode()


ONE, TWO = key(1), key(2)


def pinned_of(server):
    return [key.bare for key in parse_servers([server], "/key")[0].host_keys]


def refuse(*servers):
    with pytest.raises(Failure) as caught:
        parse_servers(servers, "/key")
    assert caught.value.error == "invalid_argument"
    return caught.value.msg


@pytest.mark.parametrize(
    ("host", "port", "known_as"),
    [
        ("backup.example.org", 22, "backup.example.org"),
        ("Backup", 22, "backup"),
        ("Backup", 2222, "[backup]:2222"),
        ("192.0.2.1", None, "192.0.2.1"),
        ("2001:db8::1", 22, "2001:db8::1"),
        ("2001:DB8::1", 2222, "[2001:db8::1]:2222"),
        ("my_host", 22, "my_host"),
    ],
)
def test_a_server_is_known_as_ssh_looks_it_up(host, port, known_as):
    server = parse_servers([{"host": host, "port": port}], "/key")[0]
    assert server.known_as == known_as
    assert (server.host, server.identity_file, server.host_keys, server.hostname) == (host, "/key", (), None)


HOSTS = ["", " ", "-x", "-oProxyCommand=x", "a b", "a\tb", "*", "a*", "a?", "!a", "a%h", "a\n", "a\nb", "[::1]", "a:22", "::g", "a,b", "a/b", "é",
         "a\0", '"a"', "{hostname}", "fe80::1%eth0", "#a", ".a", "a" * 256]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("parameter", ["host", "hostname"])
def test_what_ssh_could_take_for_something_else_is_refused(parameter, host):
    assert "for example" in refuse({"host": "a", parameter: host})


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_is_one(port):
    refuse({"host": "a", "port": port})


@pytest.mark.parametrize(
    ("lines", "pinned"),
    [
        (None, []),
        ([], []),
        ([""], []),
        ([ONE], [ONE]),
        ([f"{ONE} root@backup"], [ONE]),
        ([f"  {ONE}  "], [ONE]),
        ([f"{ONE}\n{TWO}\n"], [ONE, TWO]),
        ([TWO, ONE], [ONE, TWO]),
        ([ONE, f"{ONE} again"], [ONE]),
        (["# backup:22 SSH-2.0-OpenSSH_9.2p1", f"backup {ONE}"], [ONE]),
        ([f"Backup {ONE} comment"], [ONE]),
        ([f"[backup]:2222 {ONE}"], [ONE]),
        ([f"192.0.2.1 {ONE}"], [ONE]),
        ([f"[192.0.2.1]:2222 {ONE}"], [ONE]),
        ([f"other,backup {ONE}"], [ONE]),
    ],
)
def test_host_keys_are_read_as_they_come(lines, pinned):
    assert pinned_of({"host": "backup", "port": 2222, "hostname": "192.0.2.1", "host_keys": lines}) == pinned


@pytest.mark.parametrize(
    "text",
    [
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "canary",
        "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary",
        f"other {ONE}",
        f"[backup]:22 {ONE}",
        f"*.example.org {ONE}",
        f"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {ONE}",
        f"@cert-authority backup {ONE}",
        f"@revoked backup {ONE}",
        f"backup extra {ONE}",
        f"{ONE}\ncanary",
    ],
)
def test_what_is_no_host_key_of_this_host_is_refused(text):
    assert "canary" not in refuse({"host": "backup", "port": 2222, "host_keys": [text]})


def test_the_same_twice_is_once():
    assert len(parse_servers([{"host": "a"}, {"host": "a", "port": 22, "host_keys": None, "identity_file": "/key"}], "/key")) == 1


@pytest.mark.parametrize("other", [{"host_keys": [ONE]}, {"identity_file": "/other"}, {"hostname": "b"}, {"host": "A"}])
def test_one_server_cannot_be_given_in_two_ways(other):
    assert "twice" in refuse({"host": "a"}, {"host": "a", **other})


def test_what_is_written_is_read_again():
    pinned = {
        server.known_as: server.host_keys
        for server in parse_servers(
            [{"host": "b", "host_keys": [ONE, TWO]}, {"host": "a", "port": 2222, "host_keys": [TWO]}, {"host": "none"}], "/key"
        )
    }
    text = render_pinned("# header\n", pinned)
    assert text == f"# header\n[a]:2222 {TWO}\nb {ONE}\nb {TWO}\n"
    assert read_pinned(text) == {name: keys for name, keys in pinned.items() if keys}


@pytest.mark.parametrize("line", ["", "b", "b ssh-ed25519", "# b", f"@revoked b {ONE}", "\0"])
def test_a_line_that_only_a_human_can_have_written_does_not_count(line):
    assert list(read_pinned(f"{line}\nb {ONE}\n")) == ["b"]
