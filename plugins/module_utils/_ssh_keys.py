# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH keys: public ones as text, and the public half that stands unencrypted in a private one.

Nothing here looks at the private half, but to find the comment behind it.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Iterator, NamedTuple, Optional

#: What ssh still uses, and of how many parts such a public key is made, its name included.
#: Source: RFC 4253, 5656 and 8709, and OpenSSH's PROTOCOL.u2f.
_PARTS = {
    "ssh-ed25519": 2,
    "ssh-rsa": 3,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
#: How many parts stand before the comment in the other half of OpenSSH's own format. Source: sshkey.c of OpenSSH 9.2.
_PARTS_BEFORE_COMMENT = {
    "ssh-ed25519": 3,
    "ssh-rsa": 7,
    "ecdsa-sha2-nistp256": 4,
    "ecdsa-sha2-nistp384": 4,
    "ecdsa-sha2-nistp521": 4,
}
_MAGIC = b"openssh-key-v1\0"


class PublicKey(NamedTuple):
    """A public key.

    :ivar kind: its type, such as ``ssh-ed25519``.
    :ivar blob: the key itself.
    """

    kind: str
    blob: bytes
    comment: str = ""

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read ``type base64 comment``.

        :raises ValueError: with the reason, which repeats nothing of the text: it may be a private key.
        """
        if re.search(r"[\x00-\x1f\x7f]", text.strip()):
            raise ValueError("it holds a line break or another control character")
        kind, _blank, rest = text.strip().partition(" ")
        encoded, _blank, comment = rest.strip().partition(" ")
        if kind not in _PARTS:
            raise ValueError(f"it does not begin with a type that ssh uses ({', '.join(list(_PARTS)[:3])} …)")
        try:
            blob = binascii.a2b_base64(encoded.encode("ascii"))
        except (binascii.Error, ValueError):
            blob = b""
        if not encoded or binascii.b2a_base64(blob, newline=False).decode() != encoded:
            raise ValueError("what follows its type is no Base64")
        key = cls.from_blob(blob, comment.strip())
        if key.kind != kind:
            raise ValueError(f"it says {kind} and is {key.kind}")
        return key

    @classmethod
    def from_blob(cls, blob: bytes, comment: str = "") -> PublicKey:
        """Read the key itself.

        :raises ValueError: with the reason.
        """
        parts = list(_parts(blob))
        kind = parts[0].decode("ascii", "replace") if parts else ""
        if kind not in _PARTS:
            raise ValueError("its type is none that ssh uses")
        if len(parts) != _PARTS[kind] or (kind == "ssh-ed25519" and len(parts[1]) != 32) or not all(parts):
            raise ValueError("it is cut short or damaged")
        return cls(kind, blob, comment)

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it."""
        digest = binascii.b2a_base64(hashlib.sha256(self.blob).digest(), newline=False)
        return "SHA256:" + digest.decode().rstrip("=")

    @property
    def bare(self) -> str:
        """``type base64``, without the comment."""
        return f"{self.kind} {binascii.b2a_base64(self.blob, newline=False).decode()}"

    def __str__(self) -> str:
        return f"{self.bare} {self.comment}".rstrip()


def public_half(data: bytes) -> Optional[PublicKey]:
    """The public key that belongs to a private one.

    :param data: the private key's file.
    :return: None where its format does not tell (the older PEM formats).
    :raises ValueError: with the reason: it is no private key, or it needs a passphrase.
    """
    lines = data.strip().splitlines()
    first = lines[0].strip() if lines else b""
    if first != b"-----BEGIN OPENSSH PRIVATE KEY-----":
        if not first.startswith(b"-----BEGIN ") or not first.endswith(b"PRIVATE KEY-----"):
            raise ValueError("it is no private key that ssh can read")
        if b"ENCRYPTED" in first or any(line.startswith(b"Proc-Type:") and b"ENCRYPTED" in line for line in lines):
            raise ValueError("it needs a passphrase, and at night nobody is there to type it")
        return None
    try:
        container = binascii.a2b_base64(b"".join(lines[1:-1]))
        if not container.startswith(_MAGIC):
            raise ValueError("it is damaged")
        cipher, _derivation, _options, rest = _take(container[len(_MAGIC) :], 3)
        public, private, _rest = _take(rest[4:], 2)  # behind the number of keys
    except binascii.Error as error:
        raise ValueError("it is damaged") from error
    if cipher != b"none":
        raise ValueError("it needs a passphrase, and at night nobody is there to type it")
    key = PublicKey.from_blob(public)
    return key._replace(comment=_comment(key.kind, private))


def _comment(kind: str, private: bytes) -> str:
    count = _PARTS_BEFORE_COMMENT.get(kind)
    if count is None:
        return ""
    text = _take(private[8:], count + 1)[count].decode("utf-8", "replace")  # behind two check numbers
    return text if text.isprintable() else ""


def _take(data: bytes, count: int) -> list[bytes]:
    """So many parts, and what follows them."""
    taken = []
    for _number in range(count):
        end = 4 + int.from_bytes(data[:4], "big")
        if len(data) < max(end, 4):
            raise ValueError("it is cut short or damaged")
        taken.append(data[4:end])
        data = data[end:]
    return [*taken, data]


def _parts(data: bytes) -> Iterator[bytes]:
    while data:
        part, data = _take(data, 1)
        yield part
