# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of borg_key_escrow beside the common ones: both of its halves, on the controller and on the target, take them."""

from __future__ import annotations

from typing import Any

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["present", "provisional"], "default": "present"},
    "directory": {"type": "path", "required": True},
    "vault_id": {"type": "str"},
    "vault_ids": {"type": "list", "elements": "str", "default": []},
    "on_missing_secret": {"type": "str", "choices": ["fail", "skip"], "default": "fail", "no_log": False},
    "age_recipients": {"type": "list", "elements": "str", "default": []},
    "gpg_recipients": {"type": "list", "elements": "str", "default": []},
    "previous_passphrases": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "encryption": {"type": "str"},
    "locations": {"type": "list", "elements": "str", "default": []},
    "key_digest": {"type": "str", "no_log": False},
    "identity_file": {"type": "path"},
    "identity_public_key": {"type": "str", "no_log": False},
    "host_keys": {"type": "list", "elements": "str", "no_log": False, "default": []},
    "configuration": {"type": "dict", "no_log": True},
    "on_drift": {"type": "str", "choices": ["fail", "accept"], "default": "fail"},
    "stored": {"type": "list", "elements": "dict"},
    "known_digests": {"type": "list", "elements": "str", "default": []},
}
