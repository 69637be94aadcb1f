# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a repository that stand in escrow on another machine: they were fetched, and what shall be there is carried back."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import LOCK_SECONDS, MODE, EscrowFiles, File


class CarriedFiles(EscrowFiles):
    """Files in memory. The other machine replaces one only where it still has what was fetched.

    :param carried: as borg_escrow_store returns them; of several with the same name, the last counts.
    :raises Failure: ``invalid_argument``.
    """

    def __init__(self, carried: Sequence[Mapping[str, Any]], directory: str, host: str, location: str) -> None:
        super().__init__(directory, host, location)
        self._host = host
        self._files = {os.path.join(directory, str(file.get("name"))): _read(file) for file in carried}
        self._changed: dict[str, Optional[str]] = {}

    @property
    def changes(self) -> list[dict[str, Any]]:
        """What borg_escrow_store shall write."""
        return [
            {
                "host": self._host,
                "name": os.path.basename(path),
                "data": base64.b64encode(self._files[path].data).decode(),
                "mode": f"{MODE:04o}",
                "replaces": replaces,
            }
            for path, replaces in self._changed.items()
        ]

    def names(self, host: str) -> list[str]:
        """Those that were fetched."""
        return sorted(map(os.path.basename, self._files))

    def check_directory(self) -> None:
        """The other machine does."""

    def read(self, path: str) -> Optional[File]:
        """A file, if it is there."""
        return self._files.get(path)

    @contextlib.contextmanager
    def locked(self, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Nobody else has them."""
        yield

    def write(self, path: str, data: bytes, validate: Callable[[str], None]) -> None:
        """Put a file in the place of the one before.

        :param validate: called with its path.
        """
        before = self._files.get(path)
        self._changed.setdefault(path, None if before is None else hashlib.sha256(before.data).hexdigest())
        self._files[path] = File(data, MODE)
        validate(path)

    def protect(self, path: str) -> None:
        """Take the rights of others away."""
        self.write(path, self._files[path].data, lambda _path: None)


def files_of(carried: Optional[Sequence[Mapping[str, Any]]], directory: str, host: str, location: str) -> EscrowFiles:
    """The files of a repository, wherever they are.

    :param carried: None: on this machine.
    """
    return EscrowFiles(directory, host, location) if carried is None else CarriedFiles(carried, directory, host, location)


def _read(file: Mapping[str, Any]) -> File:
    try:
        return File(base64.b64decode(file["data"], validate=True), int(file["mode"], 8))
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise Failure(
            "invalid_argument", "stored: holds what is no file; give what borg_escrow_store returns as files."
        ) from None
