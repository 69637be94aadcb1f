# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AES-256 in counter mode, with which Borg 1 wraps its keys; Python's standard library has no AES.

Source: FIPS 197; `borg.crypto.low_level.AES`, 1.2.9 and 1.4.5. For some hundred bytes at a time; it is slow.
"""

from __future__ import annotations

import functools
from typing import Sequence

_ROUNDS = 14


def apply_keystream(key: bytes, data: bytes) -> bytes:
    """Decrypt, or encrypt, with the counter beginning at 0.

    :param key: 32 bytes.
    """
    round_keys = _expand(key)
    blocks = range(-(-len(data) // 16))
    keystream = b"".join(_encrypt(number.to_bytes(16, "big"), round_keys) for number in blocks)
    return bytes(one ^ other for one, other in zip(data, keystream))


@functools.cache
def _substitutes() -> tuple[int, ...]:
    box = [0x63] * 256
    element = inverse = 1
    while True:
        element = element ^ _double(element)  # times 3, which generates the field
        for shift in (1, 2, 4):  # divided by 3
            inverse ^= inverse << shift
        inverse &= 0xFF
        if inverse & 0x80:
            inverse ^= 0x09
        turned = inverse
        for shift in (1, 2, 3, 4):
            turned ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
        box[element] = turned ^ 0x63
        if element == 1:
            return tuple(box)


def _double(value: int) -> int:
    return (value << 1 ^ (0x11B if value & 0x80 else 0)) & 0xFF


def _expand(key: bytes) -> list[list[int]]:
    box, constant = _substitutes(), 1
    words = [list(key[start : start + 4]) for start in range(0, 32, 4)]
    while len(words) < 4 * (_ROUNDS + 1):
        word = words[-1]
        if len(words) % 8 == 0:
            word = [box[byte] for byte in word[1:] + word[:1]]
            word[0] ^= constant
            constant = _double(constant)
        elif len(words) % 8 == 4:
            word = [box[byte] for byte in word]
        words.append([one ^ other for one, other in zip(word, words[-8])])
    return [sum(words[start : start + 4], []) for start in range(0, len(words), 4)]


def _encrypt(block: bytes, round_keys: Sequence[Sequence[int]]) -> bytes:
    box = _substitutes()
    state = [one ^ other for one, other in zip(block, round_keys[0])]
    for number in range(1, _ROUNDS + 1):
        state = [box[state[(place + place % 4 * 4) % 16]] for place in range(16)]
        if number < _ROUNDS:
            state = sum((_mix(state[start : start + 4]) for start in range(0, 16, 4)), [])
        state = [one ^ other for one, other in zip(state, round_keys[number])]
    return bytes(state)


def _mix(column: Sequence[int]) -> list[int]:
    both = column[0] ^ column[1] ^ column[2] ^ column[3]
    return [column[row] ^ both ^ _double(column[row] ^ column[(row + 1) % 4]) for row in range(4)]
