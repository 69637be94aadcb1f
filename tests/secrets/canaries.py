# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that are made to be looked for.

Every canary begins with one random mark and ends with another, the same for all canaries of a set, with its number beside
each and signs in between that every format escapes otherwise. So few needles find them all: whole, cut short to twelve
characters at either end, quoted, URL-encoded or escaped as JSON, YAML, Python or shell do it (none of these touch letters
and digits), in hexadecimal, or anywhere within something encoded as Base64.

Keys are secrets that no canary can be part of. They are found by how each of their kind begins, in the same forms.
"""

from __future__ import annotations

import base64
import re
import secrets
import string
import urllib.parse
from dataclasses import dataclass, field
from typing import Callable, Iterator, NamedTuple, Optional

MARK_LENGTH = 12
NUMBER_LENGTH = 4
#: How the Base64 of each key of Borg begins, exported or in a repository: its MessagePack names the algorithm first.
BORG_KEY = "hqlhbGdvcml0aG2m"
#: The same of a private key in OpenSSH's own format.
SSH_KEY = "b3BlbnNzaC1rZXktdjEA"
#: What each format escapes in its own way; no canary could be a word of anything.
SIGNS = " \"'\\$%\u00e9#: &<"


class Hit(NamedTuple):
    """A canary in some data: where, and which one, if that can be read off."""

    offset: int
    name: Optional[str]


@dataclass
class Canaries:
    """A set of canaries.

    :ivar names: by number.
    """

    head: str = field(default_factory=lambda: _random(string.ascii_letters))
    tail: str = field(default_factory=lambda: _random(string.ascii_letters))
    digits: str = field(default_factory=lambda: _random("123456789"))
    names: list[str] = field(default_factory=list)

    def make(self, name: str, kind: str) -> object:
        """A new canary.

        :param name: under which it is reported.
        :param kind: one of :data:`KINDS`.
        """
        self.names.append(name)
        number = f"{len(self.names) - 1:0{NUMBER_LENGTH}}"
        if kind == "number":
            return int(self.digits + number)
        signs = "" if kind == "plain" else SIGNS
        return KINDS[kind](f"{self.head}{number}{signs}{number}{self.tail}")

    def find(self, data: bytes) -> list[Hit]:
        """Every canary in the data, whatever it is encoded as."""
        return sorted(set(self._find(data)), key=lambda hit: hit.offset)

    def _find(self, data: bytes) -> Iterator[Hit]:
        for needle, name_at in self._needles():
            start = data.find(needle)
            while start >= 0:
                yield Hit(start, name_at(data, start))
                start = data.find(needle, start + 1)

    def _needles(self) -> list[tuple[bytes, Callable[[bytes, int], Optional[str]]]]:
        if not hasattr(self, "_cached_needles"):
            self._cached_needles = [
                *((mark.encode(), self._after) for mark in (self.head, self.digits)),
                (self.tail.encode(), self._before),
                *((form, _nobody) for mark in (self.head, self.tail, self.digits) for form in _encoded(mark)),
                *((form, _nobody) for mark in (BORG_KEY, SSH_KEY) for form in (mark.encode(), *_encoded(mark))),
            ]
        return self._cached_needles

    def _after(self, data: bytes, start: int) -> Optional[str]:
        return self._named(data[start + MARK_LENGTH : start + MARK_LENGTH + NUMBER_LENGTH])

    def _before(self, data: bytes, start: int) -> Optional[str]:
        return self._named(data[max(0, start - NUMBER_LENGTH) : start])

    def _named(self, number: bytes) -> Optional[str]:
        known = re.fullmatch(rb"\d{4}", number) and int(number) < len(self.names)
        return self.names[int(number)] if known else None


#: How a canary is written down. The first ones are what a secret may look like, the others what a leak may.
KINDS: dict[str, Callable[[str], object]] = {
    "text": str,
    "plain": str,
    "number": int,
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "shifted": lambda text: base64.b64encode(b"x" + text.encode()).decode(),
    "twice": lambda text: base64.b64encode(b"xx" + text.encode()).decode(),
    "url": lambda text: urllib.parse.quote(text, safe=""),
    "prefix": lambda text: text[:MARK_LENGTH],
    "suffix": lambda text: text[-MARK_LENGTH:],
    "borgkey": lambda _text: f"BORG_KEY {'0' * 64}\n{BORG_KEY}c2hhMjU2pGRhdGHaAA==\n",
    "sshkey": lambda _text: f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SSH_KEY}AAAABG5vbmU=\n",
}


def _random(alphabet: str) -> str:
    return "".join(secrets.choice(alphabet) for _number in range(MARK_LENGTH))


def _encoded(mark: str) -> Iterator[bytes]:
    plain = mark.encode()
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + plain)
        # the first and the last character depend on their neighbours, too
        yield text[-(-shift * 8 // 6) : (shift + len(plain)) * 8 // 6]


def _nobody(_data: bytes, _start: int) -> Optional[str]:
    return None
