# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client that wants its own backups gone: whoever breaks into a machine destroys what it could be rebuilt from."""

from __future__ import annotations

from machines import BORG, OWN, Attack, Fleet, differing
from repositories import MANIFEST

REPOSITORY = "ssh://borg@backup1/./client-a"
PATH = "/./client-a"
OPEN = ["open", {"path": PATH, "exclusive": True, "append_only": False}]
COMMANDS = {
    "delete an archive": f"borg delete {REPOSITORY}::precious",
    "delete an archive and compact": f"borg delete {REPOSITORY}::precious; borg compact --threshold 0 {REPOSITORY}",
    "delete the repository": f"borg delete {REPOSITORY}",
    "prune": f"borg create {REPOSITORY}::mine /etc/hostname; borg prune --keep-last 1 {REPOSITORY}; borg compact --threshold 0 {REPOSITORY}",
    "recreate": f"borg recreate --exclude / {REPOSITORY}::precious; borg compact --threshold 0 {REPOSITORY}",
    "compact --cleanup-commits": f"borg compact --cleanup-commits {REPOSITORY}",
    "check --repair": f"borg check --repair {REPOSITORY}; borg compact --threshold 0 {REPOSITORY}",
    "config": f"borg config {REPOSITORY} append_only 0; borg config {REPOSITORY} max_segment_size 1",
    "asking for another serve": f"borg --remote-path 'borg --debug' delete {REPOSITORY}::precious; borg compact --threshold 0 {REPOSITORY}",
    "init over it": f"borg init -e none {REPOSITORY}",
}
CALLS = {
    "destroy": [OPEN, ["destroy", {}]],
    "delete everything, compact": [OPEN, ["delete", {"id": MANIFEST}], ["commit", {"compact": True, "threshold": 0.0, "save_space": False}]],
    "overwrite the manifest": [OPEN, ["put", {"id": MANIFEST, "data": {"hex": "00" * 50}}], ["commit", {"compact": True, "threshold": 0.0}]],
    "check, repairing": [OPEN, ["check", {"repair": True, "save_space": True}]],
    "opened for writing twice": [OPEN, OPEN, ["delete", {"id": MANIFEST}], ["commit", {"compact": True, "threshold": 0.0}], ["destroy", {}]],
}
#: The server's, and what a segment and its neighbours may add to it.
QUOTA = 12_000_000 + 500_000
#: What gets through in spite of all that a server can be told, and why. The tests say so when it no longer does.
KNOWN: dict[str, str] = {
    "own segments, destroy what cannot be created":
        "borg serve 1.2 and 1.4 forgets --append-only where a client creates what exists already, and goes on with that",
    "more than its quota, until the next backup":
        "borg serve 1.2 and 1.4 writes before it looks at the quota, and a client can go on; what was not committed is cleared later",
}
UNMANNERLY = {"destroy what cannot be created": [["open", {"path": PATH, "create": True}], ["destroy", {}]]}


def segments(fleet: Fleet) -> dict[str, list]:
    """What was backed up so far; whatever is added does no harm."""
    return {path: found for path, found in fleet.evidence(OWN)["files"].items() if path.startswith(f"{OWN}data/")}


def deleting(command: str) -> Attack:
    return lambda fleet: lost(fleet, lambda: fleet.attempt(f"{BORG} {command}"))


def calling(calls: list, command: str = "borg serve") -> Attack:
    return lambda fleet: lost(fleet, lambda: fleet.speak(calls, command))


def lost(fleet: Fleet, harm) -> list[str]:
    with fleet.restored():
        before = segments(fleet)
        assert any(path.startswith(f"{OWN}data/0/") for path in before)
        harm()
        after = segments(fleet)
        return differing(before, {path: found for path, found in after.items() if path in before})


def flooding(*then: str) -> Attack:
    """Store more than allowed, with a quota of one's own, and go on when that is refused."""
    megabyte = {"zeros": 2**20}
    flood = [OPEN, *(["put", {"id": {"hex": f"{number:064x}"}, "data": megabyte}] for number in range(1, 15)), ["commit", {"compact": False}]]

    def attack(fleet: Fleet) -> list[str]:
        with fleet.restored():
            fleet.speak(flood, "borg serve --storage-quota 100G")
            for command in then:
                fleet.attempt(f"{BORG} {command}")
            used = int(fleet.on_server(f"du -sb {OWN}data | cut -f 1"))
            return [f"stored {used} bytes"] if used > QUOTA else []
    return attack


ATTACKS: dict[str, Attack] = {
    **{f"own segments, borg {name}": deleting(command) for name, command in COMMANDS.items()},
    **{f"own segments, {name}": calling(calls) for name, calls in {**CALLS, **UNMANNERLY}.items()},
    "own segments, asking to serve without limits": calling([OPEN, *CALLS["overwrite the manifest"][1:]], "borg serve --restrict-to-path /"),
    "more than its quota, for good": flooding(f"borg create {REPOSITORY}::small /etc/hostname"),
    "more than its quota, until the next backup": flooding(),
}


def rolled_back(fleet: Fleet, transaction: int) -> list[str]:
    """The archives of a copy that is taken back to a transaction, as borg's documentation says. The copy is removed."""
    script = f"""
        cp -a {OWN} /root/copy; cd /root/copy
        rm -f hints.* index.* integrity.*
        find data -type f | awk -F / '$NF > {transaction}' | xargs rm -f
        export BORG_BASE_DIR=$(mktemp -d) BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_PASSPHRASE='a passphrase of the tests, client-a'
        borg list --short /root/copy
        rm -rf /root/copy
    """
    return fleet.on_server(script).split()


def last_transaction(fleet: Fleet) -> int:
    """The newest segment: the one that ends the last transaction."""
    return max(int(path.rpartition("/")[2]) for path in segments(fleet) if path.rpartition("/")[2].isdigit())


def hide_all(fleet: Fleet) -> None:
    fleet.attempt(f"{BORG} borg delete --glob-archives '*' {REPOSITORY}; borg compact {REPOSITORY}")
