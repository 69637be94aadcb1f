# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client whose machine is gone loses its access, and so does whoever uses it just then; its repository stays until its id is given, and the
other client keeps everything until it is retired too."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

testinfra_hosts = ["ansible://backup1"]

POOL = Path("/srv/borg")


class Rest(NamedTuple):
    """What is left when the machine of client2 is gone.

    :ivar inventory: the inventory without it.
    :ivar key: a copy of its private key, in whosever hands.
    :ivar empty: an inventory without any client.
    """

    inventory: Path
    key: Path
    empty: Path

    def play(self, playbook: str, *arguments: str, inventory: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = ["ansible-playbook", "--inventory", str(inventory or self.inventory), f"fleetbackup.borg.{playbook}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def log_in(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.way(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def way(self, *options: str) -> list[str]:
        """How whoever has the key gets to the server."""
        return ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(self.key), *options, "borg@backup1"]


@pytest.fixture(scope="module")
def rest(host, tmp_path_factory) -> Rest:
    """Take client2 away, its key excepted."""
    directory = tmp_path_factory.mktemp("rest")
    left = Rest(directory / "hosts.yml", directory / "key", directory / "empty.yml")
    inventory = Path("inventory/hosts.yml").read_text(encoding="utf-8")
    assert inventory.count("    client2:\n") == 1
    left.inventory.write_text(inventory.replace("    client2:\n", ""), encoding="utf-8")
    left.empty.write_text(inventory.replace("    client2:\n", "").replace("    client1:\n", ""), encoding="utf-8")
    left.key.touch(mode=0o600)
    client = host.get_host("ansible://client2", ansible_inventory="inventory")
    left.key.write_text(client.file("/root/.ssh/fleetbackup_ed25519").content_string, encoding="utf-8")
    before = left.log_in()
    assert before.returncode != 255, before.stderr
    subprocess.run(["docker", "kill", f"{os.environ['LAB_NAME']}-client2"], check=True)
    return left


class Held(NamedTuple):
    """What whoever has the key does when client2 is retired.

    :ivar session: borg serves it, and waits for what it wants.
    :ivar connection: kept open so that further sessions can begin over it.
    """

    session: subprocess.Popen[bytes]
    connection: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def held(host, rest: Rest) -> Iterator[Held]:
    """Both are there, the connection long enough to be idle."""
    session = subprocess.Popen(rest.way(), stdin=subprocess.PIPE)
    socket = str(rest.key.with_name("socket"))
    connection = subprocess.Popen(rest.way("-M", "-N", "-S", socket))
    time.sleep(12)
    assert serving(host, "client2") and session.poll() is None and connection.poll() is None
    yield Held(session, connection)
    for process in (session, connection):
        process.kill()


def serving(host, client: str) -> list[str]:
    """The processes that serve a client."""
    found = host.run(f"pgrep --uid borg --full -- '/borg serve .*--restrict-to-repository {POOL}/{client}$'")
    assert found.rc in (0, 1), found.stderr
    return found.stdout.split()


def test_what_serves_a_client_signs_locks_with_the_id_of_the_server(host, held: Held) -> None:
    (process,) = serving(host, "client2")
    assert "BORG_HOST_ID=fleetbackup-backup1" in host.check_output(f"tr '\\0' '\\n' < /proc/{process}/environ").splitlines()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "Give fleetbackup_host"),
        ({"fleetbackup_repository": "client2"}, "all 64 digits"),
        ({"fleetbackup_repository": "client2", "fleetbackup_repository_id": ("client2", 63)}, "all 64 digits"),
        ({"fleetbackup_repository": "client2", "fleetbackup_repository_id": ("client1", 64)}, "confirm_id"),
        ({"fleetbackup_repository_id": ("client2", 64)}, "its path below the pool"),
        ({"fleetbackup_repository": "../borg/client2", "fleetbackup_repository_id": ("client2", 64)}, "its path below the pool"),
    ],
)
def test_what_is_not_meant_is_refused_and_changes_nothing(host, rest: Rest, said: dict[str, Any], reason: str) -> None:
    before = host.file(f"{POOL}/.ssh/authorized_keys").content_string
    variables = {"fleetbackup_host": "client2", **said} if said else {}
    for name, value in variables.items():
        if isinstance(value, tuple):
            variables[name] = identifier(host, value[0])[: value[1]]
    ran = rest.play("retire_host", "--extra-vars", json.dumps(variables))
    assert ran.returncode == 2 and reason in ran.stdout + ran.stderr, ran.stdout + ran.stderr
    assert host.file(f"{POOL}/.ssh/authorized_keys").content_string == before
    assert host.file(f"{POOL}/client1/data").is_directory and host.file(f"{POOL}/client2/data").is_directory


@pytest.fixture(scope="module")
def retired(rest: Rest, held: Held) -> Rest:
    """Run the playbook for client2, with an inventory that knows nobody else."""
    ran = rest.play("retire_host", "--extra-vars", "fleetbackup_host=client2 fleetbackup_clients=no_such_group")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return rest


def test_its_key_opens_nothing_any_more(retired: Rest) -> None:
    after = retired.log_in()
    assert after.returncode == 255 and "Permission denied" in after.stderr, after.stderr


def test_what_it_was_doing_ends(host, held: Held, retired: Rest) -> None:
    assert held.session.wait(30) and held.connection.wait(30)
    assert not serving(host, "client2")


def test_only_the_other_is_let_in(host, retired: Rest) -> None:
    assert re.findall(r" fleetbackup:(\S+)$", host.file(f"{POOL}/.ssh/authorized_keys").content_string, re.MULTILINE) == ["client1"]


def test_the_other_still_backs_up(host, retired: Rest) -> None:
    client = host.get_host("ansible://client1", ansible_inventory="inventory")
    started = client.run("systemctl start fleetbackup-system-backup.service")
    assert started.rc == 0, client.run("journalctl --no-pager --unit fleetbackup-system-backup").stdout


def test_the_fleet_without_it_needs_no_change(retired: Rest) -> None:
    ran = retired.play("site")
    assert ran.returncode == 0 and set(re.findall(r" changed=(\d+) ", ran.stdout)) == {"0"}, ran.stdout + ran.stderr
    assert "client2" not in ran.stdout


def test_its_repository_stays(host, retired: Rest) -> None:
    assert host.file(f"{POOL}/client2/data").is_directory


def test_its_repository_goes_with_its_own_id_only(host, retired: Rest) -> None:
    def remove(identifier: str) -> int:
        said = f"fleetbackup_host=client2 fleetbackup_repository=client2 fleetbackup_repository_id={identifier}"
        return retired.play("retire_host", "--extra-vars", said).returncode

    assert remove(identifier(host, "client1")) != 0
    assert host.file(f"{POOL}/client2/data").is_directory
    assert remove(identifier(host, "client2")) == 0
    assert not host.file(f"{POOL}/client2").exists
    assert host.file(f"{POOL}/client1/data").is_directory


def test_the_last_one_is_retired(host, retired: Rest) -> None:
    ran = retired.play("retire_host", "--extra-vars", "fleetbackup_host=client1", inventory=retired.empty)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "fleetbackup:" not in host.file(f"{POOL}/.ssh/authorized_keys").content_string
    assert host.file(f"{POOL}/client1/data").is_directory
    for inventory in (retired.empty, retired.inventory):
        again = retired.play("retire_host", "--extra-vars", "fleetbackup_host=client1", inventory=inventory)
        assert again.returncode == 0 and " changed=0 " in again.stdout, again.stdout + again.stderr


def identifier(host, client: str) -> str:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string(host.file(f"{POOL}/{client}/config").content_string)
    return settings["repository"]["id"]
