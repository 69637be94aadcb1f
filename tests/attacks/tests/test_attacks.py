# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every attack, and that it achieves nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from deletion import KNOWN, hide_all, last_transaction, rolled_back
from impostor import answering
from keys import KEYS
from machines import BORG, POOL, SSH, Fleet
from tables import ATTACKS, Module, Outcomes


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in KNOWN])
def test_it_achieves_nothing(fleet: Fleet, outcomes: Outcomes, name: str) -> None:
    breaches = ATTACKS[name](fleet)
    outcomes[name] = "; ".join(breaches) or "nothing"
    assert not breaches


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_to_get_through_still_does(fleet: Fleet, outcomes: Outcomes, name: str) -> None:
    assert ATTACKS[name](fleet), "This hole is closed: take it out of KNOWN."
    outcomes[name] = f"GETS THROUGH: {KNOWN[name]}"


def test_the_same_means_reach_what_is_allowed(fleet: Fleet) -> None:
    """Otherwise the attacks would prove nothing."""
    answers = fleet.speak([["open", {"path": "/./client-a"}], ["load_key", {}]])
    assert [refused for refused, _answer in answers] == [None, None]
    assert "BORG_KEY" in fleet.attempt(f"{BORG} borg key export ssh://borg@backup1/./client-a")


def test_hidden_archives_come_back(fleet: Fleet, outcomes: Outcomes) -> None:
    with fleet.restored():
        transaction = last_transaction(fleet)
        hide_all(fleet)
        assert fleet.attempt(f"{BORG} borg list --short ssh://borg@backup1/./client-a") == ""
        assert "precious" in rolled_back(fleet, transaction)
    outcomes["hide all archives"] = "hidden; a roll-back shows them again"


def test_a_full_quota_hurts_nobody_else(fleet: Fleet, outcomes: Outcomes, module: Module) -> None:
    with fleet.restored():
        for host, size in ((fleet.attacker, 14_000_000), (fleet.victim, 1000)):
            host.check_output(f"rm -rf /srv/flood; mkdir -p /srv/flood/borg; head -c {size} /dev/urandom >/srv/flood/file")
        # What a client knows of its repository stays as it was, as the repository does.
        flood = {"name": "flood", "paths": ["/srv/flood/file"], "base_directory": "/srv/flood/borg"}
        full, small = (module(client, "borg_archive", **access(client), **flood) for client in ("client-a", "client-b"))
    assert (full.get("error"), full.get("retryable")) == ("quota", False), full
    assert small.get("changed") is True, small
    outcomes["store more than the quota, borg_archive"] = "quota; the other client backs up"


def test_a_full_disk_is_said_and_can_be_emptied_as_the_guide_says(fleet: Fleet, outcomes: Outcomes, module: Module) -> None:
    pool = f"{POOL}/client-b"

    def store(name: str) -> dict[str, Any]:
        fleet.victim.check_output("mkdir -p /srv/flood/borg; head -c 12000000 /dev/urandom >/srv/flood/file")
        return module("client-b", "borg_archive", name=name, paths=["/srv/flood/file"], base_directory="/srv/flood/borg", **access("client-b"))

    # What the client knows of its repository must not be younger than that, for an earlier test put it back.
    fleet.victim.check_output("rm -rf /srv/flood")
    with fleet.restored(), small_disk(fleet, pool):
        stored = [store(f"flood-{number}") for number in range(6)]
        assert stored[0].get("changed") is True, stored[0]
        assert (stored[-1].get("error"), stored[-1].get("retryable")) == ("disk_full", False), stored[-1]
        listed = module("client-b", "borg_archive_info", **access("client-b"))
        assert "flood-0" in {archive["name"] for archive in listed["archives"]}, listed
        as_account = "runuser -u borg -- env BORG_PASSPHRASE='a passphrase of the tests, client-b' borg"
        fleet.on_server(f"{as_account} config {pool} additional_free_space 0")
        fleet.on_server(f"{as_account} delete {pool} flood-0 flood-1; {as_account} compact {pool}")
        assert store("after").get("changed") is True
    outcomes["fill the server's disk, borg_archive"] = "disk_full; there is room again after delete and compact on the server"


@contextlib.contextmanager
def small_disk(fleet: Fleet, repository: str) -> Iterator[None]:
    """A repository on a disk of its own, of which some is kept free as the role has it."""
    fleet.on_server(f"cp -a {repository} /root/aside; mount -t tmpfs -o size=720M small {repository}; cp -aT /root/aside {repository}")
    try:
        # To delete, borg wants room for a whole segment and some more, which makes 555 MB.
        fleet.on_server(f"runuser -u borg -- borg config {repository} additional_free_space 700M")
        # So that it is the disk which is full first.
        fleet.on_server(f"runuser -u borg -- borg config {repository} storage_quota 500M; sed -i 's/--storage-quota [^ ]* //' {KEYS}")
        yield
    finally:
        fleet.on_server(f"umount {repository}; rm -r /root/aside")


def test_another_host_key_is_said(fleet: Fleet, outcomes: Outcomes, module: Module) -> None:
    with answering(fleet):
        said = module("client-a", "borg_repository_info", **access("client-a"))
    # Which of the keys is met depends on what ssh and sshd agree on.
    pinned, met = (host.check_output("for key in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $key; done") for host in (fleet.server, fleet.victim))
    assert said["error"] == "host_key"
    assert any(line.split()[1] in said["msg"] for line in pinned.splitlines()), said
    assert any(line.split()[1] in said["msg"] for line in met.splitlines()), said
    outcomes["another host key, borg_repository_info"] = "host_key, with what was expected and what came"


def access(client: str) -> dict[str, str]:
    return {"repository": f"ssh://borg@backup1/./{client}", "passphrase": f"a passphrase of the tests, {client}", "rsh": SSH}
