# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client burns down with its home, and a server with it. Its name, and what stands in escrow, bring it back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from plays import INVENTORY, TIMERS, Machine, Playbook, play

CLIENT = "client1"
DATA = ("/srv/data", "/root/papers")
LABELS = ("backup1", "too")
BEGUN = "/root/.fleetbackup-recovering"
#: The inventory knows nothing of the client's backups any more.
FORGOTTEN = {"fleetbackup_host": CLIENT, "forgotten": True}
#: The other server is gone.
FROM_ONE = {**FORGOTTEN, "fleetbackup_repository": "too"}
SERVER = f"{os.environ['LAB_NAME']}-backup1"
FIXED = "\n".join(
    (
        "mkdir -p /root/papers; echo mine >/root/papers/will; chmod 600 /root/papers/will",
        "echo '0 4 * * * root /bin/true' >/etc/cron.d/mine",
        # the archive has it before the accounts
        "useradd --uid 4300 ada; echo >/etc/cron.d/ada; chown ada /etc/cron.d/ada",
    )
)


class Life(NamedTuple):
    """What the client was."""

    data: dict[str, dict[str, Any]]
    archives: dict[str, list[str]]
    ids: dict[str, str]
    key: str


def state_of(client: Machine, labels: tuple[str, ...] = LABELS) -> Life:
    return Life(
        {directory: client.manifest(directory) for directory in DATA},
        {label: client.archives(label) for label in labels},
        {label: client.repository_id(label) for label in labels},
        client.output("cat /root/.ssh/fleetbackup_ed25519.pub"),
    )


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Back the client up, and lose it: a bare machine without Borg takes its name. Whoever burnt it down has destroyed a key, too, and nobody gets to
    the server that it was on."""
    client = Machine(CLIENT)
    client.output(FIXED)
    client.back_up()
    # Borg tells when an archive was begun in whole seconds, and a backup to both may take less than one
    client.output("sleep 1.1; borgmatic --config /etc/borgmatic.d/system.yaml create --repository too")
    life = state_of(client)
    client.output(
        "printf 'BORG_KEY %s\\n%s\\n' " + life.ids["backup1"] + " $(head -c 300 /dev/urandom | base64 -w 0) >/tmp/garbage;"
        " BORG_RSH='ssh -F /root/.ssh/fleetbackup_config' borg key import ssh://borg@backup1/./client1 /tmp/garbage"
    )
    subprocess.run(["docker", "rm", "--force", f"{os.environ['LAB_NAME']}-{CLIENT}"], check=True, capture_output=True)
    shutil.rmtree(Path.home() / ".ansible/cp", ignore_errors=True)
    tests = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]).parents[2] / "tests"
    bare = yaml.safe_load((INVENTORY / "hosts.yml").read_text(encoding="utf-8"))
    bare["borg_clients"]["hosts"][CLIENT] = {"lab_layer": "bare"}
    inventory = tmp_path_factory.mktemp("bare") / "hosts.yml"
    inventory.write_text(json.dumps(bare), encoding="utf-8")
    subprocess.run(["/usr/bin/python3", "-m", "lab.fleet", "up", inventory], cwd=tests, check=True, capture_output=True)
    subprocess.run(["docker", "network", "disconnect", os.environ["LAB_NAME"], SERVER], check=True, capture_output=True)
    return life


@pytest.fixture(scope="module")
def client(before: Life) -> Machine:
    """The bare one."""
    machine = Machine(CLIENT, life="second")
    assert not any(machine.exists(path) for path in (*DATA, "/root/.ssh/fleetbackup_ed25519", "/etc/borgmatic.d", "/usr/bin/borg"))
    # the same name has another number here
    machine.output("useradd --uid 4999 ada")
    return machine


def test_check_mode_says_so_and_brings_back_nothing(client: Machine) -> None:
    run = play("recover_host", "--check", **FROM_ONE).succeeded()
    assert run.changes[CLIENT] > 3 and not any(map(client.exists, (*DATA, BEGUN, "/etc/borgmatic.d")))


def test_what_is_there_is_not_replaced_unasked_and_nothing_runs_by_itself(client: Machine) -> None:
    run = play("recover_host", **FROM_ONE)
    assert "unsafe" in run.errors and "fleetbackup_overwrite=changed" in run.words and "no schedule was enabled" in run.words, run.said
    assert not any(map(client.exists, DATA)) and client.exists(BEGUN) and client.enabled() == set()


def test_one_that_is_killed_enables_nothing(client: Machine) -> None:
    running = Playbook("recover_host", **FROM_ONE, fleetbackup_overwrite="changed")
    assert running.says(r"TASK \[fleetbackup\.borg\.borgmatic : Find the archive\]", 180)
    running.killed()
    assert client.enabled() == set() and client.exists(BEGUN)


def test_then_it_is_what_it_was(client: Machine, before: Life) -> None:
    run = play("recover_host", **FROM_ONE, fleetbackup_overwrite="changed").succeeded()
    assert "a passphrase of the tests" not in run.said and "BORG_KEY" not in run.said
    after = state_of(client, ("too",))
    assert (after.data, after.archives["too"], after.ids["too"]) == (before.data, before.archives["too"], before.ids["too"])
    assert after.key != before.key and not client.exists(BEGUN) and client.enabled() == set(TIMERS)
    assert client.output("cat /etc/cron.d/mine") == "0 4 * * * root /bin/true"
    assert client.output("stat --format='%u %U' /etc/cron.d/ada") == "4300 ada"
    # one key, and not beside it one that the archive had
    assert len(client.output("ls /root/.config/borg/keys").splitlines()) == 1


def test_the_other_server_takes_its_place_again_when_it_is_back(client: Machine, before: Life) -> None:
    subprocess.run(["docker", "network", "connect", "--alias=backup1", os.environ["LAB_NAME"], SERVER], check=True, capture_output=True)
    run = play("recover_host", **FORGOTTEN, fleetbackup_overwrite="never").succeeded()
    # the data are from the repository with the newest archive, and not from the first
    assert re.search(r"archive (\S+) of ssh://borg@backup2/", run.words).group(1) == before.archives["too"][-1] > before.archives["backup1"][-1], run.said
    after = state_of(client)
    assert (after.data, after.archives, after.ids) == (before.data, before.archives, before.ids)
    # whoever has the old key has no access any more
    for server in ("backup1", "backup2"):
        assert before.key.split()[1] not in Machine(server, life="second").output("cat /srv/borg/.ssh/authorized_keys")


def test_its_schedules_run_again_and_its_backups_go_on(client: Machine, before: Life) -> None:
    assert client.enabled() == set(TIMERS)
    client.back_up()
    after = state_of(client)
    assert after.ids == before.ids
    for label in LABELS:
        assert after.archives[label][:-1] == before.archives[label] and len(after.archives[label]) == len(before.archives[label]) + 1


def test_the_inventory_finds_nothing_to_change(client: Machine) -> None:
    assert set(play("site").succeeded().changes.values()) == {0}
    assert set(play("verify_escrow").succeeded().changes.values()) == {0}


def test_a_machine_that_lives_is_left_alone(client: Machine) -> None:
    client.output("echo new >/srv/data/new")
    run = play("recover_host", fleetbackup_host=CLIENT)
    assert run.rc != 0 and "backs itself up (system-backup, system-check), so it is not lost" in run.words, run.said
    assert run.changes == {CLIENT: 0} and client.output("cat /srv/data/new") == "new"
