# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which public keys may let a client in, and in what form: one key has one spelling, and one line."""

from __future__ import annotations

import re
from typing import Callable, NoReturn

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey

MINIMUM_RSA_BITS = 2048

_EXAMPLE = "give the one line of a .pub file, for example 'ssh-ed25519 AAAAC3Nza… root@client'"
#: A type that ssh uses, at the begin of the line or behind options.
_TYPE = r"(?:\A|.*[\s,\"])(?:sk-)?(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+)(?:@openssh\.com)? "
#: Bytes of a point on each curve, and of a key of ed25519.
_BYTES = {"nistp256": 65, "nistp384": 97, "nistp521": 133, "ed25519": 32}
_SHOWN = 60


def client_key(text: str, parameter: str) -> PublicKey:
    """Read the line of a ``.pub`` file. Its comment counts for nothing.

    :param parameter: its name in messages.
    :raises Failure: ``invalid_argument`` with the reason and an example.
    """
    line = text.strip()
    # never show what may be secret
    shown = "a key" if "PRIVATE" in line else repr(line if len(line) <= _SHOWN else line[:_SHOWN] + "…")

    def reject(reason: str) -> NoReturn:
        raise Failure("invalid_argument", f"{parameter}: {shown} {reason}; {_EXAMPLE}.")

    if "PRIVATE" in line:
        reject("is a private key, which is no secret any more: make a new pair on the client")
    if "\n" in line or "\r" in line:
        reject("has more than one line, and each further line would let somebody in")
    try:
        key = PublicKey.parse(line)
    except ValueError as error:
        reject(_better_reason(line) or f"is no public key: {error}")
    _check_strength(key, reject)
    return key._replace(comment="")


def _better_reason(line: str) -> str:
    kind = line.partition(" ")[0]
    if kind == "ssh-dss":
        return "is of the type ssh-dss, which is broken and which sshd refuses"
    if "-cert-v0" in kind:
        return "is a certificate, not a key"
    match = re.match(_TYPE, line)
    return (
        "has options before the type, and options are this collection's to set"
        if match and match.end() > len(kind) + 1
        else ""
    )


def _check_strength(key: PublicKey, reject: Callable[[str], NoReturn]) -> None:
    """Also its spelling: the same key in two could be given to two clients unnoticed."""
    values = _values(key.blob)
    if key.kind == "ssh-rsa":
        if not all(map(_is_shortest, values)):
            reject("holds a number that is negative or not written in the shortest way")
        bits = int.from_bytes(values[1], "big").bit_length()
        if bits < MINIMUM_RSA_BITS:
            reject(f"is an RSA key of {bits} bits, which is too weak (at least {MINIMUM_RSA_BITS})")
        return
    curve = key.kind.partition("@")[0].rpartition("-")[2]
    value = values[0]
    if curve != "ed25519":
        value = values[1]
        if values[0] != curve.encode() or value[0] != 4:
            reject(f"holds no point on the curve {curve}")
    if len(value) != _BYTES[curve]:
        reject("is cut short or damaged")


def _values(blob: bytes) -> list[bytes]:
    """The parts behind the type. Their lengths have been checked."""
    values = []
    while blob:
        end = 4 + int.from_bytes(blob[:4], "big")
        values.append(blob[4:end])
        blob = blob[end:]
    return values[1:]


def _is_shortest(number: bytes) -> bool:
    """Whether a number is positive and has no superfluous zero before it."""
    return number[0] < 0x80 and (number[0] != 0 or (len(number) > 1 and number[1] >= 0x80))
