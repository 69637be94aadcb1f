# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drill passes what is sound. It finds a byte that was flipped in a repository, which backups, listings and a check of the archives miss,
and a file of the client that is another one than its backup though nothing shows it."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any, NamedTuple

import pytest
import testinfra

testinfra_hosts = ["ansible://backup1"]

CLIENTS = ("client1", "client2")
WITNESS = "/srv/data/.fleetbackup-witness"
#: Outside of what is backed up.
UNSAVED = "/var/lib/.fleetbackup-witness"
TEXTFILES = "/var/lib/prometheus/node-exporter"
LARGE = "srv/data/a directory/in another/large"
SERVICE = "fleetbackup-system-drill.service"
ENTRY = re.compile(r'(\w+)\{repository="((?:[^"\\]|\\.)*)",config="((?:[^"\\]|\\.)*)"\} (\S+)')
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=(\d+)", re.MULTILINE)
#: Flips a byte in the middle of the largest entry of a segment, which is content of a file. Source: `borg.repository.LoggedIO`.
FLIP = """
import glob, struct
def entries(path):
    with open(path, "rb") as file:
        data = file.read()
    position = 8
    while position + 9 <= len(data):
        size = struct.unpack_from("<L", data, position + 4)[0]
        yield size, path, position
        position += size
size, path, position = max(entry for path in glob.glob("/srv/borg/client1/data/*/*") for entry in entries(path))
assert size > 500_000
with open(path, "r+b") as file:
    file.seek(position + size // 2)
    byte = file.read(1)[0]
    file.seek(position + size // 2)
    file.write(bytes([byte ^ 1]))
print(path, position + size // 2, byte)
"""
MEND = """
import sys
path, position, byte = sys.argv[1:]
with open(path, "r+b") as file:
    file.seek(int(position))
    file.write(bytes([int(byte)]))
"""


class Play(NamedTuple):
    """A run of the playbook."""

    said: str
    changes: dict[str, int]
    failed: set[str]


def drill(*arguments: str) -> Play:
    said = [argument for text in (f"fleetbackup_textfile_directory={TEXTFILES}", *arguments) for argument in ("--extra-vars", text)]
    # its results, too: no note says which files a drill was about
    command = ["ansible-playbook", "--verbose", "--inventory", "inventory", "fleetbackup.borg.restore_drill", *said]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    recap = RECAP.findall(run.stdout)
    assert {host for host, _changed, _failed in recap} == set(CLIENTS), run.stdout + run.stderr
    failed = {host for host, _changed, count in recap if int(count)}
    assert (run.returncode == 0) == (not failed), run.stdout
    return Play(run.stdout, {host: int(changed) for host, changed, _failed in recap}, failed)


def machine(name: str):
    return testinfra.get_host(f"ansible://{name}", ansible_inventory="inventory")


def status(client: str) -> dict[str, Any]:
    return json.loads(machine(client).check_output("cat /var/lib/fleetbackup/drills/*.json"))


def metrics(client: str) -> dict[str, float]:
    """What Prometheus reads of it."""
    text = machine(client).check_output(f"cat {TEXTFILES}/fleetbackup_drill_*.prom")
    entries = [ENTRY.fullmatch(line) for line in text.splitlines() if not line.startswith("#")]
    assert all(entries), text
    assert {entry.group(2, 3) for entry in entries} == {(f"ssh://borg@backup1/./{client}", "system")}
    return {entry[1].removeprefix("fleetbackup_drill_"): float(entry[4]) for entry in entries}


def back_up(client: str) -> None:
    machine(client).check_output("systemctl start fleetbackup-system-backup.service")


def journal(client: str) -> str:
    return machine(client).check_output(f"journalctl --no-pager --unit {SERVICE}")


def borg(client: str, *arguments: str):
    secrets = "BORG_PASSPHRASE='a passphrase of the tests' BORG_RSH='ssh -F /root/.ssh/fleetbackup_config' BORG_EXIT_CODES=modern"
    return machine(client).run(f"{secrets} borg {' '.join(arguments)} ssh://borg@backup1/./{client}")


@pytest.fixture(scope="module")
def empty() -> Play:
    """Drill before there is any backup."""
    return drill(f"fleetbackup_witness={WITNESS}")


@pytest.fixture(scope="module")
def sound(empty: Play) -> Play:
    """Drill with a backup of each client."""
    for client in CLIENTS:
        back_up(client)
    return drill(f"fleetbackup_witness={WITNESS}")


@pytest.fixture(scope="module")
def small(sound: Play) -> Play:
    """Drill with little."""
    return drill("fleetbackup_sample=5", "fleetbackup_sample_bytes=1000")


@pytest.fixture(scope="module")
def scheduled(small: Play) -> dict[str, Any]:
    """Have the schedule of client1 drill; what it notes."""
    ran = machine("client1").run(f"systemctl start {SERVICE}")
    assert ran.rc == 0, journal("client1")
    return status("client1")


@pytest.fixture(scope="module")
def flipped(host, scheduled: dict[str, Any]) -> list[str]:
    """Flip a byte in the repository of client1; what mends it."""
    return host.check_output("python3 -c %s", FLIP).split()


@pytest.fixture(scope="module")
def found(flipped: list[str]) -> Play:
    """Drill with all of the archives."""
    back_up("client1")
    return drill("fleetbackup_full=true")


@pytest.fixture(scope="module")
def found_by_schedule(found: Play) -> dict[str, Any]:
    """Have the schedule of client1 drill without its witness; what it notes."""
    machine("client1").check_output(f"rm {WITNESS}")
    ran = machine("client1").run(f"systemctl start {SERVICE}")
    assert ran.rc != 0, journal("client1")
    return status("client1")


@pytest.fixture(scope="module")
def mended(host, flipped: list[str], found: Play, found_by_schedule: dict[str, Any]) -> Play:
    """Bring the segment back, change a file of client2 so that nothing shows it, and have its backup miss a witness. Drill again."""
    host.check_output("python3 -c %s %s %s %s", MEND, *flipped)
    hide = "cp --archive {0} /root/kept && printf 'mine ALONE' >{0} && touch --reference=/root/kept {0}"
    machine("client2").check_output(hide.format("/srv/data/secret"))
    machine("client2").check_output(f"touch --date 2021-01-01 {UNSAVED}")
    return drill("fleetbackup_full=true", f"fleetbackup_witness={UNSAVED}")


def test_without_a_backup_it_fails_and_plants_the_witness(empty: Play) -> None:
    assert empty.failed == set(CLIENTS) and empty.changes == dict.fromkeys(CLIENTS, 1), empty.said
    assert "holds no archive" in empty.said


def test_what_is_sound_passes_and_changes_nothing(sound: Play) -> None:
    assert not sound.failed and sound.changes == dict.fromkeys(CLIENTS, 0), sound.said
    for client in CLIENTS:
        assert re.search(rf"{client} \| ssh://borg@backup1/./{client} \| passed \| \S+ \| 20 files", sound.said), sound.said


@pytest.mark.parametrize("client", CLIENTS)
def test_the_witness_is_part_of_the_sample(sound: Play, client: str) -> None:
    assert re.search(rf'^ok: \[{client}\] .*"paths": \[[^]]*"{WITNESS[1:]}"', sound.said, re.MULTILINE), sound.said


@pytest.mark.parametrize("client", CLIENTS)
def test_what_passed_is_noted(sound: Play, client: str) -> None:
    noted, told = status(client), metrics(client)
    assert noted["verdict"] == "passed" and noted["files"] == told["files"] == 20 and noted["problems"] == []
    assert noted["bytes"] == told["bytes"] > 0 and noted["compared"] > 10
    assert noted["archive"]["name"].startswith(f"{client}-")
    assert told["success"] == 1 and told["timestamp_seconds"] > 1_700_000_000


@pytest.mark.parametrize("client", CLIENTS)
def test_a_sample_is_as_small_as_it_is_said_to_be(small: Play, client: str) -> None:
    noted = status(client)
    assert noted["verdict"] == "passed" and noted["files"] == 5 and noted["bytes"] <= 1000, noted


def test_it_runs_by_itself(scheduled: dict[str, Any]) -> None:
    assert scheduled["verdict"] == "passed" and scheduled["problems"] == [], scheduled
    assert scheduled["files"] > 100 and scheduled["config"] == "system"
    assert metrics("client1")["files"] == scheduled["files"]
    assert "drill passed: client1-" in journal("client1")
    shown = machine("client1").check_output("systemctl show --property=NextElapseUSecRealtime --value fleetbackup-system-drill.timer")
    assert shown.strip()


def test_backups_listings_and_a_check_of_the_archives_miss_the_byte(flipped: list[str], found: Play) -> None:
    listed = borg("client1", "list")
    assert listed.rc == 0 and len(listed.stdout.splitlines()) == 2
    checked = borg("client1", "check", "--archives-only")
    assert checked.rc == 0, checked.stderr


def test_a_full_drill_finds_it_and_names_the_file(found: Play) -> None:
    assert found.failed == {"client1"}, found.said
    assert re.search(r"client2 \| \S+ \| passed", found.said), found.said
    noted, told = status("client1"), metrics("client1")
    assert noted["verdict"] == "failed" and noted["error"] == "integrity"
    (problem,) = noted["problems"]
    assert problem.startswith(f"{LARGE}: Data integrity error"), problem
    assert told["success"] == 0 and metrics("client2")["success"] == 1


def test_it_finds_the_byte_by_itself_and_misses_the_witness(found_by_schedule: dict[str, Any]) -> None:
    missing, problem = found_by_schedule["problems"]
    assert missing == f"{WITNESS}: the witness is gone from this machine"
    assert problem.startswith(f"{LARGE}: Data integrity error"), problem
    assert "drill failed (integrity)" in journal("client1")


def test_what_was_mended_passes_again(mended: Play) -> None:
    assert re.search(r"client1 \| \S+ \| passed", mended.said), mended.said
    assert metrics("client1")["success"] == 1


def test_a_witness_that_is_not_backed_up_and_a_file_that_was_changed_in_secret_are_named(mended: Play) -> None:
    assert mended.failed == {"client2"}, mended.said
    missing, problem = status("client2")["problems"]
    assert missing.startswith(f"{UNSAVED}: the archive does not hold the witness"), missing
    assert problem.startswith("srv/data/secret: its content here is another one"), problem


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_is_left_of_the_restores(mended: Play, client: str) -> None:
    assert machine(client).check_output("find /var/tmp /tmp -name 'fleetbackup-*'") == ""
