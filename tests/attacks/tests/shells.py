# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client that wants a shell, a terminal, files, or a way into the server's network."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from machines import LOGIN, POOL, SSH, Attack, Fleet, traces

PORT = 7001
PLANTED = "PLANTED"
WANTED = f"id; cat {POOL}/client-b/marker; touch {POOL}/reached"
MARKER = f"{POOL}/client-b/marker"
BATCH = "-q -F /root/.ssh/fleetbackup_config"
LOOT = "loot=$(mktemp -u); trap 'cat $loot; rm -f $loot' EXIT;"
PASSWORD = "easily guessed"
ASKING = f"""printf '#!/bin/sh\\necho "{PASSWORD}"\\n' >/root/ask; chmod +x /root/ask; export SSH_ASKPASS=/root/ask SSH_ASKPASS_REQUIRE=force;"""
BY_PASSWORD = "-o BatchMode=no -o PubkeyAuthentication=no -o PasswordAuthentication=yes -o KbdInteractiveAuthentication=yes"


def asking(command: str) -> Attack:
    return lambda fleet: fleet.attack(f"{LOGIN} {shlex.quote(command)}")


def running(command: str) -> Attack:
    return lambda fleet: fleet.attack(command)


SHELLS: dict[str, Attack] = {
    "ssh, a command": asking(WANTED),
    "ssh, a shell": running(f"echo {shlex.quote(WANTED)} | {LOGIN}"),
    "ssh, a command behind borg serve": asking(f"borg serve; {WANTED}"),
    "ssh, a command on a second line": asking(f"borg serve\n{WANTED}"),
    "ssh, a command within borg serve": asking("borg serve $(id >&2) `id >&2`"),
    "ssh, a command for borg's arguments": asking(f"borg create --patterns-from {MARKER} ::x"),
    "ssh, another program": asking(f"/bin/sh -c '{WANTED}'"),
    "ssh, a command with a terminal": running(f"{LOGIN} -tt {shlex.quote(WANTED)}"),
    "scp -O to the server": running(f"scp -O {BATCH} /etc/hostname borg@backup1:reached"),
    "scp -O from the server": running(f"{LOOT} scp -O {BATCH} borg@backup1:{MARKER} $loot"),
    "scp to the server": running(f"scp {BATCH} /etc/hostname borg@backup1:reached"),
    "scp from the server": running(f"{LOOT} scp {BATCH} borg@backup1:{MARKER} $loot"),
    "sftp to the server": running(f"echo put /etc/hostname reached | sftp {BATCH} -b - borg@backup1"),
    "sftp from the server": running(f"{LOOT} echo get {MARKER} $loot | sftp {BATCH} -b - borg@backup1"),
    "sftp as a command": running(f"{LOOT} echo get {MARKER} $loot | sftp {BATCH} -s /usr/lib/openssh/sftp-server -b - borg@backup1"),
    "rsync to the server": asking("rsync --server -e.LsfxC . reached"),
    "rsync from the server": asking(f"rsync --server --sender -e.LsfxC . {MARKER}"),
}


def knocking(options: str, *, socks: bool = False) -> Attack:
    """A port of the attacker that shall lead to the server's sshd."""
    def attack(fleet: Fleet) -> list[str]:
        script = (Path(__file__).parent / "knock.py").read_text()
        with fleet.held(f"-N {options} borg@backup1"):
            return traces(fleet.attacker.check_output("timeout 20 python3 -c %s %s %s", script, str(PORT), "socks" if socks else "plain"))
    return attack


def holding(options: str, command: str = "", *, before: str = "true") -> Attack:
    """A connection from which the server's processes shall get more than borg serve needs."""
    def attack(fleet: Fleet) -> list[str]:
        fleet.attacker.check_output(before)
        idle = fleet.evidence()
        with fleet.held(f"{options} borg@backup1 {command}"):
            busy = fleet.evidence()
        return [
            *(f"listens on {port}" for port in busy["ports"] if port not in idle["ports"]),
            *(f"reaches the agent {path}" for path in busy["agents"] if path not in idle["agents"]),
            *("has a terminal" for process in busy["processes"] if process["terminal"]),
            *(f"sets {line}" for process in busy["processes"] for line in process["environment"] if line.endswith(f"={PLANTED}")),
        ]
    return attack


FORWARDS: dict[str, Attack] = {
    "ssh -L": knocking(f"-L {PORT}:127.0.0.1:22"),
    "ssh -D": knocking(f"-D {PORT}", socks=True),
    "ssh -W": running(f"sleep 2 | timeout 5 {SSH} -W 127.0.0.1:22 borg@backup1"),
    "ssh -R": holding(f"-N -R {PORT}:127.0.0.1:22"),
    "ssh -R, a socket": lambda fleet: fleet.attack(f"timeout 3 {SSH} -N -R {POOL}/socket:127.0.0.1:22 borg@backup1"),
    "ssh -A": holding("-A", "borg serve", before="export SSH_AUTH_SOCK=/tmp/agent; ssh-add -l >/dev/null 2>&1; test $? -lt 2 || ssh-agent -a $SSH_AUTH_SOCK"),
    "ssh -Y": holding("-Y", "borg serve"),
    "ssh -tt": holding("-tt", "borg serve"),
}
ENVIRONMENT: dict[str, Attack] = {
    "ssh, environment": holding(" ".join(f"-o SetEnv={name}={PLANTED}" for name in ("BORG_BASE_DIR", "LD_PRELOAD", "PYTHONPATH", "PATH"))),
    "ssh, environment before the command": holding("", f"BORG_BASE_DIR={PLANTED} borg serve"),
}


@contextlib.contextmanager
def planted(fleet: Fleet, path: str, text: str) -> Iterator[None]:
    """A file of the account's, as if a client had once got so far."""
    fleet.on_server(f"printf '%s\\n' {shlex.quote(text)} >{path}; chown borg: {path}; chmod 600 {path}")
    try:
        yield
    finally:
        fleet.on_server(f"rm -f {path}")


def _rc(fleet: Fleet) -> list[str]:
    with planted(fleet, f"{POOL}/.ssh/rc", f"touch {POOL}/reached"):
        try:
            return fleet.attack(f"{LOGIN} borg serve")
        finally:
            fleet.on_server(f"rm -f {POOL}/reached")


def _second_file(fleet: Fleet) -> list[str]:
    with planted(fleet, f"{POOL}/.ssh/authorized_keys2", intruder(fleet)):
        return fleet.attack(as_intruder(WANTED))


def _password(fleet: Fleet) -> list[str]:
    with fleet.restored():
        fleet.on_server(f"echo 'borg:{PASSWORD}' | chpasswd")
        return fleet.attack(f"{ASKING} {SSH} {BY_PASSWORD} borg@backup1 {shlex.quote(WANTED)}")


LEFT_BEHIND: dict[str, Attack] = {
    "a file ~/.ssh/rc": _rc,
    "a key in authorized_keys2": _second_file,
    "a password": _password,
}


def intruder(fleet: Fleet) -> str:
    """A key of the attacker's that nobody has authorised."""
    fleet.attacker.check_output("test -e /root/intruder || ssh-keygen -q -t ed25519 -N '' -C '' -f /root/intruder")
    return fleet.attacker.check_output("cut -d ' ' -f 1,2 /root/intruder.pub")


def as_intruder(command: str) -> str:
    return f"{SSH} -o IdentityFile=none -i /root/intruder borg@backup1 {shlex.quote(command)}"


ATTACKS: dict[str, Attack] = {**SHELLS, **FORWARDS, **ENVIRONMENT, **LEFT_BEHIND}
