# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet of a lab: the machines of an Ansible inventory, booted as bare Debian, that their controller may log in to as root.

Runs on the controller, in tests/: python3 -m lab.fleet up INVENTORY, python3 -m lab.fleet down
A host of the inventory is the lab's where it has the variable lab_distribution (debian13); lab_layer (bare) names its image.
A machine that runs already is left alone.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import shlex
import sys
from pathlib import Path

from lab.containers import Container, remove_all
from lab.engine import LabError, call
from lab.images import Image

LABEL = "fleetbackup.fleet"
SSH = Path.home() / ".ssh"


def up(lab: str, inventory: str) -> None:
    """Boot what does not run, pin the host keys of all, print who is where."""
    hosts = _hosts(inventory)
    key = _own_key()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        nodes = list(pool.map(lambda host: _node(lab, host, hosts[host], key), hosts))
    # Read through the Docker Engine, not from whoever answers in the network.
    (SSH / "known_hosts").write_text("".join(f"{node.hostname} {line}\n" for node in nodes for line in _host_keys(node)))
    print(f"{'name':<12}{'address':<16}distribution")
    for node in nodes:
        address = call(["docker", "inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", node.name]).strip()
        print(f"{node.hostname:<12}{address:<16}{node.image.distribution}")


def down(lab: str) -> None:
    """Remove every machine of the fleet."""
    remove_all(f"label={LABEL}={lab}")


def _hosts(inventory: str) -> dict[str, dict[str, str]]:
    """The variables of each host that the lab shall boot."""
    listed = json.loads(call(["ansible-inventory", f"--inventory={inventory}", "--list"]))
    hosts = {name: said for name, said in listed["_meta"]["hostvars"].items() if "lab_distribution" in said}
    if not hosts:
        raise LabError(f"{inventory}: no host has the variable lab_distribution, for example debian13.")
    return hosts


def _own_key() -> str:
    """The public key of this controller, made when first asked for."""
    private = SSH / "id_ed25519"
    if not private.exists():
        SSH.mkdir(mode=0o700, exist_ok=True)
        call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the lab's controller", "-f", str(private)])
    return private.with_suffix(".pub").read_text().strip()


def _node(lab: str, host: str, said: dict[str, str], key: str) -> Container:
    image = Image(said["lab_distribution"], said.get("lab_layer", "bare"))
    node = Container(f"{lab}-{host}", image, network=lab, hostname=host, options=(f"--label={LABEL}={lab}",))
    if not node.runs():
        node.boot()
        # Those of the image are the same on every machine.
        node.call("sh", "-c", "rm -f /etc/ssh/ssh_host_* && ssh-keygen -A && systemctl restart ssh")
    line = shlex.quote(key)
    node.call("sh", "-c", "mkdir -p -m 700 ~/.ssh && cd ~/.ssh && touch authorized_keys && chmod 600 authorized_keys && "
                          f"{{ grep -qxF {line} authorized_keys || echo {line} >>authorized_keys; }}")
    return node


def _host_keys(node: Container) -> list[str]:
    return node.call("sh", "-c", "cut -d ' ' -f 1,2 /etc/ssh/ssh_host_*_key.pub").splitlines()


if __name__ == "__main__":
    try:
        {"up": up, "down": down}[sys.argv[1]](os.environ["LAB_NAME"], *sys.argv[2:])
    except LabError as error:
        sys.exit(str(error))
