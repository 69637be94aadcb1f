# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of borg_key_escrow, with targets that answer as told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret

from ansible_collections.fleetbackup.borg.plugins.action.borg_key_escrow import SPECIFICATION, ActionModule
from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.modules import borg_key_escrow
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery_bundle import Bundle
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient

RECORDED = Path(__file__).resolve().parents[1] / "module_utils/recorded_keys/borg-1.2.4.json"
EXPORTS = {mode: forms["keyfile"] for mode, forms in json.loads(RECORDED.read_text(encoding="utf-8"))["exports"].items()}
KEY, OTHER = (_exported_key.parse(EXPORTS[mode], "keyfile") for mode in ("keyfile-blake2", "repokey"))
PASSPHRASE = "correct horse"
CANARY = "canary-0b7d"
IDENTITY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----\n"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUzcH8XkRr4d9q6nXw1sG5vHcQm0yJm9iB3T2kq7WcE"
SECRETS = [("ada", VaultSecret(b"one")), ("grace", VaultSecret(b"two"))]
ABSENT = {"digest": None, "key": None, "identity": None, "assumed": False, "changed": False}


class Target:
    """A target that has a key, or answers something else, and notes what it was asked.

    :ivar answer: what it answers; None: as the module would.
    """

    def __init__(self, directory):
        self.directory = directory
        self.secrets = SECRETS
        self.key = KEY
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
            digest = hashlib.sha256(IDENTITY.encode()).hexdigest()
            answer["identity"] = {"digest": digest, "text": None if digest in known else IDENTITY}
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
        assert predicted == target.run()

    def test_check_mode_before_there_is_a_borg(self, target):
        target.answer = {**ABSENT, "assumed": True}
        result = target.run(check=True)
        assert result["changed"] and result["assumed"] and result["digest"] is result["provisional"] is None


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
