# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files come back, each as it was: to the machine itself, to another one, and from one that is gone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import INVENTORY, Machine, Playbook, play

DATA = "/srv/data"
NOTE = ".fleetbackup-restoring"
KEYS = "/srv/borg/.ssh/authorized_keys"
GUEST = "/root/.fleetbackup-guest-of-{}"
LARGE = "/srv/large"
#: One that takes its time, and one of more than a GiB, most of which need not be written.
PLANT = r"""
import os
with open("/srv/data/zzz", "wb") as file:
    for _ in range(200):
        file.write(os.urandom(1_000_000))
with open("/srv/large/file", "wb") as file:
    for place in range(0, 1_200_000_001, 300_000_000):
        file.seek(place)
        file.write(os.urandom(1_000_000))
"""


@pytest.fixture(scope="module")
def server() -> Machine:
    return Machine("backup1")


@pytest.fixture(scope="module")
def clients() -> dict[str, Machine]:
    """Both, each with a backup of what it has now."""
    machines = {name: Machine(name) for name in ("client1", "client2")}
    for machine in machines.values():
        machine.output(f"mkdir {LARGE}")
    machines["client1"].host.check_output("python3 -c %s", PLANT)
    for machine in machines.values():
        machine.back_up()
    return machines


@pytest.fixture(scope="module")
def wanted(clients: dict[str, Machine]) -> dict[str, dict[str, Any]]:
    """What each of them has."""
    found = {name: machine.manifest(DATA) for name, machine in clients.items()}
    files = found["client1"]
    assert {name for name, entry in files.items() if entry[5]} >= {"plain", "secret"} and files["plain again"][6] == "plain"
    assert files["hole"][7] and not files["zzz"][7] and any("\udcff" in name for name in files)
    return found


def place_of(said: str) -> str:
    """Where the files are, as the playbook tells."""
    (place,) = re.findall(r"Below (\S+(?: \S+)*?) on \S+: \d+ files", " ".join(said.split()))
    return place


def inventory_without(client: str, directory: Path) -> Path:
    """The inventory of somebody who has left one out."""
    inventory = yaml.safe_load((INVENTORY / "hosts.yml").read_text(encoding="utf-8"))
    del inventory["borg_clients"]["hosts"][client]
    path = directory / "hosts.yml"
    path.write_text(json.dumps(inventory), encoding="utf-8")
    return path


def test_one_file_comes_back_to_a_place_that_is_told(clients: dict[str, Machine], wanted: dict[str, dict[str, Any]]) -> None:
    client = clients["client1"]
    chosen = {"fleetbackup_host": "client1", "fleetbackup_paths": f"{DATA}/secret"}
    predicted = play("restore", "--check", "--diff", **chosen).succeeded()
    place = place_of(predicted.said)
    assert f"+{DATA[1:]}/secret" in predicted.said and not client.exists(place) and predicted.changes == {"client1": 1}
    run = play("restore", **chosen).succeeded()
    assert place_of(run.said) == place and run.changes == {"client1": 1}
    (archive,) = client.archives("backup1")
    assert place == f"/root/fleetbackup-restored/client1/{archive}"
    assert client.output(f"cd '{place}'; find . -type f").split() == [f".{DATA}/secret"]
    assert client.manifest(place + DATA)["secret"] == wanted["client1"]["secret"]
    assert play("restore", **chosen).succeeded().changes == {"client1": 0}


def test_a_directory_comes_back_elsewhere_as_it_was_and_nobody_loses_access(
    tmp_path: Path, server: Machine, clients: dict[str, Machine], wanted: dict[str, dict[str, Any]]
) -> None:
    before = server.output(f"cat {KEYS}")
    chosen = {"fleetbackup_host": "client1", "fleetbackup_target": "client2", "fleetbackup_paths": [DATA, LARGE]}
    predicted = play("restore", "--check", **chosen, fleetbackup_destination="/srv/nowhere").succeeded()
    assert "check mode gives it none" in predicted.words and not clients["client2"].exists("/srv/nowhere")
    assert server.output(f"cat {KEYS}") == before and not clients["client2"].exists(GUEST.format("client1"))
    run = play("restore", inventory=inventory_without("client1", tmp_path), **chosen).succeeded()
    place = place_of(run.said)
    assert clients["client2"].manifest(place + DATA) == wanted["client1"]
    large = clients["client2"].manifest(place + LARGE)
    assert large == clients["client1"].manifest(LARGE) and large["file"][7]
    assert int(clients["client2"].output(f"stat --format=%s '{place}{LARGE}/file'")) > 1 << 30
    assert server.output(f"cat {KEYS}") == before and not clients["client2"].exists(GUEST.format("client1"))
    # nothing is left of the key that was let in, nor of what borg remembers
    refused = clients["client2"].host.run("BORG_RSH='ssh -F /root/.ssh/fleetbackup_config' borg key export ssh://borg@backup1/./client1")
    assert refused.rc != 0 and "BORG_KEY" not in refused.stdout, refused.stdout
    clients["client2"].output(f"rm -r '{place}'")


def test_a_machine_that_is_gone_is_known_by_its_bundle(
    tmp_path: Path, server: Machine, clients: dict[str, Machine], wanted: dict[str, dict[str, Any]]
) -> None:
    before = server.output(f"cat {KEYS}")
    chosen = {"fleetbackup_host": "client2", "fleetbackup_target": "client1", "fleetbackup_destination": "/srv/from-client2",
              "fleetbackup_numeric_ids": True}
    run = play("restore", inventory=inventory_without("client2", tmp_path), **chosen).succeeded()
    assert clients["client1"].manifest(f"/srv/from-client2{DATA}") == wanted["client2"]
    # the bundle's own SSH key opened it
    assert server.output(f"cat {KEYS}") == before and "backup1" not in run.changes
    assert not clients["client1"].exists(GUEST.format("client2"))
    assert "BORG_KEY" not in run.said and "a passphrase of the tests" not in run.said and "PRIVATE KEY" not in run.said


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"fleetbackup_archive": "nothing"}, "holds no archive 'nothing'"),
        ({"fleetbackup_before": "2020-01-01"}, " from before 2020-01-01. List"),
        ({"fleetbackup_repository": "nowhere"}, "client1 has no repository nowhere; it has backup1 (system)."),
        ({"fleetbackup_host": "client3"}, "client3 has no borgmatic_configs in the inventory, and no recovery bundle"),
        ({"fleetbackup_target": "client3"}, "client3 is no host of this inventory"),
        ({"fleetbackup_path": ["/srv/data"]}, "did you mean fleetbackup_paths?"),
    ],
)
def test_what_there_is_not_is_told_and_changes_nothing(clients: dict[str, Machine], variables: dict[str, str], told: str) -> None:
    chosen = {"fleetbackup_host": "client1", "fleetbackup_target": "client1", "fleetbackup_destination": "/srv/nothing", **variables}
    predicted = play("restore", "--check", **chosen)
    assert predicted.rc != 0, predicted.said
    run = play("restore", **chosen)
    assert run.rc != 0 and told in run.words and set(run.changes.values()) == {0}, run.said
    assert {"fleetbackup_archive", "fleetbackup_before"}.isdisjoint(variables) or run.errors == ["archive_absent"]
    assert not clients["client1"].exists("/srv/nothing") and not clients["client1"].exists(GUEST.format("client3"))


def test_a_client_lets_itself_in_beside_those_whom_its_inventory_leaves_out(tmp_path: Path, server: Machine) -> None:
    before = server.output(f"cat {KEYS}")
    server.output(f"sed -i '/fleetbackup:client2$/d' {KEYS}")
    run = play("client", inventory=inventory_without("client1", tmp_path)).succeeded()
    assert server.output(f"cat {KEYS}") == before and run.changes["client2"], run.said


def test_nothing_is_replaced_in_its_place_unasked(clients: dict[str, Machine], wanted: dict[str, dict[str, Any]]) -> None:
    client = clients["client1"]
    client.output(f"echo spoilt >'{DATA}/with a blank'; rm {DATA}/secret")
    damaged = client.manifest(DATA)
    chosen = {"fleetbackup_host": "client1", "fleetbackup_paths": [DATA], "fleetbackup_destination": "/"}
    run = play("restore", **chosen)
    assert run.errors == ["unsafe"] and f"{DATA[1:]}/with a blank" in run.said and client.manifest(DATA) == damaged, run.said
    predicted = play("restore", "--check", "--diff", **chosen, fleetbackup_overwrite="changed").succeeded()
    assert f"-{DATA[1:]}/with a blank (something else)" in predicted.said and client.manifest(DATA) == damaged
    play("restore", **chosen, fleetbackup_overwrite="changed").succeeded()
    assert client.manifest(DATA) == wanted["client1"]


def test_one_that_is_killed_half_way_is_completed_by_the_next(
    server: Machine, clients: dict[str, Machine], wanted: dict[str, dict[str, Any]]
) -> None:
    target, place = clients["client2"], "/srv/restored"
    before = server.output(f"cat {KEYS}")
    chosen = {"fleetbackup_host": "client1", "fleetbackup_target": "client2", "fleetbackup_destination": place, "fleetbackup_progress": 5}
    chosen["fleetbackup_paths"] = [DATA]
    running = Playbook("restore", **chosen)
    target.output(f"timeout 120 sh -c 'until [ -s {place}{DATA}/zzz ]; do sleep 0.1; done'")
    server.output("pkill -STOP -u borg borg")
    tells = running.says(r"\[client2\] restoring for \d+ s: \d+ of \d+ entries")
    killed = running.killed()
    assert tells, killed.said
    # the machine goes on by itself, as a guest of this one repository
    assert target.output("pgrep --full '[b]org.* extract'") and target.exists(f"{place}/{NOTE}")
    (line,) = [line for line in server.output(f"cat {KEYS}").splitlines() if "fleetbackup-guest:client2" in line]
    command = line.split('"')[1]
    assert "--append-only" in command and command.endswith("--restrict-to-repository /srv/borg/client1") and command.count("--restrict") == 1
    target.output("pkill -KILL --full '[A]nsiballZ_borg_extract'; pkill -KILL borg")
    server.output("pkill -CONT -u borg borg")
    found = target.manifest(place + DATA)
    assert {name for name, entry in found.items() if entry != wanted["client1"][name] and entry[0][0] != "d"} == {"zzz"}
    assert "run the same task" in target.output(f"tr '\\n' ' ' <{place}/{NOTE}")
    run = play("restore", **chosen).succeeded()
    assert target.manifest(place + DATA) == wanted["client1"] and not target.exists(f"{place}/{NOTE}"), run.said
    assert server.output(f"cat {KEYS}") == before and not target.exists(GUEST.format("client1"))
