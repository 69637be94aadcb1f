# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into an archive, and its making."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive, delete, parse_time
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg


class Sources(NamedTuple):
    """What goes into an archive. Paths are absolute; patterns are borg's."""

    paths: Sequence[str] = ()
    patterns: Sequence[str] = ()
    patterns_from: Sequence[str] = ()
    exclude: Sequence[str] = ()
    exclude_from: Sequence[str] = ()
    exclude_caches: bool = False
    exclude_if_present: Sequence[str] = ()
    keep_exclude_tags: bool = False
    one_file_system: bool = False
    numeric_ids: bool = False

    def roots(self) -> list[str]:
        """The files and directories at which borg begins, those that patterns name included.

        :raises Failure: ``permission``, ``invalid_argument``: a file of patterns cannot be read.
        """
        lines = [*self.patterns, *(line for path in self.patterns_from for line in _lines(path))]
        return [*self.paths, *(line[1:].strip() for line in lines if line[:1] in ("R", "r"))]

    def options(self) -> list[str]:
        """The options of ``borg create``; the paths are its arguments."""
        options = []
        for flag, values in (
            ("--pattern", self.patterns),
            ("--patterns-from", self.patterns_from),
            ("--exclude", self.exclude),
            ("--exclude-from", self.exclude_from),
            ("--exclude-if-present", self.exclude_if_present),
        ):
            options += [f"{flag}={value}" for value in values]
        for flag, wanted in (
            ("--exclude-caches", self.exclude_caches),
            ("--keep-exclude-tags", self.keep_exclude_tags),
            ("--one-file-system", self.one_file_system),
            ("--numeric-ids", self.numeric_ids),
        ):
            if wanted:
                options.append(flag)
        return options


def check_sources(sources: Sources) -> None:
    """Refuse to make an archive of nothing, before borg starts.

    :raises Failure: ``source_missing``, ``invalid_argument``.
    """
    for path in sources.paths:
        if not path.startswith("/") or "\0" in path:
            raise Failure("invalid_argument", f"paths: {path!r} is no absolute path; for example '/etc'.")
    for pattern in sources.patterns:
        if not re.match(r"[RrPp+!-]\s*\S", pattern):
            raise Failure(
                "invalid_argument", f"patterns: {pattern!r} does not begin with R, P, +, - or !; e.g. '- /home/*/.cache'."
            )
    _check_existence([*sources.patterns_from, *sources.exclude_from])
    roots = sources.roots()
    if not roots:
        raise Failure("invalid_argument", "paths: is empty, and no pattern names a root; give at least one, e.g. '/etc'.")
    for path in roots:
        if not path.startswith("/"):
            raise Failure("invalid_argument", f"patterns: the root {path!r} is no absolute path; for example 'R /etc'.")
    _check_existence(roots)
    if all(_is_empty_directory(path) for path in roots):
        raise Failure(
            "source_missing",
            f"{', '.join(roots)}: nothing but empty directories, perhaps disks that are not mounted. An archive of"
            " nothing would look like a backup.",
        )


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return [line.strip() for line in file]
    except OSError as error:
        word = "permission" if isinstance(error, PermissionError) else "invalid_argument"
        raise Failure(word, f"patterns_from: {path} cannot be read ({error.strerror}); name a file of patterns.") from error


def _check_existence(paths: Sequence[str]) -> None:
    for path in paths:
        if not os.path.lexists(path):
            raise Failure("source_missing", f"{path} does not exist. Mount or create it, or take it out of the sources.")


def _is_empty_directory(path: str) -> bool:
    try:
        return os.path.isdir(path) and not os.path.islink(path) and not os.listdir(path)
    except PermissionError:
        return False


class Created(NamedTuple):
    """What ``borg create`` made."""

    archive: Archive
    stats: dict[str, Any]
    changed_while_read: list[str]
    unreadable: list[str]
    warnings: list[str]


def create(borg: Borg, name: str, sources: Sources, *, compression: Optional[str], comment: Optional[str]) -> Created:
    """Make an archive.

    :raises Failure: ``source_missing`` where a source vanished meanwhile; the archive without it is taken back.
    """
    options = ["--json", "--list", "--filter=CE", *sources.options()]
    if compression:
        options.append(f"--compression={compression}")
    if comment:  # borg expands placeholders here too
        options.append("--comment=" + comment.replace("{", "{{").replace("}", "}}"))
    outcome = borg.run("create", *options, archive=name, arguments=["--", *sources.paths])
    document = outcome.json()
    warnings = outcome.log.warnings()
    missed = [text for text in warnings if "[Errno 2]" in text]
    # borg names a root by its shortest spelling
    names = [os.path.normpath(path) for path in sources.roots()]
    vanished = [name for name in names if any(text.startswith(f"{name}: ") for text in missed)]
    if vanished:
        delete(borg, name)
        raise Failure(
            "source_missing",
            f"{', '.join(vanished)} vanished while it was being backed up; the archive without it was removed again."
            " Mount or create it, or take it out of the sources.",
            rc=outcome.rc,
            stderr=outcome.log.for_humans(),
        )
    archive = document["archive"]
    return Created(
        Archive(name, archive["id"], parse_time(archive["start"])),
        {**archive["stats"], "duration": archive["duration"]},
        [path for letter, path in outcome.log.statuses if letter == "C"],
        [path for letter, path in outcome.log.statuses if letter == "E"],
        warnings,
    )
