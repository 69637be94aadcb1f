# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key of a repository in keyfile mode on a machine that shall not keep it."""

from __future__ import annotations

import contextlib
import os
from typing import Iterator, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key as exported_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg


@contextlib.contextmanager
def held_key(borg: Borg, text: Optional[str]) -> Iterator[Borg]:
    """The borg that finds the key, in a file which no disk ever holds.

    :param text: the key as borg exports it; None: there is none to hold.
    :raises Failure: ``invalid_argument``; nothing of the text is shown.
    """
    if not text:
        yield borg
        return
    if borg.key_file is not None:
        raise Failure("invalid_argument", "key: excludes key_file, for only one of them counts; leave one out.")
    try:
        key = exported_key.parse(text, "keyfile")
    except ValueError as error:
        raise Failure("invalid_argument", f"key: is no key as borg exports it ({error}); give the key of the recovery bundle.") from error
    descriptor = os.memfd_create("fleetbackup-key")
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, key.text.encode())
        yield borg._replace(key_file=f"/proc/{os.getpid()}/fd/{descriptor}")
    finally:
        os.close(descriptor)
