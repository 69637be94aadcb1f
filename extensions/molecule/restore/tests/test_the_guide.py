# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the guide has somebody in trouble type does what it says, line by line."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from plays import INVENTORY, Machine

PAGE = (Path(__file__).parents[4] / "docs/when_you_need_it_back.md").read_text(encoding="utf-8")
DATA = "/srv/data"
KEYS = "/srv/borg/.ssh/authorized_keys"
PASSPHRASE = "a passphrase of the tests, client1"
#: What the page has in place of what its reader has.
MEANT = {
    "/root/papers/will.ods": f"{DATA}/secret",
    "root/papers": DATA[1:],
    "will.ods": "secret",
    "-i inventory": f"-i {shlex.quote(str(INVENTORY))}",
    "BORG_PASSPHRASE=…": f"BORG_PASSPHRASE={shlex.quote(PASSPHRASE)}",
    "/srv/from-web1": "/srv/by-the-guide",
    "web1": "client1",
    "web2": "client2",
}


def printed() -> list[str]:
    """The commands of the page's consoles; one of several lines is one."""
    found = []
    for block in re.findall(r"^ *```console\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE):
        for part in re.split(r"^ *\$ ", block, flags=re.MULTILINE)[1:]:
            command, *more = part.splitlines()
            while command.endswith("\\") or command.count("'") % 2:
                command = f"{command.removesuffix(chr(92)).rstrip()} {more.pop(0).strip()}"
            found.append(re.sub(r"\s+# .*", "", command))
    return found


class Reader:
    """Somebody whose client has two archives, between which a file was added."""

    def __init__(self) -> None:
        self.client, self.other, self.server = Machine("client1"), Machine("client2"), Machine("backup1")
        self.client.output(f"echo new > {DATA}/new")
        self.client.back_up()
        *_earlier, self.older, self.newer = self.client.archives("backup1")
        self.data = self.client.manifest(DATA)

    def types(self, command: str) -> str:
        """What the controller answers to a command of the page."""
        known = f" --extra-vars {shlex.quote(json.dumps({'vault_backup_passphrase': PASSPHRASE}))}" if command.startswith("ansible") else ""
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
        ran = subprocess.run(
            ["bash", "-euc", self.meant(command) + known], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return " ".join(ran.stdout.split())

    def types_on_the_client(self, command: str) -> str:
        return self.client.output(f"cd /root; {self.meant(command)}")

    def types_on_the_server(self, *commands: str) -> str:
        return self.server.output(f"su - borg -c {shlex.quote(shlex.join(['bash', '-euc', self.meant('; '.join(commands))]))}")

    def meant(self, command: str) -> str:
        """A command with what the reader has."""
        command = re.sub(r"web1-20\d\d-[\w.:-]+", self.older, command.replace("OLDER NEWER", f"{self.older} {self.newer}"))
        for theirs, ours in MEANT.items():
            command = command.replace(theirs, ours)
        return command

    def holds(self, machine: Machine, place: str, *names: str) -> bool:
        """Whether these of the client's files are at a place, each as it was."""
        found = machine.manifest(place + DATA)
        return all(found.get(name) == self.data[name] for name in names)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def lists(reader: Reader, command: str) -> None:
    said = reader.types_on_the_client(command)
    assert reader.older in said and reader.newer in said


def finds(reader: Reader, command: str) -> None:
    reader.types_on_the_client(command)
    found = reader.client.output("cat /root/found; rm /root/found")
    assert f"{DATA[1:]}/secret" in found and f"{DATA[1:]}/plain" not in found


def lists_what_is_in_it(reader: Reader, command: str) -> None:
    said = reader.types_on_the_client(command)
    assert f"{DATA[1:]}/new" in said and "etc/ssh" not in said


def tells_what_came(reader: Reader, command: str) -> None:
    said = reader.types_on_the_client(command)
    assert re.search(rf"added.* {DATA[1:]}/new$", said, re.MULTILINE) and f"{DATA[1:]}/plain" not in said


def lists_from_afar(reader: Reader, command: str) -> None:
    said = reader.types(command)
    assert reader.older in said and reader.newer in said and PASSPHRASE not in said


def brings_one_file(reader: Reader, command: str) -> None:
    said = reader.types(command)
    (place,) = re.findall(r"Below (\S+) on client1: 1 files", said)
    assert place.endswith(reader.older if "fleetbackup_archive" in command else reader.newer)
    assert reader.holds(reader.client, place, "secret"), said


def brings_all_elsewhere(reader: Reader, command: str) -> None:
    reader.types(command)
    assert reader.holds(reader.other, "/srv/by-the-guide", *reader.data)


def knows_the_key(reader: Reader, command: str) -> None:
    assert "client1 : ok=" in reader.types(command)


def lists_bundles(reader: Reader, command: str) -> None:
    assert re.search(r"\bclient1_ssh-borg-backup1-.-client1_\w+\.yml\b", reader.types(command))


def is_tested_elsewhere(_reader: Reader, command: str) -> None:
    """In the scenarios `disaster` and `user_data`: a destroyed machine, and a second destination."""
    assert "recover_host" in command or "fleetbackup_repository=too" in command


def opens_it_on_the_server(reader: Reader, *commands: str) -> None:
    *listed, place = reader.types_on_the_server(*commands).splitlines()
    assert any(line.startswith(reader.newer) for line in listed), listed
    owned_by_borg = {name: entry[5:] for name, entry in reader.server.manifest(f"{place}{DATA}").items()}
    assert owned_by_borg["secret"] == reader.data["secret"][5:] and "new" not in owned_by_borg
    reader.server.output(f"rm -r {place}")


#: What shows that a line of the page, in its order, does what is said of it.
SHOWN: list[Callable[..., None]] = [
    lists, finds, lists_what_is_in_it, tells_what_came, lists_from_afar, brings_one_file, brings_one_file, brings_all_elsewhere,
    is_tested_elsewhere, knows_the_key, is_tested_elsewhere, is_tested_elsewhere, lists_bundles,
]  # fmt: skip
COMMANDS = printed()


@pytest.mark.parametrize(("shown", "command"), zip(SHOWN, COMMANDS), ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_a_line_does_what_is_said_of_it(reader: Reader, shown: Callable[[Reader, str], None], command: str) -> None:
    shown(reader, command)


def test_the_last_lines_open_it_on_the_server(reader: Reader) -> None:
    first, *_rest = commands = COMMANDS[len(SHOWN) :]
    assert first.startswith("export BORG_PASSPHRASE") and len(commands) == 3
    opens_it_on_the_server(reader, *commands)


def test_the_line_that_lets_a_key_of_ones_own_in_does(reader: Reader) -> None:
    (line,) = re.findall(r"^command=.* ssh-ed25519 AAAA… me$", PAGE, re.MULTILINE)
    mine = reader.other.output("rm -f /root/mine*; ssh-keygen -q -t ed25519 -N '' -C me -f /root/mine; cat /root/mine.pub").strip()
    before = reader.server.output(f"cat {KEYS}")
    reader.server.output(f"echo {shlex.quote(reader.meant(line).replace('ssh-ed25519 AAAA… me', mine))} >> {KEYS}")
    way = "ssh -o BatchMode=yes -o IdentitiesOnly=yes -i /root/mine -o HostKeyAlias=backup1"
    known = reader.other.output("ls /root/.ssh/*known_hosts").split()[0]
    command = f"BORG_PASSPHRASE={shlex.quote(PASSPHRASE)} BORG_RSH='{way} -o UserKnownHostsFile={known}' borg list --short"
    assert reader.newer in reader.other.output(f"{command} ssh://borg@backup1/./client1").splitlines()
    reader.server.output(f"cat > {KEYS} <<'END'\n{before}\nEND")
