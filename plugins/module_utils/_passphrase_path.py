# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file keeps the passphrase of a borgmatic configuration. Units name it too, so this loads nothing else of ours."""

from __future__ import annotations

import hashlib
import os
import re

CONFIG, FILE, CREDENTIAL = STORES = ("config", "file", "systemd_credential")

#: Where systemd looks for encrypted credentials.
_CREDENTIALS = "/etc/credstore.encrypted"


def passphrase_path(store: str, config: str) -> str:
    """The file.

    :param store: ``FILE`` or ``CREDENTIAL``.
    :param config: the path of the configuration.
    """
    if store == FILE:
        return f"{config}.passphrase"
    path = os.path.normpath(config)
    # borgmatic and systemd allow little in the name of a credential, which is the name of its file
    stem = re.sub(r"[^A-Za-z0-9]+", "_", os.path.splitext(os.path.basename(path))[0])[:64]
    return f"{_CREDENTIALS}/fleetbackup_{stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
