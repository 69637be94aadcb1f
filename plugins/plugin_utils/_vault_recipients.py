# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom something is encrypted for by Ansible Vault."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional, Sequence

from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest

#: A vault identity stands in the first line of what is encrypted for it, and here in a file's name, too.
_LABEL = r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\Z"


class Recipient(NamedTuple):
    """A vault identity.

    :ivar label: empty: the main one, whose name nobody said.
    :ivar secret: ansible-core's own object; None: nobody gave it.
    """

    label: str
    secret: Any

    def encrypt(self, text: str) -> bytes:
        """What only this recipient can read."""
        encrypted: bytes = VaultLib().encrypt(text.encode(), self.secret, vault_id=self.label)
        return encrypted

    def decrypt(self, data: bytes) -> Optional[str]:
        """The text; None where it is for somebody else, or damaged, or nobody gave the secret."""
        return None if self.secret is None else decrypted(data, [self])


def decrypted(data: bytes, recipients: Sequence[Recipient]) -> Optional[str]:
    """The text, if any of the recipients can read it."""
    try:
        plain: bytes = VaultLib([tuple(recipient) for recipient in recipients]).decrypt(data)
        return plain.decode()
    except (AnsibleError, ValueError):
        return None


def recipients_of(
    secrets: Optional[Sequence[tuple[str, Any]]], vault_id: Optional[str], vault_ids: Sequence[str], *, may_lack: bool = False
) -> list[Recipient]:
    """The recipients that a user names, the main one first.

    :param secrets: those that Ansible was given, by identity.
    :param may_lack: those whose secrets nobody gave are among them, too.
    :raises Failure: ``no_passphrase``, ``invalid_argument``.
    """
    if not secrets:
        raise Failure(
            "no_passphrase",
            "There is no vault secret to encrypt the recovery bundle with. Give Ansible one, by --vault-id NAME@FILE,"
            " --vault-password-file FILE or the environment variable ANSIBLE_VAULT_PASSWORD_FILE, and keep a copy of it where it"
            " survives the controller.",
        )
    known: dict[str, Any] = {}
    for label, secret in secrets:
        known.setdefault(label, secret)  # the first of a name counts, as for Ansible itself
    named = vault_id or constants.config.get_config_value("DEFAULT_VAULT_ENCRYPT_IDENTITY")
    main = named or secrets[0][0]
    if may_lack and not named and main in vault_ids and len(known) <= len(set(vault_ids)):
        recipients, main = [Recipient("", None)], ""
    else:
        recipients = [_recipient("vault_id", main, known, may_lack)]
    recipients += [_recipient("vault_ids", label, known, may_lack) for label in dict.fromkeys(vault_ids) if label != main]
    return recipients


def _recipient(parameter: str, label: str, known: dict[str, Any], may_lack: bool) -> Recipient:
    if label not in known and not may_lack:
        hint = nearest(label, known) or f"; Ansible was given {', '.join(known)}."
        raise Failure("invalid_argument", f"{parameter}: there is no vault secret named {label!r}{hint}")
    if re.match(_LABEL, label) is None:
        raise Failure(
            "invalid_argument",
            f"{parameter}: {label!r} cannot be part of a file's name: call the identity by letters, digits and . _ - @.",
        )
    return Recipient(label, known.get(label))
