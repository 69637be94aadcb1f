# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each defence taken away in turn: the attacks have to notice, or they would prove nothing."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from impostor import WAYS
from keys import COLLECTIONS, CRAFTED, KEYS, crafting
from machines import POOL, Fleet
from shells import FORWARDS, SHELLS
from tables import ATTACKS, Outcomes

DROP_IN = "rm /etc/ssh/sshd_config.d/fleetbackup-borg.conf; systemctl reload ssh; sleep 0.5;"
CONFIGURATION = "/root/.ssh/fleetbackup_config"


class Mutant(NamedTuple):
    """A server without one of its defences.

    :ivar script: takes it away.
    :ivar noticed: the attacks that get through then.
    """

    script: str
    noticed: tuple[str, ...]


def edited(expression: str) -> str:
    return f"sed -i '{expression}' {KEYS}; "


#: sshd finds no address for a display in the lab's containers, whether it may or not.
UNSEEN = ("ssh -Y",)
SERVERS = {
    "without restrict, and without sshd's Match": Mutant(edited("s/,restrict / /") + DROP_IN, (
        *(name for name in FORWARDS if name not in UNSEEN), "a file ~/.ssh/rc",
    )),
    "without the forced command": Mutant(
        edited("s/^command=.*,restrict /restrict /"),
        tuple(name for name in SHELLS if name not in ("ssh, a command for borg's arguments", "ssh, a command with a terminal")),
    ),
    "without sshd's Match": Mutant(DROP_IN, ("a password", "a key in authorized_keys2")),
    "without --append-only": Mutant(edited("s/ --append-only//"), (
        "own segments, borg delete an archive and compact", "own segments, borg delete the repository", "own segments, borg prune",
        "own segments, borg check --repair", "own segments, destroy", "own segments, delete everything, compact",
    )),
    "with --restrict-to-path of the pool": Mutant(edited(f"s,--restrict-to-repository [^\"]*,--restrict-to-path {POOL},"), (
        "another's repository, an absolute path", "another's repository, /./", "another's repository, ..",
        "another's repository, borg key export", "another's lock",
        "a new repository, one beside its own", "a new repository, a second one below its own",
    )),
    "with --restrict-to-repository of another": Mutant(edited("s,repository /srv/borg/client-a,repository /srv/borg/client-b,"), (
        "another's repository, a link in its own repository",
    )),
    "without --storage-quota": Mutant(
        edited("s/ --storage-quota 12M//") + f"sed -i '/storage_quota/d' {POOL}/client-a/config", ("more than its quota, for good",)
    ),
    "with another umask": Mutant(edited("s/--umask=077/--umask=000/"), ("own files for all to read",)),
}
#: Two defences against the same: each has to do alone.
ALONE = {"restrict": DROP_IN, "sshd's Match": edited("s/,restrict / /")}
#: File, what is taken out, what stands there instead, and the entries that get through then.
CORES = {
    "the key parser": ("_client_keys.py", "def _better_reason(", '''def client_key(text: str, parameter: str) -> PublicKey:
    class AsGiven(PublicKey):
        bare = text

    return AsGiven("", text.encode())


def _better_reason(''', ("key, a second line", "key, a comment with a second line")),
    "the check of names": ("_authorized_keys.py", r'_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}\Z"', r'_NAME = r"[\s\S]+\Z"', ("name, a second line",)),
    "the check of paths": ("_authorized_keys.py", "    if not value.isprintable():", "    if False:", ("repository, a second line",)),
    "the quoting": ("_authorized_keys.py", "map(shlex.quote, self.words)", "self.words", ("repository, another command",)),
}


@pytest.mark.parametrize(("server", "attack"), [(name, attack) for name, mutant in SERVERS.items() for attack in mutant.noticed])
def test_a_server_is_caught(fleet: Fleet, outcomes: Outcomes, server: str, attack: str) -> None:
    with fleet.restored():
        fleet.on_server(SERVERS[server].script)
        breaches = ATTACKS[attack](fleet)
    assert breaches
    outcomes[f"a server {server}: {attack}"] = f"CAUGHT: {breaches[0]}"


@pytest.mark.parametrize("defence", ALONE)
@pytest.mark.parametrize("attack", [*FORWARDS, "a file ~/.ssh/rc"])
def test_one_defence_is_enough(fleet: Fleet, outcomes: Outcomes, defence: str, attack: str) -> None:
    with fleet.restored():
        fleet.on_server(ALONE[defence])
        breaches = ATTACKS[attack](fleet)
    outcomes[f"only {defence}: {attack}"] = "; ".join(breaches) or "nothing"
    assert not breaches


@pytest.mark.parametrize("way", [way for way in WAYS if way.startswith(("borg", "ssh"))])
def test_a_client_that_trusts_any_host_key_is_caught(fleet: Fleet, outcomes: Outcomes, way: str) -> None:
    with kept(fleet, CONFIGURATION):
        fleet.attacker.check_output(f"sed -i 's/StrictHostKeyChecking .*/StrictHostKeyChecking no/' {CONFIGURATION}")
        breaches = ATTACKS[f"another host key, {way}"](fleet)
    assert breaches
    outcomes[f"a client with StrictHostKeyChecking no: {way}"] = f"CAUGHT: {breaches[0]}"


@pytest.mark.parametrize(("core", "entry"), [(name, entry) for name, (*_rest, entries) in CORES.items() for entry in entries])
def test_a_module_is_caught(fleet: Fleet, outcomes: Outcomes, core: str, entry: str) -> None:
    file, old, new, _entries = CORES[core]
    with copied(file, old, new) as collections:
        breaches = crafting(CRAFTED[entry], collections)(fleet)
    assert breaches
    outcomes[f"a module without {core}: {entry}"] = f"CAUGHT: {breaches[0]}"


@contextlib.contextmanager
def kept(fleet: Fleet, path: str) -> Iterator[None]:
    fleet.attacker.check_output(f"cp -p {path} /root/kept")
    try:
        yield
    finally:
        fleet.attacker.check_output(f"mv /root/kept {path}")


@contextlib.contextmanager
def copied(file: str, old: str, new: str) -> Iterator[Path]:
    """The collection with one file changed."""
    with tempfile.TemporaryDirectory() as directory:
        plugins = Path(directory) / "ansible_collections/fleetbackup/borg/plugins"
        shutil.copytree(COLLECTIONS / "ansible_collections/fleetbackup/borg/plugins", plugins)
        path = plugins / "module_utils" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        yield Path(directory)
