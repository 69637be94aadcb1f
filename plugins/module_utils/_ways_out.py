# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways out of a destination, by paths and links of a crafted archive or by links that stand there."""

from __future__ import annotations

import functools
import os
from typing import Callable, Collection, Iterator, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry, as_source, printable
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

_CRAFTED = "It was not made by Borg alone; nothing was extracted."
_ALIKE = " Or two of its names differ only in bytes that are not UTF-8, which Borg does not tell here: then leave one out with exclude."


def check_paths(entries: Sequence[Entry]) -> None:
    """Refuse paths that lead out of a destination by themselves, or by a link of the archive.

    :raises Failure: ``unsafe``.
    """
    links = {os.path.normpath(entry.path) for entry in entries if entry.kind in "lh"}
    link_above = _above(lambda parent: os.path.normpath(parent) in links)
    # in a source, any name that is spelt as it may be meant
    spelt = {as_source(link) for link in links}
    symbolic = {as_source(os.path.normpath(entry.path)) for entry in entries if entry.kind == "l"}
    spelt_above = _above(lambda parent: os.path.normpath(parent) in spelt)
    for entry in entries:
        way = _way_out(entry.path, link_above)
        if way is not None:
            raise Failure("unsafe", f"The archive holds the path {printable(entry.path)!r}, {way} {_CRAFTED}")
        if entry.kind == "h":
            way = _way_out(entry.source, spelt_above)
            if way is None and os.path.normpath(entry.source) in symbolic:
                way = "which is a symbolic link."
            if way is not None:
                subject = f"{printable(entry.path)!r} as a further name of {entry.source!r}"
                raise Failure("unsafe", f"The archive holds {subject}, {way} {_CRAFTED}{_ALIKE if '?' in entry.source else ''}")


def _way_out(path: str, link_above: Callable[[str], Optional[str]]) -> Optional[str]:
    """How a path of the archive leads out of the destination; None: it does not."""
    if path.startswith("/") or ".." in path.split("/"):
        return "which leads out of the destination."
    link = link_above(path)
    if link is not None:
        return f"below the link {printable(os.path.normpath(link))!r}, which could lead out of the destination."
    return None


def check_links(entries: Sequence[Entry], destination: str) -> None:
    """Refuse a destination where a symbolic link stands in the place of a directory of the archive, or on the way to a file that is linked to.

    :raises Failure: ``unsafe``.
    """
    @functools.cache
    def is_link(parent: str) -> bool:
        return os.path.islink(os.path.join(destination, parent))

    link_above = _above(is_link)
    wanted = {as_source(os.path.normpath(entry.path)) for entry in entries}
    for entry in entries:
        below = link_above(entry.path)
        if below is None and entry.kind == "d" and is_link(entry.path):
            below = entry.path
        if below is not None:
            raise Failure(
                "unsafe",
                f"{printable(os.path.join(destination, below))} is a symbolic link, and the archive holds a directory"
                " there: extracting would write where it leads. Remove the link, or choose another destination.",
            )
        if entry.kind == "h":
            _check_source(os.path.normpath(entry.source), destination, wanted)


def _check_source(source: str, destination: str, wanted: Collection[str]) -> None:
    """Refuse to link to a file that is reached through a symbolic link at the destination. borg removes a link in the place
    of the file itself, where that is extracted too."""
    places = [destination]
    for part in (os.path.dirname(source) if source in wanted else source).split("/"):
        places = [os.path.join(place, name) for place in places for name in _names(place, part)]
        link = next(filter(os.path.islink, places), None)
        if link is not None:
            raise Failure(
                "unsafe",
                f"{printable(link)} is a symbolic link, and the archive holds a further name of {source!r}: extracting would"
                " link to what is there. Remove the link, or choose another destination.",
            )


def _names(directory: str, shown: str) -> list[str]:
    """The names in a directory that borg may mean: in the sources of links each byte that is not UTF-8 is a ``?``."""
    if "?" not in shown:
        return [shown]
    try:
        return [name for name in os.listdir(directory) if as_source(name) == shown]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise Failure(
            "permission",
            f"{printable(directory)} may not be listed by this user, so nothing proves that no link there leads elsewhere. Restore as"
            " root, or leave it out with exclude.",
        ) from error


def parents(path: str) -> Iterator[str]:
    """The directories above a path, from the top."""
    position = path.find("/")
    while position >= 0:
        yield path[:position]
        position = path.find("/", position + 1)


def _above(matches: Callable[[str], bool]) -> Callable[[str], Optional[str]]:
    """What finds the first directory above a path that matches; all files of a directory share the answer."""
    known: dict[str, Optional[str]] = {}

    def first(path: str) -> Optional[str]:
        directory = path[: path.rfind("/") + 1]
        if directory not in known:
            known[directory] = next(filter(matches, parents(directory)), None)
        return known[directory]

    return first
