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

FSTAB = "/etc/fstab"
#: What is mounted, as the kernel has it for this process.
MOUNTS = "/proc/self/mounts"


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
        lines = [line for path in self.patterns_from for line in _lines(path)]
        return [*self.named_roots(), *_roots_among(lines)]

    def named_roots(self) -> list[str]:
        """Those that need no look into a file."""
        return [*self.paths, *_roots_among(self.patterns)]

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


def check_spelling(sources: Sources) -> None:
    """Refuse what could never be a source, without a look at the file system.

    :raises Failure: ``invalid_argument``.
    """
    for path in sources.paths:
        if not path.startswith("/") or "\0" in path:
            raise Failure("invalid_argument", f"paths: {path!r} is no absolute path; for example '/etc'.")
    for pattern in sources.patterns:
        if not re.match(r"[RrPp+!-]\s*\S", pattern):
            raise Failure(
                "invalid_argument", f"patterns: {pattern!r} does not begin with R, P, +, - or !; e.g. '- /home/*/.cache'."
            )
    if sources.named_roots() or not sources.patterns_from:
        _check_roots(sources.named_roots())


def check_sources(sources: Sources) -> None:
    """Refuse to make an archive of nothing, before borg starts.

    :raises Failure: ``source_missing``; ``invalid_argument`` and ``permission`` for files of patterns.
    """
    for name in ("patterns_from", "exclude_from"):
        for path in getattr(sources, name):
            _check_existence(path)
            if not os.path.isfile(path):  # borg would wait for ever for what writes to a FIFO
                raise Failure("invalid_argument", f"{name}: {path} is no regular file; name a file of patterns.")
    roots = sources.roots()
    _check_roots(roots)
    missing = sorted(_unmounted())
    for path in roots:
        _check_existence(path)
        for point in missing:
            if os.path.commonpath([point, os.path.realpath(path)]) == point:
                raise Failure(
                    "source_missing",
                    f"{path}: {point} is a mount point of {FSTAB}, and nothing is mounted there. Mount it, or take it out of"
                    " the sources.",
                )
    if all(_is_empty_directory(path) for path in roots):
        raise Failure(
            "source_missing",
            f"{', '.join(roots)}: nothing but empty directories, perhaps disks that are not mounted. An archive of"
            " nothing would look like a backup.",
        )


def _check_roots(roots: Sequence[str]) -> None:
    if not roots:
        raise Failure("invalid_argument", "paths: is empty, and no pattern names a root; give at least one, e.g. '/etc'.")
    for path in roots:
        if not path.startswith("/"):
            raise Failure("invalid_argument", f"patterns: the root {path!r} is no absolute path; for example 'R /etc'.")


def _roots_among(patterns: Sequence[str]) -> list[str]:
    return [pattern[1:].strip() for pattern in patterns if pattern[:1] in ("R", "r")]


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return [line.strip() for line in file]
    except OSError as error:
        word = "permission" if isinstance(error, PermissionError) else "invalid_argument"
        raise Failure(word, f"patterns_from: {path} cannot be read ({error.strerror}); name a file of patterns.") from error


def _check_existence(path: str) -> None:
    if not os.path.lexists(path):
        raise Failure("source_missing", f"{path} does not exist. Mount or create it, or take it out of the sources.")


def _unmounted() -> set[str]:
    """The mount points of /etc/fstab at which nothing is mounted."""
    mounted = _mount_points(MOUNTS)
    return _mount_points(FSTAB) - mounted if mounted else set()


def _mount_points(table: str) -> set[str]:
    """The second column of a table as fstab(5) describes it; none where there is no table."""
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as file:
            rows = [line.split() for line in file if not line.lstrip().startswith("#")]
    except OSError:
        return set()
    names = [re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), row[1]) for row in rows if len(row) > 2]
    return {os.path.realpath(name) for name in names if name.startswith("/")}


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
