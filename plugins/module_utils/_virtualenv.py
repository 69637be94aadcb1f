# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""borgmatic in a virtual environment of its own, every package in it pinned.

Whether it is as it shall be is told from the packages' metadata: neither pip nor the network is needed for that.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import without_password
from ansible_collections.fleetbackup.borg.plugins.module_utils._packages import package_version
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import run
from ansible_collections.fleetbackup.borg.plugins.module_utils._proxies import network_environment

#: In the environment: what it was made of. It makes the environment ours; it is empty while that is being made.
NOTE = "fleetbackup-requirements.txt"
_PYTHON = "/usr/bin/python3"
_PINNED = r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==([A-Za-z0-9.!+_-]+)\Z"


class VirtualEnvironment(NamedTuple):
    """One virtual environment.

    :ivar directory: where it is.
    :ivar wanted: the version of each package.
    """

    directory: str
    wanted: dict[str, str]

    @classmethod
    def of(cls, directory: str, requirements: Sequence[str]) -> VirtualEnvironment:
        """:param requirements: such as ``borgmatic==2.1.10``, dependencies included.

        :raises Failure: ``invalid_argument``: one of them pins nothing.
        """
        normal = "/" + os.path.normpath(directory).lstrip("/")
        if not directory.startswith("/") or normal.count("/") < 2:
            raise Failure("invalid_argument", f"virtualenv: {directory!r} is no place for one; for example /opt/borgmatic.")
        return cls(normal, dict(map(_pinned, requirements)))

    @property
    def program(self) -> str:
        """The absolute path of borgmatic."""
        return f"{self.directory}/bin/borgmatic"

    @property
    def is_ours(self) -> bool:
        """Whether we made it, or began to."""
        return os.path.exists(f"{self.directory}/{NOTE}")

    def versions(self) -> dict[str, Optional[str]]:
        """The version of each wanted package that is installed; None: not, or not in one piece."""
        if not os.access(self.program, os.X_OK):
            return dict.fromkeys(self.wanted)
        found: dict[str, list[str]] = {}
        for name in _names(self._library()):
            stem, extension = os.path.splitext(name)
            if extension == ".dist-info":
                package, _dash, version = stem.rpartition("-")
                found.setdefault(_canonical(package), []).append(version)
        return {name: found[name][0] if len(found.get(name, ())) == 1 else None for name in self.wanted}

    def is_complete(self) -> bool:
        """Whether it is as it shall be. Of one that somebody else made, only borgmatic's version counts.

        :raises Failure: ``exists``: something else is there.
        """
        if self.is_ours:
            return self._note() == self._text() and self.versions() == self.wanted
        if not _names(self.directory):
            return False
        version = package_version(self.program, "borgmatic")
        if version is None or version != self.wanted.get("borgmatic"):
            raise Failure(
                "exists",
                f"{self.directory} is there already, not made by this module, and holds"
                f" {f'borgmatic {version}' if version else 'no borgmatic'}; it was left alone. Remove it, or name another"
                " directory in virtualenv.",
            )
        return True

    def lacks_tools(self) -> bool:
        """Whether Python here cannot make virtual environments; Debian has that in a package of its own."""
        return run([_PYTHON, "-B", "-c", "import ensurepip, venv"], timeout=60).rc != 0

    def build(self, timeout: Optional[float]) -> None:
        """Make it anew. All is fetched and tried in a directory beside it first: what fails leaves the old one.

        :param timeout: seconds that one command may take.
        :raises Failure: ``other`` with the words of venv or pip.
        """
        os.makedirs(os.path.dirname(self.directory), mode=0o755, exist_ok=True)
        scratch = f"{self.directory}.new"
        shutil.rmtree(scratch, ignore_errors=True)
        wheels, requirements = f"{scratch}/wheels", f"{scratch}/requirements.txt"
        install = ("install", "--no-index", "--no-deps", "--find-links", wheels, "--requirement", requirements)
        try:
            _run(timeout, _PYTHON, "-m", "venv", scratch)
            write_atomically(requirements, self._text().encode(), mode=0o644)
            _pip(timeout, scratch, "wheel", "--no-deps", "--wheel-dir", wheels, "--requirement", requirements)
            _pip(timeout, scratch, *install, "--no-compile")
            _pip(timeout, scratch, "check")
            os.makedirs(self.directory, mode=0o755, exist_ok=True)
            self._write_note("")
            self._clear()
            _run(timeout, _PYTHON, "-m", "venv", self.directory)
            _pip(timeout, self.directory, *install)
            self._write_note(self._text())
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def remove(self) -> None:
        """Remove it, the note that makes it ours last."""
        self._clear()
        shutil.rmtree(self.directory)

    def _library(self) -> str:
        """Where its interpreter looks for packages: another one than before, after an upgrade of the distribution."""
        interpreter = os.path.basename(os.path.realpath(f"{self.directory}/bin/python3"))
        return f"{self.directory}/lib/{interpreter}/site-packages"

    def _text(self) -> str:
        return "".join(f"{name}=={version}\n" for name, version in self.wanted.items())

    def _note(self) -> str:
        with open(f"{self.directory}/{NOTE}", encoding="utf-8") as file:
            return file.read()

    def _write_note(self, text: str) -> None:
        write_atomically(f"{self.directory}/{NOTE}", text.encode(), mode=0o644)

    def _clear(self) -> None:
        for name in _names(self.directory):
            path = f"{self.directory}/{name}"
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif name != NOTE:
                os.unlink(path)


def _pinned(requirement: str) -> tuple[str, str]:
    match = re.match(_PINNED, requirement)
    if not match:
        raise Failure(
            "invalid_argument",
            f"requirements: {without_password(requirement)!r} does not pin one version; for example borgmatic==2.1.10.",
        )
    return _canonical(match.group(1)), match.group(2)


def _canonical(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _pip(timeout: Optional[float], directory: str, command: str, *arguments: str) -> None:
    options = ("--quiet", "--disable-pip-version-check", "--no-input")
    cache = () if command == "check" else ("--no-cache-dir",)
    _run(timeout, f"{directory}/bin/python3", "-m", "pip", command, *options, *cache, *arguments)


def _run(timeout: Optional[float], *argv: str) -> None:
    done = run(argv, environment=network_environment(), timeout=timeout, umask=0o022)
    if done.rc:
        said = " ".join((done.stderr or done.stdout).split())
        raise Failure(
            "other",
            f"The virtual environment could not be made, {' '.join(argv[1:4])} failed: {said}",
            rc=done.rc,
            cmd=done.argv,
            stderr=done.stderr or done.stdout,
        )
