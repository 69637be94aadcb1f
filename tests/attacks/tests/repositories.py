# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client that wants another client's repository, or a place of its own beside the one that it has."""

from __future__ import annotations

from machines import BORG, OTHER, OWN, POOL, Attack, Fleet, differing

#: Ways to say the victim's repository, in the words of borg serve: nothing on the attacker's side makes them any tidier.
PATHS = {
    "an absolute path": f"{POOL}/client-b",
    "a relative path": "client-b",
    "/./": "/./client-b",
    "/~/": "/~/client-b",
    "~/": "~/client-b",
    "/~borg/": "/~borg/client-b",
    "..": "/./client-a/../client-b",
    "many ..": f"/../../..{POOL}/client-a/data/../../client-b",
    "//": "//srv//borg//client-b",
    "a slash at the end": "/./client-b/",
    "a dot at the end": "/./client-b/.",
    "its own as a prefix": "/./client-a/../client-a/../client-b",
    "/proc/self/cwd": "/proc/self/cwd/client-b",
    "/proc/self/root": f"/proc/self/root{POOL}/client-b",
    "a link in its own repository": "/./client-a/link",
    "a line behind its own": "/./client-a\n/../client-b",
    "a zero byte": "/./client-a\0/../client-b",
}
#: Places where nothing is yet, and nothing of the attacker's shall be.
FREE = {
    "a second one below its own": "/./client-a/second",
    "one beside its own": "/./client-c",
    "its own name with something behind": "/./client-a-2",
    "its own name in another case": "/./CLIENT-A",
    "the home": "/./",
    "the directory above": "/srv",
    "the directory of the keys": "/./.ssh/keys",
    "a temporary directory": "/tmp/mine",
}
#: borg as the attacker has it, with the victim's repository.
OTHERS = "ssh://borg@backup1/./client-b"
COMMANDS = {
    "key export": f"borg key export {OTHERS}",
    "list": f"borg list {OTHERS}",
    "create": f"borg create {OTHERS}::mine /etc/hostname",
    "init": f"borg init -e none {OTHERS}",
    "init --make-parent-dirs": f"borg init --make-parent-dirs -e none {OTHERS}/below/it",
    "delete": f"borg delete {OTHERS}",
    "delete an archive": f"borg delete {OTHERS}::precious",
    "prune": f"borg prune --keep-last 1 {OTHERS}",
    "compact": f"borg compact {OTHERS}",
    "check --repair": f"borg check --repair {OTHERS}",
    "config": f"borg config {OTHERS} append_only 0",
    "break-lock": f"borg break-lock {OTHERS}",
    "change-passphrase": f"BORG_NEW_PASSPHRASE=mine borg key change-passphrase {OTHERS}",
    "--remote-path": f"borg --remote-path 'borg serve --restrict-to-path / --' key export {OTHERS}",
    "--umask": f"borg --umask 0 create {OTHERS}::mine /etc/hostname",
    "scp-style": "borg key export borg@backup1:client-b",
    "in the URL": "borg key export ssh://borg@backup1/./client-a/../client-b",
}
#: What a client without manners does with a repository that it could open. The identity of the chunk is that of the manifest.
MANIFEST = {"hex": "00" * 32}
ABUSE = [
    ["load_key", {}], ["get", {"id": MANIFEST}], ["list", {"limit": 9}],
    ["put", {"id": MANIFEST, "data": {"hex": "00" * 50}}], ["commit", {}],
    ["save_key", {"keydata": {"hex": "41" * 50}}], ["break_lock", {}], ["check", {"repair": True, "save_space": False}], ["destroy", {}],
]
LOCK = f"{OTHER}lock.exclusive/somebody@elsewhere.1-0"
#: What the client asks for, where the server says what it gets.
SERVES = (
    "borg serve --restrict-to-path /", "borg serve --restrict-to-repository /srv/borg/client-b", "borg serve --umask 0",
    "env BORG_BASE_DIR=/ borg serve", "borg --debug serve --restrict-to-path / --restrict-to-path /srv",
)


def opening(path: str, command: str = "borg serve", *, create: bool = False) -> Attack:
    """Open a path verbatim, and do all the harm that can be done there."""
    def attack(fleet: Fleet) -> list[str]:
        before = fleet.seen()
        _opened, *did = fleet.speak([["open", {"path": path, "create": create, "exclusive": True, "lock_wait": 1}], *ABUSE], command)
        reached = [f"{method} answered" for (method, _arguments), (refused, _answer) in zip(ABUSE, did) if refused is None]
        return [*reached, *differing(before, fleet.files())]
    return attack


def _with_link(attack: Attack) -> Attack:
    def linked(fleet: Fleet) -> list[str]:
        fleet.on_server(f"ln -s ../client-b {OWN}link")
        try:
            return attack(fleet)
        finally:
            fleet.on_server(f"rm -f {OWN}link")
    return linked


def _break_lock(fleet: Fleet) -> list[str]:
    fleet.on_server(f"install -d -o borg -g borg {OTHER}lock.exclusive; install -o borg -g borg /dev/null {LOCK}")
    try:
        return fleet.attack(f"{BORG} borg break-lock {OTHERS}")
    finally:
        fleet.on_server(f"rm -rf {OTHER}lock.exclusive")


def _umask(fleet: Fleet) -> list[str]:
    """The umask of its own files is the server's to say."""
    with fleet.restored():
        before = fleet.seen()
        fleet.attempt(f"{BORG} borg --umask 0 --remote-path 'borg --umask 0' create ssh://borg@backup1/./client-a::mine /etc/hostname")
        added = {path: found for path, found in fleet.files().items() if path not in before and path.startswith(OWN)}
        assert added
        return [f"made {path} {mode}" for path, (mode, _owner, _contents) in added.items() if not mode.endswith("------")]


ATTACKS: dict[str, Attack] = {
    **{f"another's repository, {way}": opening(path) for way, path in PATHS.items()},
    "another's repository, a link in its own repository": _with_link(opening(PATHS["a link in its own repository"])),
    **{f"a new repository, {where}": opening(path, create=True) for where, path in FREE.items()},
    **{f"another's repository, borg {name}": (lambda fleet, command=command: fleet.attack(f"{BORG} {command}")) for name, command in COMMANDS.items()},
    "another's lock": _break_lock,
    **{f"another's repository, asking for {command}": opening("/./client-b", command) for command in SERVES},
    "own files for all to read": _umask,
}
