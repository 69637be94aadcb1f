# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's Borg, and borgmatic as it is pinned."""

from __future__ import annotations

testinfra_hosts = ["ansible://borg_clients"]


def test_borg_is_the_distributions(host) -> None:
    assert host.package("borgbackup").is_installed
    assert host.check_output("borg --version").startswith("borg 1.2.")


def test_borgmatic_is_the_pinned_one(host) -> None:
    assert not host.package("borgmatic").is_installed
    assert host.check_output("/opt/borgmatic/bin/borgmatic --version") == "2.1.10"
