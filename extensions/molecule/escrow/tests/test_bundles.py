# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle of each repository stands in escrow, whatever happens there, and no schedule is enabled before it does."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from controller import ESCROW, Playbook, bundles, fingerprint, held, opened, play
from machines import REPOSITORIES, STATE, TIMERS, Machine

PASSPHRASE = "a passphrase of the tests, {}"
NO_VAULT = {"ANSIBLE_VAULT_PASSWORD_FILE": None}
#: That client's Python notes each launch of a module, its borg each run.
COUNT = r"""
cp -p /usr/bin/borg /root/borg; rm -f /run/launches /run/borg-runs; touch /run/launches /run/borg-runs
sed -i '1a open("/run/borg-runs", "a").write("run\\n")' /usr/bin/borg
printf '#!/bin/sh\necho launch >>/run/launches\nexec /usr/bin/python3 "$@"\n' >/usr/local/bin/counted-python
chmod +x /usr/local/bin/counted-python
"""


@pytest.fixture
def client() -> Machine:
    return Machine("client1")


@pytest.fixture
def counted(client: Machine) -> Iterator[str]:
    """A Python that counts."""
    client.output(COUNT)
    yield "/usr/local/bin/counted-python"
    client.output("mv /root/borg /usr/bin/borg; rm /usr/local/bin/counted-python")


def test_each_repository_has_one() -> None:
    found = {(data["host"], data["locations"][0]): data for data in map(held, bundles())}
    for bundle in bundles():
        assert yaml.safe_load(opened(bundle)) == held(bundle)
    assert sorted(found) == [(client, location) for client, locations in REPOSITORIES.items() for location in locations]
    for (client, _location), data in found.items():
        assert data["passphrase"] == PASSPHRASE.format(client) and data["key"].startswith(f"BORG_KEY {data['repository_id']}\n")
        assert not data["provisional"] and data["known_hosts"].startswith("backup1 ") and "source_directories" in data["configuration"]
        assert ("identity" in data) == (client == "client2")


def test_nobody_else_can_read_them() -> None:
    assert stat.S_IMODE(ESCROW.stat().st_mode) == 0o700
    inside = [path for path in ESCROW.iterdir() if path.name != ".lock"]
    assert sorted(inside) == bundles()
    for path in inside:
        data = path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and data.startswith(b"$ANSIBLE_VAULT;1.")
        assert not [word for word in (b"passphrase", b"BORG_KEY", b"PRIVATE") if word in data or word.hex().encode() in data]


def test_a_converged_client_costs_one_launch_and_one_borg_each(client: Machine, counted: str) -> None:
    before = fingerprint()
    run = play("client", "--limit", "client1", variables={"counted_python": counted}).succeeded()
    assert run.changes == {"client1": 0} and fingerprint() == before
    assert client.output("cat /run/launches").split() == ["launch"]
    assert client.output("cat /run/borg-runs").split() == ["run"] * len(REPOSITORIES["client1"])


def test_nothing_begins_without_escrow(client: Machine) -> None:
    client.stop_timers()
    before = client.output(STATE)
    more = {"further_sources": ["/etc/systemd"]}
    run = play("client", "--limit", "client1", variables=more, environment=NO_VAULT)
    said = run.messages("client1")
    assert run.failed == {"client1"} and "--vault-id NAME@FILE" in said and "ANSIBLE_VAULT_PASSWORD_FILE" in said, run.said
    run = play("client", "--limit", "client1", variables={**more, "borgmatic_escrow_directory": "/etc/hostname/escrow"})
    assert run.failed == {"client1"} and "/etc/hostname is no directory" in run.messages("client1"), run.said
    assert client.output(STATE) == before and client.enabled() == set()
    run = play("client", "--limit", "client1", variables={**more, "borgmatic_escrow": False}, environment=NO_VAULT).succeeded()
    for location in REPOSITORIES["client1"]:
        assert f"No recovery bundle is kept of {location}: borgmatic_escrow is false" in " ".join(run.said.split())
    assert client.enabled() == set(TIMERS) and "/etc/systemd" in client.output("cat /etc/borgmatic.d/system.yaml")
    assert "/etc/systemd" not in opened(bundles("client1_")[0])
    play("client", "--limit", "client1").succeeded()


def test_what_is_lost_or_damaged_is_told_and_comes_back(client: Machine) -> None:
    wanted = {path.name: held(path) for path in bundles()}
    lost, damaged = bundles("client1_")[0], bundles("client2_")[0]
    lost.unlink()
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    before = fingerprint()
    run = play("verify_escrow")
    assert run.failed == {"client1", "client2"}, run.said
    assert lost.name in run.messages("client1") and f"{damaged} opens with none of the vault secrets" in run.messages("client2"), run.said
    client.stop_timers()
    run = play("client", "--tags", "config,schedule")
    assert run.failed == {"client1", "client2"} and "The phase escrow has work left" in run.messages("client1"), run.said
    assert fingerprint() == before and client.enabled() == set()
    damaged.rename(Path.home() / "damaged")
    play("client").succeeded()
    assert {path.name: held(path) for path in bundles()} == wanted and client.enabled() == set(TIMERS)
    play("verify_escrow").succeeded()


def test_one_of_several_vault_secrets_is_enough(client: Machine, tmp_path: Path) -> None:
    (tmp_path / "grace").write_text("of grace", encoding="utf-8")
    both = ["--vault-id", f"default@{os.environ['ANSIBLE_VAULT_PASSWORD_FILE']}", "--vault-id", f"grace@{tmp_path}/grace"]
    for_both = {"borgmatic_escrow_vault_id": "default", "borgmatic_escrow_vault_ids": ["grace"]}
    play("client", *both, variables=for_both, environment=NO_VAULT).succeeded()
    hers = sorted(ESCROW.glob("*.grace.yml"))
    before = fingerprint()
    assert len(hers) * 2 == len(bundles())
    client.back_up()
    alone = {"ANSIBLE_VAULT_PASSWORD_FILE": f"{tmp_path}/grace"}
    try:
        for environment in (alone, None):
            run = play("verify_escrow", variables=for_both, environment=environment).succeeded()
            assert set(run.changes.values()) == {0} and "its recovery bundles are left as they are" in " ".join(run.said.split()), run.said
        wanted = {**for_both, "fleetbackup_host": "client1", "fleetbackup_repository": "too",
                  "fleetbackup_paths": ["/srv/data"], "fleetbackup_destination": "/root/restored"}
        play("restore", variables=wanted, environment=alone).succeeded()
        assert client.manifest("/root/restored/srv/data") == client.manifest("/srv/data")
        assert play("client", variables=for_both, environment=alone).failed == {"client1", "client2"}
        assert fingerprint() == before
        hers[0].write_bytes(b"damaged")
        run = play("verify_escrow", *both, variables=for_both, environment=NO_VAULT)
        assert run.failed == {"client1"} and hers[0].name in run.messages("client1"), run.said
    finally:
        client.output("rm -rf /root/restored")
        for bundle in hers:
            bundle.unlink()


def test_verifying_makes_no_passphrase() -> None:
    before = fingerprint()
    run = play("verify_escrow", variables={"passphrase": "{{ lookup('fleetbackup.borg.generated_passphrase', 'nobody') }}"})
    assert run.failed == {"client1", "client2"} and "Nothing was made, for this only looks" in run.messages("client1"), run.said
    assert fingerprint() == before


def test_two_controllers_at_once_keep_one_of_each() -> None:
    wanted = {path.name: held(path) for path in bundles()}
    shutil.rmtree(ESCROW)
    for run in [both.ended() for both in [Playbook("client"), Playbook("client")]]:
        run.succeeded()
    assert {path.name: held(path) for path in bundles()} == wanted
    assert set(fingerprint()) == {".lock", *wanted}
