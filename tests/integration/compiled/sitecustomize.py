# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps what Python compiles out of archives: Ansible sends each module as an archive of sources, whose compilation takes most of a
launch, and the targets launch modules by the thousand. Python imports this by itself where PYTHONPATH names its directory.
"""

from __future__ import annotations

import importlib.util
import marshal
import os
import sys
import zipimport

KEPT = f"/var/cache/fleetbackup-compiled/{sys.implementation.cache_tag}"

compile_source = zipimport._compile_source


def compiled(path, source):
    """What Python compiles of this source, which may come from an earlier process."""
    kept = f"{KEPT}/{importlib.util.source_hash(source).hex()}"
    try:
        with open(kept, "rb") as file:
            return marshal.load(file)
    except (OSError, EOFError, ValueError):
        pass  # it is the first
    code = compile_source(path, source)
    try:
        os.makedirs(KEPT, exist_ok=True)
        with open(f"{kept}.{os.getpid()}", "wb") as file:
            marshal.dump(code, file)
        os.rename(file.name, kept)
    except PermissionError:
        pass  # another user's process does without
    return code


zipimport._compile_source = compiled
