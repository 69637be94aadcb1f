# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each client can reach with its key: its own repository, and nothing else."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://borg_clients"]

SSH = "ssh -F /root/.ssh/fleetbackup_config"


@pytest.mark.parametrize("client", ["client1", "client2", "client3"])
def test_it_reaches_its_own_repository_only(host, client: str) -> None:
    # Exporting the key takes no passphrase, so only the server decides.
    exported = host.run(f"BORG_RSH='{SSH}' borg key export ssh://borg@backup1/./{client}")
    if client == host.ansible.get_variables()["inventory_hostname"]:
        assert exported.rc == 0 and exported.stdout.startswith("BORG_KEY"), exported.stderr
    else:
        assert exported.rc != 0 and "path not allowed" in exported.stderr.lower(), exported.stderr
        assert "BORG_KEY" not in exported.stdout


def test_it_gets_no_shell(host) -> None:
    ran = host.run(f"{SSH} borg@backup1 'echo reached >/srv/borg/reached; echo reached' </dev/null")
    assert "reached" not in ran.stdout
    assert not host.get_host("ansible://backup1", ansible_inventory="inventory").file("/srv/borg/reached").exists
