# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._aes import apply_keystream


@pytest.mark.parametrize(
    "key, zeros, keystream",
    [
        # what OpenSSL makes of zeros: openssl enc -aes-256-ctr -K KEY -iv 0…0
        ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 32, "f29000b62a499fd0a9f39a6add2e7780f05d76ae4ab99fe5a6f69b3148c2363d"),
        ("00" * 32, 16, "dc95c078a2408989ad48a21492842087"),
    ],
)
def test_the_keystream_is_that_of_the_standard(key, zeros, keystream):
    assert apply_keystream(bytes.fromhex(key), bytes(zeros)).hex() == keystream


def test_it_is_its_own_inverse_for_any_length():
    key = bytes(range(32))
    for length in (0, 1, 15, 16, 17, 300):
        data = bytes(number % 251 for number in range(length))
        assert apply_keystream(key, apply_keystream(key, data)) == data
