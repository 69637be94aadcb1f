# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no two clients may have."""

from __future__ import annotations

import base64
import struct

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys import Access, Client, Serving
from ansible_collections.fleetbackup.borg.plugins.module_utils._claims import repository_problem, settle_keys
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey


def key(text):
    blob = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + text.encode().ljust(32, b"x")
    return PublicKey.parse(f"ssh-ed25519 {base64.b64encode(blob).decode()}")


def client(name, *repositories, keys=None, **access):
    access = {"repositories": tuple(f"/p/{path}" for path in repositories), **access}
    return Client(name, tuple(key(text) for text in ([name] if keys is None else keys)), Access(Serving(), **access))


def problem(*given, staying=(), shared=False):
    return repository_problem(given, staying, shared=shared)


class TestRepositories:
    def test_each_has_its_own(self):
        assert problem(client("a", "a", "a2"), client("b", "b"), client("ab", "ab")) is None

    def test_one_for_two(self):
        found = problem(client("a", "a", "x"), client("b", "x"))
        assert found.startswith("clients, a, repositories: /p/x is the repository of b too")
        assert problem(client("a", "x"), client("b", "x"), shared=True) is None

    @pytest.mark.parametrize("shared", [True, False])
    @pytest.mark.parametrize("inner", ["x/y", "x/y/z"])
    def test_one_within_anothers(self, inner, shared):
        assert "is within /p/x, the repository of a," in problem(client("a", "x"), client("b", inner), shared=shared)
        assert "is within /p/x, the repository of a," in problem(client("b", inner), client("a", "x"), shared=shared)

    def test_within_one_that_is_shared(self):
        assert "is within /p/s, the repository of b," in problem(client("a", "s", "s/in"), client("b", "s"), shared=True)

    def test_a_name_that_only_begins_alike_is_another(self):
        assert problem(client("a", "x"), client("b", "xy", "x-y", "x.y/x")) is None

    def test_who_maintains_all_claims_none(self):
        assert problem(client("a", "a"), client("maintenance", paths=("/p",))) is None

    def test_one_that_another_one_keeps(self):
        assert "the repository of old too" in problem(client("new", "x"), staying=[client("old", "x")])

    def test_what_two_share_that_stay_as_they_are_is_nobodys_business(self):
        assert problem(client("new", "n"), staying=[client("a", "x"), client("b", "x"), client("c", "x/y")]) is None


def settled(*given, staying=(), present=()):
    """Name -> the first letters of its keys; and who lost one."""
    held = {known.name: known for known in (*present, *staying)}
    clients, reasons = settle_keys(given, staying, held)
    letters = {found.name: "".join(sorted(part.blob[19:20].decode() for part in found.keys)) for found in clients}
    return letters, sorted(reasons)


class TestKeys:
    def test_each_has_its_own(self):
        assert settled(client("a", "a"), client("b", "b")) == ({"a": "a", "b": "b"}, [])

    def test_nobody_gets_one_that_two_give(self):
        assert settled(client("a"), client("b", keys=["b", "a"])) == ({"a": "", "b": "b"}, ["a", "b"])
        _clients, reasons = settle_keys([client("a"), client("b", keys=["a"])], [], {})
        assert reasons["b"].startswith("clients, b, public_keys: SHA256:")
        assert "is the key of a too" in reasons["b"]

    def test_who_has_it_keeps_it(self):
        given = (client("good"), client("evil", keys=["good"]))
        assert settled(*given, present=[client("good"), client("evil")]) == ({"good": "g", "evil": "e"}, ["evil"])
        assert settled(*reversed(given), present=[client("good"), client("evil")]) == ({"good": "g", "evil": "e"}, ["evil"])

    def test_one_that_a_retained_client_has(self):
        assert settled(client("b", keys=["a"]), staying=[client("a")]) == ({"b": ""}, ["b"])

    def test_what_somebody_may_do_is_what_was_given(self):
        known = [client("good", "old"), client("evil", "e", append_only=False)]
        given = [client("good", "new"), client("evil", "e", keys=["good"], storage_quota="50G")]
        clients, _reasons = settle_keys(given, [], {known_one.name: known_one for known_one in known})
        assert [found.access for found in clients] == [wanted.access for wanted in given]

    def test_who_falls_back_on_its_old_key_keeps_it_from_others_too(self):
        given = (client("victim", keys=["new"]), client("x", keys=["new"]), client("y", keys=["victim"]))
        present = [client("victim"), client("x"), client("y")]
        assert settled(*given, present=present) == ({"victim": "v", "x": "x", "y": "y"}, ["victim", "x", "y"])

    def test_one_that_two_have_already(self):
        given = (client("a", keys=["k"]), client("b", keys=["k"]))
        assert settled(*given, present=given) == ({"a": "", "b": ""}, ["a", "b"])

    def test_what_two_have_that_stay_as_they_are_is_nobodys_business(self):
        assert settled(client("n"), staying=[client("a", keys=["k"]), client("b", keys=["k"])]) == ({"n": "n"}, [])
