# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""cron itself runs the sections' configuration as they meant it."""

from __future__ import annotations

import re
import time

import pytest

testinfra_hosts = ["ansible://borg_clients"]

BORG = "BORG_PASSPHRASE='a passphrase of the tests' BORG_RSH='ssh -F /root/.ssh/fleetbackup_config' borg"
REPOSITORY = "user@backupserver:sourcehostname.borg"
CRONTAB = "/etc/cron.d/fleetbackup-system-backup"
# Until the next full minute, and for a backup.
SECONDS = 150


@pytest.fixture(scope="module")
def archive(host) -> str:
    """The archive that cron makes when its job is due, once, in the next minute."""
    for hour in (10, 11, 12):
        name = f"{REPOSITORY}::sourcehostname-{hour}-{{now}}"
        host.check_output(f"{BORG} create --timestamp 2020-01-01T{hour}:00:00 {name} /etc/hostname")
    before = archives(host)
    crontab = host.file(CRONTAB).content_string
    soon = host.check_output("date --date='70 seconds' '+%M %H %d %m *'")
    due, jobs = re.subn(r"^(?:[\d*,/-]+ ){5}", f"{soon} ", crontab, flags=re.MULTILINE)
    assert jobs == 1
    write(host, due)
    try:
        deadline = time.monotonic() + SECONDS
        while not (new := set(archives(host)) - set(before)) and time.monotonic() < deadline:
            time.sleep(2)
    finally:
        write(host, crontab)
    assert len(new) == 1, host.run("journalctl --no-pager --lines=50").stdout
    return new.pop()


@pytest.fixture(scope="module")
def paths(host, archive: str) -> set[str]:
    return set(host.check_output(f"{BORG} --lock-wait 60 list --short {REPOSITORY}::{archive}").splitlines())


def test_globs_are_expanded(paths: set[str]) -> None:
    assert {"var/log/syslog", "var/log/syslog.1", "etc/passwd"} <= paths


def test_patterns_exclude(paths: set[str]) -> None:
    assert "home/grace/letters/link" in paths
    assert not any(path.startswith("home/grace/.cache") for path in paths)


def test_retention_holds(host, archive: str) -> None:
    # The last one of a day is kept, and the oldest of all, but none between them. Pruning follows the backup.
    deadline = time.monotonic() + SECONDS
    while any(kept.startswith("sourcehostname-11-") for kept in archives(host)):
        assert time.monotonic() < deadline, archives(host)
        time.sleep(2)
    assert any(kept.startswith("sourcehostname-12-") for kept in archives(host))
    assert archive in archives(host)


def test_nothing_else_runs_it(host) -> None:
    assert not host.run("systemctl list-unit-files --no-legend 'fleetbackup-*'").stdout
    assert not host.service("borgmatic.timer").is_enabled


def archives(host) -> list[str]:
    # A backup that runs is waited for.
    return host.check_output(f"{BORG} --lock-wait 60 list --short {REPOSITORY}").splitlines()


def write(host, crontab: str) -> None:
    host.check_output("printf %%s %s >%s", crontab, CRONTAB)
