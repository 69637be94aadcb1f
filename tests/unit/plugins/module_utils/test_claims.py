# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no two clients may have."""

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys import Access, Client, Serving
from ansible_collections.fleetbackup.borg.plugins.module_utils._claims import contests
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey


def client(name, *repositories, keys=None, paths=()):
    return Client(name, tuple(key(text) for text in keys or [name]), Access(Serving(), tuple(f"/p/{path}" for path in repositories), paths))


def key(text):
    import base64
    import struct

    blob = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + text.encode().ljust(32, b"x")
    return PublicKey.parse(f"ssh-ed25519 {base64.b64encode(blob).decode()}")


def names(*clients, shared=False):
    return [contest.names for contest in contests(clients, shared=shared)]


def test_each_has_its_own():
    assert names(client("a", "a", "a2"), client("b", "b"), client("ab", "ab")) == []


def test_one_key_for_two():
    (contest,) = contests([client("a", "a"), client("b", "b", keys=["other", "a"])], shared=False)
    assert contest.names == ("a", "b")
    assert contest.reason.startswith("clients, b, public_keys: SHA256:")
    assert "the key of a too" in contest.reason


def test_a_key_is_nothing_that_can_be_shared():
    assert names(client("a", "a"), client("b", "b", keys=["a"]), shared=True) == [("a", "b")]


def test_one_repository_for_two():
    (contest,) = contests([client("a", "a", "x"), client("b", "x")], shared=False)
    assert contest.names == ("a", "b")
    assert contest.reason.startswith("clients, b, repositories: /p/x is the repository of a too")
    assert names(client("a", "x"), client("b", "x"), shared=True) == []


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("inner", ["x/y", "x/y/z"])
def test_one_repository_within_anothers(inner, shared):
    assert names(client("a", "x"), client("b", inner), shared=shared) == [("a", "b")]
    assert names(client("b", inner), client("a", "x"), shared=shared) == [("a", "b")]


def test_a_name_that_only_begins_alike_is_another():
    assert names(client("a", "x"), client("b", "xy", "x-y", "x.y/x")) == []


def test_who_maintains_all_claims_none():
    assert names(client("a", "a"), client("maintenance", paths=("/p",))) == []


def test_everyone_who_claims_it_is_named():
    assert names(*(client(name, "x") for name in "abc")) == [("a", "b"), ("a", "c")]
