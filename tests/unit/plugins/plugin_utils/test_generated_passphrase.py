# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Passphrases are made once, whoever asks, and stand nowhere in clear."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._generated_passphrase import GeneratedPassphrase
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient

ADA, GRACE = Recipient("ada", VaultSecret(b"one")), Recipient("grace", VaultSecret(b"two"))


@pytest.fixture(name="made")
def fixture_made(tmp_path):
    """Finds or makes a passphrase."""
    return lambda name="web1", recipients=(ADA,), identities=(ADA, GRACE): GeneratedPassphrase(
        str(tmp_path / "escrow"), name, recipients, identities
    )


def test_it_is_made_once_and_found_by_whoever_may_read_it(made):
    first = made().ensure()
    assert len(first) == 32
    assert made().ensure() == made(recipients=[GRACE]).ensure() == made().expected() == first
    assert made("web2").ensure() != first


def test_it_is_for_one_s_eyes_only(made):
    first = made().ensure()
    path = Path(made().path)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert path.read_bytes().startswith(b"$ANSIBLE_VAULT;1.2;AES256;ada")
    assert f"passphrase: {first}\n" in ADA.decrypt(path.read_bytes())
    assert first.encode() not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_a_prediction_makes_nothing(made, tmp_path):
    assert made().expected() == made().expected() != made("web2").expected()
    assert list(tmp_path.iterdir()) == []


def test_many_at_once_get_the_same(made):
    with ThreadPoolExecutor(8) as pool:
        assert len({result.result() for result in [pool.submit(lambda: made().ensure()) for _number in range(16)]}) == 1


@pytest.mark.parametrize("damage", [b"", b"passphrase: plain\n", b"$ANSIBLE_VAULT;1.1;AES256\n6162\n"])
def test_one_that_cannot_be_read_is_never_made_anew(made, damage):
    made().ensure()
    Path(made().path).write_bytes(damage)
    with pytest.raises(Failure, match="Do not remove it") as caught:
        made().ensure()
    assert caught.value.error == "wrong_passphrase"
    assert Path(made().path).read_bytes() == damage


def test_another_vault_secret_does_not_open_it(made):
    made().ensure()
    with pytest.raises(Failure, match="none of the vault secrets"):
        made(recipients=[GRACE], identities=[GRACE]).ensure()


class TestSeveralRecipients:
    LACKING = Recipient("ada", None)

    def test_each_has_a_file_and_either_finds_it_alone(self, made):
        first = made(recipients=[ADA, GRACE]).ensure()
        files = sorted(path.name.partition(".")[2] for path in Path(made().path).parent.iterdir() if path.suffix)
        assert files == ["grace.yml", "yml"]
        for recipients, identity in (([ADA, Recipient("grace", None)], ADA), ([self.LACKING, GRACE], GRACE)):
            other = made(recipients=recipients, identities=[identity])
            assert other.ensure() == other.expected() == other.existing() == first

    def test_one_who_comes_later_gets_it_too(self, made):
        first = made().ensure()
        before = Path(made().path).read_bytes()
        assert made(recipients=[ADA, GRACE]).ensure() == first
        assert f"passphrase: {first}\n" in GRACE.decrypt(Path(made().path.replace(".yml", ".grace.yml")).read_bytes())
        assert Path(made().path).read_bytes() == before

    def test_none_is_made_for_some_of_them_only(self, made):
        with pytest.raises(Failure, match="encrypted for ada, too") as caught:
            made(recipients=[self.LACKING, GRACE], identities=[GRACE]).ensure()
        assert caught.value.error == "no_passphrase" and not list(Path(made().path).parent.glob("*.yml"))


def test_whoever_only_looks_makes_none(made, tmp_path):
    with pytest.raises(Failure, match="called web1: .* is missing. Nothing was made") as caught:
        made().existing()
    assert caught.value.error == "no_passphrase" and list(tmp_path.iterdir()) == []
    assert made().ensure() == made().existing()


@pytest.mark.parametrize("name", ["", " ", "a\nb"])
def test_a_name_is_a_line(made, name):
    with pytest.raises(Failure, match="no name of a passphrase"):
        made(name)


def test_a_directory_for_everybody_is_refused(made, tmp_path):
    (tmp_path / "escrow").mkdir()
    os.chmod(tmp_path / "escrow", 0o777)
    with pytest.raises(Failure, match="everybody may write"):
        made().ensure()


def test_ansible_looks_it_up(tmp_path):
    (tmp_path / "secret").write_text("one")
    command = [str(Path(sys.executable).with_name("ansible")), "localhost", "-m", "ansible.builtin.debug", "-a",
               "msg={{ lookup('fleetbackup.borg.generated_passphrase', 'web1') }}", "-e",
               f"borgmatic_escrow_directory={tmp_path}/escrow", "--vault-password-file", str(tmp_path / "secret")]
    shown = [subprocess.run([*command, *more], capture_output=True, text=True, check=True).stdout for more in (["--check"], [], [])]
    assert "not-made-yet" in shown[0]
    assert shown[1] == shown[2] != shown[0]
    assert not any("FAILED" in text for text in shown)
    looking = [*command, "-e", "__borgmatic_only_looks=true", "-e", "borgmatic_escrow_directory=/nowhere"]
    looked = subprocess.run(looking, capture_output=True, text=True, check=False)
    assert looked.returncode and "Nothing was made" in looked.stdout + looked.stderr
