# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bundles on a machine that cannot read them: only what is encrypted, only over what was fetched, all of them or none."""

from __future__ import annotations

import base64
import hashlib
import os
import types

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_store import ensure

NAME, OTHER, FOREIGN = "web1_srv-a_0123abcd.yml", "web1_srv-b_0123abcd.ada.yml", "web10_srv-a_0123abcd.yml"
OLD, NEW = b"$ANSIBLE_VAULT;1.1;AES256\n00", b"$ANSIBLE_VAULT;1.1;AES256\n11"


def file(data, name=NAME, replaces=None):
    digest = None if replaces is None else hashlib.sha256(replaces).hexdigest()
    return {"host": "web1", "name": name, "data": base64.b64encode(data).decode(), "mode": "0600", "replaces": digest}


@pytest.fixture(name="store")
def fixture_store(tmp_path):
    def call(*files, hosts=(), check_mode=False):
        params = {"directory": str(tmp_path / "escrow"), "machine": "vault1", "hosts": list(hosts), "files": list(files)}
        return ensure(types.SimpleNamespace(params=params, check_mode=check_mode))

    return call


@pytest.fixture(name="stored")
def fixture_stored(tmp_path):
    """What stands there."""
    def read():
        directory = tmp_path / "escrow"
        return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != ".lock"} if directory.exists() else {}

    return read


def test_a_file_is_there_and_is_told_and_nothing_differs_then(store, stored, tmp_path):
    assert store(file(OLD))["changed"] and stored() == {NAME: OLD}
    assert (tmp_path / "escrow" / NAME).stat().st_mode & 0o777 == 0o600 and (tmp_path / "escrow").stat().st_mode & 0o777 == 0o700
    again = store(file(OLD), hosts=["web1", "web2"])
    assert not again["changed"] and again["machine"] == "vault1"
    assert again["files"] == [{key: value for key, value in file(OLD).items() if key != "replaces"}]


def test_each_client_has_its_own(store):
    store(file(OLD), file(NEW, OTHER), file(NEW, FOREIGN))
    assert [found["name"] for found in store(hosts=["web1"])["files"]] == [NAME, OTHER]
    assert [(found["host"], found["name"]) for found in store(hosts=["web10", "web"])["files"]] == [("web10", FOREIGN)]


def test_one_that_replaces_what_was_fetched(store, stored):
    store(file(OLD))
    told = store(file(NEW, replaces=OLD))
    assert told["changed"] and stored() == {NAME: NEW} and list(told["diff"]["after"]) == [NAME]


@pytest.mark.parametrize("replaces", [None, b"what was fetched"])
def test_what_somebody_else_wrote_meanwhile_is_left_alone_with_all_the_others(store, stored, replaces):
    store(file(OLD))
    with pytest.raises(Failure) as caught:
        store(file(NEW, OTHER), file(NEW, replaces=replaces))
    assert caught.value.error == "locked" and stored() == {NAME: OLD}


def test_what_vanished_since_it_was_fetched_is_an_alarm(store, stored):
    with pytest.raises(Failure) as caught:
        store(file(NEW, replaces=OLD))
    assert caught.value.error == "locked" and stored() == {}


def test_check_mode_predicts_and_makes_not_even_the_directory(store, tmp_path):
    predicted = store(file(OLD), hosts=["web1"], check_mode=True)
    assert predicted["changed"] and not (tmp_path / "escrow").exists()
    assert predicted["files"] == store(file(OLD), hosts=["web1"])["files"]
    store(file(OLD))
    assert not store(file(OLD), check_mode=True)["changed"]
    with pytest.raises(Failure):
        store(file(NEW), check_mode=True)


def test_others_lose_their_rights(store, tmp_path):
    store(file(OLD))
    os.chmod(tmp_path / "escrow" / NAME, 0o644)
    assert store(file(OLD))["changed"] and (tmp_path / "escrow" / NAME).stat().st_mode & 0o777 == 0o600


NAMES = ["../x_y_0123abcd.yml", "/etc/x_y_0123abcd.yml", ".x_y_0123abcd.yml", "x_y_0123abcd", "x_y_0123abcd.yml\n", "-x_y_0123abcd.yml", ""]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_leads_elsewhere(store, stored, name):
    with pytest.raises(Failure) as caught:
        store(file(OLD, name))
    assert caught.value.error == "invalid_argument" and stored() == {}


@pytest.mark.parametrize("data", [b"passphrase: words", b"", b"$ANSIBLE"])
def test_nothing_in_clear_comes_to_the_disk(store, stored, data):
    with pytest.raises(Failure) as caught:
        store(file(OLD, OTHER), file(data))
    assert caught.value.error == "invalid_argument" and "words" not in caught.value.msg and stored() == {}


def test_a_link_is_not_followed(store, tmp_path):
    store(file(OLD, OTHER))
    (tmp_path / "elsewhere").write_bytes(OLD)
    (tmp_path / "escrow" / NAME).symlink_to(tmp_path / "elsewhere")
    for call in (lambda: store(file(NEW, replaces=OLD)), lambda: store(hosts=["web1"])):
        with pytest.raises(Failure) as caught:
            call()
        assert caught.value.error == "unsafe" and (tmp_path / "elsewhere").read_bytes() == OLD
