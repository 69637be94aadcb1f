# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of borg_key_escrow, with targets that answer as told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ansible_collections.fleetbackup.borg.plugins.action.borg_key_escrow import SPECIFICATION, ActionModule
from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.modules import borg_key_escrow
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery_bundle import Bundle
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._tool_recipients import ToolRecipients
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient

RECORDED = Path(__file__).resolve().parents[1] / "module_utils/recorded_keys/borg-1.2.4.json"
EXPORTS = {mode: forms["keyfile"] for mode, forms in json.loads(RECORDED.read_text(encoding="utf-8"))["exports"].items()}
KEY, OTHER = (_exported_key.parse(EXPORTS[mode], "keyfile") for mode in ("keyfile-blake2", "repokey"))
PASSPHRASE = "correct horse"
CANARY = "canary-0b7d"
IDENTITY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----\n"
REAL_KEY = Ed25519PrivateKey.generate()
REAL_IDENTITY = REAL_KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
REAL_PUBLIC_KEY = REAL_KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + " root@web1"
AGE_KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
GPG_KEY = "5A1B2C3D4E5F60718293A4B5C6D7E8F901234567"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUzcH8XkRr4d9q6nXw1sG5vHcQm0yJm9iB3T2kq7WcE"
SECRETS = [("ada", VaultSecret(b"one")), ("grace", VaultSecret(b"two"))]
ABSENT = {"digest": None, "key": None, "identity": None, "resolved": None, "assumed": False, "changed": False}


class Target:
    """A target that has a key, or answers something else, and notes what it was asked.

    :ivar answer: what it answers; None: as the module would.
    """

    def __init__(self, directory):
        self.directory = directory
        self.secrets = SECRETS
        self.key = KEY
        self.identity = IDENTITY
        self.answer = None
        self.troubles = []
        self.asked = []

    def run(self, *, check=False, **arguments):
        """One task."""
        loader = DataLoader()
        loader.set_vault_secrets(self.secrets)
        given = {"repository": "ssh://borg@backup1:2222/./web1", "passphrase": PASSPHRASE, "directory": str(self.directory), **arguments}
        task = SimpleNamespace(
            args={name: value for name, value in given.items() if value is not None}, async_val=0, check_mode=check, diff=True,
            action="fleetbackup.borg.borg_key_escrow", no_log=False, delegate_to=None, environment=None,
        )  # fmt: skip
        context = SimpleNamespace(no_log=False)
        action = ActionModule(
            task, SimpleNamespace(_play_context=context, _shell=SimpleNamespace(tmpdir="/nowhere")), SimpleNamespace(no_log=False), loader, None, None
        )
        action._execute_module = lambda **launch: self._execute(context, **launch)
        result = action.run(task_vars={"inventory_hostname": "web1"})
        assert context.no_log is False
        assert not any(secret in str(result) for secret in (KEY.text.splitlines()[1], OTHER.text.splitlines()[1], PASSPHRASE, CANARY))
        return result

    def _execute(self, context, *, module_name, module_args, task_vars):
        assert context.no_log is True and module_name == "fleetbackup.borg.borg_key_escrow"
        self.asked.append(module_args)
        for error in self.troubles:
            raise error
        if self.answer is not None:
            return self.answer
        known = module_args["known_digests"]
        answer = {**ABSENT, "digest": self.key.digest, "key": None if self.key.digest in known else self.key.text}
        if "identity_file" in module_args:
            digest = hashlib.sha256(self.identity.encode()).hexdigest()
            answer["identity"] = {"digest": digest, "text": None if digest in known else self.identity}
        return answer

    def bundle(self, result, number=0):
        """What stands in escrow."""
        return Bundle.parse(Recipient(*SECRETS[number]).decrypt(Path(result["paths"][number]).read_bytes()))

    def files(self):
        """All that stands there."""
        return {path: path.read_bytes() for path in self.directory.glob("*")} if self.directory.exists() else {}


@pytest.fixture(name="target")
def fixture_target(tmp_path):
    return Target(tmp_path / "escrow")


def failed(result, word):
    assert result["failed"] and result["error"] == word and not result["changed"], result
    assert {"msg", "reason", "retryable", "rc", "msgid", "cmd", "stderr"} <= result.keys()
    return result["msg"]


class TestPresent:
    def test_from_nothing_to_converged(self, target):
        target.answer = ABSENT
        provisional = target.run()
        assert provisional["changed"] and provisional["provisional"] and provisional["digest"] is None
        assert target.bundle(provisional).passphrase == PASSPHRASE
        target.answer = None
        full = target.run()
        assert full["changed"] and not full["provisional"] and full["path"] == provisional["path"]
        assert (full["repository_id"], full["digest"], full["previous_digest"]) == (KEY.id, KEY.digest, None)
        assert full["diff"]["after"] == {"key": f"sha256:{KEY.digest}"}
        before = target.files()
        again = target.run()
        assert not again["changed"] and again["previous_digest"] == KEY.digest and again["diff"] == {"before": {}, "after": {}}
        assert again.keys() == full.keys() == provisional.keys()
        assert target.files() == before

    def test_the_key_and_the_identity_come_only_once(self, target):
        target.run(identity_file="/root/.ssh/id")
        target.run(identity_file="/root/.ssh/id")
        assert target.asked[0]["known_digests"] == []
        assert target.asked[1]["known_digests"] == [KEY.digest, hashlib.sha256(IDENTITY.encode()).hexdigest()]
        assert target.bundle(target.run(identity_file="/root/.ssh/id")).identity == IDENTITY

    def test_no_secret_goes_to_the_target(self, target):
        target.run(configuration={"source_directories": ["/etc"], "repositories": ["/x"], "keep_daily": 7, "encryption_passphrase": CANARY}, vault_id="ada")
        assert set(target.asked[0]) == {"repository", "directory", "known_digests"}

    def test_everything_is_in_it(self, target):
        result = target.run(
            encryption="repokey-blake2",
            locations=["borg@192.0.2.1:web1", "ssh://borg@backup1:2222/./web1"],
            remote_path="borg-1.2",
            host_keys=[HOST_KEY],
            configuration={"source_directories": "/etc", "repositories": "/x", "keep_daily": 7},
        )
        bundle = target.bundle(result)
        assert bundle.host == "web1" and bundle.encryption == "repokey-blake2" and bundle.remote_path == "borg-1.2"
        assert bundle.locations == ("ssh://borg@backup1:2222/./web1", "ssh://borg@192.0.2.1/./web1")
        assert bundle.known_hosts == (f"[backup1]:2222 {HOST_KEY}",)
        assert "keep_daily: 7\n" in bundle.configuration

    def test_for_several(self, target):
        result = target.run(vault_id="ada", vault_ids=["grace"])
        assert result["recipients"] == ["ada", "grace"] and len(result["paths"]) == 2
        assert target.bundle(result) == target.bundle(result, 1)

    @pytest.mark.parametrize("key", [KEY, None])
    def test_check_mode_predicts_and_writes_nothing(self, target, key):
        target.answer = ABSENT if key is None else None
        predicted = target.run(check=True)
        assert target.files() == {} and not target.directory.exists()
        assert predicted == {**target.run(), "files": None}

    def test_check_mode_before_there_is_a_borg(self, target):
        target.answer = {**ABSENT, "assumed": True}
        result = target.run(check=True)
        assert result["changed"] and result["assumed"] and result["digest"] is result["provisional"] is None


class TestResolved:
    """Borg has words for the names of its machine and account: only there it is known what they stand for."""

    PLACE = "ssh://borg@backup1/./{user}-{hostname}"

    def test_what_the_target_says_is_kept_and_asked_for_once(self, target):
        target.answer = {**ABSENT, "digest": KEY.digest, "key": KEY.text, "resolved": "ssh://borg@backup1/./ada-srv17"}
        first = target.run(repository=self.PLACE)
        assert target.bundle(first).resolved == "ssh://borg@backup1/./ada-srv17" and target.bundle(first).locations == (self.PLACE,)
        again = target.run(repository=self.PLACE, key_digest=KEY.digest)
        assert not again["changed"] and len(target.asked) == 1

    def test_a_bundle_that_does_not_say_it_is_completed(self, target):
        target.answer = {**ABSENT, "digest": KEY.digest, "key": KEY.text}
        target.run(repository=self.PLACE)
        target.answer["resolved"] = "ssh://borg@backup1/./ada-srv17"
        assert target.run(repository=self.PLACE, key_digest=KEY.digest)["diff"]["after"] == {"resolved": "ssh://borg@backup1/./ada-srv17"}

    @pytest.mark.parametrize(
        "said", ["ssh://borg@evil/./ada-web1", "ssh://borg@backup1/./../x-web1", "ssh://borg@backup1/./ada-web1/x", "ssh://borg@backup1/./..-x"]
    )
    def test_it_never_leads_elsewhere(self, target, said):
        target.answer = {**ABSENT, "digest": KEY.digest, "key": KEY.text, "resolved": said}
        assert "cannot be" in failed(target.run(repository=self.PLACE), "unsafe") and target.files() == {}


class TestProvisional:
    def test_nobody_is_asked(self, target):
        target.troubles.append(AssertionError("asked"))
        result = target.run(state="provisional", identity_file="/root/.ssh/id")
        assert result["changed"] and result["provisional"]
        assert result["repository_id"] is result["digest"] is result["previous_digest"] is None
        assert target.bundle(result).passphrase == PASSPHRASE
        again = target.run(state="provisional")
        assert not again["changed"] and again["provisional"] and again.keys() == result.keys()

    @pytest.mark.parametrize("state", ["provisional", "present"])
    def test_another_passphrase_takes_its_place_and_the_one_before_stays(self, target, state):
        target.answer = ABSENT
        target.run(state=state)
        result = target.run(state=state, passphrase="another")
        assert result["diff"] == {
            "before": {"passphrase": "(hidden)", "other_passphrases": None},
            "after": {"passphrase": "(hidden, changed)", "other_passphrases": "(hidden)"},
        }
        bundle = target.bundle(result)
        assert (bundle.passphrase, bundle.other_passphrases) == ("another", (PASSPHRASE,))
        assert not target.run(state=state, passphrase="another")["changed"]
        back = target.bundle(target.run(state=state))
        assert (back.passphrase, back.other_passphrases) == (PASSPHRASE, ("another",))

    def test_what_may_be_in_force_is_in_it_until_there_is_a_full_one(self, target):
        result = target.run(state="provisional", previous_passphrases=["old", PASSPHRASE])
        assert target.bundle(result).other_passphrases == ("old",)
        assert target.bundle(target.run()).other_passphrases == ()

    @pytest.mark.parametrize("previous, others", [([PASSPHRASE], ("another",)), (["old", PASSPHRASE], ("another",)), (["old"], ())])
    def test_a_full_one_takes_a_declared_change_up(self, target, previous, others):
        full = target.run(vault_ids=["grace"])
        arguments = {"state": "provisional", "passphrase": "another", "previous_passphrases": previous, "vault_ids": ["grace"]}
        predicted = target.run(check=True, **arguments)
        result = target.run(**arguments)
        assert predicted == {**result, "files": None} and result["changed"] == bool(others)
        assert (result["digest"], result["previous_digest"], result["provisional"]) == (None, full["digest"], False)
        for number in range(2):
            bundle = target.bundle(result, number)
            assert (bundle.key, bundle.passphrase, bundle.other_passphrases) == (KEY, PASSPHRASE, others)
        assert not target.run(**arguments)["changed"]

    def test_of_several_changes_that_were_interrupted_each_passphrase_stays(self, target):
        target.run()
        for passphrase in ("another", "a third"):
            result = target.run(state="provisional", passphrase=passphrase, previous_passphrases=[PASSPHRASE])
        assert target.bundle(result).other_passphrases == ("another", "a third")
        assert target.bundle(target.run()).other_passphrases == ()

    def test_an_identity_that_came_earlier_stays(self, target):
        target.answer = {**ABSENT, "identity": {"digest": hashlib.sha256(IDENTITY.encode()).hexdigest(), "text": IDENTITY}}
        target.run(identity_file="/root/.ssh/id")
        assert not target.run(state="provisional", identity_file="/root/.ssh/id")["changed"]

    @pytest.mark.parametrize("arguments", [{}, {"passphrase": "another"}, {"remote_path": "borg-1.2"}, {"vault_ids": ["grace"]}, {"vault_id": "grace"}])
    def test_a_full_one_is_left_alone(self, target, arguments):
        full = target.run(vault_id="ada")
        before = target.files()
        result = target.run(state="provisional", **arguments)
        assert not result["changed"] and not result["provisional"] and result["diff"] == {"before": {}, "after": {}}
        assert (result["repository_id"], result["previous_digest"]) == (KEY.id, KEY.digest)
        assert result.keys() == full.keys()
        assert target.files() == before and len(target.asked) == 1

    @pytest.mark.parametrize(
        "written, arguments, is_known",
        [({}, {}, True), ({"encryption": "keyfile"}, {}, True), ({"encryption": "keyfile"}, {"encryption": "keyfile"}, True),
         ({}, {"passphrase": "another"}, False), ({"encryption": "keyfile"}, {"encryption": "repokey"}, False), ({}, {"encryption": "repokey"}, False)],
    )  # fmt: skip
    def test_the_digest_is_told_only_where_it_says_something_of_what_is_wanted(self, target, written, arguments, is_known):
        target.run(**written)
        assert target.run(state="provisional", **arguments)["digest"] == (KEY.digest if is_known else None)

    def test_one_that_cannot_be_read(self, target):
        target.run()
        before = target.files()
        target.secrets = [("eve", VaultSecret(b"three"))]
        failed(target.run(state="provisional"), "unsafe")
        assert target.files() == before

    def test_check_mode_predicts_and_writes_nothing(self, target):
        predicted = target.run(state="provisional", check=True)
        assert not target.directory.exists()
        assert predicted == {**target.run(state="provisional"), "files": None}


class TestKeyDigest:
    def test_of_the_key_in_escrow_spares_the_target(self, target):
        full = target.run()
        result = target.run(key_digest=KEY.digest)
        assert len(target.asked) == 1 and not result["changed"]
        assert {name: result[name] for name in ("repository_id", "digest")} == {name: full[name] for name in ("repository_id", "digest")}
        assert result["previous_digest"] == KEY.digest and result.keys() == full.keys()

    def test_all_else_is_still_kept(self, target):
        target.run()
        result = target.run(key_digest=KEY.digest, host_keys=[HOST_KEY], vault_ids=["grace"])
        assert result["changed"] and len(target.asked) == 1
        assert target.bundle(result).known_hosts and target.bundle(result, 1) == target.bundle(result)

    def test_a_passphrase_that_does_not_open_it_is_refused(self, target):
        target.run()
        before = target.files()
        failed(target.run(key_digest=KEY.digest, passphrase="another"), "wrong_passphrase")
        assert target.files() == before

    def test_what_is_proven_need_not_be_proven_again(self, target, monkeypatch):
        target.run()
        monkeypatch.setattr(_exported_key.ExportedKey, "opened", lambda *_arguments: pytest.fail("proven once more"))
        assert not target.run(key_digest=KEY.digest)["changed"]

    @pytest.mark.parametrize("digest", ["", None, "0" * 64, "None"])
    def test_of_another_key_it_spares_nothing(self, target, digest):
        target.run()
        target.key = OTHER._replace(id=KEY.id)
        failed(target.run(key_digest=digest), "drift")
        assert len(target.asked) == 2

    @pytest.mark.parametrize("before", [[], [{"answer": ABSENT}]])
    def test_without_a_key_in_escrow_it_spares_nothing(self, target, before):
        for troubles in before:
            target.answer = troubles["answer"]
            target.run()
            target.answer = None
        assert target.run(key_digest=KEY.digest)["digest"] == KEY.digest
        assert len(target.asked) == len(before) + 1

    def test_the_identity_comes_once(self, target):
        target.run()
        for launches in (2, 2):
            result = target.run(key_digest=KEY.digest, identity_file="/root/.ssh/id")
            assert len(target.asked) == launches and target.bundle(result).identity == IDENTITY
        assert target.bundle(target.run(key_digest=KEY.digest)).identity is None

    @pytest.mark.parametrize("public, launches", [("public", 1), ("other", 2)])
    def test_the_public_key_tells_whether_it_is_still_the_same(self, target, public, launches):
        target.identity = REAL_IDENTITY
        target.run(identity_file="/root/.ssh/id")
        public_key = {"public": REAL_PUBLIC_KEY, "other": HOST_KEY}[public]
        assert not target.run(key_digest=KEY.digest, identity_file="/root/.ssh/id", identity_public_key=public_key)["changed"]
        assert len(target.asked) == launches

    def test_where_its_format_does_not_tell_it_is_asked_for(self, target):
        target.run(identity_file="/root/.ssh/id")
        target.run(key_digest=KEY.digest, identity_file="/root/.ssh/id", identity_public_key=HOST_KEY)
        assert len(target.asked) == 2


class TestSealed:
    @pytest.fixture(name="made", autouse=True)
    def fixture_made(self, monkeypatch):
        """What was encrypted by tools."""
        made = []
        monkeypatch.setattr(ToolRecipients, "encrypt", lambda self, text: (made.append(text), str(len(made)).encode())[1])
        return made

    def test_from_provisional_to_converged(self, target, made):
        arguments = {"age_recipients": [AGE_KEY], "gpg_recipients": [GPG_KEY]}
        provisional = target.run(state="provisional", **arguments)
        assert provisional["recipients"] == ["ada", f"age: {AGE_KEY}", f"gpg: {GPG_KEY}"]
        assert [Path(path).read_bytes() for path in provisional["paths"][1:]] == [b"1", b"2"]
        full = target.run(**arguments)
        assert full["diff"]["after"] == {"key": f"sha256:{KEY.digest}", "age: content": "(hidden, changed)", "gpg: content": "(hidden, changed)"}
        assert Bundle.parse(made[-1]).key == KEY
        again = target.run(key_digest=KEY.digest, **arguments)
        assert not again["changed"] and len(made) == 4 and again.keys() == provisional.keys()

    def test_check_mode_predicts_and_writes_nothing(self, target):
        predicted = target.run(check=True, age_recipients=[AGE_KEY])
        assert not target.directory.exists()
        assert predicted == {**target.run(age_recipients=[AGE_KEY]), "files": None}

    @pytest.mark.parametrize("check", [True, False])
    def test_what_a_tool_cannot_do_is_told_in_check_mode_too(self, target, monkeypatch, check):
        target.run()
        before = target.files()
        monkeypatch.setattr(ToolRecipients, "encrypt", Mock(side_effect=Failure("other", "age is not installed")))
        failed(target.run(check=check, age_recipients=[AGE_KEY]), "other")
        assert {path: data for path, data in target.files().items() if path.name != ".lock"} == {
            path: data for path, data in before.items() if path.name != ".lock"
        }


class TestMissingSecrets:
    NAMED = {"vault_id": "ada", "vault_ids": ["grace"]}

    @pytest.mark.parametrize("secrets", [SECRETS[:1], SECRETS[1:], [("default", SECRETS[1][1])]])
    def test_one_of_several_is_enough_where_that_is_said(self, target, secrets):
        target.run(**self.NAMED)
        target.secrets = secrets
        before = target.files()
        failed(target.run(**self.NAMED), "invalid_argument")
        result = target.run(on_missing_secret="skip", **self.NAMED)
        assert not result["changed"] and result["digest"] == KEY.digest and len(result["left_alone"]) == len(result["paths"]) == 1
        assert target.files() == before

    def test_nobody_is_left_out_unasked(self, target):
        assert target.run(on_missing_secret="skip", **self.NAMED)["left_alone"] == []

    def test_a_damaged_one_is_not_overlooked(self, target):
        Path(target.run(**self.NAMED)["paths"][1]).write_bytes(b"damaged")
        failed(target.run(on_missing_secret="skip", **self.NAMED), "unsafe")


class TestDrift:
    def test_another_key(self, target):
        target.run()
        before = target.files()
        target.key = OTHER._replace(id=KEY.id)
        assert "on_drift: accept" in failed(target.run(), "drift")
        assert target.files() == before

    def test_accepted_only_where_it_opens(self, target):
        target.run()
        before = target.files()
        target.key = OTHER._replace(id=KEY.id)
        failed(target.run(on_drift="accept"), "key_mismatch")
        target.key = KEY._replace(blob=KEY.blob[:-60] + bytes(60))
        assert target.run(on_drift="accept")["error"] in ("key_mismatch", "wrong_passphrase")
        assert target.files() == before

    @pytest.mark.parametrize("accept", ["fail", "accept"])
    def test_another_repository_or_none(self, target, accept):
        target.run()
        before = target.files()
        target.key = OTHER
        failed(target.run(on_drift=accept), "drift")
        target.answer = ABSENT
        failed(target.run(on_drift=accept), "drift")
        assert target.files() == before

    @pytest.mark.parametrize("word", ["key_missing", "key_mismatch"])
    def test_a_destroyed_key(self, target, word):
        target.answer = {"failed": True, **Failure(word, "There is no key.").as_result()}
        assert failed({"changed": False, **target.run()}, word) == "There is no key."
        target.answer = None
        target.run()
        target.answer = {"failed": True, **Failure(word, "There is no key.").as_result()}
        assert failed(target.run(), "drift").endswith("There is no key.")


class TestRefused:
    def test_without_a_vault_secret_nobody_is_asked(self, target):
        target.secrets = None
        assert "--vault-id" in failed(target.run(), "no_passphrase")
        assert target.asked == [] and target.files() == {}

    def test_a_passphrase_that_does_not_open_the_key(self, target):
        failed(target.run(passphrase="another"), "wrong_passphrase")
        assert target.files() == {}

    @pytest.mark.parametrize(
        "arguments, word, says",
        [
            ({"passphrase": None}, "no_passphrase", "passphrase: "),
            ({"passphrase": None, "passcommand": "cat /x"}, "no_passphrase", "not a passcommand"),
            ({"passcommand": CANARY}, "invalid_argument", "mutually exclusive"),
            ({"passphrase": ""}, "invalid_argument", "passphrase: is empty"),
            ({"passphrse": CANARY}, "invalid_argument", "did you mean passphrase?"),
            ({"xyzzy": CANARY}, "invalid_argument", "xyzzy: is no option of borg_key_escrow"),
            ({"directory": None}, "invalid_argument", "directory"),
            ({"repository": "http://x/y"}, "invalid_argument", "repository: "),
            ({"locations": ["~/x"]}, "invalid_argument", "locations: "),
            ({"encryption": "repokey-blake"}, "invalid_argument", "did you mean repokey-blake2?"),
            ({"encryption": "none"}, "unencrypted", "no key"),
            ({"on_drift": "accpt"}, "invalid_argument", "did you mean accept?"),
            ({"configuration": CANARY}, "invalid_argument", "configuration"),
            ({"configuration": {"keep_dialy": CANARY}}, "invalid_argument", "keep_daily"),
            ({"host_keys": ["ssh-dss AAAA"]}, "invalid_argument", "host key 1 of backup1"),
            ({"age_recipients": [f"AGE-SECRET-KEY-{CANARY}"]}, "invalid_argument", "age_recipients: "),
            ({"gpg_recipients": [CANARY]}, "invalid_argument", "gpg_recipients: "),
            ({"identity_public_key": CANARY}, "invalid_argument", "identity_public_key: "),
            ({"identity_public_key": IDENTITY}, "invalid_argument", "the whole line of the file .pub"),
            ({"vault_id": "eve"}, "invalid_argument", "vault_id: "),
            ({"vault_ids": ["eve"]}, "invalid_argument", "vault_ids: "),
            ({"directory": "/etc/passwd/x"}, "invalid_argument", "directory"),
        ],
    )
    def test_before_anybody_is_asked(self, target, arguments, word, says):
        assert says in failed(target.run(**arguments), word)
        assert target.asked == []

    def test_what_the_target_says_is_handed_on(self, target):
        target.answer = {"failed": True, "changed": False, **Failure("unreachable", "No.", reason="timeout").as_result()}
        assert failed(target.run(), "unreachable") == "No."

    @pytest.mark.parametrize("answer", [{**ABSENT, "digest": "x"}, {**ABSENT, "digest": KEY.digest, "key": CANARY}])
    def test_an_answer_that_is_no_key(self, target, answer):
        target.answer = answer
        failed(target.run(), "key_mismatch")

    def test_the_unforeseen_is_told_without_what_it_holds(self, target):
        target.troubles.append(RuntimeError(CANARY))
        assert "Unforeseen RuntimeError" in failed(target.run(), "other")

    def test_an_unreachable_target_is_for_ansible_to_tell(self, target):
        target.troubles.append(AnsibleConnectionFailure("no"))
        with pytest.raises(AnsibleConnectionFailure):
            target.run()


def test_both_halves_take_the_same_options(monkeypatch):
    specifications = []
    monkeypatch.setattr(borg_key_escrow, "run_borg_module", lambda answer, specification: specifications.append(specification))
    borg_key_escrow.main()
    assert set(specifications[0]) <= set(SPECIFICATION)
    assert SPECIFICATION["configuration"]["no_log"] is SPECIFICATION["passphrase"]["no_log"] is True
