# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machines of one test run: booted when first asked for, removed at its end."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from lab.containers import Container, ensure_network, remove_all
from lab.engine import Engine
from lab.images import Image

HOSTS = ("debian12", "debian13")


class Lab:
    """Machines under one name. With `keep`, they outlive the run and the next one takes them as they are."""

    def __init__(self, root: Path, *, name: str, keep: bool) -> None:
        self.root = root
        self.name = name
        self.keep = keep
        self.engine = Engine(root / ".cache")
        self.started_engine = False
        self.machines: list[Container] = []

    def open(self) -> None:
        """Have a Docker Engine and a network in it."""
        self.started_engine = self.engine.ensure()
        ensure_network()

    def close(self) -> None:
        """Remove the machines of this run and end the engine, if this run started it."""
        if self.keep:
            return
        for machine in self.machines:
            machine.remove()
        if self.started_engine:
            self.engine.stop()

    def remove_all(self) -> None:
        """Remove every machine of this name, also those that an earlier run kept."""
        remove_all(self.name)

    def image(self, host: str, layer: str) -> Image:
        """An up-to-date image; a second run that wants it meanwhile waits instead of building it too."""
        image = Image(host, layer)
        with _locked(self.root / ".cache" / f"{host}.lock"):
            image.ensure()
        return image

    def machine(self, host: str, layer: str, *, fresh: bool = False) -> Container:
        """A booted machine with the present state of the collection on it."""
        image = self.image(host, layer)
        machine = Container("-".join([self.name, *([] if layer == "test" else [layer]), host]), image)
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
