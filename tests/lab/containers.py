# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One machine of the lab: a container that boots systemd."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from lab import pypi
from lab.engine import LabError, call
from lab.images import Image, copy_pip_settings

TREE = "/root/ansible_collections/fleetbackup/borg"
BOOT_SECONDS = 90
# --privileged and --cap-add=ALL fail where the machine itself lacks a capability; this boots systemd on both cgroup layouts.
BOOT = [
    "--tty", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
    "--cgroupns=private", "--env=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec",
]
# What systemd, its sandboxes, FUSE and a firewall need beyond Docker's defaults, with the kernel's numbers; nothing that reaches
# the machine outside, such as its clock.
CAPABILITIES = {
    "DAC_READ_SEARCH": 2, "LINUX_IMMUTABLE": 9, "NET_ADMIN": 12, "IPC_LOCK": 14, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYS_NICE": 23,
    "SYS_TTY_CONFIG": 26, "LEASE": 28, "AUDIT_CONTROL": 30, "SYSLOG": 34,
}


class Container:
    """A machine with a name. Its image decides what is installed on it; in its network it is found by its hostname."""

    def __init__(self, name: str, image: Image, *, network: str, hostname: str = "", options: tuple[str, ...] = ()) -> None:
        self.name = name
        self.image = image
        self.network = network
        self.hostname = hostname or name
        self.options = options

    def boot(self) -> None:
        """Start the machine afresh and wait until systemd has finished booting."""
        self.remove()
        fuse = ["--device=/dev/fuse"] if Path("/dev/fuse").exists() else []
        proxies = [f"--env={key}={value}" for key, value in pypi.proxies().items()]
        call(["docker", "run", "--detach", f"--name={self.name}", f"--hostname={self.hostname}", f"--network={self.network}",
              f"--network-alias={self.hostname}", *BOOT, *_capabilities(), *fuse, *proxies, *self.options, self.image.tag, "/lib/systemd/systemd"])
        self._wait_for_systemd()
        # systemd needs this for unit credentials; Docker mounts the root privately.
        self.call("mount", "--make-rshared", "/")
        copy_pip_settings(self.name)

    def runs(self) -> bool:
        """Whether this machine runs from the present image."""
        shown = subprocess.run(["docker", "inspect", "--format={{.State.Running}} {{.Image}}", self.name],
                               capture_output=True, check=False)
        image = subprocess.run(["docker", "image", "inspect", "--format={{.Id}}", self.image.tag], capture_output=True, check=False)
        return shown.returncode == 0 and shown.stdout.split() == [b"true", image.stdout.strip()]

    def argv(self, *command: str, directory: str = "/", environment: dict[str, str] | None = None) -> list[str]:
        """The command line on this machine that runs `command` inside."""
        variables = {"LANG": "C.UTF-8", "HOME": "/root", **(environment or {})}
        settings = [f"--env={name}={value}" for name, value in variables.items()]
        return ["docker", "exec", f"--workdir={directory}", *settings, self.name, *command]

    def call(self, *command: str) -> str:
        """Run a command inside and return its output."""
        return call(self.argv(*command))

    def sync(self, root: Path) -> None:
        """Replace the collection inside by the files of `root` that git knows or would add."""
        listed = call(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        files = [name for name in listed.split("\0") if name and (root / name).is_file()]
        packed = subprocess.run(["tar", "-C", str(root), "--null", "--files-from=-", "--owner=0", "--group=0", "-c"],
                                input="\0".join(files).encode(), stdout=subprocess.PIPE, check=True).stdout
        unpack = f"rm -rf {TREE} && mkdir -p {TREE} && tar -C {TREE} -x"
        call(["docker", "exec", "--interactive", self.name, "sh", "-c", unpack], stdin=packed)

    def remove(self) -> None:
        """Remove the machine, if there is one of this name."""
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def _wait_for_systemd(self) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline and self.runs():
            shown = subprocess.run(["docker", "exec", self.name, "systemctl", "is-system-running"], capture_output=True, check=False)
            # degraded: units that need a real machine have failed; the rest is up.
            if shown.stdout.strip() in (b"running", b"degraded"):
                return
            time.sleep(0.3)
        said = subprocess.run(["docker", "logs", "--tail=20", self.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        raise LabError(f"{self.name} did not boot within {BOOT_SECONDS} s. It said:\n{said.stdout.decode(errors='replace')}\n"
                       "With many containers on one machine, sysctl fs.inotify.max_user_instances may be too low.")


def remove_all(chosen: str) -> None:
    """Remove every machine that a filter of `docker ps` chooses."""
    names = call(["docker", "ps", "--all", f"--filter={chosen}", "--format={{.Names}}"]).split()
    if names:
        call(["docker", "rm", "--force", "--volumes", *names])


def ensure_network(name: str) -> None:
    """Have the network in which the machines of a lab find each other by name."""
    if not call(["docker", "network", "ls", "--quiet", f"--filter=name=^{name}$"]).strip():
        call(["docker", "network", "create", name])


def remove_network(name: str) -> None:
    """Remove the network, unless somebody's own machine is in it."""
    subprocess.run(["docker", "network", "rm", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _capabilities() -> list[str]:
    """Options for those of CAPABILITIES that this machine can give."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    bounding = int(re.search(r"^CapBnd:\s*([0-9a-f]+)$", status, re.MULTILINE).group(1), 16)
    return [f"--cap-add={name}" for name, bit in CAPABILITIES.items() if bounding >> bit & 1]
