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
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import MODE, EscrowFiles, File
from ansible_collections.fleetbackup.borg.plugins.module_utils._exported_key import ExportedKey
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery_bundle import Bundle
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._sealed_copy import SealedCopy
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._tool_recipients import ToolRecipients
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient

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
    :param others: for whom there are sealed copies, too.
    :param may_lack: whether files that none of the identities opens are left alone, where another one can be opened.
    :ivar left_alone: whose files were left alone.
    """

    def __init__(
        self,
        files: EscrowFiles,
        recipients: Sequence[Recipient],
        identities: Sequence[Recipient],
        others: Sequence[ToolRecipients] = (),
        *,
        may_lack: bool = False,
    ) -> None:
        self._files = files
        self._recipients = recipients
        self._identities = identities
        self._others = others
        self._may_lack = may_lack
        self.left_alone: list[str] = []
        self.copies, self.sealed = self._read()

    @property
    def paths(self) -> list[str]:
        """The files, the main one first."""
        return [*(copy.path for copy in self.copies), *(copy.path for copy in self.sealed)]

    @property
    def labels(self) -> list[str]:
        """Whom each of the files is for."""
        return [*(copy.recipient.label for copy in self.copies), *(others.label for others in self._others)]

    @property
    def changes(self) -> list[dict[str, Any]]:
        """What another machine has yet to write."""
        return self._files.changes

    @property
    def keys(self) -> list[ExportedKey]:
        """The keys in escrow; two different ones only where a run was killed between two files."""
        return [copy.bundle.key for copy in self.copies if copy.bundle is not None and copy.bundle.key is not None]

    @property
    def identities(self) -> list[str]:
        """The private SSH keys in escrow."""
        return [copy.bundle.identity for copy in self.copies if copy.bundle is not None and copy.bundle.identity is not None]

    @property
    def passphrases(self) -> list[str]:
        """All that stand in escrow, those first that are not only one of several that may be in force."""
        bundles = [copy.bundle for copy in self.copies if copy.bundle is not None]
        others = (passphrase for bundle in bundles for passphrase in bundle.other_passphrases)
        return list(dict.fromkeys([*(bundle.passphrase for bundle in bundles), *others]))

    def provisional(self, wanted: Bundle, previous: Sequence[str]) -> Optional[Bundle]:
        """The bundle to have in escrow as long as nobody knows whether the wanted passphrase opens the repository: whatever may is in it. A full
        one keeps its key, and takes the wanted passphrase up where it is to take the present one's place.

        :param previous: passphrases that may be in force.
        :returns: None: the full one is to be left alone.
        """
        full = next((copy.bundle for copy in self.copies if copy.bundle is not None and copy.bundle.key is not None), None)
        if full is None:
            return _with_others(wanted, [*self.passphrases, *previous])
        if full.passphrase == wanted.passphrase or full.passphrase not in previous:
            return None
        return _with_others(full, [*self.passphrases, wanted.passphrase])

    @property
    def resolved(self) -> Optional[str]:
        """The location without words for names, where a bundle says it."""
        return next((copy.bundle.resolved for copy in self.copies if copy.bundle is not None and copy.bundle.resolved is not None), None)

    def key_for(self, wanted: Bundle) -> Optional[ExportedKey]:
        """The key in escrow that a wanted bundle's passphrase is known to open, in the mode that it names, if it names one."""
        for copy in self.copies:
            found = copy.bundle
            if found is None or found.key is None or found.passphrase != wanted.passphrase:
                continue
            if wanted.encryption in (None, found.encryption):
                return found.key
        return None

    def is_proven(self, key: ExportedKey, passphrase: str) -> bool:
        """Whether a bundle, and so the proof that was made of it, says that the passphrase opens the key."""
        return any(
            copy.bundle is not None and (copy.bundle.key, copy.bundle.passphrase) == (key, passphrase) for copy in self.copies
        )

    def check_drift(self, key: Optional[ExportedKey], location: str, passphrase: str, *, accept: bool) -> None:
        """Raise the alarm where the repository's key is not the one in escrow. Whoever gives another passphrase than the bundle has may
        have changed it: then the same key in a new wrapping is as it shall be.

        :param key: None: there is no repository.
        :param passphrase: the wanted one.
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
        if not accept and not self._has_changed_passphrase(key, passphrase):
            raise Failure(
                "drift",
                f"{location} has another key (digest {key.digest}) than {self.paths[0]} (digest {escrowed.digest}). If you changed"
                " the passphrase, or know otherwise why, say on_drift: accept. If not, somebody may have tampered with it: bring"
                " the key of the bundle back with borg_key and state: imported.",
            )

    def _has_changed_passphrase(self, key: ExportedKey, passphrase: str) -> bool:
        return any(
            copy.bundle.passphrase != passphrase
            and key.is_same_key(passphrase, copy.bundle.key, copy.bundle.passphrase)
            for copy in self.copies
            if copy.bundle is not None and copy.bundle.key is not None
        )

    def difference(self, wanted: Bundle) -> Difference:
        """What differs from the wanted bundle in any file."""
        difference = Difference()
        for number, copy in enumerate(self.copies):
            copy.compare(wanted, difference, f"{copy.recipient.label}: " if number else "")
        for sealed in self.sealed:
            sealed.compare(wanted, self.copies[0].bundle, difference)
        return difference

    def encrypt(self, wanted: Bundle) -> tuple[Bundle, dict[str, bytes]]:
        """What is to be written: the bundle with its seals, and the bytes of each file.

        :raises Failure: what encryption may meet.
        """
        files = {sealed.path: sealed.made(wanted, self.copies[0].bundle) for sealed in self.sealed}
        wanted = wanted._replace(seals=tuple(sealed.seal(wanted, files[sealed.path]) for sealed in self.sealed))
        files.update({copy.path: copy.recipient.encrypt(wanted.render()) for copy in self.copies})
        return wanted, files

    def put(self, wanted: Bundle) -> bool:
        """Put the wanted bundle in place.

        :returns: whether anything was left to do: another controller may have been faster.
        :raises Failure: ``locked``: another controller put something else in place meanwhile; what encryption may meet.
        """
        sealed_bundle, encrypted = self.encrypt(wanted)
        with self._files.locked():
            found = self._read()
            if found != (self.copies, self.sealed):
                self.copies, self.sealed = found
                if self.difference(wanted).changed:
                    raise Failure(
                        "locked", f"Another controller wrote to {self.paths[0]} meanwhile. Its bundle was left alone; run again."
                    )
                return False
            for copy in self.copies:
                self._put_one(copy, sealed_bundle, encrypted[copy.path])
            for sealed in self.sealed:
                self._put_sealed(sealed, encrypted[sealed.path])
        return True

    def _put_one(self, copy: Copy, wanted: Bundle, data: bytes) -> None:
        if copy.bundle == wanted and copy.is_readable:
            self._files.protect(copy.path)
            return

        def validate(path: str) -> None:
            written = self._files.read(path)
            text = None if written is None else copy.recipient.decrypt(written.data)
            if text is None or Bundle.parse(text) != wanted:
                raise _unreadable(copy.path)

        self._files.write(copy.path, data, validate)

    def _put_sealed(self, sealed: SealedCopy, data: bytes) -> None:
        if sealed.file is not None and sealed.file.data == data:
            self._files.protect(sealed.path)
            return

        def validate(path: str) -> None:
            written = self._files.read(path)
            if written is None or written.data != data:
                raise _unreadable(sealed.path)

        self._files.write(sealed.path, data, validate)

    def _read(self) -> tuple[list[Copy], list[SealedCopy]]:
        labels = [None, *(recipient.label for recipient in self._recipients[1:])]
        paths = [self._files.path(label) for label in labels]
        found = {recipient.label: self._read_one(path, recipient) for path, recipient in zip(paths, self._recipients)}
        copies = [copy for copy in found.values() if copy is not None]
        self.left_alone = [label or "the main one" for label, copy in found.items() if copy is None]
        if not copies:
            raise _unopened(paths[0]) if any(self._files.read(path) for path in paths) else _unencrypted(self.left_alone)
        beside = [(self._files.path_beside(others.tool.name), others) for others in self._others]
        return copies, [SealedCopy(path, others, self._files.read(path)) for path, others in beside]

    def _read_one(self, path: str, recipient: Recipient) -> Optional[Copy]:
        """The bundle of a recipient; None: it is left alone."""
        file = self._files.read(path)
        if file is None:
            return None if recipient.secret is None else Copy(path, recipient)
        candidates = ((one, one.decrypt(file.data)) for one in (recipient, *self._identities))
        opener, text = next(((one, text) for one, text in candidates if text is not None), (None, ""))
        if opener is None:
            if self._may_lack:
                return None
            raise _unopened(path)
        is_readable = opener is recipient or recipient.secret is None
        if recipient.secret is None:  # it was given under another name
            recipient = opener._replace(label=recipient.label or opener.label)
        try:
            bundle = Bundle.parse(text)
        except ValueError as error:
            raise Failure("unsafe", f"{path} is no recovery bundle ({error}), so it is left alone. Move it away.") from error
        except Failure as failure:
            failure.msg = f"{path}: {failure.msg}"
            raise
        return Copy(path, recipient, file, bundle, is_readable)


def _with_others(bundle: Bundle, passphrases: Sequence[str]) -> Bundle:
    others = (passphrase for passphrase in dict.fromkeys(passphrases) if passphrase != bundle.passphrase)
    return bundle._replace(other_passphrases=tuple(others))


def _unopened(path: str) -> Failure:
    return Failure(
        "unsafe",
        f"{path} opens with none of the vault secrets that Ansible was given, or is damaged, so it is left alone. Give the"
        " secret that it was written with (--vault-id), or move it away.",
    )


def _unencrypted(labels: Sequence[str]) -> Failure:
    return Failure(
        "no_passphrase",
        f"A recovery bundle is encrypted for {' and '.join(labels)}, and Ansible was given the vault secret of none. Give one, by"
        " --vault-id NAME@FILE.",
    )


def _unreadable(path: str) -> Failure:
    return Failure("other", f"{path}: what was written there could not be read back, so the one before stays. Check the disk.")


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
