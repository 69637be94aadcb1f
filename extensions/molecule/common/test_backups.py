# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every client's scheduled job backs it up to its servers, what comes back is the same, and a next run is due.

A client has one configuration with a schedule named backup, and what common/data.yml wrote.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import testinfra

testinfra_hosts = ["ansible://borg_clients"]

MANIFEST = Path(__file__).with_name("manifest.py").read_text(encoding="utf-8")
ASSIGNMENT = re.compile(r"^(\w+)=([\"'])(.*)\2$")
JOB = re.compile(r"^(?:\S+ ){5}(?P<user>\S+) (?P<command>.+)$")
CALL = re.compile(r"(?P<borgmatic>\S+/borgmatic) --config (?P<config>\S+)")


class Schedules:
    """A client's schedules: what runs them, and what they run."""

    def __init__(self, host) -> None:
        (configuration,) = host.ansible.get_variables()["borgmatic_configs"]
        self.host = host
        self.prefix = f"fleetbackup-{configuration['name']}-"
        self.service = f"{self.prefix}backup.service"
        self.crontab = host.file(f"/etc/cron.d/{self.prefix}backup")
        self.systemctl = "systemctl" if host.user().name == "root" else "systemctl --user"
        text = self.crontab.content_string if self.crontab.exists else host.check_output(f"{self.systemctl} cat {self.service}")
        self.call = CALL.search(text)

    def run_backup(self) -> None:
        """Run the backup as its scheduler does."""
        ran = self._run_as_cron() if self.crontab.exists else self.host.run(f"{self.systemctl} start {self.service}")
        assert ran.rc == 0, ran.stderr + self.host.run("journalctl --no-pager --lines=50 --identifier=borgmatic").stdout

    def borgmatic(self, *arguments: str) -> str:
        """The output of borgmatic with the configuration that is scheduled."""
        return self.host.check_output(shlex.join([self.call["borgmatic"], "--config", self.call["config"], *arguments]))

    def next_runs(self) -> dict[str, str]:
        """When each timer elapses next."""
        listed = self.host.check_output(f"{self.systemctl} list-unit-files --no-legend '{self.prefix}*.timer'").splitlines()
        show = f"{self.systemctl} show --property=NextElapseUSecRealtime --value"
        return {line.split()[0]: self.host.check_output(f"{show} {line.split()[0]}") for line in listed}

    def _run_as_cron(self) -> Any:
        # What Debian's cron gives to a job that says nothing else.
        variables = {"HOME": "/root", "LOGNAME": "root", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
        lines = self.crontab.content_string.splitlines()
        variables.update((found[1], found[3]) for found in map(ASSIGNMENT.match, lines) if found)
        (job,) = filter(None, map(JOB.match, (line for line in lines if not line.startswith("#"))))
        assert job["user"] == "root"
        command = [*(f"{name}={value}" for name, value in variables.items()), variables["SHELL"], "-c", job["command"].replace("\\%", "%")]
        return self.host.run(f"cd {variables['HOME']} && exec env --ignore-environment {shlex.join(command)}")


class Repository(NamedTuple):
    """One repository as the client lists it."""

    location: str
    label: str
    archives: list[str]

    def files(self) -> set[str]:
        """What the server itself has of it."""
        place = urlsplit(self.location)
        inventory = f"{os.environ['MOLECULE_SCENARIO_DIRECTORY']}/inventory"
        server = testinfra.get_host(f"ansible://{place.hostname}", ansible_inventory=inventory)
        below = place.path.startswith("/./")
        path = f"{server.user(place.username).home}{place.path[2:]}" if below else place.path
        return set(server.check_output(f"find {path}/data -type f").splitlines())


class Backup(NamedTuple):
    """What a run has added to one repository."""

    label: str
    archives: list[str]
    files: set[str]


@pytest.fixture(scope="module")
def schedules(host) -> Schedules:
    return Schedules(host)


@pytest.fixture(scope="module")
def backups(schedules: Schedules) -> list[Backup]:
    """Run the backup; what that has added to each repository."""
    before = [(repository, repository.files()) for repository in repositories(schedules)]
    schedules.run_backup()
    after = repositories(schedules)
    assert [repository.location for repository in after] == [repository.location for repository, _files in before]
    return [
        Backup(old.label, [name for name in new.archives if name not in old.archives], new.files() - files)
        for (old, files), new in zip(before, after)
    ]


def repositories(schedules: Schedules) -> list[Repository]:
    return [
        Repository(listed["repository"]["location"], listed["repository"].get("label", ""), [archive["name"] for archive in listed["archives"]])
        for listed in json.loads(schedules.borgmatic("list", "--json"))
    ]


def test_one_archive_is_added_to_each_repository(backups: list[Backup]) -> None:
    assert backups and all(len(backup.archives) == 1 for backup in backups), backups


def test_the_server_has_more(backups: list[Backup]) -> None:
    assert backups and all(backup.files for backup in backups), backups


def test_what_comes_back_is_the_same(host, schedules: Schedules, backups: list[Backup]) -> None:
    data = host.ansible.get_variables().get("data_directory", "/srv/data")
    wanted = manifest(host, data)
    assert len(wanted) > 10
    for backup in backups:
        scratch = host.check_output("mktemp --directory")
        chosen = ["--repository", backup.label] if backup.label else []
        schedules.borgmatic("extract", *chosen, "--archive", backup.archives[0], "--path", data[1:], "--destination", scratch)
        assert manifest(host, scratch + data) == wanted
        host.check_output(f"chmod -R u+w {scratch} && rm -r {scratch}")


def test_every_schedule_has_a_next_run(host, schedules: Schedules) -> None:
    if schedules.crontab.exists:
        assert host.service("cron").is_running
        return
    due = schedules.next_runs()
    assert due and all(due.values()), due


def manifest(host, directory: str) -> dict[str, Any]:
    return json.loads(host.check_output("python3 -c %s %s", MANIFEST, directory))
