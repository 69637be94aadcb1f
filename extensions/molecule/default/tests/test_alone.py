# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backup runs as the timer would run it, and what it wrote comes back."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://alone"]

BORG = "BORG_PASSPHRASE='a passphrase of the tests' borg"
SERVICE = "fleetbackup-alone-backup.service"


@pytest.fixture(scope="module")
def archive(host) -> str:
    """Start the real service; the one archive that it makes."""
    started = host.run(f"systemctl start {SERVICE}")
    assert started.rc == 0, host.run(f"journalctl --no-pager --unit {SERVICE}").stdout
    names = host.check_output(f"{BORG} list --short /var/backups/alone").splitlines()
    assert len(names) == 1
    return names[0]


def test_the_archive_holds_the_file(host, archive: str) -> None:
    assert "srv/precious" in host.check_output(f"{BORG} list --short /var/backups/alone::{archive}").splitlines()


def test_what_comes_back_is_the_same(host, archive: str) -> None:
    host.check_output(f"mkdir -p /root/restored && cd /root/restored && {BORG} extract /var/backups/alone::{archive}")
    assert host.run("cmp /srv/precious /root/restored/srv/precious").rc == 0


def test_a_next_run_is_due(host) -> None:
    timer = "fleetbackup-alone-backup.timer"
    assert host.service(timer).is_running and host.service(timer).is_enabled
    assert host.check_output(f"systemctl show --property=NextElapseUSecRealtime --value {timer}")
