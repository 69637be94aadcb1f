# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which archives a repository had when it was looked after last, in a file where no client can change it."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import glob
import json
import os
import re
from typing import Any, Iterator, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import objection_to, write_atomically

_VERSION = 1
_ID = r"[0-9a-f]{64}\Z"


class Inventory(NamedTuple):
    """The finished archives of a repository at one time.

    :ivar repository: its id.
    :ivar taken: when they were listed.
    :ivar archives: oldest first.
    :ivar removing: the ids of those that were about to be pruned; nobody noted yet that they are gone for good.
    """

    repository: str
    taken: datetime.datetime
    archives: tuple[Archive, ...]
    removing: tuple[str, ...] = ()

    def missing(self, present: frozenset[str]) -> list[Archive]:
        """Those that are gone though nobody was about to prune them.

        :param present: the ids that are there.
        """
        return [archive for archive in self.archives if archive.id not in present and archive.id not in self.removing]

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all of them."""
        return frozenset(archive.id for archive in self.archives)

    def render(self) -> bytes:
        """The file's content."""
        document = {
            "version": _VERSION,
            "repository": self.repository,
            "taken": self.taken.isoformat(),
            "archives": [archive.as_result() for archive in self.archives],
            "removing": list(self.removing),
        }
        return (json.dumps(document, indent=1) + "\n").encode("utf-8", "surrogateescape")

    @classmethod
    def parse(cls, data: bytes) -> Inventory:
        """From the file's content.

        :raises ValueError: it is none.
        """
        try:
            document = json.loads(data.decode("utf-8", "surrogateescape"))
            if document["version"] != _VERSION:
                raise ValueError(f"version {document['version']!r} is not known")
            ids = [document["repository"], *document["removing"], *(entry["id"] for entry in document["archives"])]
            if not all(re.match(_ID, identity) for identity in ids):
                raise ValueError("an id is none")
            return cls(
                document["repository"],
                _time(document["taken"]),
                tuple(Archive(str(entry["name"]), entry["id"], _time(entry["time"])) for entry in document["archives"]),
                tuple(document["removing"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__} {error}") from error


def _time(text: Any) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} bears no zone")
    return moment


class InventoryFile(NamedTuple):
    """Where an inventory stands."""

    path: str

    def check(self) -> None:
        """Refuse a path where no such file could be.

        :raises Failure: ``invalid_argument``.
        """
        reason = objection_to(self.path)
        if reason:
            raise Failure(
                "invalid_argument", f"inventory: {self.path!r} {reason}; for example /root/fleetbackup-archives/web1.json."
            )

    def read(self) -> Optional[Inventory]:
        """The inventory; None where there is none yet.

        :raises Failure: ``unsafe``: something else stands there. To take it for a first run would forget what was known.
        """
        try:
            with open(self.path, "rb") as file:
                return Inventory.parse(file.read())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise Failure(
                "unsafe",
                f"{self.path} is no inventory of archives ({error}), so nothing tells which archives there were. Bring it back from a"
                " copy. If there is none, move it away: the next run takes what is there for all there was.",
            ) from error

    def check_first(self, repository: str) -> None:
        """Refuse to begin anew with a repository that another inventory of the directory is about: what was hidden since then would never be
        missed.

        :param repository: its id.
        :raises Failure: ``unsafe``.
        """
        for path in sorted(glob.glob(os.path.join(glob.escape(os.path.dirname(self.path)), "*.json"))):
            try:
                known = InventoryFile(path).read()
            except (Failure, OSError):  # none of ours, or nobody can tell whose
                continue
            if known is not None and known.repository == repository:
                raise Failure(
                    "unsafe",
                    f"{self.path} does not exist, and {path} is an inventory of the same repository, {repository}: perhaps its location is spelt"
                    " in another way now. What is gone since then would not be missed; nothing was changed. If the repository shall be called so,"
                    f" rename {path} to {self.path}; where several clients share it, let all of them spell it alike.",
                )

    def write(self, inventory: Inventory) -> None:
        """Put an inventory in the place of the one before."""
        self._make_directory()
        write_atomically(self.path, inventory.render(), mode=0o600)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else look after the same repository from here meanwhile; clients that share one take turns."""
        self._make_directory()
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make_directory(self) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
