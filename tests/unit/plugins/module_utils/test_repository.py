# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import platform
import uuid

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import WORDS, Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

README = b"This is a Borg Backup repository.\nSee https://borgbackup.readthedocs.io/\n"
MAGIC = b"BORG_SEG"
COMMIT = MAGIC + b"\x40\xf4\x3c\x25\x09\x00\x00\x00\x02"


@pytest.fixture(name="borg")
def fixture_borg(tmp_path):
    return Borg(Location.parse(str(tmp_path / "repository")), passphrase="wanted")


@pytest.fixture(name="stand")
def fixture_stand(borg):
    """Make files in the repository's directory: name -> content; None is a directory."""

    def make(files):
        os.makedirs(borg.repository.directory)
        for name, content in files.items():
            path = os.path.join(borg.repository.directory, name)
            if content is None:
                os.makedirs(path)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)

    return make


@pytest.mark.parametrize(
    "files",
    [
        {"README": b""},
        {"README": README},
        {"README": README, "data": None},
        {"README": README, "data": None, "config-a1b2.tmp": b"[repo"},
        {"README": README, "data": None, "config": b"[repository]"},
        {"README": README, "data": None, "config": b"[repository]", "config.old": b"[repository]"},
        {"README": README, "data/0": None, "config": b"[repository]", "nonce": b"0", "lock.roster": b"{}"},
        {"README": README, "data": None, "config": b"", "lock.exclusive/host@1.2-0": b"", "lock.exclusive.x.tmp": None},
        {"README": README, "data/0/0": b"", "config": b""},
        {"README": README, "data/0/0": b"BOR", "config": b""},
        {"README": README, "data/0/0": MAGIC + bytes(500), "config": b""},
        {"README": README, "data/0/0": MAGIC + bytes(500), "data/0/1": MAGIC, "config": b""},
    ],
)
def test_what_a_killed_creation_leaves(borg, stand, files):
    stand(files)
    assert _repository.is_interrupted_creation(borg)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"data": None},
        {"config": b"[repository]", "data": None},
        {"README": b"My project\n", "data": None},
        {"README": b"", "data": None},
        {"README": README, "data": None, "mine": b""},
        {"README": README, "data/x": b"mine"},
        {"README": README, "data/0/0": MAGIC + bytes(5000), "config": b""},
        {"README": README, "data/0/0": MAGIC + bytes(500), "data/0/1": COMMIT, "config": b""},
        {"README": README, "data/0/0": COMMIT, "config": b""},
        {"README": README, "data": None, "config": b"", "index.57": b"x"},
        {"README": README, "data": None, "config": b"", "hints.57": b"x"},
        {"README": README, "config": b"", "integrity.57": b"x"},
    ],
)
def test_what_only_looks_like_it(borg, stand, files):
    stand(files)
    assert not _repository.is_interrupted_creation(borg)


def test_nothing_and_what_is_remote_is_none(borg):
    assert not _repository.is_interrupted_creation(borg)
    assert not _repository.is_interrupted_creation(Borg(Location.parse("ssh://h/x")))


def test_an_empty_directory_is_told_apart(borg, tmp_path):
    assert not _repository.is_empty_directory(borg)
    os.makedirs(borg.repository.directory)
    assert _repository.is_empty_directory(borg)
    (tmp_path / "repository" / "x").touch()
    assert not _repository.is_empty_directory(borg)
    assert not _repository.is_empty_directory(Borg(Location.parse("ssh://h/x")))


def lock(borg, holder):
    stand = os.path.join(borg.repository.directory, "lock.exclusive")
    os.makedirs(stand)
    with open(os.path.join(stand, holder), "w"):
        pass


def dead_process():
    return next(number for number in range(4_000_000, 1, -1) if not os.path.exists(f"/proc/{number}"))


@pytest.mark.parametrize("holder", ["elsewhere@1.999999-0", "{host}@{node}.{alive}-0", "{host}@1{node}.{dead}-0", "who knows"])
def test_a_lock_is_respected_unless_its_holder_is_proven_dead(borg, stand, holder):
    stand({"README": README})
    lock(borg, holder.format(host=platform.node(), node=uuid.getnode(), alive=os.getpid(), dead=dead_process()))
    with pytest.raises(Failure) as caught:
        _repository.remove_interrupted_creation(borg)
    assert caught.value.error == "locked"
    assert os.path.exists(os.path.join(borg.repository.directory, "README"))


def test_an_interrupted_creation_is_cleared_but_for_its_directory(borg, stand):
    stand({"README": README, "data/0/0": MAGIC, "config": b""})
    os.symlink("/etc", os.path.join(borg.repository.directory, "nonce"))
    lock(borg, f"{platform.node()}@{uuid.getnode()}.{dead_process()}-0")
    _repository.remove_interrupted_creation(borg)
    assert os.listdir(borg.repository.directory) == []
    assert os.path.exists("/etc/passwd")


def test_a_link_to_nowhere_is_no_place_for_a_repository(borg, tmp_path):
    os.symlink(tmp_path / "unmounted", borg.repository.directory)
    with pytest.raises(Failure, match="not mounted") as caught:
        _repository.check_parent(borg, True)
    assert caught.value.error == "not_a_repository"


def test_a_missing_parent_is_refused_unless_it_may_be_made(tmp_path):
    borg = Borg(Location.parse(str(tmp_path / "no" / "such" / "parent")))
    with pytest.raises(Failure) as caught:
        _repository.check_parent(borg, False)
    assert caught.value.error == "parent_missing"
    assert "make_parent_directories: true" in caught.value.msg
    _repository.check_parent(borg, True)


def test_a_parent_that_may_not_be_written_to_is_refused(borg, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(Failure) as caught:
        _repository.check_parent(borg, False)
    assert caught.value.error == "permission"


@pytest.mark.parametrize("name", ["list_empty", "list_archives", "remote_list", "stale_lock"])
def test_recorded_repositories_are_described(recorded, monkeypatch, borg, name):
    told = recorded[name]
    monkeypatch.setattr(Borg, "read", lambda self, *words, **how: Outcome(told["rc"], told["stdout"], Log(told["stderr"])))
    description = _repository.describe(borg)
    assert len(description.id) == 64
    assert description.encryption == ("repokey-blake2" if name == "list_empty" else "repokey")
    assert description.last_modified.tzinfo is not None
    assert [archive.name for archive in description.archives] == (["a-2026-01-01", "a-2026-01-02"] if name == "list_archives" else [])


def test_recorded_statistics(recorded, monkeypatch, borg):
    told = recorded["info"]
    monkeypatch.setattr(Borg, "read", lambda self, *words, **how: Outcome(told["rc"], told["stdout"], Log(told["stderr"])))
    sizes = _repository.statistics(borg, "id")
    assert set(sizes) == {"original_size", "compressed_size", "deduplicated_size"}
    assert all(size > 1000 for size in sizes.values())


def answers(monkeypatch, *outcomes):
    """Let borg answer so, one after the other; how it was asked."""
    asked = []
    left = list(outcomes)
    description = {"repository": {"id": "1", "location": "/x", "last_modified": "2026-01-01T00:00:00"},
                   "encryption": {"mode": "repokey"}, "archives": []}

    def read(self, *words, **how):
        asked.append((self.passphrase, self.accept_relocated, self.allow_unencrypted))
        outcome = left.pop(0)
        if outcome is not None:
            raise Failure(outcome, outcome)
        return Outcome(0, json.dumps(description), Log(""))

    monkeypatch.setattr(Borg, "read", read)
    return asked


def test_the_wanted_passphrase_costs_one_command(borg, monkeypatch):
    asked = answers(monkeypatch, None)
    found = _repository.find(borg, ["older", "oldest"])
    assert (found.passphrase, found.accepted) == (None, False)
    assert asked == [("wanted", False, False)]


def test_previous_passphrases_are_tried_in_order(borg, monkeypatch):
    asked = answers(monkeypatch, "wrong_passphrase", "wrong_passphrase", None)
    assert _repository.find(borg, ["older", "oldest", "never"]).passphrase == "oldest"
    assert [passphrase for passphrase, _relocated, _unencrypted in asked] == ["wanted", "older", "oldest"]


def test_where_none_opens_it_that_is_told(borg, monkeypatch):
    answers(monkeypatch, "wrong_passphrase", "wrong_passphrase")
    with pytest.raises(Failure) as caught:
        _repository.find(borg, ["older"])
    assert caught.value.error == "wrong_passphrase"


@pytest.mark.parametrize(
    ("word", "option"), [("relocated", "accept_relocated"), ("unencrypted", "allow_unencrypted")],
)
def test_what_borg_asks_about_is_accepted_only_when_told_and_only_then_counted(borg, monkeypatch, word, option):
    answers(monkeypatch, word)
    with pytest.raises(Failure, match=word):
        _repository.find(borg, [])
    asked = answers(monkeypatch, word, None)
    assert _repository.find(borg._replace(**{option: True}), []).accepted
    assert [any(call[1:]) for call in asked] == [False, True]
    answers(monkeypatch, None)
    assert not _repository.find(borg._replace(**{option: True}), []).accepted


def test_nothing_but_absence_reads_as_none(borg, monkeypatch):
    answers(monkeypatch, "absent")
    assert _repository.find(borg, []) is None
    for word in WORDS:
        if word != "absent":
            answers(monkeypatch, word, word)
            with pytest.raises(Failure):
                _repository.find(borg._replace(accept_relocated=True, allow_unencrypted=True), [])


def test_a_passphrase_is_changed_with_the_current_one_and_proven(borg, monkeypatch):
    calls = []
    monkeypatch.setattr(Borg, "run", lambda self, *words, **how: calls.append((words, how)))
    asked = answers(monkeypatch, None)
    _repository.change_passphrase(borg, "current")
    environment = {"BORG_NEW_PASSPHRASE": "wanted", "BORG_RSH": f"env -u BORG_NEW_PASSPHRASE {borg.rsh}"}
    assert calls == [(("key change-passphrase",), {"passphrase": "current", "environment": environment})]
    assert asked == [("wanted", False, False)]


def test_a_creation_that_fails_leaves_nothing(borg, monkeypatch, stand):
    def fail(self, *words, **how):
        stand({"README": README, "data": None, "config": b"x"})
        raise Failure("no_passphrase", "no")

    monkeypatch.setattr(Borg, "run", fail)
    with pytest.raises(Failure, match="no"):
        _repository.create(borg, "repokey")
    assert not os.path.exists(borg.repository.directory)


def test_a_creation_that_fails_leaves_a_directory_that_was_there(borg, monkeypatch):
    os.makedirs(borg.repository.directory)

    def fail(self, *words, **how):
        with open(os.path.join(borg.repository.directory, "README"), "wb") as file:
            file.write(README)
        raise Failure("disk_full", "no")

    monkeypatch.setattr(Borg, "run", fail)
    with pytest.raises(Failure, match="no"):
        _repository.create(borg, "repokey")
    assert os.listdir(borg.repository.directory) == []


@pytest.mark.parametrize("word", ["exists", "not_a_repository"])
def test_what_another_run_is_just_making_is_left_alone(borg, monkeypatch, stand, word):
    stand({"README": README, "data": None})

    def fail(self, *words, **how):
        raise Failure(word, "no")

    monkeypatch.setattr(Borg, "run", fail)
    with pytest.raises(Failure, match="no"):
        _repository.create(borg, "repokey")
    assert sorted(os.listdir(borg.repository.directory)) == ["README", "data"]


@pytest.mark.parametrize(
    ("how", "options"),
    [
        ({}, ["--encryption=keyfile"]),
        ({"append_only": True}, ["--encryption=keyfile", "--append-only"]),
        ({"storage_quota": 12}, ["--encryption=keyfile", "--storage-quota=12"]),
        ({"parents": True}, ["--encryption=keyfile", "--make-parent-dirs"]),
    ],
)
def test_creation_passes_the_options_on(borg, monkeypatch, how, options):
    calls = []
    monkeypatch.setattr(Borg, "run", lambda self, *words, **more: calls.append(list(words)))
    _repository.create(borg, "keyfile", **how)
    assert calls == [["init", *options]]


def test_removal_is_confirmed_to_borg_for_this_command_alone(borg, monkeypatch):
    calls = []
    monkeypatch.setattr(Borg, "run", lambda self, *words, **more: calls.append((words, more)))
    _repository.delete(borg)
    assert calls == [(("delete",), {"environment": {"BORG_DELETE_I_KNOW_WHAT_I_AM_DOING": "YES"}})]


def test_a_removal_unopened_asks_for_no_passphrase(borg, monkeypatch):
    calls = []
    monkeypatch.setattr(Borg, "run", lambda self, *words, **more: calls.append(words))
    _repository.delete(borg, unopened=True)
    assert calls == [("delete", "--force")]
