# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recognising a repository by its key: what counts, and what never does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key, _known_repository
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import WORDS, Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

EXPORTS = [
    forms["keyfile"]
    for path in sorted((Path(__file__).resolve().parent / "recorded_keys").glob("borg-*.json"))
    for forms in json.loads(path.read_text(encoding="utf-8"))["exports"].values()
]
IDENTITY = "0123456789abcdef" * 4
NOTES = {"location": "ssh://borg@backup1:2222/./web1", "key-type": "5", "manifest-timestamp": "2026-11-21T19:00:00.000000"}


@pytest.fixture(name="borg")
def fixture_borg(tmp_path):
    return Borg(Location.parse("ssh://borg@backup1:2222/./web1"), passphrase="wanted", base_directory=str(tmp_path))


@pytest.fixture(name="noted")
def fixture_noted(tmp_path):
    """Makes borg's security directory: name -> text; None leaves one out."""

    def make(**changes):
        directory = tmp_path / ".config/borg/security" / IDENTITY
        directory.mkdir(parents=True)
        for name, text in {**NOTES, **{name.replace("_", "-"): text for name, text in changes.items()}}.items():
            if text is not None:
                (directory / name).write_text(text, encoding="utf-8")

    return make


def exports(monkeypatch, answer):
    """Let borg answer so; how it was asked."""
    asked = []

    def read(self, *words, **how):
        asked.append((self.passphrase, words, how))
        if answer in WORDS:
            raise Failure(answer, answer)
        return Outcome(0, answer, Log(""))

    monkeypatch.setattr(Borg, "read", read)
    return asked


class TestReadKey:
    @pytest.mark.parametrize("text", EXPORTS)
    def test_its_digest_is_the_one_that_other_modules_return(self, borg, monkeypatch, text):
        key = _exported_key.parse(text, "keyfile")
        exports(monkeypatch, text)
        assert _known_repository.read_key(borg) == (key.id, key.digest)

    def test_one_command_without_the_passphrase(self, borg, monkeypatch):
        asked = exports(monkeypatch, EXPORTS[0])
        _known_repository.read_key(borg)
        assert asked == [(None, ("key export",), {"arguments": ["-"], "common": ()})]

    @pytest.mark.parametrize("text", ["", "x", "BORG_KEY", f"BORG_KEY {IDENTITY[:-1]}\nAAAA\n", f"BORG_KEY {IDENTITY}\nA\n"])
    def test_what_is_no_key(self, borg, monkeypatch, text):
        exports(monkeypatch, text)
        assert _known_repository.read_key(borg) is None

    @pytest.mark.parametrize("word", ["absent", "key_missing", "key_mismatch", "not_a_repository", "unencrypted", "permission", "other"])
    def test_what_opening_tells_better_is_left_to_it(self, borg, monkeypatch, word):
        exports(monkeypatch, word)
        assert _known_repository.read_key(borg) is None

    @pytest.mark.parametrize("word", ["auth", "borg_missing", "host_key", "timeout", "unreachable", "version"])
    def test_nobody_waits_twice_for_a_server_that_does_not_answer(self, borg, monkeypatch, word):
        exports(monkeypatch, word)
        with pytest.raises(Failure) as caught:
            _known_repository.read_key(borg)
        assert caught.value.error == word


class TestRememberedEncryption:
    @pytest.mark.parametrize("kind, mode", [("0", "keyfile"), ("3", "repokey"), ("5", "repokey-blake2"), ("7", "authenticated")])
    def test_each_mode(self, borg, noted, kind, mode):
        noted(key_type=kind)
        assert _known_repository.remembered_encryption(borg, IDENTITY) == mode

    @pytest.mark.parametrize(
        "changes",
        [{"location": "ssh://borg@backup1/./web1"}, {"location": ""}, {"location": None}, {"key_type": None}, {"manifest_timestamp": None},
         {"key_type": "2"}, {"key_type": "x"}, {"key_type": ""}],
    )  # fmt: skip
    def test_what_borg_would_not_take_for_known(self, borg, noted, changes):
        noted(**changes)
        assert _known_repository.remembered_encryption(borg, IDENTITY) is None

    def test_another_repository(self, borg, noted):
        noted()
        assert _known_repository.remembered_encryption(borg, IDENTITY[::-1]) is None

    def test_another_user(self, borg, noted, tmp_path):
        noted()
        assert _known_repository.remembered_encryption(borg._replace(base_directory=str(tmp_path / "x")), IDENTITY) is None

    def test_in_the_home_directory(self, borg, noted, tmp_path, monkeypatch):
        noted()
        monkeypatch.setattr(_known_repository._process, "home_directory", lambda: str(tmp_path))
        assert _known_repository.remembered_encryption(borg._replace(base_directory=None), IDENTITY) == "repokey-blake2"
