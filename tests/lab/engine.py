# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker Engine: installed from Debian where missing, started by hand where none runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

START_SECONDS = 60
# Two lanes of a run may find the same program missing.
_APT = threading.Lock()


class LabError(Exception):
    """The lab cannot be built on this machine; the text says why and what to do."""


def call(argv: list[str], *, stdin: bytes | None = None, timeout: float | None = None) -> str:
    """Run one command and return its output; raises LabError with the end of what it said."""
    source = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(argv, timeout=timeout, capture_output=True, check=False, **source)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace")
        raise LabError(f"{' '.join(argv[:4])} … ended with {done.returncode}:\n{said[-4000:]}")
    return done.stdout.decode(errors="replace")


def install(*packages: str, program: str, where_known: tuple[str, ...] = ()) -> None:
    """Install the Debian packages that bring a program, unless it is there; only root can.

    :param where_known: packages that not every release has; left out where apt does not know them.
    """
    with _APT:
        if shutil.which(program):
            return
        if os.geteuid() != 0:
            raise LabError(f"missing: {' '.join(packages)}. Install them, or run this as root.")
        call(["apt-get", "update", "-q"])
        more = [name for name in where_known if call(["apt-cache", "search", "--names-only", f"^{name}$"])]
        call(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-q", "-y", "--no-install-recommends", *packages, *more])


class Engine:
    """The engine of this machine. What this checkout started, `stop` ends; an engine of somebody else stays."""

    def __init__(self, cache: Path) -> None:
        self.pidfile = cache / "dockerd.pid"
        self.log = cache / "logs" / "dockerd.log"

    def ensure(self) -> bool:
        """Have an engine that answers; True where this call started it."""
        if self._answers():
            return False
        if not (shutil.which("docker") and shutil.which("dockerd")):
            self._install()
        if os.geteuid() != 0:
            raise LabError("no Docker Engine answers and only root can start one: run this as root, or start docker.")
        self._start()
        return True

    def stop(self) -> None:
        """End the engine that `ensure` started, if it still runs and nobody else has a container in it."""
        try:
            pid = int(self.pidfile.read_text())
        except FileNotFoundError:
            return
        if self._answers() and call(["docker", "ps", "--quiet"]).strip():
            return
        if self._is_dockerd(pid):
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + START_SECONDS
            while self._is_dockerd(pid) and time.monotonic() < deadline:
                time.sleep(0.2)
        self.pidfile.unlink()

    @staticmethod
    def _answers() -> bool:
        if not shutil.which("docker"):
            return False
        return subprocess.run(["docker", "info"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    @staticmethod
    def _install() -> None:
        # Debian 13 moved the client out of docker.io into a package of its own.
        for program in ("dockerd", "docker"):
            install("docker.io", "iptables", where_known=("docker-cli",), program=program)
        if Path("/run/systemd/system").is_dir():
            # Debian starts the service on installation; what only the tests wanted shall not outlive them.
            call(["systemctl", "stop", "docker.socket", "docker.service"])

    def _start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            daemon = subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pidfile.write_text(str(daemon.pid))
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"dockerd does not start:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.3)

    @staticmethod
    def _is_dockerd(pid: int) -> bool:
        try:
            # A zombie that nobody reaps has ended.
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")
        except FileNotFoundError:
            return False
        return state[0].endswith("(dockerd") and state[2].split()[0] != "Z"
