# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passphrases that would not mean what they say."""

from __future__ import annotations

import re

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

#: Signs of a variable that was not resolved, and what they come from.
_LEFT_OVERS = (
    (r"\{\{|\{%.*%\}", "a template that was not resolved"),
    (r"\$ANSIBLE_VAULT", "vault text that was not decrypted"),
    (r"VARIABLE IS NOT DEFINED", "a variable that is not defined"),
)
EXAMPLE = "give one line of text, for example from Ansible Vault or a password lookup"


def check_passphrase(text: str, parameter: str = "passphrase") -> None:
    """Refuse a passphrase that is certainly a mistake. The message never shows it.

    :param parameter: its name in messages.
    :raises Failure: ``invalid_argument``.
    """
    for reason in _objections(text):
        raise Failure("invalid_argument", f"{parameter}: {reason}; {EXAMPLE}.")


def _objections(text: str) -> list[str]:
    if not text:
        return ["is empty, and an empty one protects nothing"]
    if text.endswith(("\n", "\r")):
        return ["ends in a newline, which borg strips or not depending on how it gets it"]
    if any(character in text for character in "\n\r\0"):
        return ["holds a line break or NUL"]
    if not text.strip():
        return ["is blank"]
    if len(text.encode()) > 4096:
        return ["is longer than 4096 bytes"]
    return [f"looks like {source}" for sign, source in _LEFT_OVERS if re.search(sign, text)]
