# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client whose machine is gone loses its access; its repository stays until its id is given, and the other client keeps everything."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

testinfra_hosts = ["ansible://backup1"]

POOL = Path("/srv/borg")


class Rest(NamedTuple):
    """What is left when the machine of client2 is gone.

    :ivar inventory: the inventory without it.
    :ivar key: a copy of its private key, in whosever hands.
    """

    inventory: Path
    key: Path

    def play(self, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ansible-playbook", "--inventory", str(self.inventory), f"fleetbackup.borg.{playbook}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def log_in(self) -> subprocess.CompletedProcess[str]:
        command = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(self.key), "borg@backup1"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def rest(host, tmp_path_factory) -> Rest:
    """Take client2 away, its key excepted."""
    directory = tmp_path_factory.mktemp("rest")
    left = Rest(directory / "hosts.yml", directory / "key")
    inventory = Path("inventory/hosts.yml").read_text(encoding="utf-8")
    assert inventory.count("    client2:\n") == 1
    left.inventory.write_text(inventory.replace("    client2:\n", ""), encoding="utf-8")
    left.key.touch(mode=0o600)
    client = host.get_host("ansible://client2", ansible_inventory="inventory")
    left.key.write_text(client.file("/root/.ssh/fleetbackup_ed25519").content_string, encoding="utf-8")
    before = left.log_in()
    assert before.returncode != 255, before.stderr
    subprocess.run(["docker", "kill", f"{os.environ['LAB_NAME']}-client2"], check=True)
    return left


@pytest.fixture(scope="module")
def retired(rest: Rest) -> Rest:
    """Run the playbook for client2."""
    ran = rest.play("retire_host", "--extra-vars", "fleetbackup_host=client2")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return rest


def test_its_key_opens_nothing_any_more(retired: Rest) -> None:
    after = retired.log_in()
    assert after.returncode == 255 and "Permission denied" in after.stderr, after.stderr


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


def identifier(host, client: str) -> str:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string(host.file(f"{POOL}/{client}/config").content_string)
    return settings["repository"]["id"]
