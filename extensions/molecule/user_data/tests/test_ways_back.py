# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways back of a user: one file, a look at what is mounted, and the home from the second server, with nothing but what stands in
escrow."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml
from plays import INVENTORY, MANIFEST, play

testinfra_hosts = ["ansible://desktop"]

CONFIG = "/home/ada/.config/borgmatic/user.yaml"
KEYS = "/home/ada/.config/borg/keys"
SERVICE = "fleetbackup-user-backup.service"
MOUNT_POINT = "/home/ada/Borg-Backup"
#: What the account's own programs write meanwhile.
CHANGING = (".ansible", ".cache", ".config/borg", ".local")
SERVERS = {"local-nas": "nas.yourdomain.net", "remote-nas": "lighthouse-nas.yourdomain.net"}


@pytest.fixture(scope="module", autouse=True)
def backup(host) -> None:
    host.check_output(f"systemctl --user start {SERVICE}")


@pytest.fixture(scope="module")
def opened(host) -> dict[str, dict[str, Any]]:
    """How the account reaches and opens each of its repositories."""
    config = yaml.safe_load(host.file(CONFIG).content_string)
    return {
        label: {
            "repository": f"ssh://borg-backup@{server}/volume1/BorgBackup/ada-desktop",
            "passphrase": config["encryption_passphrase"],
            "rsh": config["ssh_command"],
        }
        for label, server in SERVERS.items()
    }


@pytest.fixture(scope="module")
def fuse() -> Iterator[None]:
    """What borg needs to mount."""
    machine = testinfra.get_host("ssh://root@desktop")
    machine.check_output("apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends python3-pyfuse3 fuse3")
    # as udev has it where there is one
    machine.check_output("chmod 0666 /dev/fuse")
    yield
    machine.run(f"umount --lazy {MOUNT_POINT}")


def module(name: str, **arguments: Any) -> dict[str, Any]:
    """The result of a module, as its user runs it from the command line."""
    command = ["ansible", "--inventory", str(INVENTORY), "desktop", "-m", f"fleetbackup.borg.{name}", "-a", json.dumps(arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout[ran.stdout.index("{") :])


def test_the_servers_let_the_key_in_for_backups_alone(host) -> None:
    ssh = yaml.safe_load(host.file(CONFIG).content_string)["ssh_command"]
    for server in SERVERS.values():
        assert "uid=" not in host.run(f"{ssh} borg-backup@{server} id </dev/null").stdout


def test_one_file_comes_back(host) -> None:
    wanted = {"fleetbackup_repository": "local-nas", "fleetbackup_paths": ["home/ada/.bashrc"], "fleetbackup_destination": "/tmp/borg-test"}
    play("restore", fleetbackup_host="desktop", **wanted).succeeded()
    assert host.check_output("cd /tmp/borg-test && find . -type f") == "./home/ada/.bashrc"
    host.check_output("cmp /home/ada/.bashrc /tmp/borg-test/home/ada/.bashrc && rm -r /tmp/borg-test")


@pytest.mark.parametrize("archive", [None, "latest"])
def test_archives_are_mounted_and_gone_again(host, opened, fuse, archive: str | None) -> None:
    how = {**opened["local-nas"], "mount_point": MOUNT_POINT, **({"archive": archive} if archive else {})}
    assert module("borg_mount", **how)["changed"]
    names = host.check_output(f"ls {MOUNT_POINT}").split()
    assert "home" in names if archive else all(name.startswith("ada-desktop-") for name in names)
    host.check_output(f"cmp /home/ada/.bashrc {MOUNT_POINT}/{'' if archive else names[-1]}/home/ada/.bashrc")
    assert module("borg_mount", **how, state="unmounted")["changed"]
    assert host.check_output(f"ls {MOUNT_POINT} && rmdir {MOUNT_POINT}") == ""


def test_the_home_comes_back_from_the_second_server_with_the_key_from_escrow(host, opened) -> None:
    wanted = manifest(host, "/home/ada")
    bundle = kept(SERVERS["remote-nas"])
    host.check_output(f"mv {KEYS} {KEYS}.lost && mkdir -m 0700 /home/ada/live && printf %s %s >/home/ada/live/keyfile", "%s", bundle["key"])
    how = {"repository": opened["remote-nas"]["repository"], "passphrase": bundle["passphrase"], "rsh": opened["remote-nas"]["rsh"]}
    try:
        done = module(
            "borg_extract", **how, base_directory="/home/ada/live/base", key_file="/home/ada/live/keyfile", destination="/home/ada/live/restored"
        )
        assert done["archive"]["name"].startswith("ada-desktop-")
        back = {path: entry for path, entry in manifest(host, "/home/ada/live/restored/home/ada").items() if not path.startswith(CHANGING)}
        assert {path for path in wanted if path == ".bashrc" or path.startswith("Documents")} < back.keys()
        # of a directory above what goes on changing, not even the time stays
        assert back == {path: wanted[path][:3] + entry[3:4] + wanted[path][4:] if entry[0][0] == "d" else wanted[path] for path, entry in back.items()}
    finally:
        host.check_output(f"mv {KEYS}.lost {KEYS} && chmod -R u+w /home/ada/live && rm -r /home/ada/live")


def kept(server: str) -> dict[str, Any]:
    """The recovery bundle of the repository on a server, as whoever has the vault's password reads it."""
    for path in sorted((Path.home() / "fleetbackup-escrow").glob("desktop*.yml")):
        bundle = yaml.safe_load(subprocess.check_output(["ansible-vault", "view", str(path)], text=True))
        if f"@{server}/" in bundle["locations"][0]:
            return bundle
    raise AssertionError(f"no bundle of the repository on {server}")


def manifest(host, directory: str) -> dict[str, Any]:
    return json.loads(host.check_output("python3 -c %s %s", MANIFEST, directory))
