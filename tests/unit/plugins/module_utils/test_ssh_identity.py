# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
from types import SimpleNamespace

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _client_identity as client_identity
from ansible_collections.fleetbackup.borg.plugins.module_utils import _ssh_key_pair
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._known_hosts import parse_servers
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_identity import Identity

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUzcH8XkRr4d9q6nXw1sG5vHcQm0yJm9iB3T2kq7WcE"


@pytest.fixture(name="identity")
def fixture_identity(tmp_path):
    def make(*servers, generate=True, path=None, private_key=None):
        home = tmp_path / "home"
        path = str(path or home / "id")
        return Identity(
            path, str(home / "known"), str(home / "config"), generate, "a comment", parse_servers(servers, path), private_key
        )

    return make


def contents(directory):
    return {
        str(path.relative_to(directory)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for path in directory.rglob("*")
    }


def test_a_new_identity(identity, tmp_path):
    predicted = identity({"host": "b", "host_keys": [KEY]}, {"host": "c"}).ensure(check_mode=True)
    assert list(tmp_path.iterdir()) == []
    result = identity({"host": "b", "host_keys": [KEY]}, {"host": "c"}).ensure(check_mode=False)
    assert predicted["diff"] == result["diff"]
    assert predicted["changed"] and result["changed"] and predicted["generated"] and result["generated"]
    assert predicted["public_key"] is None and predicted["fingerprint"] is None and not predicted["assumed"]
    assert result["public_key"].endswith(" a comment")
    assert result["unpinned"] == predicted["unpinned"] == ["c"]
    assert [server["pinned"] for server in result["servers"]] == [True, False]
    assert {path: entry[0] for path, entry in contents(tmp_path).items()} == {
        "home": 0o700, "home/id": 0o600, "home/id.pub": 0o644, "home/id.generated": 0o644, "home/known": 0o644, "home/config": 0o644,
    }  # fmt: skip


def test_a_second_run_starts_nothing_and_writes_nothing(identity, tmp_path, monkeypatch):
    first = identity({"host": "b", "host_keys": [KEY]}).ensure(check_mode=False)
    monkeypatch.setattr(_ssh_key_pair, "run", None)
    before = contents(tmp_path)
    again = identity({"host": "b"}).ensure(check_mode=False)
    assert not again["changed"]
    assert contents(tmp_path) == before
    assert {key: again[key] for key in again if key not in ("changed", "diff")} == {
        key: first[key] for key in first if key not in ("changed", "diff")
    }


def test_no_part_of_a_private_key_is_shown(identity, tmp_path):
    result = identity().ensure(check_mode=False)
    (tmp_path / "home" / "id.pub").write_bytes((tmp_path / "home" / "id").read_bytes())
    repaired = identity().ensure(check_mode=False)
    shown = json.dumps([result, repaired, identity().remove(key=True, check_mode=True)])
    for line in (tmp_path / "home" / "id").read_text().splitlines()[2:-1]:
        assert line not in shown
    assert repaired["changed"]
    assert (tmp_path / "home" / "id.pub").read_text().strip() == result["public_key"]


def test_a_key_pair_without_a_note_is_not_ours(identity, tmp_path):
    identity().ensure(check_mode=False)
    (tmp_path / "home" / "id.generated").unlink()
    assert not identity().ensure(check_mode=False)["generated"]
    identity().remove(key=True, check_mode=False)
    assert sorted(os.listdir(tmp_path / "home")) == ["id", "id.pub"]


def test_a_note_of_another_key_counts_for_nothing(identity, tmp_path):
    identity().ensure(check_mode=False)
    for name in ("id", "id.pub"):
        (tmp_path / "home" / name).unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "home" / "id"], check=True)
    assert not identity().ensure(check_mode=False)["generated"]
    assert not identity().remove(key=True, check_mode=False)["generated"]
    assert (tmp_path / "home" / "id").exists()


@pytest.mark.parametrize("gone", [["id.pub"], ["id.pub", "id"], ["config"], []])
def test_a_removal_that_was_interrupted_is_repeated(identity, tmp_path, gone):
    identity().ensure(check_mode=False)
    for name in gone:
        (tmp_path / "home" / name).unlink()
    assert identity().remove(key=True, check_mode=True)["changed"]
    assert identity().remove(key=True, check_mode=False)["changed"]
    assert os.listdir(tmp_path / "home") == []
    assert not identity().remove(key=True, check_mode=False)["changed"]


def test_what_is_made_meanwhile_stays(identity, tmp_path, monkeypatch):
    home = tmp_path / "home"
    real = _ssh_key_pair.run

    def run(argv, **how):
        if not (home / "id").exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "theirs", "-f", home / "id"], check=True)
        return real(argv, **how)

    monkeypatch.setattr(_ssh_key_pair, "run", run)
    result = identity().ensure(check_mode=False)
    assert result["public_key"].endswith(" theirs")
    assert not result["generated"]
    assert sorted(os.listdir(home)) == ["config", "id", "id.generated", "id.pub", "known"]


def test_a_key_that_cannot_be_made_leaves_nothing(identity, tmp_path, monkeypatch):
    monkeypatch.setattr(_ssh_key_pair, "find_program", lambda _name: "/bin/false")
    with pytest.raises(Failure):
        identity().ensure(check_mode=False)
    assert os.listdir(tmp_path / "home") == []


@pytest.mark.parametrize("name", ["config", "known"])
@pytest.mark.parametrize("text", ["", "Host *\n", " # Written by fleetbackup.borg.borg_ssh_identity, which replaces the whole file.\n"])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_foreign_file_is_refused_before_anything_is_done(identity, tmp_path, name, text, check_mode):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / name).write_text(text)
    before = contents(tmp_path)
    for call in (
        lambda: identity().ensure(check_mode=check_mode),
        lambda: identity().remove(key=True, check_mode=check_mode),
    ):
        with pytest.raises(Failure) as caught:
            call()
        assert caught.value.error == "unsafe"
        assert contents(tmp_path) == before


def test_a_link_in_place_of_a_key_is_followed_but_not_to_nowhere(identity, tmp_path):
    identity().ensure(check_mode=False)
    (tmp_path / "link").symlink_to(tmp_path / "home" / "id")
    assert identity(path=tmp_path / "link").ensure(check_mode=False)["changed"]
    (tmp_path / "nowhere").symlink_to(tmp_path / "nothing")
    with pytest.raises(Failure, match="nowhere"):
        identity(path=tmp_path / "nowhere").ensure(check_mode=False)


def test_a_key_that_is_missing(identity, tmp_path):
    for call in (identity(generate=False), identity({"host": "b", "identity_file": str(tmp_path / "other")})):
        with pytest.raises(Failure) as caught:
            call.ensure(check_mode=False)
        assert caught.value.error == "key_missing"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_that_nobody_else_can_read_keeps_its_mode(identity, tmp_path, mode):
    identity().ensure(check_mode=False)
    (tmp_path / "home" / "id").chmod(mode)
    assert not identity().ensure(check_mode=False)["changed"]


def test_check_mode_cannot_know_an_old_key_that_all_can_read(identity, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-C", "old", "-f", tmp_path / "old"], check=True)
    (tmp_path / "old").chmod(0o644)
    predicted = identity(path=tmp_path / "old").ensure(check_mode=True)
    assert predicted["assumed"] and predicted["changed"] and predicted["public_key"] is None
    result = identity(path=tmp_path / "old").ensure(check_mode=False)
    assert result["public_key"] == (tmp_path / "old.pub").read_text().strip()
    assert not identity(path=tmp_path / "old").ensure(check_mode=True)["changed"]


def test_a_given_key_stands_where_there_is_none(identity, tmp_path):
    other = tmp_path / "other"
    made = identity(path=other / "id").ensure(check_mode=False)
    text = (other / "id").read_text()
    predicted = identity({"host": "b"}, generate=False, private_key=text).ensure(check_mode=True)
    result = identity({"host": "b"}, generate=False, private_key=text).ensure(check_mode=False)
    assert predicted["diff"] == result["diff"] and text not in str(result) and not predicted["generated"] and not result["generated"]
    # its comment stands in the public half only
    assert made["public_key"].startswith(result["public_key"])
    path = tmp_path / "home/id"
    assert path.read_text() == text and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not identity({"host": "b"}, private_key="another").ensure(check_mode=False)["changed"]
    assert path.read_text() == text


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_machine_tells_what_it_is_asked_for_of_its_names(tmp_path, monkeypatch, state):
    monkeypatch.setattr(socket, "gethostname", lambda: "web1.example.org")
    monkeypatch.setattr(socket, "getfqdn", lambda: "web1.prod.example.org")
    paths = {name: str(tmp_path / name) for name in ("path", "known_hosts", "config")}
    common = {**paths, "generate": True, "private_key": None, "comment": None, "servers": [], "state": state, "remove_key": False}

    def names(*asked):
        return client_identity.ensure(SimpleNamespace(check_mode=True, params={**common, "names": list(asked)}))["names"]

    assert names("hostname", "fqdn") == {"hostname": "web1", "fqdn": "web1.prod.example.org"}
    monkeypatch.setattr(socket, "getfqdn", None)  # which may ask a slow name server
    assert (names(), names("hostname")) == ({}, {"hostname": "web1"})
