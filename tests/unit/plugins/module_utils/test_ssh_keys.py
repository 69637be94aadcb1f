# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import subprocess

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey, public_half


def part(data):
    return len(data).to_bytes(4, "big") + data


def blob(kind, *parts):
    return b"".join(part(data) for data in (kind.encode(), *parts))


def line(kind, data, comment=""):
    return f"{kind} {base64.b64encode(data).decode()} {comment}".rstrip()


ED25519 = blob("ssh-ed25519", b"\x01" * 32)
RSA = blob("ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xff" * 256)
ECDSA = blob("ecdsa-sha2-nistp256", b"nistp256", b"\x04" + b"\x05" * 64)
GOOD = line("ssh-ed25519", ED25519)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("ssh-ed25519", ED25519),
        ("ssh-rsa", RSA),
        ("ecdsa-sha2-nistp256", ECDSA),
        ("sk-ssh-ed25519@openssh.com", blob("sk-ssh-ed25519@openssh.com", b"\x01" * 32, b"ssh:")),
    ],
)
@pytest.mark.parametrize("comment", ["", "root@web1", "two words", 'quotes " and #', "ä"])
def test_a_public_key_is_read_and_written_alike(kind, data, comment):
    key = PublicKey.parse(line(kind, data, comment))
    assert (key.kind, key.blob, key.comment) == (kind, data, comment)
    assert str(key) == line(kind, data, comment)
    assert key.bare == line(kind, data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 no*base64",
        "ssh-ed25519 " + base64.b64encode(ED25519).decode().rstrip("=") + "=x",
        line("ssh-ed25519", ED25519[:-1]),
        line("ssh-ed25519", ED25519 + b"\0"),
        line("ssh-ed25519", ED25519 + part(b"more")),
        line("ssh-ed25519", blob("ssh-ed25519", b"\x01" * 31)),
        line("ssh-rsa", ED25519),
        line("ssh-ed25519", RSA),
        line("ssh-rsa", blob("ssh-rsa", b"\x01\x00\x01")),
        line("ssh-rsa", blob("ssh-rsa", b"", b"")),
        line("ssh-dss", blob("ssh-dss", b"1", b"2", b"3", b"4")),
        line("ssh-ed25519", b"\xff\xff\xff\xff"),
        f"{GOOD}\n{GOOD}",
        f"{GOOD} a\x00b",
        f"restrict {GOOD}",
        f"host {GOOD}",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(ValueError):
        PublicKey.parse(text)


def test_a_refusal_repeats_nothing_that_may_be_secret():
    with pytest.raises(ValueError) as caught:
        PublicKey.parse("-----BEGIN canary canary-----")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [["-t", "ed25519"], ["-t", "rsa", "-b", "2048"], ["-t", "ecdsa"], ["-t", "ecdsa", "-b", "384"], ["-t", "ecdsa", "-b", "521"]]
)
def test_the_public_half_is_what_ssh_keygen_says(tmp_path, options):
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "a comment", "-f", tmp_path / "key", *options], check=True)
    key = public_half((tmp_path / "key").read_bytes())
    assert key is not None
    assert str(key) == (tmp_path / "key.pub").read_text().strip()
    said = subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "key"], check=True, capture_output=True, text=True).stdout
    assert key.fingerprint == said.split()[1]


@pytest.mark.parametrize("form", ["PEM", "PKCS8"])
def test_older_formats_do_not_tell(tmp_path, form):
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", form, "-N", "", "-f", tmp_path / "key"], check=True)
    assert public_half((tmp_path / "key").read_bytes()) is None


@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
def test_a_passphrase_is_refused_without_asking_anybody(tmp_path, form):
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", form, "-N", "secret", "-f", tmp_path / "key"], check=True)
    with pytest.raises(ValueError, match="passphrase"):
        public_half((tmp_path / "key").read_bytes())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\xff\xfe",
        b"canary",
        b"PuTTY-User-Key-File-3: ssh-ed25519",
        GOOD.encode(),
        b"-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----",
        b"-----BEGIN OPENSSH PRIVATE KEY-----",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nY2FuYXJ5\n-----END OPENSSH PRIVATE KEY-----",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64.b64encode(b"openssh-key-v1\0\0\0") + b"\n-----END OPENSSH PRIVATE KEY-----",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64.b64encode(b"openssh-key-v1\0" + part(b"none") * 3) + b"\n-----END-----",
    ],
)
def test_what_is_no_private_key_is_refused(data):
    with pytest.raises(ValueError) as caught:
        public_half(data)
    assert "canary" not in str(caught.value)


def test_every_truncation_of_a_key_is_refused(tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    lines = (tmp_path / "key").read_bytes().splitlines()
    whole = base64.b64decode(b"".join(lines[1:-1]))
    for length in range(len(whole) - 8):  # less than the padding
        with pytest.raises(ValueError):
            public_half(b"\n".join([lines[0], base64.b64encode(whole[:length]), lines[-1]]))
