# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody between a client and its server: another machine answers under the server's name, and lets everybody in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from machines import BORG, SSH, Attack, Fleet

TAKEN = "/srv/impostor/taken"
#: Takes whatever comes, and answers like a server that is slow.
IMPOSTOR = f"""
    id borg >/dev/null 2>&1 || useradd --non-unique --uid 0 --home-dir /srv/impostor --create-home borg
    install -d -m 700 /srv/impostor/.ssh; rm -f {TAKEN}
    printf '%s\\n' '#!/bin/sh' 'echo "$SSH_ORIGINAL_COMMAND" >>{TAKEN}; exec cat >>{TAKEN}' >/srv/impostor/take; chmod 755 /srv/impostor/take
    printf 'command="/srv/impostor/take" %s\\n' "$1" >/srv/impostor/.ssh/authorized_keys
"""
#: How a client might reach its server, each with borg's first request.
WAYS = {
    "borg create": f"{BORG} borg create ssh://borg@backup1/./client-a::mine /srv/data",
    "borg init": f"{BORG} borg init -e none ssh://borg@backup1/./client-a",
    "ssh": f"echo secret | {SSH} borg@backup1 borg serve",
    "the schedule": "systemctl start fleetbackup-system-backup.service",
}


@contextlib.contextmanager
def answering(fleet: Fleet) -> Iterator[None]:
    """The victim turns against the attacker for once: its machine answers under the server's name."""
    key = fleet.attacker.check_output("cat /root/.ssh/fleetbackup_ed25519.pub")
    fleet.victim.check_output("bash -euc %s impostor %s", IMPOSTOR, key)
    address = fleet.victim.check_output("hostname -i").split()[0]
    # The file is a mount of Docker's, so it is written, not replaced.
    hosts = fleet.attacker.check_output("cat /etc/hosts")
    fleet.attacker.check_output("echo %s >>/etc/hosts", f"{address} backup1")
    try:
        assert fleet.attacker.check_output("getent hosts backup1").split()[0] == address
        yield
    finally:
        fleet.attacker.check_output("echo %s >/etc/hosts", hosts)
        fleet.victim.check_output("userdel --force borg; rm -rf /srv/impostor")


def connecting(command: str) -> Attack:
    def attack(fleet: Fleet) -> list[str]:
        with answering(fleet):
            fleet.attempt(command)
            bytes_taken = fleet.victim.run(f"cat {TAKEN} | wc -c").stdout.strip()
            return [f"received {bytes_taken} bytes"] if bytes_taken != "0" else []
    return attack


ATTACKS: dict[str, Attack] = {f"another host key, {way}": connecting(command) for way, command in WAYS.items()}
