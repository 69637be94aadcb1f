# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a bundle is encrypted for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible import constants
from ansible.parsing.vault import VaultSecret

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient, decrypted, recipients_of

ADA, GRACE = ("ada", VaultSecret(b"one")), ("grace", VaultSecret(b"two"))


def refused(*arguments):
    with pytest.raises(Failure) as caught:
        recipients_of(*arguments)
    return caught.value


class TestRecipientsOf:
    @pytest.mark.parametrize("secrets", [None, []])
    def test_without_a_secret_it_says_how_to_give_one(self, secrets):
        failure = refused(secrets, None, [])
        assert failure.error == "no_passphrase"
        assert "--vault-id" in failure.msg and "ANSIBLE_VAULT_PASSWORD_FILE" in failure.msg

    def test_the_first_one_by_default(self):
        assert recipients_of([ADA, GRACE], None, []) == [Recipient(*ADA)]

    def test_or_the_one_that_ansible_would_encrypt_for(self, monkeypatch):
        monkeypatch.setattr(constants.config, "get_config_value", lambda name, *_more: "grace")
        assert recipients_of([ADA, GRACE], None, []) == [Recipient(*GRACE)]

    def test_or_the_named_one(self):
        assert recipients_of([ADA, GRACE], "grace", []) == [Recipient(*GRACE)]

    def test_several_and_each_once(self):
        assert recipients_of([ADA, GRACE], None, ["grace", "ada", "grace"]) == [Recipient(*ADA), Recipient(*GRACE)]

    def test_of_one_name_the_first_counts(self):
        assert recipients_of([ADA, ("ada", VaultSecret(b"old"))], "ada", []) == [Recipient(*ADA)]

    @pytest.mark.parametrize("arguments, start", [(("gracy", []), "vault_id: "), ((None, ["gracy"]), "vault_ids: ")])
    def test_an_unknown_one(self, arguments, start):
        failure = refused([ADA, GRACE], *arguments)
        assert failure.error == "invalid_argument"
        assert failure.msg.startswith(start) and failure.msg.endswith("did you mean grace?")

    def test_an_unknown_one_that_is_like_none(self):
        assert refused([ADA, GRACE], "xyzzy", []).msg.endswith("Ansible was given ada, grace.")

    @pytest.mark.parametrize(
        ("secrets", "main", "others", "found"),
        [([GRACE], "ada", ["grace"], [("ada", False), ("grace", True)]), ([ADA], "ada", ["grace"], [("ada", True), ("grace", False)]),
         ([("default", GRACE[1])], "ada", ["grace"], [("ada", False), ("grace", False)]),
         # nobody said who the main one is, but it is not she
         ([GRACE], None, ["grace"], [("", False), ("grace", True)]), ([GRACE, ADA], None, ["grace"], [("grace", True)])],
    )  # fmt: skip
    def test_whoever_may_lack_a_secret(self, secrets, main, others, found):
        recipients = recipients_of(secrets, main, others, may_lack=True)
        assert [(recipient.label, recipient.secret is not None) for recipient in recipients] == found

    @pytest.mark.parametrize("label", ["../x", "a/b", ".x", "a;b", "a b", "-x"])
    def test_one_that_could_lead_elsewhere(self, label):
        assert refused([(label, ADA[1])], None, []).error == "invalid_argument"


class TestEncryption:
    @pytest.mark.parametrize("label, header", [("default", b"$ANSIBLE_VAULT;1.1;AES256\n"), ("ada", b"$ANSIBLE_VAULT;1.2;AES256;ada\n")])
    def test_as_ansible_does_it(self, label, header):
        recipient = Recipient(label, ADA[1])
        data = recipient.encrypt("tëxt\n")
        assert data.startswith(header)
        assert recipient.decrypt(data) == "tëxt\n"

    def test_another_cannot_read_it(self):
        data = Recipient(*ADA).encrypt("text")
        assert Recipient(*GRACE).decrypt(data) is None
        assert decrypted(data, [Recipient(*GRACE), Recipient(*ADA)]) == "text"

    def test_without_a_secret_nobody_can(self):
        assert Recipient("ada", None).decrypt(Recipient(*ADA).encrypt("text")) is None

    @pytest.mark.parametrize(
        "alter", [lambda data: b"", lambda data: b"text", lambda data: data[:-20], lambda data: data[:30], lambda data: data.replace(b"3", b"4")]
    )
    def test_damage(self, alter):
        assert Recipient(*ADA).decrypt(alter(Recipient(*ADA).encrypt("text"))) is None

    def test_ansible_vault_alone_opens_it(self, tmp_path):
        (tmp_path / "password").write_text("one\n", encoding="utf-8")
        (tmp_path / "bundle").write_bytes(Recipient(*ADA).encrypt("text\n"))
        program = Path(sys.executable).with_name("ansible-vault")
        command = [str(program), "view", "--vault-password-file", str(tmp_path / "password"), str(tmp_path / "bundle")]
        assert (
            subprocess.run(
                command, stdout=subprocess.PIPE, check=True, env={"PAGER": "cat", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
            ).stdout
            == b"text\n"
        )
