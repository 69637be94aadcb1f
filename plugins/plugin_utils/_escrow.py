# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery bundles in escrow: what is there, what shall be there, and the way from one to the other."""

from __future__ import annotations

import contextlib
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key as exported_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._exported_key import ExportedKey
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._escrow_files import MODE, EscrowFiles, File
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery_bundle import Bundle
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient, decrypted

#: What a target's answer may call a key that somebody destroyed.
DESTROYED = ("key_missing", "key_mismatch")


class Copy(NamedTuple):
    """The bundle of one recipient, as it was found.

    :ivar bundle: None: there is none.
    :ivar is_readable: whether the recipient can read it, and not only another identity.
    """

    path: str
    recipient: Recipient
    file: Optional[File] = None
    bundle: Optional[Bundle] = None
    is_readable: bool = False

    def compare(self, wanted: Bundle, difference: Difference, prefix: str) -> None:
        """Note what differs from the wanted bundle."""
        parts = Difference()
        wanted.compare(parts, self.bundle)
        if self.file is not None:
            parts.add("recipient", self.recipient.label if self.is_readable else "another", self.recipient.label)
            parts.add("mode", f"{self.file.mode:04o}", f"{MODE:04o}")
        sides = parts.as_diff()
        for name in parts.names:
            difference.add(prefix + name, sides["before"][name], sides["after"][name])


class Escrow:
    """The bundles of one repository.

    :param files: where they are.
    :param recipients: whom they are for, the main one first.
    :param identities: all vault identities there are, to read what was encrypted for another one.
    """

    def __init__(self, files: EscrowFiles, recipients: Sequence[Recipient], identities: Sequence[Recipient]) -> None:
        self._files = files
        self._recipients = recipients
        self._identities = identities
        self.copies = self._read()

    @property
    def paths(self) -> list[str]:
        """The files, the main one first."""
        return [copy.path for copy in self.copies]

    @property
    def keys(self) -> list[ExportedKey]:
        """The keys in escrow; two different ones only where a run was killed between two files."""
        return [copy.bundle.key for copy in self.copies if copy.bundle is not None and copy.bundle.key is not None]

    @property
    def identities(self) -> list[str]:
        """The private SSH keys in escrow."""
        return [copy.bundle.identity for copy in self.copies if copy.bundle is not None and copy.bundle.identity is not None]

    def check_drift(self, key: Optional[ExportedKey], location: str, *, accept: bool) -> None:
        """Raise the alarm where the repository's key is not the one in escrow.

        :param key: None: there is no repository.
        :param accept: another key of the same repository may take its place.
        :raises Failure: ``drift``.
        """
        if not self.keys or key in self.keys:
            return
        escrowed = self.keys[0]
        if key is None:
            raise Failure(
                "drift",
                f"{self.paths[0]} holds the key of the repository {escrowed.id}, and at {location} there is none. Find out where it"
                " went (a disk that is not mounted?). If it is gone for good, move the bundle away, and run again.",
            )
        if key.id != escrowed.id:
            raise Failure(
                "drift",
                f"{location} is the repository {key.id}, and {self.paths[0]} holds the key of {escrowed.id}: somebody put another"
                " repository in its place. If that is as it shall be, move the bundle away, and run again.",
            )
        if not accept:
            raise Failure(
                "drift",
                f"{location} has another key (digest {key.digest}) than {self.paths[0]} (digest {escrowed.digest}). If you changed"
                " the passphrase, or know otherwise why, say on_drift: accept. If not, somebody may have tampered with it: bring"
                " the key of the bundle back with borg_key and state: imported.",
            )

    def difference(self, wanted: Bundle) -> Difference:
        """What differs from the wanted bundle in any file."""
        difference = Difference()
        for number, copy in enumerate(self.copies):
            copy.compare(wanted, difference, f"{copy.recipient.label}: " if number else "")
        return difference

    def put(self, wanted: Bundle) -> bool:
        """Put the wanted bundle in place.

        :returns: whether anything was left to do: another controller may have been faster.
        :raises Failure: ``locked``: another controller put something else in place meanwhile.
        """
        encrypted = {copy.path: copy.recipient.encrypt(wanted.render()) for copy in self.copies}
        with self._files.locked():
            found = self._read()
            if found != self.copies:
                self.copies = found
                if self.difference(wanted).changed:
                    raise Failure(
                        "locked", f"Another controller wrote to {self.paths[0]} meanwhile. Its bundle was left alone; run again."
                    )
                return False
            for copy in self.copies:
                self._put_one(copy, wanted, encrypted[copy.path])
        return True

    def _put_one(self, copy: Copy, wanted: Bundle, data: bytes) -> None:
        if copy.bundle == wanted and copy.is_readable:
            self._files.protect(copy.path)
            return

        def validate(path: str) -> None:
            written = self._files.read(path)
            text = None if written is None else copy.recipient.decrypt(written.data)
            if text is None or Bundle.parse(text) != wanted:
                raise Failure(
                    "other",
                    f"{copy.path}: what was written there could not be read back, so the one before stays. Check the disk.",
                )

        self._files.write(copy.path, data, validate)

    def _read(self) -> list[Copy]:
        labels = [None, *(recipient.label for recipient in self._recipients[1:])]
        paths = [self._files.path(label) for label in labels]
        return [self._read_one(path, recipient) for path, recipient in zip(paths, self._recipients)]

    def _read_one(self, path: str, recipient: Recipient) -> Copy:
        file = self._files.read(path)
        if file is None:
            return Copy(path, recipient)
        own = recipient.decrypt(file.data)
        text = decrypted(file.data, self._identities) if own is None else own
        if text is None:
            raise Failure(
                "unsafe",
                f"{path} opens with none of the vault secrets that Ansible was given, or is damaged, so it is left alone. Give the"
                " secret that it was written with (--vault-id), or move it away.",
            )
        try:
            bundle = Bundle.parse(text)
        except ValueError as error:
            raise Failure("unsafe", f"{path} is no recovery bundle ({error}), so it is left alone. Move it away.") from error
        except Failure as failure:
            failure.msg = f"{path}: {failure.msg}"
            raise
        return Copy(path, recipient, file, bundle, own is not None)


def key_of(answer: Mapping[str, Any], known: Sequence[ExportedKey]) -> Optional[ExportedKey]:
    """The key in a target's answer, or the known one that it means; None where there is no repository.

    :raises Failure: ``key_mismatch``.
    """
    digest, text = answer["digest"], answer["key"]
    if digest is None:
        return None
    keys = known
    if text is not None:
        with contextlib.suppress(ValueError):
            keys = [exported_key.parse(text, "keyfile")]
    for key in keys:
        if key.digest == digest:
            return key
    raise Failure("key_mismatch", "What came from the target is no key of Borg. Run again; if it persists, look at that machine.")
