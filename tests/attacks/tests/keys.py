# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody who controls what stands in a client's entry: its key, its name, its repositories, its quota."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from machines import INVENTORY, LOGIN, POOL, Attack, Fleet, differing, traces
from shells import WANTED, as_intruder, intruder

COLLECTIONS = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
KEYS = f"{POOL}/.ssh/authorized_keys"
MODULE = "ansible_collections/fleetbackup/borg/plugins/modules/borg_authorized_keys.py"
#: KEY is a good key of somebody else's, INTRUDER the attacker's. Each is one entry that would let the attacker in if it came through.
CRAFTED: dict[str, dict] = {
    "key, a second line": {"public_keys": ["KEY\nINTRUDER"]},
    "key, a second line behind a comment": {"public_keys": ["KEY comment\r\nINTRUDER"]},
    "key, a carriage return": {"public_keys": ["KEY\rINTRUDER"]},
    "key, a comment with a second line": {"public_keys": ["KEY x\x0bINTRUDER\n INTRUDER"]},
    "key, options": {"public_keys": ['command="id" INTRUDER']},
    "key, no command": {"public_keys": ['no-pty,command="id" KEY\nINTRUDER']},
    "key, an authority": {"public_keys": ["cert-authority INTRUDER"]},
    "key, a blank line before": {"public_keys": ["\n\nINTRUDER\nKEY"]},
    "key, of no type": {"public_keys": ["x\nINTRUDER"]},
    "name, a second line": {"name": "x\nINTRUDER"},
    "name, a blank and another key": {"name": "x INTRUDER"},
    "name, the way out": {"name": "../client-b"},
    "name, an option": {"name": "-rf"},
    "repository, a second line": {"repositories": ["x\nINTRUDER"]},
    "repository, quotes": {"repositories": ['x",restrict KEY\nINTRUDER']},
    "repository, another command": {"repositories": ["x; id"]},
    "repository, a quote and another command": {"repositories": ["x'; id; '"]},
    "repository, the end of the command": {"repositories": ['x" INTRUDER']},
    "repository, a backslash and a quote": {"repositories": ['x\\" INTRUDER\n']},
    "repository, of another": {"repositories": ["x/../client-b"]},
    "repository, everything": {"repositories": ["/"]},
    "repository, an option": {"repositories": ["--restrict-to-path=/"]},
    "path, everything": {"repositories": [], "paths": ["/"]},
    "path, above": {"repositories": [], "paths": [".."]},
    "quota, another option": {"storage_quota": "12M --restrict-to-path /"},
    "quota, a second line": {"storage_quota": "12M\nINTRUDER"},
    "quota, another command": {"storage_quota": "12M;id"},
    "quota, below borg's least": {"storage_quota": "3M"},
    "address, a second line": {"from": ['*"\nINTRUDER']},
    "address, another option": {"from": ['*",no-restrict,x="']},
}

#: The same by the variables of the role.
STRANGER = {"name": "stranger", "public_keys": ["INTRUDER"], "repositories": ["stranger"]}
VARIABLES: dict[str, dict] = {
    "borg_server_clients, a name": {"borg_server_clients": [{**STRANGER, "name": "x\nINTRUDER"}]},
    "borg_server_clients, a key": {"borg_server_clients": [{**STRANGER, "public_keys": ['command="id" INTRUDER']}]},
    "borg_server_clients, a repository": {"borg_server_clients": [{**STRANGER, "repositories": ["../.."]}]},
    "borg_server_clients, a quota": {"borg_server_clients": [{**STRANGER, "storage_quota": "12M\nINTRUDER"}]},
    "borg_server_maintenance_keys": {"borg_server_maintenance_keys": ['no-pty,command="id" INTRUDER']},
    "borg_server_host_id": {"borg_server_host_id": "x sh -c id"},
}


def crafting(entry: dict, collections: Path = COLLECTIONS) -> Attack:
    """Have the module write the file, put it in force, log in."""
    def attack(fleet: Fleet) -> list[str]:
        key = intruder(fleet)
        spared = fleet.on_server(f"tail -n 1 {KEYS}").split()[-2]

        def filled(value):
            if isinstance(value, list):
                return [filled(part) for part in value]
            return value.replace("KEY", f"ssh-ed25519 {spared}").replace("INTRUDER", key)

        # What is no key of the attacker's own must not be either.
        client = {"name": "crafted", "public_keys": [f"ssh-ed25519 {spared}"], "repositories": ["crafted"]}
        before = "# untouched\n"
        after, rc = written({**client, **{name: filled(value) for name, value in entry.items()}}, before, collections)
        if rc:
            return [] if after == before else ["changed the file"]
        with fleet.restored():
            fleet.on_server(f"cat >{KEYS} <<'END'\n{after}END\n")
            lines = [line for line in after.splitlines() if not line.startswith("#")]
            by_key = fleet.victim.run(f"timeout 20 {LOGIN} {shlex.quote(WANTED)} </dev/null || true")
            return [*fleet.attack(as_intruder(WANTED)), *traces(by_key.stdout), *(["more than one line"] if len(lines) != 1 else [])]
    return attack


def provisioning(variables: dict) -> Attack:
    """Have the playbook bring crafted variables to the real server, log in."""
    def attack(fleet: Fleet) -> list[str]:
        key = intruder(fleet)
        before = fleet.seen()
        given = json.dumps(variables).replace("INTRUDER", key)
        command = ["ansible-playbook", "--inventory", str(INVENTORY), "fleetbackup.borg.server", "--extra-vars", given]
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
        refused = '"error": "invalid_argument"' in said and "Traceback" not in said
        return [*([] if refused else [f"was not refused: {said[-1500:]}"]), *differing(before, fleet.files()), *fleet.attack(as_intruder(WANTED))]
    return attack


def written(client: dict, before: str, collections: Path) -> tuple[str, int]:
    """What the module makes of a file, and whether it refuses."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "authorized_keys"
        path.write_text(before)
        path.chmod(0o600)
        arguments = {"user": "root", "path": str(path), "directory": POOL, "clients": [client], "exclusive": True}
        command = [sys.executable, str(collections / MODULE), json.dumps({"ANSIBLE_MODULE_ARGS": arguments})]
        ran = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(collections)}, capture_output=True, text=True, check=False)
        answer = json.loads(ran.stdout)
        assert "Traceback" not in ran.stderr and (not ran.returncode or answer["error"] in ("invalid_argument", "unsafe")), answer
        return path.read_text(), ran.returncode


ATTACKS: dict[str, Attack] = {
    **{f"crafted {name}": crafting(entry) for name, entry in CRAFTED.items()},
    **{f"crafted {name}": provisioning(variables) for name, variables in VARIABLES.items()},
}
