# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference


def test_nothing_noted_is_nothing_changed():
    difference = Difference()
    assert not difference.changed
    assert difference.names == []
    assert difference.as_diff() == {"before": {}, "after": {}}


def test_only_what_differs_counts_in_the_order_in_which_it_was_noted():
    difference = Difference()
    difference.add("b", 1, 2)
    difference.add("same", 5, 5)
    difference.add("a", True, False)
    difference.add("appears", None, 0)
    assert difference.changed
    assert difference.names == ["b", "a", "appears"]
    assert difference.as_diff() == {"before": {"b": 1, "a": True, "appears": None}, "after": {"b": 2, "a": False, "appears": 0}}


def test_a_change_to_nothing_is_a_change():
    difference = Difference()
    difference.add("x", "value", None)
    assert difference.changed
