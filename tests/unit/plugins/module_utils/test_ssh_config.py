# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._known_hosts import parse_servers
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_config import check_path, render_config


@pytest.fixture(name="asked")
def fixture_asked(tmp_path):
    """What ssh itself makes of the configuration for some servers."""

    def ask(servers, *arguments, identity="/a key/100%", known_hosts="/pinned hosts/50%"):
        path = tmp_path / "config"
        path.write_text(render_config("# header\n", parse_servers(servers, identity), known_hosts))
        done = subprocess.run(
            ["ssh", "-G", "-F", path, *arguments], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin"}
        )
        settings = {}
        for line in done.stdout.splitlines():
            name, _blank, value = line.partition(" ")
            settings.setdefault(name, []).append(value.replace("%%", "%"))  # releases differ in what they expand
        return settings

    return ask


@pytest.mark.parametrize("host", ["backup", "2001:db8::1", "192.0.2.1", "unlisted"])
def test_ssh_trusts_nobody_and_asks_nothing(asked, host):
    settings = asked([{"host": "backup"}, {"host": "2001:db8::1"}, {"host": "192.0.2.1"}], host)
    for name, value in {
        "identitiesonly": "yes",
        "userknownhostsfile": "/pinned hosts/50%",
        "globalknownhostsfile": "/dev/null",
        "stricthostkeychecking": "true",
        "updatehostkeys": "false",
        "batchmode": "yes",
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "no",
        "forwardagent": "no",
        "forwardx11": "no",
        "connecttimeout": "30",
        "serveraliveinterval": "30",
        "serveralivecountmax": "10",
    }.items():
        assert settings[name] == [value], name
    assert (settings["identityfile"] == ["/a key/100%"]) == (host != "unlisted")


def test_a_port_counts_where_the_location_has_none(asked):
    assert asked([{"host": "backup", "port": 2222}], "backup")["port"] == ["2222"]
    assert asked([{"host": "backup", "port": 2222}], "-p", "22", "backup")["port"] == ["22"]
    assert asked([{"host": "backup", "port": 2222}, {"host": "backup"}], "backup")["port"] == ["22"]


TWO = [{"host": "backup", "identity_file": "/one"}, {"host": "backup", "port": 2222, "identity_file": "/two", "hostname": "192.0.2.1"}]


@pytest.mark.parametrize(
    ("arguments", "identity", "hostname", "alias"),
    [
        (["backup"], "/one", "backup", None),
        (["-p", "22", "backup"], "/one", "backup", None),
        (["-p", "2222", "borg@backup"], "/two", "192.0.2.1", ["[backup]:2222"]),
    ],
)
def test_two_ports_of_one_host_are_told_apart(asked, arguments, identity, hostname, alias):
    settings = asked(TWO, *arguments)
    assert settings["identityfile"] == [identity]
    assert settings["hostname"] == [hostname]
    assert settings.get("hostkeyalias") == alias


def test_nothing_is_run_where_the_port_makes_no_difference():
    text = render_config("", parse_servers([{"host": "b"}, {"host": "b", "port": 2222}], "/key"), "/known")
    assert "exec" not in text
    assert text.count("Host b\n") == 1


def test_the_order_of_the_servers_makes_no_difference():
    servers = [*TWO, {"host": "another"}]
    assert render_config("", parse_servers(servers, "/key"), "/known") == render_config("", parse_servers(servers[::-1], "/key"), "/known")


def test_one_host_is_spelt_one_way():
    with pytest.raises(Failure, match="two ways"):
        render_config("", parse_servers([{"host": "b"}, {"host": "B", "port": 2222}], "/key"), "/known")


@pytest.mark.parametrize("path", ["relative", "~/x", "", '/a"b', "/a\\b", "/a\nb", "/a\0b", "/${HOME}/x"])
def test_a_path_that_ssh_would_read_otherwise_is_refused(path):
    with pytest.raises(Failure) as caught:
        check_path("config", path)
    assert caught.value.error == "invalid_argument"


@pytest.mark.parametrize("path", ["/a", "/a b/ä", "/50%/%h", "/a'b", "/$HOME", "/a#b"])
def test_other_paths_are_what_they_are(asked, path):
    assert check_path("config", path) == path
    assert asked([{"host": "b"}], "b", identity=path)["identityfile"] == [path]
