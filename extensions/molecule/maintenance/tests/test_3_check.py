# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook check finds what is damaged, says where, and repairs nothing."""

from __future__ import annotations

from conftest import Maintained
from controller import play
from machines import POOL, SERVER, WEB10, kept

LOCATION = WEB10.location("web10")


def test_a_flipped_byte_is_a_failure_with_its_list(maintained: Maintained) -> None:
    with kept():
        segment = SERVER.output(f"find {POOL}/web10/data -type f -size +200k | sort -V | head -1").strip()
        flip = f"f = open('{segment}', 'r+b'); f.seek(100000); byte = f.read(1)[0]; f.seek(100000); f.write(bytes([byte ^ 255]))"
        SERVER.output(f'python3 -c "{flip}"')
        damaged = SERVER.output(f"sha256sum {segment}")
        run = play("check", "--limit", "borg_clients")
        assert run.failed == {"web10"}, run.said
        (failure,) = run.failures("web10")
        assert failure["error"] == "integrity" and failure["problems"] and LOCATION in failure["msg"], failure
        # What both share, and all of web1, was checked all the same; nothing was repaired.
        assert run.said.count("ok: [web1] => (item=") == 3 and run.said.count("ok: [web10] => (item=") == 1, run.said
        assert SERVER.output(f"sha256sum {segment}") == damaged
        play("check", "--limit", "web10", fleetbackup_repositories=[WEB10.location("shared")], fleetbackup_part="archives").succeeded()
