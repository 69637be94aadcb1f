# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each client meets the other version of Borg: what its name says is installed, and the inventory sends it to the other server."""

from __future__ import annotations

testinfra_hosts = ["ansible://all"]

VERSIONS = {"older": "1.2", "newer": "1.4"}


def test_borg_is_what_the_name_says(host) -> None:
    name = host.ansible.get_variables()["inventory_hostname"]
    assert host.check_output("borg --version").startswith(f"borg {VERSIONS[name.split('-')[0]]}.")
