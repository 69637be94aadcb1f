# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what is in escrow to what shall be there."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
from pathlib import Path
from unittest.mock import Mock

import pytest
from ansible.parsing.vault import VaultSecret

from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._aes import apply_keystream
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import EscrowFiles
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._escrow import Escrow, key_of
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery_bundle import Bundle
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._tool_recipients import TOOLS, ToolRecipients
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient

RECORDED = Path(__file__).resolve().parents[1] / "module_utils/recorded_keys/borg-1.2.4.json"
EXPORTS = {mode: forms["keyfile"] for mode, forms in json.loads(RECORDED.read_text(encoding="utf-8"))["exports"].items()}
KEY, OTHER = (_exported_key.parse(EXPORTS[mode], "keyfile") for mode in ("keyfile-blake2", "repokey"))
CHANGED = OTHER._replace(id=KEY.id)
ADA, GRACE = Recipient("ada", VaultSecret(b"one")), Recipient("grace", VaultSecret(b"two"))
PROVISIONAL = Bundle("web1", ("/srv/backup",), "canary horse")
FULL = PROVISIONAL._replace(key=KEY)
AGE, GPG = (ToolRecipients(tool, ("one", "two")) for tool in TOOLS)


def rewrapped(key, passphrase, other):
    """What `borg key change-passphrase` makes of a key, but for the salt."""
    wrapped = _exported_key._unpack(key.blob)
    old, new = (
        hashlib.pbkdf2_hmac("sha256", text.encode(), wrapped["salt"], wrapped["iterations"], 32) for text in (passphrase, other)
    )
    data = apply_keystream(old, wrapped["data"])
    blob = key.blob.replace(wrapped["data"], apply_keystream(new, data))
    return key._replace(blob=blob.replace(wrapped["hash"], hmac.new(new, data, hashlib.sha256).digest()))


@pytest.fixture(name="opened")
def fixture_opened(tmp_path):
    """Opens the escrow, for one or several recipients."""
    return lambda *recipients: Escrow(EscrowFiles(str(tmp_path / "escrow"), "web1", "/srv/backup"), recipients or [ADA], [ADA, GRACE])


def put(escrow, bundle):
    assert escrow.difference(bundle).changed
    return escrow.put(bundle)


def drift(escrow, key, accept=False, passphrase="canary horse"):
    with pytest.raises(Failure) as caught:
        escrow.check_drift(key, "/srv/backup", passphrase, accept=accept)
    assert caught.value.error == "drift"
    return caught.value.msg


class TestPut:
    def test_nothing_is_left_to_do(self, opened):
        assert put(opened(), FULL)
        data = opened().copies[0].file
        assert not opened().difference(FULL).changed
        assert opened().copies[0].file == data

    def test_the_full_one_takes_the_provisional_ones_place(self, opened):
        put(opened(), PROVISIONAL)
        assert opened().difference(FULL).names == ["key"]
        put(opened(), FULL)
        assert opened().copies[0].bundle == FULL

    def test_each_recipient_has_one(self, opened):
        put(opened(ADA, GRACE), FULL)
        main, second = opened(ADA, GRACE).copies
        assert main.bundle == second.bundle == FULL
        assert ADA.decrypt(main.file.data) and not GRACE.decrypt(main.file.data)
        assert GRACE.decrypt(second.file.data) and not ADA.decrypt(second.file.data)
        assert second.path.endswith(".grace.yml")

    def test_only_what_differs_is_written(self, opened):
        put(opened(), FULL)
        before = opened().copies[0].file
        assert all(name.startswith("grace: ") for name in opened(ADA, GRACE).difference(FULL).names)
        put(opened(ADA, GRACE), FULL)
        assert opened().copies[0].file == before

    def test_for_another_recipient_it_is_encrypted_anew(self, opened):
        put(opened(ADA), FULL)
        assert opened(GRACE).difference(FULL).as_diff() == {"before": {"recipient": "another"}, "after": {"recipient": "grace"}}
        put(opened(GRACE), FULL)
        assert GRACE.decrypt(opened(GRACE).copies[0].file.data)

    def test_a_mode_is_put_right_and_no_byte_touched(self, opened):
        put(opened(), FULL)
        before = opened().copies[0].file
        os.chmod(opened().paths[0], 0o644)
        assert opened().difference(FULL).as_diff() == {"before": {"mode": "0644"}, "after": {"mode": "0600"}}
        put(opened(), FULL)
        assert opened().copies[0].file == before

    def test_what_cannot_be_read_back_replaces_nothing(self, opened, monkeypatch):
        put(opened(), PROVISIONAL)
        monkeypatch.setattr(Recipient, "encrypt", lambda self, text: GRACE.secret.bytes)
        with pytest.raises(Failure, match="could not be read back"):
            put(opened(), FULL)
        assert opened().copies[0].bundle == PROVISIONAL

    def test_no_plaintext_on_any_disk(self, opened, tmp_path, monkeypatch):
        written = []
        original = os.fsync
        monkeypatch.setattr(os, "fsync", lambda number: (written.append(os.readlink(f"/proc/self/fd/{number}")), original(number)))
        put(opened(ADA, GRACE), FULL)
        assert written and all(path.startswith(str(tmp_path / "escrow")) for path in written)
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]

    def test_killed_between_two_files_a_second_run_goes_on(self, opened, monkeypatch):
        put(opened(ADA, GRACE), FULL)
        child = os.fork()
        if child == 0:
            original, calls = os.replace, []
            monkeypatch.setattr(os, "replace", lambda *names: (calls.append(1), len(calls) == 2 and os.kill(os.getpid(), signal.SIGKILL), original(*names)))
            put(opened(ADA, GRACE), FULL._replace(key=CHANGED))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        escrow = opened(ADA, GRACE)
        assert [copy.bundle.key for copy in escrow.copies] == [CHANGED, KEY]
        escrow.check_drift(CHANGED, "/srv/backup", "canary horse", accept=False)
        put(escrow, FULL._replace(key=CHANGED))
        assert [copy.bundle.key for copy in opened(ADA, GRACE).copies] == [CHANGED, CHANGED]


class TestMissingSecrets:
    NAMES = [Recipient("ada", None), Recipient("grace", None)]

    @pytest.fixture(name="alone")
    def fixture_alone(self, tmp_path):
        """Opens the escrow with one secret, whatever it is called."""
        files = EscrowFiles(str(tmp_path / "escrow"), "web1", "/srv/backup")
        return lambda recipients, identity: Escrow(files, recipients, [identity], may_lack=True)

    @pytest.mark.parametrize("identity, skipped", [(ADA, "grace"), (GRACE, "ada")])
    @pytest.mark.parametrize("label", [None, "default"])
    def test_either_is_enough(self, opened, alone, identity, skipped, label):
        put(opened(ADA, GRACE), FULL)
        given = identity if label is None else identity._replace(label=label)
        recipients = [given if one.label == given.label else one for one in self.NAMES]
        escrow = alone(recipients, given)
        assert escrow.keys == [KEY] and escrow.left_alone == [skipped] and not escrow.difference(FULL).changed
        assert [Path(path).name for path in escrow.paths] == [Path(opened(ADA, GRACE).paths[identity is GRACE]).name]
        assert escrow.labels == [identity.label]
        put(escrow, FULL._replace(host="web2"))
        hosts = {copy.recipient.label: copy.bundle.host for copy in opened(ADA, GRACE).copies}
        assert hosts == {identity.label: "web2", skipped: "web1"}

    def test_a_main_one_whom_nobody_named(self, opened, alone):
        put(opened(ADA, GRACE), FULL)
        escrow = alone([Recipient("", None), GRACE], GRACE)
        assert escrow.labels == ["grace"] and escrow.left_alone == ["the main one"]

    def test_where_all_were_given_a_damaged_one_is_told(self, opened):
        put(opened(ADA, GRACE), FULL)
        Path(opened(ADA, GRACE).paths[1]).write_bytes(b"damaged")
        with pytest.raises(Failure, match=r"grace\.yml opens with none"):
            opened(ADA, GRACE)

    def test_where_none_opens_that_is_told(self, opened, alone):
        put(opened(ADA, GRACE), FULL)
        with pytest.raises(Failure, match="opens with none") as caught:
            alone(self.NAMES, Recipient("eve", VaultSecret(b"three")))
        assert caught.value.error == "unsafe"

    def test_nothing_is_written_for_nobody(self, alone):
        with pytest.raises(Failure, match="encrypted for ada and grace") as caught:
            alone(self.NAMES, Recipient("eve", VaultSecret(b"three")))
        assert caught.value.error == "no_passphrase"


class TestPassphrases:
    def test_all_that_stand_in_any_file_the_likely_ones_first(self, opened, monkeypatch):
        put(opened(ADA, GRACE), FULL._replace(other_passphrases=("one", "two")))
        put(opened(ADA), FULL._replace(passphrase="new horse", other_passphrases=("three",)))
        assert opened(ADA, GRACE).passphrases == ["new horse", "canary horse", "three", "one", "two"]

    def test_there_are_none(self, opened):
        assert opened().passphrases == []

    def test_files_that_differ_lose_none(self, opened):
        put(opened(ADA, GRACE), PROVISIONAL)
        put(opened(ADA), PROVISIONAL._replace(passphrase="new horse"))
        escrow = opened(ADA, GRACE)
        put(escrow, escrow.provisional(PROVISIONAL._replace(passphrase="last horse"), ["old horse"]))
        assert {copy.bundle.other_passphrases for copy in opened(ADA, GRACE).copies} == {("new horse", "canary horse", "old horse")}


class TestSealed:
    @pytest.fixture(name="made", autouse=True)
    def fixture_made(self, monkeypatch):
        """What was encrypted, in each case anew: tool and text."""
        made = []

        def encrypt(self, text):
            made.append((self.tool.name, text))
            return f"{self.tool.name} {len(made)}".encode()

        monkeypatch.setattr(ToolRecipients, "encrypt", encrypt)
        return made

    @pytest.fixture(name="sealed")
    def fixture_sealed(self, tmp_path):
        """Opens the escrow with one vault recipient, and these of tools."""
        return lambda *others: Escrow(EscrowFiles(str(tmp_path / "escrow"), "web1", "/srv/backup"), [ADA], [ADA], others)

    def test_one_more_file_for_each_tool_that_says_how_to_open_it(self, sealed, made):
        put(sealed(AGE, GPG), FULL)
        escrow = sealed(AGE, GPG)
        assert [Path(path).suffix for path in escrow.paths] == [".yml", ".age", ".gpg"]
        assert escrow.labels == ["ada", "age: one, two", "gpg: one, two"]
        assert [Path(path).read_bytes() for path in escrow.paths[1:]] == [b"age 1", b"gpg 2"]
        assert {os.stat(path).st_mode & 0o777 for path in escrow.paths} == {0o600}
        for (_name, text), command in zip(made, ("age --decrypt", "gpg --decrypt")):
            assert Bundle.parse(text) == FULL and command in text and "ansible-vault" not in text

    def test_nothing_is_left_to_do(self, sealed, made):
        put(sealed(AGE, GPG), FULL)
        assert not sealed(AGE, GPG).difference(FULL).changed
        assert len(made) == 2

    def test_only_what_differs_is_made_anew(self, sealed, made):
        put(sealed(AGE), FULL)
        data = Path(sealed(AGE).paths[1]).read_bytes()
        assert sealed(AGE, GPG).difference(FULL).as_diff() == {
            "before": {"gpg: recipients": None, "gpg: content": None},
            "after": {"gpg: recipients": ["one", "two"], "gpg: content": "(hidden)"},
        }
        put(sealed(AGE, GPG), FULL)
        assert [name for name, _text in made] == ["age", "gpg"]
        assert Path(sealed(AGE).paths[1]).read_bytes() == data
        assert not sealed(AGE, GPG).difference(FULL).changed

    @pytest.mark.parametrize("change", [{"passphrase": "another"}, {"host": "web2"}, {"key": CHANGED}, {"configuration": "x"}, {"key": None}])
    def test_another_content(self, sealed, made, change):
        put(sealed(AGE), FULL)
        difference = sealed(AGE).difference(FULL._replace(**change)).as_diff()
        assert difference["after"]["age: content"] == "(hidden, changed)" and "age: recipients" not in difference["after"]
        assert "canary" not in str(difference)
        put(sealed(AGE), FULL._replace(**change))
        assert len(made) == 2 and not sealed(AGE).difference(FULL._replace(**change)).changed

    def test_another_recipient(self, sealed, made):
        put(sealed(AGE), FULL)
        fewer = AGE._replace(keys=("two",))
        assert sealed(fewer).difference(FULL).as_diff() == {"before": {"age: recipients": ["one", "two"]}, "after": {"age: recipients": ["two"]}}
        put(sealed(fewer), FULL)
        assert len(made) == 2 and not sealed(fewer).difference(FULL).changed

    @pytest.mark.parametrize("data", [b"", b"age 0", None])
    def test_a_file_that_is_not_the_noted_one(self, sealed, made, data):
        put(sealed(AGE), FULL)
        path = Path(sealed(AGE).paths[1])
        path.unlink() if data is None else path.write_bytes(data)
        assert sealed(AGE).difference(FULL).as_diff()["before"] == dict.fromkeys(("age: recipients", "age: content"), None if data is None else "unknown")
        put(sealed(AGE), FULL)
        assert path.read_bytes() == b"age 2" and not sealed(AGE).difference(FULL).changed

    def test_a_mode_is_put_right_and_no_byte_touched(self, sealed, made):
        put(sealed(AGE), FULL)
        os.chmod(sealed(AGE).paths[1], 0o644)
        assert sealed(AGE).difference(FULL).as_diff() == {"before": {"age: mode": "0644"}, "after": {"age: mode": "0600"}}
        put(sealed(AGE), FULL)
        assert len(made) == 1 and not sealed(AGE).difference(FULL).changed

    def test_one_of_a_tool_that_is_no_longer_named_stays(self, sealed):
        put(sealed(AGE, GPG), FULL)
        path, data = (sealed(AGE, GPG).paths[2], b"gpg 2")
        assert not sealed(AGE).difference(FULL).changed
        put(sealed(AGE), FULL._replace(host="web2"))
        assert Path(path).read_bytes() == data
        assert sealed(AGE, GPG).difference(FULL._replace(host="web2")).names == ["gpg: recipients", "gpg: content"]

    def test_what_cannot_be_read_back_replaces_nothing(self, sealed, monkeypatch):
        put(sealed(AGE), FULL)
        original = EscrowFiles.read
        with_other_data = {True: lambda file: file._replace(data=file.data[:-1]), False: lambda file: file}
        monkeypatch.setattr(
            EscrowFiles, "read", lambda self, path: with_other_data[".fleetbackup-" in path and b"age" in original(self, path).data](original(self, path))
        )
        with pytest.raises(Failure, match="could not be read back"):
            put(sealed(AGE), FULL._replace(host="web2"))
        monkeypatch.undo()
        assert Path(sealed(AGE).paths[1]).read_bytes() == b"age 1"

    @pytest.mark.parametrize("step", [1, 2])
    def test_killed_at_any_file_a_second_run_goes_on(self, sealed, monkeypatch, step):
        put(sealed(AGE), FULL)
        after = FULL._replace(host="web2")
        child = os.fork()
        if child == 0:
            original, calls = os.replace, []
            monkeypatch.setattr(os, "replace", lambda *names: (calls.append(1), len(calls) == step and os.kill(os.getpid(), signal.SIGKILL), original(*names)))
            put(sealed(AGE), after)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        put(sealed(AGE), after)
        assert not sealed(AGE).difference(after).changed

    def test_a_failing_tool_leaves_everything_as_it_was(self, sealed, tmp_path, monkeypatch):
        put(sealed(AGE), FULL)
        before = {path: path.read_bytes() for path in (tmp_path / "escrow").glob("*.*")}
        monkeypatch.setattr(ToolRecipients, "encrypt", Mock(side_effect=Failure("other", "age is not installed")))
        with pytest.raises(Failure, match="not installed"):
            put(sealed(AGE), FULL._replace(host="web2"))
        assert not sealed(AGE).difference(FULL).changed
        assert before == {path: path.read_bytes() for path in (tmp_path / "escrow").glob("*.*")}


class TestTwoControllers:
    def test_the_second_finds_it_done(self, opened):
        first, second = opened(), opened()
        assert put(first, FULL)
        before = opened().copies[0].file
        assert put(second, FULL) is False
        assert opened().copies[0].file == before

    @pytest.mark.parametrize("earlier", [None, PROVISIONAL])
    def test_the_second_overwrites_nothing(self, opened, earlier):
        if earlier is not None:
            put(opened(), earlier)
        first, second = opened(), opened()
        put(first, FULL)
        with pytest.raises(Failure) as caught:
            put(second, FULL._replace(passphrase="another"))
        assert caught.value.error == "locked" and caught.value.retryable
        assert opened().copies[0].bundle == FULL

    def test_many_at_once(self, opened):
        children = []
        for number in range(8):
            child = os.fork()
            if child == 0:
                try:
                    put(opened(ADA, GRACE), FULL._replace(host=f"web{number % 2}"))
                    os._exit(0)
                except Failure as failure:
                    os._exit(1 if failure.error == "locked" else 2)
                except AssertionError:  # nothing was left to do when it came
                    os._exit(0)
                except BaseException:
                    os._exit(3)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert set(codes) <= {0, 1} and 0 in codes
        one, two = (copy.bundle for copy in opened(ADA, GRACE).copies)
        assert one == two and one.key == KEY


class TestDrift:
    @pytest.mark.parametrize("bundle", [None, PROVISIONAL])
    def test_without_a_key_in_escrow_there_is_none(self, opened, bundle):
        if bundle is not None:
            put(opened(), bundle)
        for key in (None, KEY):
            opened().check_drift(key, "/srv/backup", "canary horse", accept=False)

    def test_another_key(self, opened):
        put(opened(), FULL)
        opened().check_drift(KEY, "/srv/backup", "canary horse", accept=False)
        assert "on_drift: accept" in drift(opened(), CHANGED)
        opened().check_drift(CHANGED, "/srv/backup", "canary horse", accept=True)

    def test_a_passphrase_that_the_user_changed_is_no_alarm(self, opened):
        put(opened(), FULL._replace(passphrase="correct horse"))
        changed = rewrapped(KEY, "correct horse", "new horse")
        opened().check_drift(changed, "/srv/backup", "new horse", accept=False)
        for passphrase in ("correct horse", "no horse"):
            assert "on_drift: accept" in drift(opened(), changed, passphrase=passphrase)

    def test_other_secrets_in_the_wrapping_of_a_new_passphrase_are(self, opened):
        put(opened(), FULL._replace(passphrase="correct horse"))
        forged = rewrapped(OTHER, "correct horse", "new horse")
        assert "on_drift: accept" in drift(opened(), forged._replace(id=KEY.id), passphrase="new horse")

    @pytest.mark.parametrize("key", [None, OTHER])
    def test_another_repository_or_none_is_never_accepted(self, opened, key):
        put(opened(), FULL)
        assert "move the bundle away" in drift(opened(), key, accept=True)


class TestWhatStandsThere:
    @pytest.mark.parametrize(
        "data, reason",
        [(b"", "opens with none"), (b"text", "opens with none"), (Recipient("x", VaultSecret(b"x")).encrypt("x"), "opens with none"),
         (ADA.encrypt("x"), "no recovery bundle"), (ADA.encrypt(FULL.render())[:-100], "opens with none")],
    )  # fmt: skip
    def test_anything_else_is_left_alone(self, opened, data, reason):
        path = Path(opened().paths[0])
        path.parent.mkdir()
        path.write_bytes(data)
        with pytest.raises(Failure, match=reason) as caught:
            opened()
        assert caught.value.error == "unsafe" and str(path) in caught.value.msg

    def test_a_newer_one(self, opened):
        path = Path(opened().paths[0])
        path.parent.mkdir()
        path.write_bytes(ADA.encrypt("format: 99\n"))
        with pytest.raises(Failure) as caught:
            opened()
        assert caught.value.error == "version" and caught.value.msg.startswith(str(path))


class TestKeyOf:
    def test_each_answer(self):
        assert key_of({"digest": None, "key": None}, []) is None
        assert key_of({"digest": KEY.digest, "key": KEY.text}, []) == KEY
        assert key_of({"digest": KEY.digest, "key": None}, [OTHER, KEY]) == KEY

    @pytest.mark.parametrize(
        "answer",
        [{"digest": KEY.digest, "key": None}, {"digest": KEY.digest, "key": "x"}, {"digest": KEY.digest, "key": OTHER.text}, {"digest": "x", "key": KEY.text}],
    )
    def test_one_that_does_not_fit(self, answer):
        with pytest.raises(Failure) as caught:
            key_of(answer, [])
        assert caught.value.error == "key_mismatch"
