# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._passphrase import EXAMPLE, check_passphrase


@pytest.mark.parametrize(
    "text",
    ["it's \"quoted\"", "$HOME", "100%", "{x}", "} {", "#: -", " x ", "ünïcödé 🔑", "x" * 4096, "-rf", "a\tb", "0", "null"],
)
def test_a_passphrase_may_hold_anything_that_is_one_line(text):
    check_passphrase(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("   ", "is blank"),
        ("\t", "is blank"),
        ("canary\n", "ends in a newline"),
        ("canary\r\n", "ends in a newline"),
        ("canary\r", "ends in a newline"),
        ("canary\nmore", "holds a line break"),
        ("canary\0more", "holds a line break or NUL"),
        ("é" * 2049, "longer than 4096 bytes"),
        ("{{ canary }}", "template"),
        ("{% canary %}", "template"),
        ("$ANSIBLE_VAULT;1.1;canary", "vault"),
        ("VARIABLE IS NOT DEFINED! canary", "not defined"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_never_shown(text, reason):
    with pytest.raises(Failure) as caught:
        check_passphrase(text, "the_parameter")
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith("the_parameter: ")
    assert reason in caught.value.msg
    assert EXAMPLE in caught.value.msg
    assert "canary" not in caught.value.msg
