# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machines of one test run: booted when first asked for, removed at its end."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from lab import fleet
from lab.containers import TREE, Container, ensure_network, remove_all, remove_network
from lab.engine import Engine, call
from lab.images import Image

HOSTS = ("debian12", "debian13")
CONTROLLER_HOST = "debian13"
SOCKET = "/var/run/docker.sock"
#: On the controller; its recovery bundles are encrypted with that.
VAULT_PASSWORD_FILE = "/root/.vault-password"


class Lab:
    """Machines under one name. With `keep`, they outlive the run and the next one takes them as they are."""

    def __init__(self, root: Path, *, name: str, keep: bool) -> None:
        self.root = root
        self.name = name
        self.keep = keep
        self.engine = Engine(root / ".cache")
        self.started_engine = False
        self.is_open = False
        self.machines: list[Container] = []

    def open(self) -> None:
        """Have a Docker Engine and a network in it."""
        self.started_engine = self.engine.ensure()
        ensure_network(self.name)
        self.is_open = True

    def close(self) -> None:
        """Remove the machines of this run and end the engine, if this run started it."""
        if self.keep:
            return
        if self.is_open:
            for machine in self.machines:
                machine.remove()
            fleet.down(self.name)
            remove_network(self.name)
        if self.started_engine:
            self.engine.stop()

    def remove_all(self) -> None:
        """Remove every machine of this name, also those that an earlier run kept."""
        remove_all(f"name=^{self.name}-")
        remove_network(self.name)

    def image(self, host: str, layer: str) -> Image:
        """An up-to-date image; a second run that wants it meanwhile waits instead of building it too."""
        image = Image(host, layer)
        with _locked(self.root / ".cache" / f"{host}.lock"):
            image.ensure()
        return image

    def machine(self, host: str, layer: str, *, fresh: bool = False) -> Container:
        """A booted machine with the present state of the collection on it."""
        image = self.image(host, layer)
        name = "-".join([self.name, *([] if layer == "test" else [layer]), host])
        return self._booted(Container(name, image, network=self.name), fresh)

    def controller(self) -> Container:
        """The machine with Ansible on it that boots a fleet beside itself, through the engine of this one, and drives it over SSH."""
        environment = {
            "LAB_NAME": self.name,
            "LANG": "C.UTF-8",
            "PATH": "/opt/molecule/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "ANSIBLE_COLLECTIONS_PATH": "/root",
            "ANSIBLE_VAULT_PASSWORD_FILE": VAULT_PASSWORD_FILE,
        }
        options = (f"--volume={SOCKET}:{SOCKET}", "--workdir=/root", *(f"--env={name}={value}" for name, value in environment.items()))
        image = self.image(CONTROLLER_HOST, "controller")
        machine = self._booted(Container(f"{self.name}-controller", image, network=self.name, hostname="controller", options=options))
        machine.call("bash", "-c", f"umask 077; test -e {VAULT_PASSWORD_FILE} || head -c 24 /dev/urandom | base64 >{VAULT_PASSWORD_FILE}")
        return machine

    def boot_fleet(self) -> str:
        """Boot the fleet of the controller's own inventory, at first that of the lab; returns who is where."""
        for host in HOSTS:
            self.image(host, "bare")
        controller = self.controller()
        controller.call("cp", "--update=none", f"{TREE}/tests/lab/inventory.yml", "/root/inventory.yml")
        return call(controller.argv("python3", "-m", "lab.fleet", "up", "/root/inventory.yml", directory=f"{TREE}/tests"))

    def _booted(self, machine: Container, fresh: bool = False) -> Container:
        self.machines.append(machine)
        if fresh or not (self.keep and machine.runs()):
            machine.boot()
        machine.sync(self.root)
        return machine


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
