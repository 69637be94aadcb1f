# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the passphrase of a borgmatic configuration is kept: in it, or in a file of its own that it names."""

from __future__ import annotations

import os
import shlex
from typing import Any, Mapping, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_dialect import is_credential
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_diff import HIDDEN, HIDDEN_CHANGED
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import objection_to, write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._ownership import Ownership
from ansible_collections.fleetbackup.borg.plugins.module_utils._passphrase_path import (
    CONFIG,
    CREDENTIAL,
    FILE,
    passphrase_path,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import find_program, run

_TIMEOUT = 60.0


class Placement(NamedTuple):
    """What becomes of a document's passphrase.

    :ivar document: as it is to be written.
    :ivar passphrase: what is kept outside of it; None: nothing.
    """

    document: dict[str, Any]
    passphrase: Optional[str]


def place(document: dict[str, Any], store: str, config: str) -> Placement:
    """Take the passphrase out of a document, unless it stays there.

    :param document: flat; its passphrase as borg gets it.
    :param store: one of :data:`_passphrase_path.STORES`.
    :param config: the path of the configuration.
    :raises Failure: ``invalid_argument``.
    """
    if store == CONFIG:
        return Placement(document, None)
    for index, entry in enumerate(document["repositories"]):
        if _has_passphrase(entry):
            raise Failure(
                "invalid_argument",
                f"config.repositories[{index}].encryption_passphrase: passphrase_store: {store} keeps one passphrase for each"
                " configuration. Give such repositories configurations of their own, or say passphrase_store: config.",
            )
    if not _has_passphrase(document):
        return Placement(document, None)
    if document["encryption_passphrase"] != document["encryption_passphrase"].rstrip():
        raise Failure(
            "invalid_argument",
            "config.encryption_passphrase: ends in white space, which borgmatic from 2.1 on loses where a command prints the"
            " passphrase. Choose another one, or say passphrase_store: config.",
        )
    rest = {name: value for name, value in document.items() if name != "encryption_passphrase"}
    return Placement({**rest, "encryption_passcommand": _command(store, config)}, document["encryption_passphrase"])


def _has_passphrase(layer: Mapping[str, Any]) -> bool:
    """Whether a document, or an entry of its repositories, has one itself and not only where borgmatic finds it."""
    passphrase = layer.get("encryption_passphrase")
    return passphrase is not None and not is_credential(passphrase)


def _command(store: str, config: str) -> str:
    """What prints the passphrase. Where systemd has not loaded the credential, as for whoever calls borgmatic by hand, it is
    decrypted, which takes root. borgmatic's own ``{credential systemd …}`` does the latter only from 2.0.9 on."""
    path = passphrase_path(store, config)
    if store == CREDENTIAL:
        return f"sh -c 'systemd-creds cat {os.path.basename(path)} 2>/dev/null || systemd-creds decrypt {path} -'"
    if "{" in path:
        raise Failure(
            "invalid_argument",
            f"path: {config!r} holds a brace, and borgmatic would read {path!r} in its configuration as something else."
            " Rename it, or say passphrase_store: config.",
        )
    return f"cat {shlex.quote(path)}"


class KeptFile:
    """A file with the passphrase of a configuration, wanted or not. First :meth:`compare`, then, where something differs and
    it is wanted, :meth:`apply`.

    :param config: the path of the configuration.
    :param passphrase: what shall stand in it; None: there shall be no such file.
    :param ownership: the configuration's.
    """

    store = FILE
    _directory_mode = 0o755

    def __init__(self, config: str, passphrase: Optional[str], ownership: Ownership) -> None:
        self.path = passphrase_path(self.store, config)
        self.passphrase = passphrase
        self._ownership = ownership
        self._is_current = False

    @property
    def is_wanted(self) -> bool:
        """Whether it shall be there."""
        return self.passphrase is not None

    def compare(self, difference: Difference) -> bool:
        """Note what differs; tell whether anything does.

        :raises Failure: ``invalid_argument``, and what the store needs.
        """
        exists = os.path.lexists(self.path)
        if self.passphrase is None:
            difference.add(self.path, HIDDEN if exists else None, None)
            return exists
        self._check()
        reason = objection_to(self.path)
        if reason:
            raise Failure("invalid_argument", f"passphrase_store: {self.path} is where it goes, and {reason}.")
        is_same = exists and self._read() == self.passphrase
        difference.add(self.path, HIDDEN if exists else None, HIDDEN if is_same or not exists else HIDDEN_CHANGED)
        # beside a configuration that is made afresh it is made afresh, too, to belong to the same account
        self._is_current = is_same and -1 not in self._ownership
        return self._compare_ownership(difference) if self._is_current else True

    def apply(self) -> None:
        """Put it right; it is the old or the new file, whole, at every moment.

        :raises Failure: ``other``: it could not be encrypted.
        """
        if self.passphrase is None:
            os.unlink(self.path)
        elif self._is_current:
            self._ownership.apply(self.path)
        else:
            data = self._content(self.passphrase)
            os.makedirs(os.path.dirname(self.path), mode=self._directory_mode, exist_ok=True)
            wanted = self._ownership
            write_atomically(self.path, data, mode=wanted.mode, uid=wanted.uid, gid=wanted.gid)

    def _compare_ownership(self, difference: Difference) -> bool:
        present = Ownership.of(self.path)
        before = present.as_names()
        for name, value in self._ownership.as_names().items():
            difference.add(f"{self.path}: {name}", before[name], value)
        return present != self._ownership

    def _check(self) -> None:
        """:raises Failure: where this machine or this account can't do it."""

    def _read(self) -> Optional[str]:
        with open(self.path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()

    def _content(self, passphrase: str) -> bytes:
        return passphrase.encode("utf-8", "surrogateescape")


class KeptCredential(KeptFile):
    """The passphrase as an encrypted credential of systemd, which systemd and root can read whoever borgmatic runs as."""

    store = CREDENTIAL
    _directory_mode = 0o700

    def __init__(self, config: str, passphrase: Optional[str], ownership: Ownership) -> None:
        super().__init__(config, passphrase, Ownership(0, 0, 0o600))

    def _check(self) -> None:
        if os.geteuid() != 0:
            raise Failure(
                "permission",
                "passphrase_store: systemd_credential needs root, who alone can use the key of this machine. Say become: true,"
                " or passphrase_store: file.",
            )
        if find_program("systemd-creds") is None:
            raise Failure(
                "version",
                "passphrase_store: systemd_credential needs systemd 250 or later with its program systemd-creds, and this"
                f" machine has {_systemd_version()}. Say passphrase_store: file, or config.",
            )

    def _read(self) -> Optional[str]:
        decrypted = run(["systemd-creds", "decrypt", "--newline=no", self.path, "-"], timeout=_TIMEOUT)
        return decrypted.stdout if decrypted.rc == 0 else None

    def _content(self, passphrase: str) -> bytes:
        name = os.path.basename(self.path)
        # a TPM's registers change with the firmware's settings, and no backup would be made from then on
        encrypted = run(
            ["systemd-creds", "encrypt", f"--name={name}", "--tpm2-pcrs=", "-", "-"], stdin=passphrase, timeout=_TIMEOUT
        )
        if encrypted.rc:
            raise Failure(
                "other",
                f"systemd-creds could not encrypt the passphrase: {' '.join(encrypted.stderr.split())} Nothing was changed."
                " See to that, or say passphrase_store: file.",
                rc=encrypted.rc,
                cmd=encrypted.argv,
                stderr=encrypted.stderr,
            )
        return encrypted.stdout.encode()


def kept_files(config: str, store: str, passphrase: Optional[str], ownership: Ownership) -> list[KeptFile]:
    """The files that may keep the passphrase of a configuration, those that shall not be there among them.

    :param passphrase: None: none of them shall be there.
    """
    kinds: tuple[type[KeptFile], ...] = (KeptFile, KeptCredential)
    return [kind(config, passphrase if kind.store == store else None, ownership) for kind in kinds]


def _systemd_version() -> str:
    program = find_program("systemctl")
    first = run([program, "--version"], timeout=_TIMEOUT).stdout.splitlines()[:1] if program else []
    return first[0] if first else "no systemd"
