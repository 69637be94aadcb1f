# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever has a client in his hands destroys its keys, which append-only does not stop: that is told, and the bundle brings all back."""

from __future__ import annotations

import json
import subprocess

import pytest
from controller import INVENTORY, bundles, fingerprint, held, play
from machines import REPOSITORIES, Machine, key_on_server

CLIENT = "client1"
CHANGED, REPLACED = REPOSITORIES[CLIENT]
DATA = "/srv/data"
SSH = "ssh -F /root/.ssh/fleetbackup_config"


@pytest.fixture(scope="module")
def client() -> Machine:
    return Machine(CLIENT)


@pytest.fixture(scope="module")
def saved(client: Machine) -> dict[str, dict]:
    """What the bundle of each repository holds, with one more archive in each."""
    client.back_up()
    return {data["locations"][0]: data for data in map(held, bundles(f"{CLIENT}_"))}


@pytest.fixture(scope="module")
def archives(client: Machine, saved: dict[str, dict]) -> dict[str, list[str]]:
    found = {location: client.archives(data["passphrase"], location) for location, data in saved.items()}
    assert sorted(found) == sorted((CHANGED, REPLACED)) and all(found.values())
    return found


@pytest.fixture(scope="module")
def attacked(client: Machine, saved: dict[str, dict], archives: dict[str, list[str]]) -> dict[str, str]:
    """Do it, with the client's own key; what stands on the server then."""
    before = {location: key_on_server(location) for location in saved}
    change = client.borg(saved[CHANGED]["passphrase"], "key", "change-passphrase", CHANGED, more="BORG_NEW_PASSPHRASE=mine")
    client.output(change)
    garbage = f"printf 'BORG_KEY {saved[REPLACED]['repository_id']}\\n%s\\n' $(head -c 300 /dev/urandom | base64 -w 0) >/root/garbage; "
    client.output(garbage + client.borg("", "key", "import", REPLACED, "/root/garbage"))
    for location, data in saved.items():
        assert not client.is_opened_by(data["passphrase"], location)
    after = {location: key_on_server(location) for location in saved}
    assert all(after[location] != before[location] for location in saved)
    return after


@pytest.mark.parametrize("playbook", ["client", "verify_escrow"])
def test_it_is_told_for_that_client_only(attacked: dict[str, str], playbook: str) -> None:
    before = fingerprint()
    run = play(playbook)
    assert run.failed == {CLIENT} and run.changes["client2"] == 0, run.said
    errors = run.errors(CLIENT)
    assert len(errors) >= len(attacked) and set(errors) == {"drift"}, run.said
    assert all(location in run.messages(CLIENT) for location in attacked), run.said
    assert fingerprint() == before and {location: key_on_server(location) for location in attacked} == attacked


@pytest.mark.parametrize("location", [CHANGED, REPLACED])
def test_the_bundle_brings_every_archive_back(
    client: Machine, saved: dict[str, dict], archives: dict[str, list[str]], attacked: dict[str, str], location: str
) -> None:
    data = saved[location]
    words = {"repository": location, "passphrase": data["passphrase"], "rsh": SSH, "state": "imported", "content": data["key"],
             "confirm_id": data["repository_id"]}
    command = ["ansible", CLIENT, "--inventory", INVENTORY, "--module-name", "fleetbackup.borg.borg_key", "--args", json.dumps(words)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert client.archives(data["passphrase"], location) == archives[location] and not client.is_opened_by("mine", location)
    for archive in archives[location]:
        scratch = client.output("mktemp --directory")
        client.output(f"cd {scratch}; {client.borg(data['passphrase'], 'extract', f'{location}::{archive}')}")
        assert client.manifest(scratch + DATA) == client.manifest(DATA)
        client.output(f"rm -r {scratch}")


def test_then_the_escrow_is_verified(attacked: dict[str, str]) -> None:
    assert play("verify_escrow").succeeded().changes == {"client1": 0, "client2": 0}
