# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository that is recognised by its key: one export tells that it is there, and need not open it.

An export takes neither a lock nor a passphrase and writes nothing. This file reads no more of the key than its digest: what
unwraps keys would cost the launch that this shall make cheap.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
from typing import NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils import _process
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

#: How borg's security directory notes the encryption of a repository. Source: `borg.cache.SecurityManager` and
#: `borg.crypto.key`, 1.2.4 and 1.4.0.
_MODES = {
    "0": "keyfile",
    "3": "repokey",
    "4": "keyfile-blake2",
    "5": "repokey-blake2",
    "6": "authenticated-blake2",
    "7": "authenticated",
}
#: What keeps borg from any repository: a second command would only wait for the same.
_HOPELESS = ("auth", "borg_missing", "host_key", "timeout", "unreachable", "version")
_EXPORT = r"BORG_KEY ([0-9a-f]{64})\s"


class Key(NamedTuple):
    """What an export tells of a repository's key.

    :ivar id: of the repository.
    :ivar digest: as :attr:`_exported_key.ExportedKey.digest` has it.
    """

    id: str
    digest: str


def read_key(borg: Borg) -> Optional[Key]:
    """The repository's key, by one borg command.

    :returns: None where there is none, or where something is in the way that opening the repository tells better.
    :raises Failure: where opening it would fail likewise.
    """
    try:
        text = borg._replace(passphrase=None).read("key export", arguments=["-"], common=()).stdout
    except Failure as failure:
        if failure.error in _HOPELESS:
            raise
        return None
    match = re.match(_EXPORT, text)
    if match is None:
        return None
    try:
        blob = binascii.a2b_base64(text[match.end() :])
    except ValueError:
        return None
    return Key(match.group(1), hashlib.sha256(blob).hexdigest())


def remembered_encryption(borg: Borg, identity: str) -> Optional[str]:
    """The encryption mode of a repository that borg opened before at this very location, as this user.

    :returns: None where borg does not know it, or knows it elsewhere.
    """
    directory = os.path.join(borg.base_directory or _process.home_directory(), ".config", "borg", "security", identity)
    # without one of the three borg would not know it either
    location, kind, time = (_noted(directory, name) for name in ("location", "key-type", "manifest-timestamp"))
    if location != borg.repository.canonical or kind is None or time is None:
        return None
    return _MODES.get(kind)


def _noted(directory: str, name: str) -> Optional[str]:
    try:
        with open(os.path.join(directory, name), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return None
