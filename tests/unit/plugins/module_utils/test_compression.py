# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._compression import check_compression
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure


@pytest.mark.parametrize(
    "text",
    [None, "none", "lz4", "zstd", "zstd,1", "zstd,22", "zlib,0", "zlib,9", "lzma,0", "lzma,9", "auto,lz4", "auto,zstd,10",
     "obfuscate,1,lz4", "obfuscate,110,auto,zstd,3", "obfuscate,250,zstd,3"],
)
def test_what_borg_takes(text):
    check_compression(text)


@pytest.mark.parametrize(
    "text",
    ["", "zip", "ZSTD", "zstd,0", "zstd,23", "zstd,99", "zstd,", "zstd,x", "zstd,²", "zlib,10", "lzma,10", "lz4,1", "none,1", "auto",
     "auto,", "auto,zip", "auto,auto,lz4", "obfuscate,0,lz4", "obfuscate,7,lz4", "obfuscate,124,lz4", "obfuscate,1", "zstd,3 "],
)
def test_what_borg_would_refuse(text):
    with pytest.raises(Failure) as caught:
        check_compression(text, "the_option")
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith(f"the_option: {text!r} ")
    assert "for example" in caught.value.msg
