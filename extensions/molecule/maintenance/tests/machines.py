# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machines: a client in whosever hands, the server, the one that is trusted."""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import testinfra

MANIFEST = (Path(__file__).parents[2] / "common/manifest.py").read_text(encoding="utf-8")
PASSPHRASE = "a passphrase of the tests"
POOL = "/srv/borg"
DATA = "/srv/data"
SERVICE = "fleetbackup-system-backup.service"
INVENTORIES = "/root/fleetbackup-archives"
#: What each of the machines remembers of repositories, beside the repositories themselves.
REMEMBERED = "/root/.config/borg /root/.cache/borg"


class Machine:
    """One that this controller may log in to as root."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.host = testinfra.get_host(f"ssh://root@{name}?controlpath=/tmp/to-{name}")

    def output(self, script: str) -> str:
        """What a script in bash says; it must succeed."""
        return self.host.check_output("bash -euc %s", script)


class Client(Machine):
    """One that backs up."""

    def borg(self, *words: str, way: str = "/root/.ssh/fleetbackup_config") -> str:
        """A script with a command of borg, which reaches the server as the client's backups do."""
        said = f"BORG_RSH='ssh -F {way}' BORG_PASSPHRASE={shlex.quote(PASSPHRASE)} BORG_DISPLAY_PASSPHRASE=no"
        return f"{said} borg --lock-wait 60 {shlex.join(words)} </dev/null"

    def location(self, repository: str) -> str:
        return f"ssh://borg@backup1/./{repository}"

    def archives(self, repository: str) -> list[str]:
        return self.output(self.borg("list", "--short", self.location(repository))).splitlines()

    def make(self, repository: str, *ages: float, series: str = "", form: str = "{series}-{time:%Y-%m-%dT%H:%M:%S.%f}") -> list[str]:
        """Archives that were begun so many days ago, each with something of its own in it; their names.

        :param series: what the names begin with; empty: the client's own name.
        :param form: of the names; by default that of borgmatic.
        """
        made, script = [], []
        for age in ages:
            time = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=age)
            made.append(form.format(series=series or self.name, time=time))
            script.append("mkdir -p /srv/own && head --bytes 300000 /dev/urandom > /srv/own/file")
            command = ["create", f"--timestamp={time:%Y-%m-%dT%H:%M:%S}", f"{self.location(repository)}::{made[-1]}", DATA, "/srv/own"]
            script.append(self.borg(*command))
        self.output("\n".join(script))
        return made

    def hide(self, repository: str, *archives: str) -> None:
        """What an intruder does: borg calls it a success, and the list is without them."""
        self.output(self.borg("delete", self.location(repository), *archives))
        assert not set(archives) & set(self.archives(repository))

    def back_up(self) -> None:
        """Run the backup as its timer does."""
        ran = self.host.run(f"systemctl start {SERVICE}")
        assert ran.rc == 0, self.host.run(f"journalctl --no-pager --lines=50 --unit={SERVICE}").stdout

    def restored(self, repository: str, archive: str) -> dict[str, Any]:
        """What comes back of the data."""
        scratch = self.output("rm -rf /root/scratch; mkdir /root/scratch; echo /root/scratch")
        self.output(f"cd {scratch}; {self.borg('extract', f'{self.location(repository)}::{archive}', DATA[1:])}")
        return self.manifest(scratch + DATA)

    def manifest(self, directory: str = DATA) -> dict[str, Any]:
        found = json.loads(self.host.check_output("python3 -c %s %s", MANIFEST, directory))
        assert len(found) > 10
        return found


def escape_pattern(name: str) -> str:
    """A pattern that matches this name alone."""
    return re.sub(r"([*?\[])", r"[\1]", name)


SERVER, VAULT = Machine("backup1"), Machine("vault")
WEB1, WEB10 = Client("web1"), Client("web10")


def tree() -> str:
    """Every file of every repository: its mode, its bytes."""
    script = f"cd {POOL}; find . -path ./.ssh -prune -o -type f -printf '%m ' -exec sha256sum {{}} + | sort; find . -printf '%y %m %U %p\\n' | sort"
    return SERVER.output(script)


def known() -> str:
    """What the trusted machine remembers."""
    return VAULT.output(f"sha256sum {INVENTORIES}/*.json")


def size(repository: str) -> int:
    return int(SERVER.output(f"du --summarize --bytes {POOL}/{repository}").split()[0])


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Have everything as it was, afterwards: repositories, and what anybody remembers of them."""
    paths = {SERVER: POOL, VAULT: f"{INVENTORIES} {REMEMBERED}", WEB1: REMEMBERED}
    for machine, these in paths.items():
        machine.output(f"mkdir -p {these}; tar --create --file /root/kept.tar --absolute-names {these}")
    try:
        yield
    finally:
        for machine, these in paths.items():
            machine.output(f"rm -rf {these}; tar --extract --file /root/kept.tar --absolute-names")
