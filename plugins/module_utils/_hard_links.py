# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names of an archive are those of one file."""

from __future__ import annotations

from typing import Collection, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry, as_source


class HardLinks:
    """The files of some entries that have several names.

    borg tells the first name of each further one, but spells it so that several may be meant. Then each of them counts.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._firsts: dict[str, list[str]] = {entry.source: [] for entry in entries if entry.kind == "h"}
        for entry in entries if self._firsts else ():
            file = self._file(entry)
            if file is not None and entry.kind != "h":
                self._firsts[file].append(entry.path)

    def firsts(self, entry: Entry) -> Sequence[str]:
        """The paths that may be the first name of an entry's file; none: that is not among the entries, or this is the first itself."""
        return self._firsts.get(entry.source, ()) if entry.kind == "h" else ()

    def joined(self, entries: Sequence[Entry], rewritten: Collection[str], left_alone: Collection[str] = ()) -> set[str]:
        """The paths that will be rewritten, and the other names of their files: extracted by itself, a name would become a file of its own.

        :param left_alone: paths that stay as they are. The names of a file whose first one is among them are not joined.
        """
        files = {self._file(entry) for entry in entries if entry.path in rewritten} - {None}
        files -= {file for file in files if file and any(first in left_alone for first in self._firsts[file])}
        return {*rewritten, *(entry.path for entry in entries if self._file(entry) in files and entry.path not in left_alone)}

    def _file(self, entry: Entry) -> Optional[str]:
        """What the names of a file share; None: it has no others."""
        if not self._firsts or entry.kind in "dl":
            return None
        spelt = entry.source if entry.kind == "h" else as_source(entry.path)
        return spelt if spelt in self._firsts else None
