# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passphrases that nobody thought of: made once, kept encrypted in the directory of the recovery bundles, found again by their names."""

from __future__ import annotations

import hashlib
import re
import secrets
from functools import partial
from typing import Iterator, Optional, Sequence

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
    :param recipients: whom it is encrypted for, the main one first, each in a file of its own. Without the secrets of some of them it can be
        found, but not made.
    :param identities: all vault identities there are, to read what was encrypted for another one.
    """

    def __init__(self, directory: str, name: str, recipients: Sequence[Recipient], identities: Sequence[Recipient]) -> None:
        if not name.strip() or not name.isprintable():
            raise Failure("invalid_argument", f"{name!r} is no name of a passphrase; for example {{{{ inventory_hostname }}}}.")
        self._name = name
        self._files = EscrowFiles(directory, _OWNER, name)
        self._recipients = recipients
        self._identities = identities

    @property
    def path(self) -> str:
        """Its file for the main recipient."""
        return self._files.path()

    def existing(self) -> str:
        """The passphrase, for whoever only looks.

        :raises Failure: ``no_passphrase``: there is none; as :meth:`expected`.
        """
        found = self._read()
        if found is None:
            raise Failure(
                "no_passphrase",
                f"There is no generated passphrase that is called {self._name}: {self.path} is missing. Nothing was made, for this only looks."
                " If there was one, bring its file back, or take the passphrase from a recovery bundle.",
            )
        return found

    def expected(self) -> str:
        """The passphrase, or where there is none yet, something in its place: nothing is made.

        :raises Failure: ``wrong_passphrase``: no vault identity opens the file …
        """
        return self._read() or "not-made-yet-" + hashlib.sha256(self._name.encode()).hexdigest()

    def ensure(self) -> str:
        """The passphrase; made where there is none. It stands on the disk, for each recipient, before anybody gets it.

        :raises Failure: as :meth:`expected`, ``no_passphrase``: it would have to be made, and the secret of a recipient is missing; and what
            writing may meet.
        """
        self._files.check_directory()
        found = self._read()
        if found is not None and not any(self._missing()):
            return found
        with self._files.locked():
            found = self._read()  # another controller may have been faster
            if found is None:
                self._check_recipients()
                found = secrets.token_urlsafe(_STRENGTH)
            for path, recipient in self._missing():
                self._files.write(path, recipient.encrypt(self._text(found)), partial(self._validate, recipient))
        return found

    def _places(self) -> Iterator[tuple[str, Recipient]]:
        """The file of each recipient."""
        for number, recipient in enumerate(self._recipients):
            yield self._files.path(recipient.label if number else None), recipient

    def _missing(self) -> Iterator[tuple[str, Recipient]]:
        """Those that can be written and are not there."""
        return ((path, recipient) for path, recipient in self._places() if recipient.secret is not None and self._files.read(path) is None)

    def _read(self) -> Optional[str]:
        files = [file for file in (self._files.read(path) for path, _recipient in self._places()) if file is not None]
        for file in files:
            match = re.search(_LINE, decrypted(file.data, self._identities) or "", re.MULTILINE)
            if match is not None:
                return match.group(1)
        if not files:
            return None
        raise Failure(
            "wrong_passphrase",
            f"{self.path} is damaged, or none of the vault secrets that Ansible was given opens it. Give the one that it was"
            " encrypted with. Do not remove it: it holds the passphrase of repositories.",
        )

    def _check_recipients(self) -> None:
        lacking = [recipient.label or "the main one" for recipient in self._recipients if recipient.secret is None]
        if lacking:
            raise Failure(
                "no_passphrase",
                f"The passphrase that is called {self._name} would have to be made, and encrypted for {' and '.join(lacking)}, too, whose"
                " vault secret Ansible was not given. Give it by --vault-id NAME@FILE.",
            )

    def _validate(self, recipient: Recipient, path: str) -> None:
        written = self._files.read(path)
        if written is None or re.search(_LINE, recipient.decrypt(written.data) or "", re.MULTILINE) is None:
            raise Failure("integrity", f"{path} does not read as it was written. Nothing was replaced; see to that disk.")

    def _text(self, passphrase: str) -> str:
        return f"# The passphrase that is called {self._name}, of Borg repositories. Their recovery bundles hold it, too.\npassphrase: {passphrase}\n"
