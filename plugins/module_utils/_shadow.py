# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A view of borg's own directories that borg may write to without touching them.

Even ``borg list`` writes caches and security files. In check mode, and wherever something is only looked up, borg works
on a copy of its security directory (an empty one would hide a repository that was moved or replaced) and on a temporary
cache; keys stay where they are.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import Iterator, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure


@contextlib.contextmanager
def shadow(base_directory: str, cached_id: Optional[str] = None) -> Iterator[dict[str, str]]:
    """Give the variables that point borg to the view; it is removed at the end.

    :param base_directory: borg's base directory (HOME, or BORG_BASE_DIR).
    :param cached_id: the id of a repository whose cache the command needs; without it the cache is empty. The large files
        that no look-up writes into are linked: the files cache and the chunk lists of the archives. The others are
        copied: borg writes ``chunks`` and ``pre12-meta`` in place. Source: `borg.cache.LocalCache`, 1.2.4 and 1.4.0.
    """
    config = os.path.join(base_directory, ".config", "borg")
    cache = os.path.join(base_directory, ".cache", "borg", cached_id) if cached_id else None
    if cache is not None and not os.path.isdir(cache):
        cache = None
    # links need the same file system
    view = tempfile.mkdtemp(prefix=".fleetbackup-", dir=os.path.dirname(cache) if cache else None)
    try:
        security = os.path.join(view, "security")
        if os.path.isdir(os.path.join(config, "security")):
            shutil.copytree(os.path.join(config, "security"), security, copy_function=shutil.copyfile)
        if cache is not None:
            shutil.copytree(cache, os.path.join(view, "cache", os.path.basename(cache)), copy_function=_link_or_copy)
        keys = os.path.join(config, "keys")
        yield {
            "BORG_CONFIG_DIR": os.path.join(view, "config"),
            "BORG_SECURITY_DIR": security,
            "BORG_CACHE_DIR": os.path.join(view, "cache"),
            "BORG_KEYS_DIR": keys if os.path.isdir(keys) else os.path.join(view, "keys"),
        }
    except Failure as failure:  # whoever reads it knows borg's directories, not the view
        for name in ("msg", "stderr"):
            setattr(failure, name, getattr(failure, name).replace(view, config))
        raise
    finally:
        shutil.rmtree(view, ignore_errors=True)


def _link_or_copy(source: str, destination: str) -> str:
    directory, name = os.path.split(source)
    if name.startswith("files") or os.path.basename(directory) == "chunks.archive.d":
        try:
            os.link(source, destination)
            return destination
        except OSError:
            pass  # another file system, or one without links
    shutil.copy2(source, destination)
    return destination
