# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery bundles on a machine that keeps them and cannot read them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from typing import Any, Iterator, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._call import Call
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import MODE, EscrowDirectory, File, is_of

ARGUMENTS: dict[str, dict[str, Any]] = {
    "directory": {"type": "path", "required": True},
    "machine": {"type": "str"},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "host": {"type": "str"},
            "name": {"type": "str", "required": True},
            "data": {"type": "str", "required": True},
            "mode": {"type": "str"},
            "replaces": {"type": "str"},
        },
    },
}

#: As :class:`EscrowFiles` names them. A vault identity may stand before the last part.
_NAME = r"[A-Za-z0-9][A-Za-z0-9.-]*_[A-Za-z0-9][A-Za-z0-9.-]*_[0-9a-f]{8}(?:\.[A-Za-z0-9_.@-]+)?\.(yml|age|gpg)\Z"
#: What encrypted files of each kind begin with; nothing in clear ever comes to this disk.
_BEGINNINGS = {
    "yml": (b"$ANSIBLE_VAULT;",),
    "age": (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"),
    "gpg": (b"-----BEGIN PGP MESSAGE-----", b"\x84", b"\x85", b"\xc1"),
}


class _Wanted(NamedTuple):
    """A file that shall be there.

    :ivar replaces: the SHA-256 of what it was made from; None: there was no file.
    """

    name: str
    data: bytes
    replaces: Optional[str]


def ensure(call: Call) -> dict[str, Any]:
    """Ensure that files stand in the directory, and tell those of some clients.

    :raises Failure: ``invalid_argument``, ``locked``, ``permission``, ``disk_full``, ``unsafe``.
    """
    parameters = call.params
    directory = EscrowDirectory(parameters["directory"])
    wanted = [_wanted(file) for file in parameters["files"]]
    directory.check_directory()
    difference = Difference()
    if wanted and call.check_mode:
        _compare(directory, parameters["directory"], wanted, difference)
    elif wanted:
        with directory.locked():
            for file in _compare(directory, parameters["directory"], wanted, difference):
                _put(directory, os.path.join(parameters["directory"], file.name), file.data)
    predicted = {file.name: File(file.data, MODE) for file in wanted} if call.check_mode else {}
    return {
        "changed": difference.changed,
        "machine": parameters["machine"],
        "files": [told for host in parameters["hosts"] for told in _told(directory, parameters["directory"], host, predicted)],
        "diff": difference.as_diff(),
    }


def _wanted(file: dict[str, Any]) -> _Wanted:
    match = re.match(_NAME, file["name"])
    if match is None:
        raise Failure("invalid_argument", f"files: {file['name']!r} is no bundle's name; take it as borg_key_escrow returns it.")
    try:
        data = base64.b64decode(file["data"], validate=True)
    except (ValueError, binascii.Error):
        raise Failure("invalid_argument", f"files: the data of {file['name']} are no Base64.") from None
    if not data.startswith(_BEGINNINGS[match.group(1)]):
        raise Failure("invalid_argument", f"files: {file['name']} is not encrypted. Nothing was written.")
    return _Wanted(file["name"], data, file["replaces"])


def _compare(directory: EscrowDirectory, path: str, wanted: list[_Wanted], difference: Difference) -> list[_Wanted]:
    """Those that are not there yet.

    :raises Failure: ``locked``: one of them is another one by now.
    """
    missing = []
    for file in wanted:
        found = directory.read(os.path.join(path, file.name))
        before = None if found is None else hashlib.sha256(found.data).hexdigest()
        after = hashlib.sha256(file.data).hexdigest()
        if before not in (after, file.replaces):
            raise Failure(
                "locked", f"Another controller wrote to {os.path.join(path, file.name)} meanwhile. Nothing was replaced; run again."
            )
        if found is None or before != after or found.mode != MODE:
            difference.add(file.name, None if found is None else f"{before} {found.mode:04o}", f"{after} {MODE:04o}")
            missing.append(file)
    return missing


def _put(directory: EscrowDirectory, path: str, data: bytes) -> None:
    def validate(temporary: str) -> None:
        written = directory.read(temporary)
        if written is None or written.data != data:
            raise Failure("other", f"{path}: could not be read back as it was written, so the one before stays. Check the disk.")

    directory.write(path, data, validate)


def _told(directory: EscrowDirectory, path: str, host: str, predicted: dict[str, File]) -> Iterator[dict[str, Any]]:
    names = {*directory.names(host), *(name for name in predicted if is_of(name, host))}
    for name in sorted(names):
        file = predicted.get(name) or directory.read(os.path.join(path, name))
        if file is None:
            raise Failure("locked", f"{os.path.join(path, name)} vanished while it was read. Run again.")
        yield {"host": host, "name": name, "data": base64.b64encode(file.data).decode(), "mode": f"{file.mode:04o}"}
