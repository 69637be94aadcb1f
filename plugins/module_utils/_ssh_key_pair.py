# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private key that ssh logs in with, and the public one beside it."""

from __future__ import annotations

import os
import stat
from typing import Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import find_program, run
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey, public_half

#: No key of ssh is larger.
_LARGEST = 65536
_MARKER = "# The key pair with this fingerprint was made by fleetbackup.borg.borg_ssh_identity, which may remove it.\n"
_PATIENCE = 30.0


class KeyPair:
    """A key pair as it stands on this machine; nothing of the private half is kept.

    :ivar exists: whether there is a private key.
    :ivar public: the public key that belongs to it; None where there is none, or where nobody can tell yet.
    :ivar generated: whether we made it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.public_path = f"{path}.pub"
        self.marker_path = f"{path}.generated"
        self.exists = os.path.lexists(path)
        self.public: Optional[PublicKey] = None
        self._mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else None
        self._beside: Optional[PublicKey] = None

    def look(self, *, may_run: bool = True) -> None:
        """Find out which key it is.

        :param may_run: whether ssh-keygen may be asked where the format itself does not tell.
        :raises Failure: ``invalid_argument`` for what is no key that a machine can use on its own.
        """
        try:
            with open(self.path, "rb") as file:
                self.public = public_half(file.read(_LARGEST))
        except (ValueError, IsADirectoryError, FileNotFoundError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it is a directory, or a link to nowhere"
            raise Failure(
                "invalid_argument",
                f"The private key {self.path} cannot be used: {reason}. It is left alone; name another path, or remove it"
                " (a passphrase: ssh-keygen -p).",
            ) from error
        self._beside = self._read_public()
        if self.public is None and may_run:
            self.public = self._ask()
        if self._is_beside:
            self.public = self._beside  # with its comment

    @property
    def generated(self) -> bool:
        """Whether we made it: a note beside it says so, of this very key."""
        return self.fingerprint is not None and self.fingerprint in _read(self.marker_path).split()

    @property
    def fingerprint(self) -> Optional[str]:
        """That of the public key."""
        return None if self.public is None else self.public.fingerprint

    def compare(self, difference: Difference) -> None:
        """Note what has to be repaired: others could read it, or the public key is not the one that belongs to it."""
        if self.must_close:
            difference.add(f"{self.path}: mode", f"{self._mode:04o}", "0600")
        if self.public is not None:
            beside = self._beside.fingerprint if self._beside else None
            difference.add(self.public_path, beside, self.fingerprint)

    def repair(self) -> None:
        """Repair it. The private key itself is never written."""
        if self.must_close:
            os.chmod(self.path, 0o600)
        if self.public is None:
            self.public = self._ask()
        if self._is_beside:
            self.public = self._beside
        else:
            write_atomically(self.public_path, f"{self.public}\n".encode(), mode=0o644)

    def remove(self) -> None:
        """Remove what we made. The note goes last, so that a run that was interrupted can be repeated."""
        for path in (self.public_path, self.path, self.marker_path):
            if os.path.lexists(path):
                os.unlink(path)

    @property
    def must_close(self) -> bool:
        """Whether others could read the private key."""
        return self._mode is not None and bool(self._mode & 0o077)

    @property
    def _is_beside(self) -> bool:
        return self.public is not None and self._beside is not None and self._beside.bare == self.public.bare

    def _read_public(self) -> Optional[PublicKey]:
        try:
            return PublicKey.parse(_read(self.public_path))
        except ValueError:
            return None

    def _ask(self) -> PublicKey:
        """ssh-keygen knows the formats of old."""
        done = run([require_ssh_keygen(f"read {self.path}"), "-y", "-P", "", "-f", self.path], timeout=_PATIENCE)
        try:
            return PublicKey.parse(done.stdout if done.rc == 0 else "")
        except ValueError as error:
            raise Failure(
                "invalid_argument",
                f"The private key {self.path} cannot be used: ssh-keygen does not read it without a passphrase. It is left"
                " alone; name another path, or remove its passphrase with ssh-keygen -p.",
                rc=done.rc,
            ) from error


def generate(path: str, program: str, comment: str) -> KeyPair:
    """Make a new pair. Whatever stands at the path meanwhile stays, and is taken.

    :param program: ssh-keygen.
    """
    import shutil
    import tempfile

    directory = tempfile.mkdtemp(prefix=".fleetbackup-", dir=os.path.dirname(path))
    try:
        new = KeyPair(os.path.join(directory, "key"))
        done = run([program, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", new.path], timeout=_PATIENCE)
        if done.rc:
            raise Failure("other", f"ssh-keygen could not make a key for {path}: {done.stderr.strip()}", rc=done.rc)
        new.look()
        pair = KeyPair(path)
        # The note comes first: one without its key means nothing, and a key without its note would be kept for ever.
        write_atomically(pair.marker_path, f"{_MARKER}{new.fingerprint}\n".encode(), mode=0o644)
        try:
            os.link(new.path, path)  # unlike a move it overwrites nothing
        except FileExistsError:
            pass
    finally:
        shutil.rmtree(directory)
    pair = KeyPair(path)
    pair.look()
    pair.repair()
    return pair


def require_ssh_keygen(purpose: str) -> str:
    """Where ssh-keygen is.

    :raises Failure: ``other`` where it is not installed.
    """
    program = find_program("ssh-keygen")
    if program is None:
        raise Failure(
            "other",
            f"ssh-keygen is needed to {purpose}, and is not installed. Install it (Debian: apt install openssh-client).",
        )
    return program


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST).decode("utf-8", "replace")
    except (FileNotFoundError, IsADirectoryError):
        return ""
