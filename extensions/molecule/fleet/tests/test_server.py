# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the server lets its clients do, and what it keeps for itself."""

from __future__ import annotations

import configparser
import re

import pytest

CLIENTS = ("client1", "client2", "client3")
POOL = "/srv/borg"
LOCKED = re.compile(
    r'command="env BORG_HOST_ID=fleetbackup-backup1 borg serve --umask=077 --append-only --restrict-to-repository /srv/borg/(?P<directory>\S+)",'
    r"restrict ssh-ed25519 (?P<key>\S+) fleetbackup:(?P<client>\S+)"
)

testinfra_hosts = ["ansible://backup1"]


def test_each_client_has_one_locked_line(host) -> None:
    lines = [line for line in host.file(f"{POOL}/.ssh/authorized_keys").content_string.splitlines() if not line.startswith("#")]
    locked = [LOCKED.fullmatch(line) for line in lines]
    assert all(locked), lines
    assert sorted((line["client"], line["directory"]) for line in locked) == [(client, client) for client in CLIENTS]
    assert len({line["key"] for line in locked}) == len(CLIENTS)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_repository_leaves_space_free(host, client: str) -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string(host.file(f"{POOL}/{client}/config").content_string)
    assert settings["repository"]["additional_free_space"] == "2000000000"


def test_the_account_has_no_password(host) -> None:
    assert host.check_output("getent shadow borg").split(":")[1] == "*"
