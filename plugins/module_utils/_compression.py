# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compression as ``borg create`` takes it."""

from __future__ import annotations

import re
from typing import Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

#: Algorithm -> its levels, lowest and highest; None: it has none. Source: `borg help compression`, 1.2.9 and 1.4.5.
LEVELS: dict[str, Optional[tuple[int, int]]] = {
    "none": None,
    "lz4": None,
    "zstd": (1, 22),
    "zlib": (0, 9),
    "lzma": (0, 9),
}

_OBFUSCATE = re.compile(r"obfuscate,(\d+),(.+)\Z")


def check_compression(text: Optional[str], parameter: str = "compression") -> None:
    """Refuse a specification that borg would refuse.

    :param text: for example ``zstd,10`` or ``auto,lzma,6``; None: borg's default.
    :raises Failure: ``invalid_argument``.
    """
    if text is not None:
        reason = _objection(text)
        if reason:
            raise Failure("invalid_argument", f"{parameter}: {text!r} {reason}; for example 'zstd,10' or 'auto,lzma,6'.")


def _objection(text: str) -> Optional[str]:
    obfuscated = _OBFUSCATE.match(text)
    if obfuscated:
        level = int(obfuscated.group(1))
        if not (1 <= level <= 6 or 110 <= level <= 123 or level == 250):
            return f"has the obfuscation level {level}, which is none of 1 to 6, 110 to 123 and 250"
        text = obfuscated.group(2)
    if text.startswith("auto,"):
        text = text[len("auto,") :]
    algorithm, comma, level_text = text.partition(",")
    if algorithm not in LEVELS:
        return f"names no algorithm that Borg knows ({', '.join(LEVELS)})"
    levels = LEVELS[algorithm]
    if not comma:
        return None
    if levels is None:
        return f"gives a level, and {algorithm} has none"
    if not (level_text.isascii() and level_text.isdigit() and levels[0] <= int(level_text) <= levels[1]):
        return f"gives the level {level_text!r}, which is none of {levels[0]} to {levels[1]}"
    return None
