# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passphrases that nobody thought of: made once, kept encrypted in the directory of the recovery bundles, found again by their names."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import EscrowFiles
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient, decrypted

#: Bytes from the system's random source: 192 bits.
_STRENGTH = 24
#: No host has such a name, so that no bundle has the same file.
_OWNER = "a passphrase"
_LINE = r"^passphrase: ([A-Za-z0-9_-]+)$"


class GeneratedPassphrase:
    """One passphrase.

    :param directory: of the recovery bundles.
    :param name: what it is called.
    :param recipient: whom it is encrypted for.
    :param identities: all vault identities there are, to read what was encrypted for another one.
    """

    def __init__(self, directory: str, name: str, recipient: Recipient, identities: Sequence[Recipient]) -> None:
        if not name.strip() or not name.isprintable():
            raise Failure("invalid_argument", f"{name!r} is no name of a passphrase; for example {{{{ inventory_hostname }}}}.")
        self._name = name
        self._files = EscrowFiles(directory, _OWNER, name)
        self._recipient = recipient
        self._identities = identities

    @property
    def path(self) -> str:
        """Its file."""
        return self._files.path()

    def expected(self) -> str:
        """The passphrase, or where there is none yet, something in its place: nothing is made.

        :raises Failure: ``wrong_passphrase``: no vault identity opens the file …
        """
        return self._read() or "not-made-yet-" + hashlib.sha256(self._name.encode()).hexdigest()

    def ensure(self) -> str:
        """The passphrase; made where there is none. It stands on the disk before anybody gets it.

        :raises Failure: as :meth:`expected`, and what writing may meet.
        """
        self._files.check_directory()
        found = self._read()
        if found is not None:
            return found
        with self._files.locked():
            found = self._read()  # another controller may have been faster
            if found is None:
                found = secrets.token_urlsafe(_STRENGTH)
                self._files.write(self.path, self._recipient.encrypt(self._text(found)), self._validate)
        return found

    def _read(self) -> Optional[str]:
        file = self._files.read(self.path)
        if file is None:
            return None
        text = decrypted(file.data, self._identities)
        match = re.search(_LINE, text or "", re.MULTILINE)
        if match is None:
            raise Failure(
                "wrong_passphrase",
                f"{self.path} is damaged, or none of the vault secrets that Ansible was given opens it. Give the one that it was"
                " encrypted with. Do not remove it: it holds the passphrase of repositories.",
            )
        return match.group(1)

    def _validate(self, path: str) -> None:
        written = self._files.read(path)
        if written is None or re.search(_LINE, self._recipient.decrypt(written.data) or "", re.MULTILINE) is None:
            raise Failure("integrity", f"{path} does not read as it was written. Nothing was replaced; see to that disk.")

    def _text(self, passphrase: str) -> str:
        return f"# The passphrase that is called {self._name}, of Borg repositories. Their recovery bundles hold it, too.\npassphrase: {passphrase}\n"
