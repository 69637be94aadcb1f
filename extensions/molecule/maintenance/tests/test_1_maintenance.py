# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ordinary maintenance: what the retention of the inventory says goes, and nothing else, whatever the names of the neighbours."""

from __future__ import annotations

from conftest import History, Maintained
from controller import module
from machines import INVENTORIES, VAULT, WEB1, WEB10, known


def test_the_first_run_takes_an_inventory_and_prunes_nothing(history: History) -> None:
    assert "/./web1: took the first inventory, pruned nothing; 4 archives are left" in history.first.said
    assert set(VAULT.output(f"stat --format %a {INVENTORIES} {INVENTORIES}/*.json").split()) == {"700", "600"}


def test_check_mode_tells_what_goes_and_touches_nothing(history: History, maintained: Maintained) -> None:
    assert [archive["name"] for archive in maintained.told["pruned"]] == list(reversed(history.web1[:2])), maintained.told
    assert maintained.told["changed"] and maintained.untouched


def test_what_the_retention_says_goes_and_its_space_is_reclaimed(history: History, maintained: Maintained) -> None:
    # Of the last two days everything is kept, and one day more.
    assert WEB1.archives("web1") == history.web1[2:]
    assert WEB10.archives("web10") == history.web10
    # Each had 300,000 bytes of its own. The first shares its segment with what all have, which is not worth to be rewritten.
    assert maintained.freed > 250_000
    assert maintained.run.changes["web1"] and not maintained.run.changes["backup1"]


def test_of_a_shared_repository_each_loses_what_is_its_own(history: History, maintained: Maintained) -> None:
    """The name of the one begins like that of the other."""
    assert {*WEB1.archives("shared")} == {*history.shared1[1:], *history.shared10[1:]}


def test_the_next_run_changes_nothing(maintained: Maintained) -> None:
    before = known()
    assert not module()["changed"] and known() == before
