# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's images: a Debian machine and, on top of it, what tests need; built once, found again by a hash of their recipe.

bare      a machine as Debian installs it, with systemd and nothing of ours
ansible   bare, and the virtual environment /opt/ansible from which Ansible runs
test      ansible, and borg and borgmatic: where the integration targets run
tools     ansible, and the linters, an older ansible-core, ansible-test's environments
borg      bare, and the distribution's borg: a node of a fleet that need not install it first
controller  bare, and Ansible with molecule: from where a fleet is driven
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import uuid
from pathlib import Path

from lab import pypi
from lab.engine import LabError, call, install

REPOSITORY = "fleetbackup-lab"
SUITES = {"debian12": "bookworm", "debian13": "trixie"}
PARENTS = {"bare": None, "ansible": "bare", "test": "ansible", "tools": "ansible", "borg": "bare", "controller": "bare"}
REQUIREMENTS = {
    "bare": (),
    "ansible": ("ansible.txt",),
    "test": ("borgmatic.txt",),
    "tools": ("older.txt", "lint.txt", "importer.txt"),
    "borg": (),
    "controller": ("molecule.txt",),
}
LABEL = "fleetbackup.recipe"
PULL_SECONDS = 120

HERE = Path(__file__).resolve().parent
REQUIREMENTS_DIRECTORY = HERE.parent / "requirements"


class Image:
    """One layer of one distribution, for example the `test` image of debian13."""

    def __init__(self, distribution: str, layer: str) -> None:
        self.distribution = distribution
        self.layer = layer
        self.parent = Image(distribution, PARENTS[layer]) if PARENTS[layer] else None
        self.recipe = HERE / "recipes" / f"{layer}.sh"
        self.requirements = [REQUIREMENTS_DIRECTORY / name for name in REQUIREMENTS[layer]]

    @property
    def tag(self) -> str:
        return f"{REPOSITORY}:{self.distribution}" + ("" if self.layer == "bare" else f"-{self.layer}")

    @functools.cached_property
    def key(self) -> str:
        """The hash of everything that the image is made from."""
        digest = hashlib.sha256(f"{self.tag} {self.parent.key if self.parent else ''}".encode())
        for path in (self.recipe, *self.requirements):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def ensure(self) -> bool:
        """Build what is missing or outdated; True where something was built."""
        if _label(self.tag) == self.key:
            return False
        if self.parent:
            self.parent.ensure()
        self._build(self.parent.tag if self.parent else _base(self.distribution))
        return True

    def _build(self, parent: str) -> None:
        name = f"fleetbackup-build-{uuid.uuid4().hex[:8]}"
        proxies = [f"--env={key}={value}" for key, value in pypi.proxies().items()]
        call(["docker", "run", "--detach", f"--name={name}", parent, "sleep", "infinity"])
        try:
            copy_pip_settings(name)
            call(["docker", "exec", name, "mkdir", "-p", "/lab"])
            for path in (self.recipe, *self.requirements):
                call(["docker", "cp", str(path), f"{name}:/lab/{path.name}"])
            call(["docker", "exec", *proxies, name, "bash", f"/lab/{self.recipe.name}"])
            call(["docker", "exec", name, "rm", "-rf", "/lab", "/etc/pip.conf", pypi.BUNDLE_INSIDE])
            call(["docker", "commit", f"--change=LABEL {LABEL}={self.key}", name, self.tag])
        finally:
            call(["docker", "rm", "--force", name])


def copy_pip_settings(container: str) -> None:
    """Let pip inside reach the index that pip on this machine reaches."""
    call(["docker", "exec", "--interactive", container, "tee", "/etc/pip.conf"], stdin=pypi.pip_conf().encode())
    bundle = pypi.bundle()
    if bundle:
        call(["docker", "exec", "--interactive", container, "tee", pypi.BUNDLE_INSIDE], stdin=bundle.read_bytes())


def remove_all() -> None:
    """Remove every image of the lab."""
    tags = call(["docker", "images", "--format={{.Repository}}:{{.Tag}}", REPOSITORY]).split()
    if tags:
        call(["docker", "rmi", "--force", *tags])


def _label(tag: str) -> str | None:
    shown = subprocess.run(["docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', tag],
                           capture_output=True, check=False)
    return shown.stdout.decode().strip() if shown.returncode == 0 else None


def _base(distribution: str) -> str:
    """Debian's own image from a registry; where none is reachable, the same made with debootstrap."""
    suite = SUITES[distribution]
    try:
        call(["docker", "pull", "--quiet", f"debian:{suite}"], timeout=PULL_SECONDS)
        return f"debian:{suite}"
    except (LabError, subprocess.TimeoutExpired):
        pass
    tag = f"{REPOSITORY}:{distribution}-base"
    if not call(["docker", "images", "--quiet", tag]).strip():
        _bootstrap(suite, tag)
    return tag


def _bootstrap(suite: str, tag: str) -> None:
    install("debootstrap", program="debootstrap")
    directory = HERE.parents[1] / ".cache" / f"debootstrap-{suite}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(exist_ok=True)
    try:
        call(["debootstrap", "--variant=minbase", suite, str(directory)])
        with subprocess.Popen(["tar", "-C", str(directory), "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(["docker", "import", "-", tag], stdin=tar.stdout, stdout=subprocess.DEVNULL, check=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
