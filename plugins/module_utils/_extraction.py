# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of an archive at a destination: what is missing or differs there, and the extraction of just that."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import threading
import time
from typing import Any, Collection, Iterator, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._comparison import Comparison
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry, as_source, exactly, printable, read_contents
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._hard_links import HardLinks
from ansible_collections.fleetbackup.borg.plugins.module_utils._interruption import NOTE, Begun, Note, changed_since, is_note
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg
from ansible_collections.fleetbackup.borg.plugins.module_utils._ways_out import check_links, check_paths, parents

#: What may happen to what stands at the destination and is not what was archived.
OVERWRITE = ("never", "changed", "always")
#: How often the note at the destination is written anew, in seconds.
PROGRESS_SECONDS = 10.0
#: The ``reason`` of a failure because another run restores to the same destination.
RESTORING = "restoring"


class Wanted(NamedTuple):
    """What is extracted, and how.

    :ivar paths: only these and what lies below them.
    :ivar patterns: borg's patterns, each with its ``+`` or ``-``.
    :ivar exclude: borg's exclude patterns.
    :ivar strip_components: how many leading parts of each path are left out.
    :ivar numeric_ids: restore owners by number.
    :ivar sparse: make holes of zeros.
    """

    paths: Sequence[str] = ()
    patterns: Sequence[str] = ()
    exclude: Sequence[str] = ()
    strip_components: int = 0
    numeric_ids: bool = False
    sparse: bool = False

    @property
    def choice(self) -> dict[str, Any]:
        """What chooses entries, and their places at the destination."""
        return {name: getattr(self, name) for name in ("paths", "patterns", "exclude", "strip_components")}

    def selection(self) -> list[str]:
        """The options that choose entries, beside the paths."""
        return [*(f"--pattern={pattern}" for pattern in self.patterns), *(f"--exclude={pattern}" for pattern in self.exclude)]

    def manner(self) -> list[str]:
        """The options that say how to write them."""
        strip = [f"--strip-components={self.strip_components}"] if self.strip_components else []
        return strip + (["--numeric-ids"] if self.numeric_ids else []) + (["--sparse"] if self.sparse else [])


class Plan(NamedTuple):
    """What an extraction will write.

    :ivar entries: all entries that are wanted, by their places below the destination.
    :ivar outstanding: those that will be extracted.
    :ivar overwritten: those of them in whose place something else stands, which is lost then.
    :ivar kept: those in whose place something else stands, which stays.
    :ivar whole: whether that is all that was chosen of the archive.
    """

    entries: Sequence[Entry]
    outstanding: Sequence[Entry]
    overwritten: Sequence[Entry] = ()
    kept: Sequence[Entry] = ()
    whole: bool = True


def mark_damaged(borg: Borg, archive: Archive, entries: list[Entry]) -> list[Entry]:
    """The entries, with the further names of damaged files as damaged: borg tells that of their first names alone.

    :param entries: as they are listed.
    """
    sources = {entry.source for entry in entries if entry.kind == "h"}
    if not sources:
        return entries
    damaged = {as_source(entry.path): entry.damaged for entry in entries}
    if not sources <= damaged.keys():
        damaged = {as_source(entry.path): entry.damaged for entry in read_contents(borg, archive.name)}
    return [entry._replace(damaged=damaged.get(entry.source, False)) if entry.kind == "h" else entry for entry in entries]


def strip(entries: Sequence[Entry], count: int) -> tuple[list[Entry], dict[str, str]]:
    """Leave out leading parts of all paths, and what has no more of them than that, as borg does.

    :returns: the entries by their new paths, and the archived path of each that has another one.
    :raises Failure: ``invalid_argument``: two of them would come to the same place.
    """
    if not count:
        return list(entries), {}
    stripped = []
    origins: dict[str, str] = {}
    for entry in entries:
        path = _without_components(entry.path, count)
        if not path:
            continue
        if path in origins:
            raise Failure(
                "invalid_argument",
                f"strip_components: with {count}, {printable(origins[path])!r} and {printable(entry.path)!r} would come to the same"
                " place. Give a smaller number, or choose one of them with paths.",
            )
        origins[path] = entry.path
        source = _without_components(entry.source, count) if entry.kind == "h" else entry.source
        stripped.append(entry._replace(path=path, source=source))
    return stripped, origins


def make_plan(entries: Sequence[Entry], destination: str, *, numeric_ids: bool, overwrite: str = "changed") -> Plan:
    """Compare the destination with the archive. Contents are compared where the entries bear hashes. The note of an extraction that was
    archived itself is not wanted.

    :param overwrite: one of :data:`OVERWRITE`.
    :raises Failure: ``unsafe``: borg would write outside of the destination, or link to a file there.
    """
    check_paths(entries)
    chosen, entries = entries, [entry for entry in entries if not is_note(entry.path)]
    plan = Plan(entries, entries, whole=len(entries) == len(chosen))
    if _is_empty(destination):
        return plan
    check_links(entries, destination)
    present = Comparison(destination, entries, numeric_ids)
    differing = {entry.path for entry in entries if present.differs(entry)}
    displaced = [entry for entry in entries if present.is_displaced(entry) and (overwrite == "always" or entry.path in differing)]
    if overwrite == "never":
        missing = {entry.path for entry in entries if not present.stands(entry)}
        rewritten = HardLinks(entries).joined(entries, missing, {entry.path for entry in displaced})
        return plan._replace(outstanding=[entry for entry in entries if entry.path in rewritten], kept=displaced)
    if overwrite == "always":
        return plan._replace(overwritten=displaced)
    rewritten = HardLinks(entries).joined(entries, differing)
    # writing into a directory changes its time
    touched = {parent for path in rewritten for parent in parents(path)}
    outstanding = [entry for entry in entries if entry.path in rewritten or entry.path in touched]
    return plan._replace(outstanding=outstanding, overwritten=displaced)


def completing(plan: Plan, destination: str, own: Collection[str], begun: Begun, *, numeric_ids: bool) -> Plan:
    """A plan that overwrites nothing, but completes what an interrupted extraction has left by half.

    :param own: the paths of its files.
    """
    present = Comparison(destination, plan.entries, numeric_ids)
    kept = [entry for entry in plan.kept if entry.path not in own]
    rewritten = {entry.path for entry in plan.outstanding} | set(own)
    rewritten = HardLinks(plan.entries).joined(plan.entries, rewritten, {entry.path for entry in kept})
    touched = {parent for path in rewritten for parent in parents(path)}
    rewritten |= {
        entry.path
        for entry in plan.entries
        if entry.kind == "d" and begun.has_made(entry.path) and (entry.path in touched or present.differs(entry))
    }
    return plan._replace(
        outstanding=[entry for entry in plan.entries if entry.path in rewritten],
        overwritten=[entry for entry in plan.kept if entry.path in own],
        kept=kept,
    )


def left_over(plan: Plan, destination: str, *, numeric_ids: bool) -> list[Entry]:
    """Those that were to be extracted and still differ."""
    # a further name of a file that was left alone has become a file of its own
    present = Comparison(destination, plan.outstanding, numeric_ids)
    return [entry for entry in plan.outstanding if present.differs(entry)]


def check_idle(destination: str) -> None:
    """Refuse a destination to which another run restores now.

    :raises Failure: ``locked``.
    """
    with alone(destination):
        pass


@contextlib.contextmanager
def alone(destination: str) -> Iterator[int]:
    """Keep other extractions away from the destination, which is made where it is missing. A killed one leaves no lock.

    :returns: the descriptor of the lock, which lasts as long as any process has it.
    :raises Failure: ``locked``.
    """
    os.makedirs(destination, 0o700, exist_ok=True)
    descriptor = os.open(destination, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failure(
                "locked",
                f"Another run is restoring to {printable(destination)}, or the Borg of one that was killed still is. Nothing was"
                f" extracted. {NOTE} there says how far it is; run again when it has ended.",
                reason=RESTORING,
            ) from error
        yield descriptor
    finally:
        os.close(descriptor)


def extract(
    borg: Borg,
    archive: Archive,
    plan: Plan,
    destination: str,
    wanted: Wanted,
    origins: Mapping[str, str],
    lock: Optional[int] = None,
) -> list[str]:
    """Extract what is outstanding to a destination that exists; the warnings that borg had.

    :param origins: the archived paths of those entries of the plan that have another one.
    :param lock: the descriptor of :func:`alone`: borg goes on when whoever started it is killed, and nobody else may begin until it has ended.
    :raises Failure: ``unsafe``: somebody has put a link in the way meanwhile; and whatever borg may meet.
    """
    note = Note(destination, archive, wanted.choice)
    is_first = not note.exists()
    present = Comparison(destination, plan.entries, wanted.numeric_ids)
    begun = note.begun() or Begun(int(time.time()), _missing_directories(plan, present))
    note.write(begun, 0, len(plan.outstanding))
    ended = threading.Event()
    follower = threading.Thread(target=_follow, args=(plan.outstanding, present, note, begun, ended), daemon=True)
    follower.start()
    try:
        try:
            with tempfile.TemporaryDirectory(prefix="fleetbackup-") as directory:
                options, arguments = _selection(plan, wanted, origins, os.path.join(directory, "patterns"))
                outcome = borg.run(
                    "extract",
                    *options,
                    *wanted.manner(),
                    archive=archive.name,
                    arguments=["--", *arguments],
                    cwd=destination,
                    shared=() if lock is None else (lock,),
                )
        finally:
            ended.set()
            follower.join()
    except Exception:
        # Where nothing was extracted, nothing is to be completed, and the next run may want a newer archive. The note itself has changed the
        # destination.
        written = [entry for entry in plan.outstanding if os.path.normpath(entry.path) != "."]
        if is_first and not changed_since(written, destination, begun.moment):
            note.remove()
        raise
    try:
        check_links(plan.entries, destination)
    except Failure as failure:
        if failure.error != "unsafe":
            raise
        raise Failure(
            "unsafe", f"{failure.msg} It was not there when this began, so see what was written where it leads."
        ) from failure
    return outcome.log.warnings()


def _selection(plan: Plan, wanted: Wanted, origins: Mapping[str, str], path: str) -> tuple[list[str], list[str]]:
    """The options and arguments that make borg extract just what is outstanding.

    :param path: where a file with patterns may be made.
    """
    if plan.whole and len(plan.outstanding) == len(plan.entries):
        return wanted.selection(), list(wanted.paths)
    return [exactly([origins.get(entry.path, entry.path) for entry in plan.outstanding], path)], []


def _missing_directories(plan: Plan, present: Comparison) -> tuple[str, ...]:
    """Those that an extraction will make, without those below them."""
    missing: dict[str, None] = {}
    for entry in plan.outstanding:
        if entry.kind == "d" and not any(parent in missing for parent in parents(entry.path)) and not present.stands(entry):
            missing[entry.path] = None
    return tuple(missing)


def _follow(entries: Sequence[Entry], present: Comparison, note: Note, begun: Begun, ended: threading.Event) -> None:
    """Tell in the note how far borg is; it goes through an archive in order, and cares for directories in the end."""
    done = 0
    while not ended.wait(PROGRESS_SECONDS):
        end = len(entries)
        while done < end:
            middle = (done + end) // 2
            if present.is_done(entries[middle]):
                done = middle + 1
            else:
                end = middle
        with contextlib.suppress(OSError):  # borg itself will say what is wrong
            note.write(begun, done, len(entries))


def _without_components(path: str, count: int) -> str:
    return "/".join(path.split("/")[count:])


def _is_empty(destination: str) -> bool:
    try:
        with os.scandir(destination) as found:
            return next(found, None) is None
    except FileNotFoundError:
        return True
    except PermissionError:  # entering it may be allowed all the same
        return False
