# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive holds."""

from __future__ import annotations

import datetime
import itertools
import os
import sys
from typing import Any, Iterator, NamedTuple, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

#: Text with NUL between, not JSON: there borg replaces the bytes of names that are not UTF-8.
_FIELDS = ("mode", "uid", "gid", "user", "group", "size", "isomtime", "source", "health", "bpath")
_EPOCH = datetime.datetime(1970, 1, 1)
#: How many characters of a listing are taken apart at a time: all at once would take several times the memory of the entries.
_PIECE = 1 << 20
#: How deep the groups of a regular expression may be nested: whoever names the files must not bring Python to its limit of recursion.
_LEVELS = 100


class Entry(NamedTuple):
    """One file, directory, link … of an archive.

    :ivar path: without a leading slash; bytes that are not UTF-8 as surrogates.
    :ivar mode: as ``stat.filemode`` has it, but ``h`` in front for the further names of a file.
    :ivar mtime: microseconds since the epoch; borg lists no finer.
    :ivar source: where a symbolic link leads, or the first name of a hard link's file; bytes that are not UTF-8 are ``?``.
    :ivar sha256: of the content, where it was asked for.
    :ivar damaged: whether it holds zeros where a repair of the repository found no data.
    """

    path: str
    mode: str
    uid: int
    gid: int
    user: str
    group: str
    size: int
    mtime: int
    source: str
    sha256: str
    damaged: bool = False

    @property
    def kind(self) -> str:
        """The first letter of the mode."""
        return self.mode[0]

    def as_result(self) -> dict[str, Any]:
        """For a module's return value."""
        return {
            "path": printable(self.path),
            "type": self.kind,
            "mode": self.mode,
            "user": self.user,
            "group": self.group,
            "size": self.size,
            "mtime": (_EPOCH + datetime.timedelta(microseconds=self.mtime)).isoformat() + "+00:00",
            "target": self.source or None,
        }


def read_contents(
    borg: Borg,
    archive: str,
    paths: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    patterns: Sequence[str] = (),
    hashes: bool = False,
) -> list[Entry]:
    """List an archive; it needs no lock and touches nothing.

    :param paths: only these and what lies below them.
    :param exclude: borg's exclude patterns.
    :param patterns: borg's patterns, each with its ``+`` or ``-``.
    :param hashes: hash the contents too, which reads all data.
    :raises Failure: ``archive_absent``, ``integrity``, ``source_missing`` (a path that is not in the archive) …
    """
    names = [*_FIELDS, "sha256"] if hashes else list(_FIELDS)
    template = "".join(f"{{{name}}}{{NUL}}" for name in names)
    options = [f"--format={template}", *(f"--pattern={pattern}" for pattern in patterns)]
    options += [f"--exclude={pattern}" for pattern in exclude]
    outcome = borg.read(
        "list", *options, archive=archive, arguments=["--", *paths], timeout=borg.timeout, escaped=True
    )
    entries = [_entry(*fields) for fields in _records(outcome.stdout, len(names))]
    for path in paths:
        wanted = path.strip("/")
        if not any(entry.path == wanted or entry.path.startswith(wanted + "/") for entry in entries):
            raise Failure(
                "source_missing",
                f"{borg.repository}::{archive} holds no path {path!r}. Paths in archives have no leading slash; list them"
                " with borg_archive_info and contents: true.",
            )
    return entries


def exactly(names: Sequence[str], path: str) -> str:
    """The option that makes borg take just these entries.

    :param path: where a file with patterns may be made: arguments have a limit. borg finds any number of full paths at once, but reads
        them as lines of UTF-8, strips these of white space, and takes a path to be as short as it can be. All others are found by
        one regular expression. Source: `borg.patterns` and `borg.helpers.misc.clean_lines`, 1.2.9 and 1.4.5.
    """
    plain = {name for name in names if name == os.path.normpath(printable(name)).strip() and len(name.splitlines()) == 1}
    others = sorted({*names} - plain)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"+ pf:{name}\n" for name in names if name in plain)
        if others:
            file.write(f"+ re:\\A{_alternatives(others, _LEVELS)}\\Z\n")
        # without paths borg extracts what no pattern is about
        file.write("- re:.*\n")
    return f"--patterns-from={path}"


def _alternatives(names: Sequence[str], levels: int) -> str:
    """A regular expression for sorted names that looks at each letter of a path once, however many names there are."""
    if len(names) == 1:
        return _escaped(names[0])
    if not levels:
        return f"(?:{'|'.join(map(_escaped, names))})"
    common = len(os.path.commonprefix([names[0], names[-1]]))
    groups = itertools.groupby((name[common:] for name in names), lambda rest: rest[:1])
    branches = "|".join(_alternatives(list(group), levels - 1) for _letter, group in groups)
    return f"{_escaped(names[0][:common])}(?:{branches})"


def _escaped(text: str) -> str:
    """Text for a regular expression in one line of ASCII."""
    return "".join(letter if letter.isascii() and letter.isalnum() or letter in "/_" else f"\\U{ord(letter):08x}" for letter in text)


def as_source(path: str) -> str:
    """A path as borg spells it where it is the source of a link."""
    return path.encode("utf-8", "replace").decode()


def printable(text: str) -> str:
    """Text for a result, which is JSON: bytes that are not UTF-8 become escapes."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _records(text: str, width: int) -> Iterator[list[str]]:
    """The fields of each entry; a NUL stands behind every field."""
    rest = ""
    for start in range(0, len(text), _PIECE):
        parts = (rest + text[start : start + _PIECE]).split("\0")
        end = (len(parts) - 1) // width * width
        for first in range(0, end, width):
            yield parts[first : first + width]
        rest = "\0".join(parts[end:])


def _entry(
    mode: str, uid: str, gid: str, user: str, group: str, size: str, mtime: str, source: str, health: str, path: str, sha256: str = ""
) -> Entry:
    # few of the first words differ between entries
    mode, user, group = sys.intern(mode), sys.intern(user), sys.intern(group)
    return Entry(path, mode, int(uid), int(gid), user, group, int(size), _microseconds(mtime), source, sha256, health == "broken")


def _microseconds(text: str) -> int:
    return (datetime.datetime.fromisoformat(text) - _EPOCH) // datetime.timedelta(microseconds=1)
