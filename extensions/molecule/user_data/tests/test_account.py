# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An account's own backups, as its user has configured them."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://desktop"]

CONFIG = "/home/ada/.config/borgmatic/user.yaml"
KEY = "/home/ada/.config/borg/ssh/id_ed25519"
SERVICE = "fleetbackup-user-backup.service"
NOTIFIED = "/home/ada/.cache/notified"


@pytest.fixture(scope="module")
def paths(host) -> set[str]:
    """What the newest archive holds."""
    listed = host.check_output(f"borgmatic --config {CONFIG} list --repository remote-nas --archive latest --short")
    return {line.strip() for line in listed.splitlines()}


def test_the_home_is_in_it(paths: set[str]) -> None:
    assert {"home/ada/Documents/link", "home/ada/Project/included", "home/ada/.bashrc"} <= paths


def test_what_is_excluded_is_not(paths: set[str]) -> None:
    assert not [path for path in paths if "excluded" in path]


def test_keys_are_in_files_of_the_account(host) -> None:
    keys = host.check_output("ls /home/ada/.config/borg/keys").splitlines()
    assert len(keys) == 2
    for server in ("nas.yourdomain.net", "lighthouse-nas.yourdomain.net"):
        there = host.get_host(f"ansible://{server}", ansible_inventory="inventory")
        assert not there.file("/volume1/BorgBackup/ada-desktop/config").contains("^key = ")


def test_nothing_of_it_is_roots(host) -> None:
    assert host.user().name == "ada"
    config = host.file(CONFIG)
    assert (config.user, config.mode) == ("ada", 0o600)
    assert host.file("/var/lib/systemd/linger/ada").exists
    assert not host.run("systemctl list-unit-files --no-legend 'fleetbackup-*'").stdout


def test_the_user_is_told_of_a_failure(host) -> None:
    assert not host.file(NOTIFIED).exists
    host.check_output(f"mv {KEY} {KEY}.away")
    try:
        assert host.run(f"systemctl --user start {SERVICE}").rc != 0
    finally:
        host.check_output(f"mv {KEY}.away {KEY}")
    notified = host.file(NOTIFIED).content_string
    assert f"Configuration file: {CONFIG}" in notified
    # borgmatic quotes what it puts into the command, for the shell, and the user has quoted it too.
    assert "nas.yourdomain.net/volume1/BorgBackup/{user}-{hostname}'\n" in notified
    host.check_output(f"rm {NOTIFIED}")
