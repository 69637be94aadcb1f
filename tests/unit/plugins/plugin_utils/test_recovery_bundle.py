# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recovery bundles in clear, and one that an older release wrote, which must stay readable."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultSecret

from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery_bundle import Bundle, Seal
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient

HERE = Path(__file__).resolve().parent
RECORDED_KEYS = json.loads((HERE.parent / "module_utils/recorded_keys/borg-1.2.4.json").read_text(encoding="utf-8"))["exports"]
KEY = _exported_key.parse(RECORDED_KEYS["keyfile-blake2"]["keyfile"], "keyfile")
PASSPHRASE = "correct horse"
LOCATION = "ssh://borg@backup1:2222/./web1"
BUNDLE = Bundle(
    host="web1",
    locations=(LOCATION, "ssh://borg@192.0.2.1:2222/./web1"),
    passphrase=PASSPHRASE,
    key=KEY,
    encryption="repokey-blake2",
    remote_path="borg-1.2",
    identity="-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n",
    known_hosts=("[backup1]:2222 ssh-ed25519 AAAA",),
    configuration="source_directories:\n    - /etc\n\nkeep_daily: 7\n",
)


def part(bundle, name, directory):
    """What a human without YAML gets, by the words' own means."""
    (directory / "bundle").write_text(bundle.render(), encoding="utf-8")
    words = [line[5:] for line in bundle.render().splitlines() if line.startswith("#     part()")]
    script = f"{words[0]}\npart {name}"
    return subprocess.run(["bash", "-c", script], cwd=directory, stdout=subprocess.PIPE, check=True).stdout.decode()


class TestRoundTrip:
    @pytest.mark.parametrize(
        "bundle",
        [BUNDLE, BUNDLE._replace(key=None), Bundle("web1", ("/srv/backup",), "x"), BUNDLE._replace(identity="no newline"),
         BUNDLE._replace(other_passphrases=("one", "  two\x07", "three")),
         BUNDLE._replace(locations=("/mnt/{hostname}",), resolved="/mnt/web1")],
    )  # fmt: skip
    def test_what_was_rendered_is_read(self, bundle):
        assert Bundle.parse(bundle.render()) == bundle

    @pytest.mark.parametrize(
        "passphrase",
        ["'\"$HOME % {x} # : & é 🐎 \\", "  leading", "trailing  ", "\ttab", "# no comment", "- no list", "|", "null", "1312", "---",
         "bell\x07", "nel\x85", "ls\u2028", "del\x7f", "bom\ufeff", "surrogate\udc80", "x" * 1024, "\U0001f40e\x1b"],
    )  # fmt: skip
    def test_any_passphrase(self, passphrase):
        assert Bundle.parse(BUNDLE._replace(passphrase=passphrase).render()).passphrase == passphrase

    @pytest.mark.parametrize("text", ["a\n\nb\n", "a\n\n", "\na\n", " a\n", "a\r\n", "\n", "key: x\n", "# x\n"])
    def test_any_file(self, text):
        assert Bundle.parse(BUNDLE._replace(identity=text).render()) == BUNDLE._replace(identity=text)

    def test_a_target_cannot_smuggle_parts_in(self):
        evil = BUNDLE._replace(identity="-----BEGIN PRIVATE KEY-----\npassphrase: evil\n# evil\n\x85passphrase: evil\n")
        assert Bundle.parse(evil.render()) == evil
        assert not any(line.startswith(("# evil", "passphrase: evil")) for line in evil.render().split("\n"))


class TestSeals:
    SEAL = Seal("age", ("one", "two"), "content", "ciphertext")

    def test_they_are_read_and_no_part_of_the_content(self):
        sealed = BUNDLE._replace(seals=(self.SEAL, self.SEAL._replace(tool="gpg")))
        assert Bundle.parse(sealed.render()) == sealed
        assert sealed.content == BUNDLE.content != BUNDLE._replace(host="x").content
        difference = Difference()
        sealed.compare(difference, BUNDLE)
        assert not difference.changed

    def test_sed_still_finds_the_parts(self, tmp_path):
        assert part(BUNDLE._replace(seals=(self.SEAL,)), "configuration", tmp_path) == BUNDLE.configuration

    @pytest.mark.parametrize("seals", ["x", "[canary]", "[{tool: canary}]", "{a: b}", "[{tool: age, recipients: canary, content: a, ciphertext: b}]", "3"])
    def test_anything_else_is_none(self, seals):
        with pytest.raises(ValueError) as caught:
            Bundle.parse(f"{BUNDLE.render()}seals: {seals}\n")
        assert "canary" not in str(caught.value)


class TestWords:
    @pytest.mark.parametrize("passphrase", ["'\"$HOME % {x} # : & é 🐎 \\", "  leading", "trailing  ", "\ttab"])
    def test_sed_finds_the_parts(self, passphrase, tmp_path):
        bundle = BUNDLE._replace(passphrase=passphrase)
        assert part(bundle, "passphrase", tmp_path) == f"{passphrase}\n"
        assert part(bundle, "key", tmp_path) == KEY.text
        assert part(bundle, "identity", tmp_path) == BUNDLE.identity
        assert part(bundle, "known_hosts", tmp_path) == "[backup1]:2222 ssh-ed25519 AAAA\n"
        assert part(bundle, "configuration", tmp_path) == BUNDLE.configuration

    def test_they_stand_on_top_and_say_how(self):
        words = BUNDLE.render().partition("\nformat:")[0]
        assert all(line.startswith("#") for line in words.splitlines())
        for command in (
            "ansible-vault view BUNDLE",
            f"borg key import {LOCATION} key",
            f"borg extract {LOCATION}::ARCHIVE",
            "export BORG_REMOTE_PATH=borg-1.2",
            "-i $PWD/identity -o UserKnownHostsFile=$PWD/known_hosts",
            "part configuration > borgmatic.yaml",
        ):
            assert command in words

    def test_a_provisional_one_says_so_and_has_no_key(self):
        text = BUNDLE._replace(key=None).render()
        assert "# PROVISIONAL" in text and "key import" not in text and "BORG_KEY" not in text
        assert yaml.safe_load(text)["provisional"] is True

    def test_passphrases_that_may_be_in_force_are_to_be_tried(self, tmp_path):
        bundle = BUNDLE._replace(other_passphrases=("'one \\", "two"))
        words = bundle.render().partition("\nformat:")[0]
        assert "try each of the others in its place:\n# other_passphrase_1, other_passphrase_2." in words
        assert '\n# export BORG_PASSPHRASE="$(part other_passphrase_1)"' in words and "other" not in BUNDLE.render()
        assert [part(bundle, f"other_passphrase_{number}", tmp_path) for number in (1, 2)] == ["'one \\\n", "two\n"]

    def test_an_unusual_passphrase_is_told(self):
        assert "unusual signs" in BUNDLE._replace(passphrase="bell\x07").render()
        assert "unusual signs" not in BUNDLE.render()

    def test_a_local_repository_needs_no_ssh(self):
        assert "BORG_RSH" not in Bundle("web1", ("/srv/backup",), "x", KEY).render()

    def test_without_a_key_for_ssh(self):
        text = BUNDLE._replace(identity=None).render()
        assert "holds no SSH key" in text and "-i IDENTITY" in text and "-i $PWD" not in text

    def test_placeholders(self):
        assert "names of the lost machine, web1" in BUNDLE._replace(locations=("/srv/{hostname}",)).render()

    def test_names_that_the_client_has_told_need_not_be_written_out(self):
        text = BUNDLE._replace(locations=("/srv/{hostname}",), resolved="/srv/web1").render()
        assert "borg list /srv/web1\n" in text and "names of the lost machine" not in text

    def test_a_location_is_quoted_for_the_shell(self):
        assert "borg list '/srv/a b'" in BUNDLE._replace(locations=("/srv/a b",)).render()


class TestParse:
    @pytest.mark.parametrize(
        "text",
        ["", "x", "- x", "{", "a: b", "format: '1'", "format: true", "format: 1", "\0",
         "format: 1\nhost: canary\nlocations: []\npassphrase: x", "format: 1\nhost: 3\nlocations: [canary]\npassphrase: x",
         "format: 1\nhost: web1\nlocations: [a]\npassphrase: x\nkey: canary", "format: 1\nhost: !!python/object:os.x canary"],
    )  # fmt: skip
    def test_anything_else_is_none(self, text):
        with pytest.raises(ValueError) as caught:
            Bundle.parse(text)
        assert "canary" not in str(caught.value)

    def test_a_newer_one_is_left_alone(self):
        with pytest.raises(Failure, match="Upgrade the collection") as caught:
            Bundle.parse(BUNDLE.render().replace("\nformat: 1\n", "\nformat: 2\n"))
        assert caught.value.error == "version"

    @pytest.mark.parametrize(("name", "others"), [("format-1", ()), ("format-1-in-a-change", ("new horse", "last horse"))])
    def test_the_recorded_ones(self, name, others):
        recipient = Recipient("default", VaultSecret(b"a recorded vault password"))
        text = recipient.decrypt((HERE / f"recorded_bundles/{name}.vault").read_bytes())
        bundle = Bundle.parse(text)
        assert bundle == BUNDLE._replace(other_passphrases=others)
        assert bundle.key.opened(bundle.passphrase, "It") == KEY


class TestCompare:
    def test_no_secret_is_shown(self):
        difference = Difference()
        before = Bundle("x", ("/x",), "canary", None, identity="canary", configuration="canary", other_passphrases=("canary",))
        BUNDLE.compare(difference, before)
        shown = str(difference.as_diff())
        assert "canary" not in shown and PASSPHRASE not in shown and KEY.text not in shown
        assert difference.as_diff()["before"]["passphrase"] == "(hidden)"
        assert difference.as_diff()["after"]["passphrase"] == "(hidden, changed)"
        assert difference.as_diff()["after"]["key"] == f"sha256:{KEY.digest}"

    def test_nothing_is_said_of_what_is_the_same(self):
        difference = Difference()
        BUNDLE.compare(difference, BUNDLE)
        assert not difference.changed

    def test_of_a_new_one_only_what_it_holds(self):
        difference = Difference()
        Bundle("web1", ("/srv/backup",), "x").compare(difference, None)
        assert difference.names == ["host", "locations", "passphrase"]
