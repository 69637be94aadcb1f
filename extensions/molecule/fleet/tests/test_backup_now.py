# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook backup_now starts the very services that run by themselves, tells how they go, and may be killed."""

from __future__ import annotations

from typing import Iterator

import pytest
from plays import SERVICE, Machine, Playbook, play

CLIENTS = ("client1", "client2", "client3")
SECONDS = 40
SLOW = f"/run/systemd/system/{SERVICE}.d/slow.conf"


@pytest.fixture(scope="module")
def clients() -> dict[str, Machine]:
    return {name: Machine(name) for name in CLIENTS}


@pytest.fixture
def slow(clients: dict[str, Machine]) -> Iterator[Machine]:
    """A client whose backups take their time."""
    client = clients["client1"]
    client.output(
        f"mkdir -p $(dirname {SLOW}); printf '[Service]\\nExecStartPre=sleep {SECONDS}\\n' >{SLOW}; systemctl daemon-reload"
    )
    yield client
    client.output(f"rm -r $(dirname {SLOW}); systemctl daemon-reload")


def counts(clients: dict[str, Machine]) -> dict[str, int]:
    return {name: len(client.archives("backup1")) for name, client in clients.items()}


def invocation(client: Machine) -> str:
    return client.output(f"systemctl show --property=InvocationID --value {SERVICE}")


def test_each_client_backs_up_and_says_so(clients: dict[str, Machine]) -> None:
    before = counts(clients)
    run = play("backup_now").succeeded()
    assert counts(clients) == {name: count + 1 for name, count in before.items()}
    for name in CLIENTS:
        assert f"[{name}] system-backup: succeeded after " in run.said
    assert run.changes == dict.fromkeys(CLIENTS, 1)


def test_a_killed_controller_stops_no_backup_and_the_next_one_joins_it(clients: dict[str, Machine], slow: Machine) -> None:
    before = counts({"client1": slow})
    first = Playbook("backup_now", "--limit=client1")
    assert first.says(r"\[client1\] system-backup: running for \d+ s")
    under_way = invocation(slow)
    first.killed()
    run = play("backup_now", "--limit=client1").succeeded()
    assert "[client1] system-backup: succeeded after " in run.said
    assert invocation(slow) == under_way
    assert counts({"client1": slow}) == {"client1": before["client1"] + 1}
