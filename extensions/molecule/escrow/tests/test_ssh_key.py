# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One playbook gives a client a new SSH key. Wherever it is killed, the client reaches its servers, and the next run completes it."""

from __future__ import annotations

import signal

import pytest
from controller import Run, bundles, held, play
from machines import REPOSITORIES, Machine

CLIENT = "client2"
(LOCATION,) = REPOSITORIES[CLIENT]
PASSPHRASE = f"a passphrase of the tests, {CLIENT}"
KEY = "/root/.ssh/fleetbackup_ed25519"
#: Where it is killed, and which key the bundle has then: the servers know both keys; the bundle has the next one; the private half is the new
#: one, and there is no public one; all is in place, and what stood beside it not yet gone.
POINTS = {
    "Make sure that each server accepts it": KEY,
    "Take the present public key away": f"{KEY}.next",
    "Replace the present key, done 1": KEY,
    "Remove what stood beside it": KEY,
}


@pytest.fixture(scope="module")
def client() -> Machine:
    return Machine(CLIENT)


def rotate(*options: str, kill_at: str | None = None) -> Run:
    return play("rotate_ssh_key", "--limit", CLIENT, *options, environment={"STEPS_KILL_AT": kill_at})


def public_key(client: Machine) -> str:
    """Of the private half that it uses."""
    return client.output(f"ssh-keygen -y -f {KEY}").split()[1]


def lines() -> list[str]:
    """What the server lets the client in with."""
    text = Machine("backup1").output("cat ~borg/.ssh/authorized_keys")
    return [line for line in text.splitlines() if f"/{CLIENT}" in line and not line.startswith("#")]


def assert_complete(client: Machine, before: str) -> None:
    """A new key everywhere, and nothing else of the old one."""
    key = public_key(client)
    assert key != before and client.output(f"cut -d ' ' -f 2 {KEY}.pub").strip() == key
    (line,) = lines()
    assert key in line and before not in line and line.startswith(("command=", "restrict,command="))
    (bundle,) = map(held, bundles(f"{CLIENT}_"))
    assert bundle["identity"] == client.output(f"cat {KEY}") + "\n"
    assert client.host.run(f"ls {KEY}.next*").rc != 0
    assert client.is_opened_by(PASSPHRASE, LOCATION)


def test_check_mode_changes_nothing(client: Machine) -> None:
    before, admitted = public_key(client), lines()
    rotate("--check", "--diff").succeeded()
    assert (public_key(client), lines()) == (before, admitted) and client.host.run(f"ls {KEY}.next*").rc != 0


def test_only_the_new_one_counts(client: Machine) -> None:
    before = public_key(client)
    client.output(f"cp {KEY} /root/the-old-key")
    rotate().succeeded()
    assert_complete(client, before)
    way = "-F none -o UserKnownHostsFile=/root/.ssh/fleetbackup_known_hosts -o IdentitiesOnly=yes -o BatchMode=yes"
    refused = client.host.run(f"ssh {way} -i /root/the-old-key borg@backup1; true")
    assert "Permission denied" in refused.stderr
    client.back_up()
    assert play("client", "--limit", CLIENT).succeeded().changes[CLIENT] == 0


@pytest.mark.parametrize(("point", "escrowed"), POINTS.items())
def test_it_may_be_killed(client: Machine, point: str, escrowed: str) -> None:
    before = public_key(client)
    assert rotate(kill_at=point).rc == -signal.SIGKILL
    assert client.is_opened_by(PASSPHRASE, LOCATION)
    (bundle,) = map(held, bundles(f"{CLIENT}_"))
    assert bundle["identity"] == client.output(f"cat {escrowed}") + "\n"
    assert [line for line in lines() if client.output(f"ssh-keygen -y -f {escrowed}").split()[1] in line]
    rotate().succeeded()
    assert_complete(client, before)
