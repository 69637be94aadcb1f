# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller: it runs the playbook, or the module alone, with the collection as it is or with one line changed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from machines import INVENTORIES, PASSPHRASE, VAULT

INVENTORY = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "inventory"
COLLECTION = Path.home() / "ansible_collections/fleetbackup/borg"
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=(\d+)", re.MULTILINE)
FAILED = re.compile(r"^(?:failed|fatal): \[(\w+)[^\]]*\].*? => (\{.*\})$", re.MULTILINE)


class Run(NamedTuple):
    """A run of ansible-playbook."""

    rc: int
    said: str

    @property
    def changes(self) -> dict[str, int]:
        """How much each host changed."""
        return {host: int(changed) for host, changed, _failed in RECAP.findall(self.said)}

    @property
    def failed(self) -> set[str]:
        """The hosts that failed."""
        return {host for host, _changed, failed in RECAP.findall(self.said) if failed != "0"}

    def failures(self, host: str) -> list[dict[str, Any]]:
        """What failed there."""
        found = [{**json.loads(text), "failed": True} for name, text in FAILED.findall(self.said) if name == host]
        return [failure for failure in found if failure.get("error")]

    def succeeded(self) -> Run:
        assert self.rc == 0, self.said
        return self


class Result(dict[str, Any]):
    """What a module returns. A key that is not there fails the test, with all that is."""

    def __missing__(self, key: str) -> Any:
        raise AssertionError(f"no {key!r} in {dict(self)}")


def maintain(*options: str, **variables: Any) -> Run:
    """Run the playbook; two days are kept whole."""
    return play("maintain_server", *options, fleetbackup_keep_within="2d", **variables)


def play(name: str, *options: str, **variables: Any) -> Run:
    command = ["ansible-playbook", "--inventory", INVENTORY, f"fleetbackup.borg.{name}", "--extra-vars", json.dumps(variables), *options]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env={**os.environ, "ANSIBLE_NOCOLOR": "1"})
    return Run(ran.returncode, ran.stdout + ran.stderr)


def module(repository: str = "web1", collections: Path | None = None, check: bool = False, **options: Any) -> Result:
    """Run the module alone, as the playbook does for one repository of web1."""
    (inventory,) = VAULT.output(f"ls {INVENTORIES}/*_{repository}-*.json").split()
    arguments = {
        "repository": f"ssh://borg@backup1/./{repository}",
        "passphrase": PASSPHRASE,
        "rsh": "ssh -F /root/.ssh/fleetbackup_maintenance/web1.config",
        "inventory": inventory,
        "retentions": [{"match_archives": "web1-*", "keep_daily": 1}],
        "keep_within": "2d",
        **options,
    }
    command = ["ansible", "vault", "--inventory", INVENTORY, "--module-name", "fleetbackup.borg.borg_maintenance", "--args", json.dumps(arguments)]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_CALLBACK_RESULT_INDENTATION": "0"}
    if collections is not None:
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(collections)
    ran = subprocess.run(
        [*command, *(["--check"] if check else [])], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment
    )
    found = re.search(r"vault \| (CHANGED|SUCCESS|FAILED)!? =>? ?(\{.*\})", ran.stdout, re.DOTALL)
    assert found, ran.stdout + ran.stderr
    return Result({**json.loads(found.group(2)), "failed": found.group(1) == "FAILED"})


@contextlib.contextmanager
def changed(file: str, old: str, new: str) -> Iterator[Path]:
    """The collection with one part of a file of the core changed."""
    with tempfile.TemporaryDirectory() as directory:
        plugins = Path(directory) / "ansible_collections/fleetbackup/borg/plugins"
        shutil.copytree(COLLECTION / "plugins", plugins)
        for name in ("meta", "galaxy.yml"):
            source = COLLECTION / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, plugins.parent / name)
        path = plugins / "module_utils" / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, (file, old)
        path.write_text(text.replace(old, new), encoding="utf-8")
        yield Path(directory)
