# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A key as borg exports it: its formats, and whether a passphrase opens it, without borg and without the repository."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import textwrap
from typing import Any, Callable, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._aes import apply_keystream
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

#: By our names, the options of `borg key export`. Source: `borg.crypto.keymanager`, 1.2.4 and 1.4.0, here and below.
FORMATS = {"keyfile": (), "paper": ("--paper",), "qr-html": ("--qr-html",)}
#: The page that borg makes has some 70,000 bytes; whatever is much larger is no key.
LARGEST = 1 << 20

_HEADER = r"BORG_KEY ([0-9a-f]{64})\s"
_TEXTAREA = rf">({_HEADER}[^<]*)</textarea>"
_PAPER_HEADER = r"^\s*id:\s*(\d{1,4})\s*/([0-9a-f ]+)/([0-9a-f ]+)-\s*([0-9a-f]{2})\s*$"
_PAPER_LINE = r"^\s*(\d{1,4}):([0-9a-f ]+)-\s*([0-9a-f]{2})\s*$"
#: On paper stands only so much of the repository's id.
_PAPER_ID = 18
#: borg 1 uses 100,000; a crafted key shall not keep us busy for years.
_MOST_ITERATIONS = 10_000_000
#: borg's have some 400 bytes; likewise.
_LARGEST_BLOB = 10_000


class ExportedKey(NamedTuple):
    """A key, wrapped by a passphrase.

    :ivar id: of the repository that it belongs to; as read from paper only its first 18 digits.
    :ivar blob: the wrapped key.
    """

    id: str
    blob: bytes

    @property
    def digest(self) -> str:
        """The same for each format; another one after each change of the passphrase."""
        return hashlib.sha256(self.blob).hexdigest()

    @property
    def text(self) -> str:
        """What ``borg key export`` writes and ``borg key import`` reads."""
        encoded = binascii.b2a_base64(self.blob).decode("ascii")
        return "\n".join([f"BORG_KEY {self.id}", *textwrap.wrap(encoded), ""])

    def opened(self, passphrase: str, subject: str) -> ExportedKey:
        """The same key with its whole id, once it is proven that the passphrase opens it.

        :param subject: what a message calls it.
        :raises Failure: ``wrong_passphrase``, ``key_mismatch``.
        """
        try:
            data = self._unwrap(passphrase)
        except (ValueError, KeyError, TypeError) as error:
            raise Failure("key_mismatch", f"{subject} is damaged: it is no wrapped key of Borg 1 ({error}).") from error
        if data is None:
            raise Failure(
                "wrong_passphrase",
                f"{subject} does not open with the passphrase: it was made with another one, or is damaged. Give that one.",
            )
        return self._replace(id=_unpack(data)["repository_id"].hex())

    def is_same_key(self, passphrase: str, other: ExportedKey, other_passphrase: str) -> bool:
        """Whether both wrap the same secrets, so that each opens what the other one does.

        :param passphrase: opens this one, or else it is not the same.
        """
        try:
            data = self._unwrap(passphrase)
            return data is not None and data == other._unwrap(other_passphrase)
        except (ValueError, KeyError, TypeError):
            return False

    def _unwrap(self, passphrase: str) -> Optional[bytes]:
        """What is inside of the key; None where the passphrase does not open it.

        Source: `borg.crypto.key.KeyfileKeyBase`, 1.2.9 and 1.4.5.
        """
        wrapped = _unpack(self.blob)
        if (wrapped["version"], wrapped["algorithm"]) != (1, b"sha256"):
            raise ValueError("another version wrapped it")
        if not 1 <= wrapped["iterations"] <= _MOST_ITERATIONS:
            raise ValueError(f"it asks for {wrapped['iterations']} iterations")
        secret = hashlib.pbkdf2_hmac(
            "sha256", passphrase.encode("utf-8", "surrogateescape"), wrapped["salt"], wrapped["iterations"], 32
        )
        data = apply_keystream(secret, wrapped["data"])
        if not hmac.compare_digest(hmac.new(secret, data, hashlib.sha256).digest(), wrapped["hash"]):
            return None
        identity: str = _unpack(data)["repository_id"].hex()
        if not identity.startswith(self.id):
            raise ValueError(f"it says that it is of the repository {self.id}, and inside of {identity}")
        return data


def parse(text: str, form: str) -> ExportedKey:
    """Read an exported key.

    :param form: one of :data:`FORMATS`.
    :raises ValueError: why it is none; nothing of the text is shown.
    """
    return _PARSERS[form](text)


def guess_format(text: str) -> Optional[str]:
    """Which format a text seems to have."""
    return next((form for form, sign in _SIGNS.items() if re.search(sign, text, re.MULTILINE)), None)


def owner_of(text: str) -> Optional[str]:
    """The id, or as much of it as there is, of the repository whose key a text is, be it complete or not; None for any other
    text."""
    match = re.match(_HEADER, text) or re.search(f">{_HEADER}", text)
    if match is not None:
        return match.group(1)
    match = re.search(_PAPER_HEADER, text, re.MULTILINE)
    return match and _digits(match.group(2))


#: By what each is recognised.
_SIGNS = {"keyfile": r"\A\s*BORG_KEY\b", "paper": r"^\s*BORG PAPER KEY\b", "qr-html": r"<textarea[^>]*>BORG_KEY\b"}


def _parse_keyfile(text: str) -> ExportedKey:
    match = re.match(_HEADER, text.lstrip())
    if match is None:
        raise ValueError("its first line is not BORG_KEY and the 64 digits of a repository's id")
    try:
        blob = base64.b64decode("".join(text.lstrip()[match.end() :].split()), validate=True)
    except ValueError as error:
        raise ValueError("what follows its first line is no base64") from error
    return _checked(match.group(1), blob)


def _parse_page(text: str) -> ExportedKey:
    match = re.search(_TEXTAREA, text)
    if match is None:
        raise ValueError("there is no complete key in this page")
    return _parse_keyfile(match.group(1))


def _parse_paper(text: str) -> ExportedKey:
    """Each line has a checksum, and so has the whole."""
    text = text.lower()
    header = re.search(_PAPER_HEADER, text, re.MULTILINE)
    if header is None:
        raise ValueError("there is no line 'id: LINES / ID / CHECKSUM - CHECKSUM'")
    count, identity, checksum = header.group(1), _digits(header.group(2)), _digits(header.group(3))
    if _checksum(f"{count}/{identity}/{checksum}".encode(), 2) != header.group(4) or len(identity) != _PAPER_ID:
        raise ValueError("the checksum of the line 'id:' is wrong; compare it with the paper")
    lines: dict[int, bytes] = {}
    for number, digits, sum_of_line in re.findall(_PAPER_LINE, text, re.MULTILINE):
        data = bytes.fromhex(_digits(digits)) if len(_digits(digits)) % 2 == 0 else b""
        if _checksum(int(number).to_bytes(2, "big") + data, 2) != sum_of_line:
            raise ValueError(f"the checksum of line {number} is wrong; compare it with the paper")
        lines[int(number)] = data
    missing = [number for number in range(1, int(count) + 1) if number not in lines]
    if missing:
        raise ValueError(f"line {missing[0]} of {count} is missing")
    blob = b"".join(lines[number] for number in range(1, int(count) + 1))
    if _checksum(blob, 12) != checksum:
        raise ValueError("the checksum of the whole is wrong, though each line's is right: lines of two papers are mixed")
    return _checked(identity, blob)


def _checked(identity: str, blob: bytes) -> ExportedKey:
    _unpack(blob)
    return ExportedKey(identity, blob)


_PARSERS: dict[str, Callable[[str], ExportedKey]] = {
    "keyfile": _parse_keyfile,
    "paper": _parse_paper,
    "qr-html": _parse_page,
}


def _digits(text: str) -> str:
    return text.replace(" ", "")


def _checksum(data: bytes, length: int) -> str:
    return hashlib.sha256(data).hexdigest()[:length]


def _unpack(data: bytes) -> dict[str, Any]:
    """Read one map of MessagePack, as far as keys need it: of numbers, truth values, texts and bytes, the last two as bytes.

    Source: https://github.com/msgpack/msgpack/blob/master/spec.md
    """
    if not 0x80 <= (data[0] if data else 0) <= 0x8F or len(data) > _LARGEST_BLOB:
        raise ValueError("it holds something else than a wrapped key")
    entries, position = {}, 1
    for _entry in range(data[0] & 0x0F):
        name, position = _read(data, position)
        if not isinstance(name, bytes):
            raise ValueError("it holds something else than a wrapped key")
        entries[name.decode()], position = _read(data, position)
    if position != len(data):
        raise ValueError("something follows its end")
    return entries


def _read(data: bytes, position: int) -> tuple[Any, int]:
    """The value at a position, and where the next one stands."""
    code = _take(data, position, 1)[0][0]
    position += 1
    if code <= 0x7F or code >= 0xE0:
        return code - (code & 0x80) * 2, position
    if 0xA0 <= code <= 0xBF:
        return _take(data, position, code & 0x1F)
    if code in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[code], position
    if 0xCC <= code <= 0xD3:
        return _number(data, position, 1 << (code & 3), signed=code >= 0xD0)
    if 0xC4 <= code <= 0xC6 or 0xD9 <= code <= 0xDB:
        size, position = _number(data, position, 1 << (code - (0xC4 if code <= 0xC6 else 0xD9)), signed=False)
        return _take(data, position, size)
    raise ValueError("it holds something else than a wrapped key")


def _number(data: bytes, position: int, width: int, *, signed: bool) -> tuple[int, int]:
    digits, position = _take(data, position, width)
    return int.from_bytes(digits, "big", signed=signed), position


def _take(data: bytes, position: int, size: int) -> tuple[bytes, int]:
    if position + size > len(data):
        raise ValueError("it ends too early")
    return data[position : position + size], position + size
