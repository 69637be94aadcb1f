# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _key
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._exported_key import ExportedKey
from ansible_collections.fleetbackup.borg.plugins.module_utils._key import Held
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

KEY = ExportedKey("1" * 64, b"\x81\xa1x\x01")
OTHER = KEY._replace(blob=b"\x81\xa1x\x02")
GARBAGE = f"BORG_KEY {'1' * 64}\nrubbish\n"


@pytest.fixture(name="borg")
def fixture_borg(tmp_path):
    return Borg(Location.parse(str(tmp_path / "repository")), passphrase="wanted", base_directory=str(tmp_path / "base"))


@pytest.fixture(name="repository")
def fixture_repository(monkeypatch):
    """A repository that lives here: what `borg key export` and `import` do, and what opens it."""

    class Repository:
        text = ""
        writable = True
        opens = True
        imports = 0

        def export(self, borg, form):
            if isinstance(self.text, Failure):
                raise self.text
            if not self.text:
                raise Failure("key_missing", "none", msgid="RepoKeyNotFoundError")
            return self.text

        def import_(self, borg, text):
            self.imports += 1
            if self.writable:
                self.text = text if text.count("\n") > 1 else ""

        def describe(self, borg, *options):
            if not self.opens:
                raise Failure("integrity", "Run borg_check.")

    made = Repository()
    monkeypatch.setattr(_key, "export", made.export)
    monkeypatch.setattr(_key, "_import", made.import_)
    monkeypatch.setattr(_key.repositories, "describe", made.describe)
    return made


class TestPassphrase:
    def test_given(self, borg):
        assert _key.passphrase_of(borg) == "wanted"

    def test_printed_by_a_command(self, borg):
        assert _key.passphrase_of(borg._replace(passphrase=None, passcommand="printf 'two words\\n'")) == "two words"

    @pytest.mark.parametrize("command", ["false", "/nowhere/secret", "sh -c 'echo secret; exit 3'", "unbalanced 'secret", "", "/etc/passwd/secret"])
    def test_a_command_that_fails_shows_nothing(self, borg, command):
        with pytest.raises(Failure, match="by hand as the same user") as caught:
            _key.passphrase_of(borg._replace(passphrase=None, passcommand=command))
        assert caught.value.error == "no_passphrase"
        assert "secret" not in str(caught.value.as_result())

    def test_none(self, borg):
        with pytest.raises(Failure) as caught:
            _key.passphrase_of(borg._replace(passphrase=None))
        assert caught.value.error == "no_passphrase"


class TestReading:
    def test_borg_is_given_no_secret_that_it_does_not_need(self, borg, fake_borg):
        program = fake_borg.install({"stdout": KEY.text, "stderr": "", "rc": 0})
        for secret in ({"passphrase": "battery"}, {"passphrase": None, "passcommand": "print battery"}):
            assert _key.export(borg._replace(executable=program, **secret), "paper") == KEY.text
            _key._import(borg._replace(executable=program, **secret), KEY.text)
        assert [call["argv"][2:5] for call in fake_borg.calls[:2]] == [["key", "export", "--paper"], ["key", "import", str(borg.repository)]]
        assert "battery" not in str(fake_borg.calls)

    def test_a_key(self, borg, repository):
        repository.text = KEY.text
        assert _key.read(borg, "keyfile") == (KEY.text, KEY)

    def test_garbage(self, borg, repository):
        repository.text = GARBAGE
        with pytest.raises(Failure, match="state: imported") as caught:
            _key.read(borg, "keyfile")
        assert caught.value.error == "key_mismatch"

    def test_garbage_that_borg_stumbles_over(self, borg, repository, monkeypatch):
        def export(borg, form):
            if form == "paper":
                raise Failure("other", "binascii.Error: Incorrect padding")
            return GARBAGE

        monkeypatch.setattr(_key, "export", export)
        with pytest.raises(Failure) as caught:
            _key.read(borg, "paper")
        assert caught.value.error == "key_mismatch"

    def test_another_failure_stays_what_it_is(self, borg, repository, monkeypatch):
        def export(borg, form):
            if form == "paper":
                raise Failure("other", "MemoryError")
            return KEY.text

        monkeypatch.setattr(_key, "export", export)
        with pytest.raises(Failure, match="MemoryError"):
            _key.read(borg, "paper")
        repository.text = Failure("locked", "no")
        monkeypatch.setattr(_key, "export", repository.export)
        with pytest.raises(Failure, match="no"):
            _key.read(borg, "paper")

    def test_a_key_file_that_is_missing_is_named(self, borg, repository, tmp_path):
        repository.text = Failure("other", "FileNotFoundError")
        with pytest.raises(Failure, match=f"key_file: there is no file {tmp_path}/missing") as caught:
            _key.read(borg._replace(key_file=str(tmp_path / "missing")), "keyfile")
        assert caught.value.error == "key_missing"

    @pytest.mark.parametrize(
        "failure", [Failure("key_missing", "x"), Failure("key_mismatch", "x"), Failure("other", "UnicodeDecodeError: 'utf-8' codec can't decode byte")]
    )
    def test_no_key_is_held(self, borg, repository, failure):
        repository.text = failure
        assert _key.held(borg) == Held("")
        assert Held("").key is None and Held(GARBAGE).key is None and Held(KEY.text).key == KEY

    def test_a_key_file_that_is_missing_holds_none(self, borg, monkeypatch, tmp_path):
        asked = []
        monkeypatch.setattr(_key, "export", lambda borg, form: asked.append(borg.key_file) or "")
        _key.held(borg._replace(key_file=str(tmp_path / "missing")))
        _key.held(borg._replace(key_file=str(tmp_path)))
        assert asked == [os.devnull, str(tmp_path)]

    def test_what_is_not_about_the_key_is_a_failure(self, borg, repository):
        repository.text = Failure("unreachable", "x")
        with pytest.raises(Failure):
            _key.held(borg)


class TestIdentity:
    def test_by_what_the_repository_holds(self, borg):
        _key.check_identity(borg, KEY, Held(OTHER.text))
        with pytest.raises(Failure, match=f"of the repository {'2' * 64}, and not of") as caught:
            _key.check_identity(borg, KEY._replace(id="2" * 64), Held(GARBAGE))
        assert caught.value.error == "key_mismatch"

    def test_by_a_local_configuration(self, borg):
        os.makedirs(borg.repository.directory)
        with open(os.path.join(borg.repository.directory, "config"), "w", encoding="utf-8") as file:
            file.write(f"[repository]\nid = {'1' * 64}\n")
        _key.check_identity(borg, KEY, Held(""))
        with pytest.raises(Failure):
            _key.check_identity(borg, KEY._replace(id="2" * 64), Held(""))

    def test_borg_itself_refuses_on_a_server(self, borg):
        _key.check_identity(borg._replace(repository=Location.parse("ssh://h/x")), KEY, Held(""))


class TestStorage:
    @pytest.mark.parametrize(
        "answer, keyfile",
        [
            (KEY.text, False),
            (Failure("key_missing", "x", msgid="RepoKeyNotFoundError"), False),
            (Failure("key_mismatch", "x", msgid="KeyfileInvalidError"), True),
        ],
    )
    def test_borg_looks_at_a_file_only_where_the_key_stands_in_one(self, borg, repository, answer, keyfile):
        repository.text = answer
        assert _key.is_keyfile(borg) is keyfile

    def test_a_failure_is_no_answer(self, borg, repository):
        repository.text = Failure("unreachable", "x")
        with pytest.raises(Failure):
            _key.is_keyfile(borg)

    def test_a_new_key_file_is_named_after_the_repository(self, borg):
        assert _key.file_of(borg, KEY) == f"{borg.base_directory}/.config/borg/keys/{KEY.id}"

    def test_an_old_one_is_found_by_its_first_line(self, borg):
        keys = f"{borg.base_directory}/.config/borg/keys"
        os.makedirs(f"{keys}/directory")
        for name, text in {"other": KEY._replace(id="2" * 64).text, "page": f"<textarea>{KEY.text}</textarea>", "mine": GARBAGE}.items():
            with open(f"{keys}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        assert _key.file_of(borg, KEY) == os.path.realpath(f"{keys}/mine")

    def test_several_are_one_too_many(self, borg):
        keys = f"{borg.base_directory}/.config/borg/keys"
        os.makedirs(keys)
        for name in ("one", "another"):
            with open(f"{keys}/{name}", "w", encoding="utf-8") as file:
                file.write(KEY.text)
        with pytest.raises(Failure, match="keys/another and .*keys/one are keys of the same repository") as caught:
            _key.file_of(borg, KEY)
        assert caught.value.error == "unsafe"

    def test_key_file_decides(self, borg, tmp_path):
        (tmp_path / "link").symlink_to("real")
        assert _key.file_of(borg._replace(key_file=str(tmp_path / "link")), KEY) == os.path.realpath(tmp_path / "real")

    def test_borgs_own_files_are_known(self, borg, tmp_path):
        keys = tmp_path / "base" / ".config" / "borg" / "keys"
        keys.mkdir(parents=True)
        (tmp_path / "link").symlink_to(keys)
        assert _key.is_borgs_own(borg, str(keys / "new")) and _key.is_borgs_own(borg, str(tmp_path / "link" / "new"))
        assert _key.is_borgs_own(borg._replace(key_file=str(tmp_path / "key")), str(tmp_path / "key"))
        assert not _key.is_borgs_own(borg, str(tmp_path / "key"))

    def test_a_key_file_is_private_and_whole(self, tmp_path):
        path = tmp_path / "new" / "keys" / "key"
        _key.put_file(str(path), KEY)
        assert path.read_text() == KEY.text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


class TestReplacing:
    @pytest.mark.parametrize("text", [None, "", KEY.text, OTHER.text, GARBAGE, KEY.text[:90]])
    def test_a_key_of_the_same_repository_may_go(self, tmp_path, text):
        if text is not None:
            (tmp_path / "file").write_text(text)
        _key.check_replaceable(str(tmp_path / "file"), KEY, None)

    def test_another_ones_only_by_its_id(self, tmp_path):
        (tmp_path / "file").write_text(KEY._replace(id="2" * 64).text)
        for confirmed in (None, "", "1" * 64):
            with pytest.raises(Failure, match=f"confirm_id: '{'2' * 64}'") as caught:
                _key.check_replaceable(str(tmp_path / "file"), KEY, confirmed)
            assert caught.value.error == "unsafe"
        _key.check_replaceable(str(tmp_path / "file"), KEY, "2" * 64)

    @pytest.mark.parametrize("data", [b"mine", b"\xff\xfe", b"\n"])
    def test_nothing_else(self, tmp_path, data):
        (tmp_path / "file").write_bytes(data)
        with pytest.raises(Failure, match="Move it away"):
            _key.check_replaceable(str(tmp_path / "file"), KEY, "1" * 64)

    def test_a_key_of_the_repository_is_replaced(self, borg, repository):
        repository.text = OTHER.text
        _key.put_into_repository(borg, KEY, Held(OTHER.text))
        assert repository.text == KEY.text and repository.imports == 1

    @pytest.mark.parametrize("before", ["", GARBAGE, OTHER.text])
    def test_one_that_does_not_open_it_gives_way_to_what_was_there(self, borg, repository, before):
        repository.text, repository.opens = before, False
        with pytest.raises(Failure) as caught:
            _key.put_into_repository(borg, KEY, Held(before))
        assert caught.value.error == "integrity" and caught.value.msg.endswith(" What was in its place before was put back.")
        assert repository.text == before

    def test_a_success_that_was_none(self, borg, repository):
        repository.text, repository.writable = OTHER.text, False
        with pytest.raises(Failure, match="still has another key") as caught:
            _key.put_into_repository(borg, KEY, Held(OTHER.text))
        assert caught.value.error == "permission" and "put back" not in caught.value.msg
        assert repository.imports == 1

    def test_what_cannot_be_put_back_is_said(self, borg, repository, monkeypatch):
        repository.text = OTHER.text

        def describe(borg, *options):
            repository.text = Failure("unreachable", "The server is gone.")
            raise Failure("integrity", "no")

        monkeypatch.setattr(_key.repositories, "describe", describe)
        with pytest.raises(Failure) as caught:
            _key.put_into_repository(borg, KEY, Held(OTHER.text))
        assert caught.value.error == "integrity" and caught.value.msg.endswith("could not be put back: The server is gone.")

    @pytest.mark.parametrize("said", [Failure("integrity", "x"), Failure("other", "borg.crypto.low_level.IntegrityError: MAC Authentication failed")])
    def test_data_that_do_not_fit_are_told_from_everything_else(self, borg, monkeypatch, said):
        def describe(borg, *options):
            raise said

        monkeypatch.setattr(_key.repositories, "describe", describe)
        with pytest.raises(Failure, match="does not fit its data") as caught:
            _key.prove(borg)
        assert caught.value.error == "integrity"
        said = Failure("relocated", "x")
        with pytest.raises(Failure, match="x"):
            _key.prove(borg)

    def test_a_candidate_is_tried_from_a_private_copy(self, borg, monkeypatch):
        seen = []

        def describe(borg, *options):
            with open(borg.key_file, encoding="ascii") as file:
                seen.append((file.read(), stat.S_IMODE(os.stat(borg.key_file).st_mode), borg.key_file))

        monkeypatch.setattr(_key.repositories, "describe", describe)
        _key.prove_key_file(borg, KEY)
        assert seen[0][:2] == (KEY.text, 0o600) and not os.path.exists(seen[0][2])

    def test_another_repositorys_candidate_is_named_without_the_copy(self, borg, monkeypatch):
        def describe(borg, *options):
            raise Failure("key_mismatch", f"Mismatch between repository and {borg.key_file}")

        monkeypatch.setattr(_key.repositories, "describe", describe)
        with pytest.raises(Failure, match=f"^The key is of the repository {KEY.id}, and not of"):
            _key.prove_key_file(borg, KEY)
