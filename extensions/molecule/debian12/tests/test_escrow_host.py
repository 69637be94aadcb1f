# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bundles stand on a machine that is neither the controller nor can read them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

DIRECTORY = "/root/fleetbackup-escrow"
OLD, NEW = "a passphrase of the tests", "another passphrase of the tests"
TIMERS = "systemctl list-timers --no-legend 'fleetbackup-*' | wc -l"


@pytest.fixture
def vault() -> testinfra.host.Host:
    return testinfra.get_host("ssh://root@vault1")


@pytest.fixture
def client() -> testinfra.host.Host:
    return testinfra.get_host("ssh://root@client1")


def play(name: str, *options: str, passphrase: str = OLD) -> tuple[int, str]:
    """Run a playbook: its exit code, and what it says."""
    inventory = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "inventory"
    variables = json.dumps({"passphrase": passphrase})
    command = ["ansible-playbook", "--inventory", inventory, f"fleetbackup.borg.{name}", "--extra-vars", variables, *options]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


def held(vault: testinfra.host.Host) -> dict[str, Any]:
    """What the bundle holds."""
    password = Path(os.environ["ANSIBLE_VAULT_PASSWORD_FILE"]).read_bytes().strip()
    text = vault.check_output(f"cat {DIRECTORY}/client1_*.yml").encode()
    return yaml.safe_load(VaultLib([("default", VaultSecret(password))]).decrypt(text))


def assert_converged(passphrase: str = OLD) -> None:
    code, said = play("client", passphrase=passphrase)
    assert code == 0 and re.search(r"client1 +: ok=\d+ +changed=0 ", said), said


def test_they_stand_there_and_nowhere_else(vault: testinfra.host.Host) -> None:
    assert vault.check_output(f"stat --format='%a %U %h' {DIRECTORY} {DIRECTORY}/client1_*.yml").split("\n") == ["700 root 2", "600 root 1"]
    assert not (Path.home() / "fleetbackup-escrow").exists()
    bundle = held(vault)
    assert bundle["passphrase"] == OLD and bundle["key"].startswith(f"BORG_KEY {bundle['repository_id']}\n") and not bundle["provisional"]


def test_the_machine_saw_nothing_in_clear(vault: testinfra.host.Host) -> None:
    found = vault.run("grep --recursive --binary-files=text --files-with-matches %s /root /tmp /var/log /var/tmp", OLD)
    assert found.stdout == "" and not vault.exists("borg") and not vault.exists("borgmatic")


def test_a_passphrase_is_rotated_with_the_old_one_from_there(vault: testinfra.host.Host) -> None:
    for before, after in ((OLD, NEW), (NEW, OLD)):
        code, said = play("rotate_passphrase", passphrase=after)
        assert code == 0 and before not in said and after not in said, said
        assert held(vault)["passphrase"] == after
    assert_converged()


def test_a_lost_one_is_missed_and_made_anew(vault: testinfra.host.Host) -> None:
    before = held(vault)
    vault.check_output(f"rm {DIRECTORY}/client1_*.yml")
    code, said = play("verify_escrow")
    assert code == 2 and "There is no valid bundle of" in said
    code, said = play("client")
    assert code == 0 and held(vault) == before, said
    assert play("verify_escrow")[0] == 0


@pytest.fixture
def unusable(vault: testinfra.host.Host) -> Iterator[None]:
    vault.check_output(f"mv {DIRECTORY} {DIRECTORY}.away && touch {DIRECTORY}")
    yield
    vault.check_output(f"rm {DIRECTORY} && mv {DIRECTORY}.away {DIRECTORY}")


@pytest.mark.usefixtures("unusable")
def test_where_it_is_unusable_nothing_changes(client: testinfra.host.Host) -> None:
    before = client.check_output(TIMERS)
    code, said = play("client")
    assert code == 2 and f"directory: {DIRECTORY} is no directory" in said, said
    assert client.check_output(TIMERS) == before == "2"


def test_it_may_not_be_the_client_itself() -> None:
    code, said = play("client", "--extra-vars", "borgmatic_escrow_host=client1")
    assert code == 2 and "on the very machine that it shall outlive" in said, said
    assert_converged()
