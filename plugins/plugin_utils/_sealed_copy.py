# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recovery bundle that only others can open.

What it holds is known from a seal: the bundle that can be opened here notes from what it was made, for whom, and what came of
it. A file that is not the noted one is made anew.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import MODE, File
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery_bundle import HIDDEN, HIDDEN_CHANGED, Bundle, Seal
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._tool_recipients import ToolRecipients

#: What the diff says of a file that somebody else put there.
_UNKNOWN = "unknown"


class SealedCopy(NamedTuple):
    """The bundle of one tool's recipients, as it was found."""

    path: str
    recipients: ToolRecipients
    file: Optional[File] = None

    def seal(self, wanted: Bundle, data: bytes) -> Seal:
        """What is to be noted of a file that was made from a bundle."""
        return Seal(self.recipients.tool.name, self.recipients.keys, wanted.content, hashlib.sha256(data).hexdigest())

    def found(self, noting: Optional[Bundle]) -> Optional[Seal]:
        """What is noted of the file that stands there; None: nothing.

        :param noting: the bundle that holds the seals.
        """
        if self.file is None or noting is None:
            return None
        ciphertext = hashlib.sha256(self.file.data).hexdigest()
        return next((seal for seal in noting.seals if (seal.tool, seal.ciphertext) == (self.recipients.tool.name, ciphertext)), None)

    def made(self, wanted: Bundle, noting: Optional[Bundle]) -> bytes:
        """The file that holds the wanted bundle: the one that stands there, if it does.

        :raises Failure: what encryption may meet.
        """
        if self.file is not None and self.found(noting) == self.seal(wanted, self.file.data):
            return self.file.data
        return self.recipients.encrypt(wanted.render(self.recipients.tool.opening))

    def compare(self, wanted: Bundle, noting: Optional[Bundle], difference: Difference) -> None:
        """Note what differs from the wanted bundle."""
        name, keys = self.recipients.tool.name, list(self.recipients.keys)
        found = self.found(noting)
        if found is None:
            before = None if self.file is None else _UNKNOWN
            difference.add(f"{name}: recipients", before, keys)
            difference.add(f"{name}: content", before, HIDDEN)
        else:
            difference.add(f"{name}: recipients", list(found.recipients), keys)
            difference.add(f"{name}: content", HIDDEN, HIDDEN if found.content == wanted.content else HIDDEN_CHANGED)
        if self.file is not None:
            difference.add(f"{name}: mode", f"{self.file.mode:04o}", f"{MODE:04o}")
