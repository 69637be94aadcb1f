# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reclaiming the space of what was deleted, which makes each deletion final."""

from __future__ import annotations

import contextlib
import datetime
import inspect
import os
import re
import shlex
import sys
import tempfile
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils import _compaction_guard as guard
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC, Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import Description, describe
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository_settings import read_settings
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

#: How far the clocks of two machines may differ, in seconds.
_CLOCK_TOLERANCE = 60
_FREED = r"\A(?:Remote: )?compaction freed about (-?[\d.]+) (\w*)B repository space"
_FACTORS = {prefix: 1000**power for power, prefix in enumerate(("", "k", "M", "G", "T", "P", "E", "Z", "Y"))}
#: The id of the list of archives. Source: `borg.helpers.manifest.Manifest.MANIFEST_ID`, 1.2.9 and 1.4.5.
_MANIFEST = "0" * 64
#: What surrounds an object in a segment, and the commits of one compaction.
_OVERHEAD = 80


class Known(NamedTuple):
    """An archive that somebody remembers."""

    name: str
    id: str


def read_known(entries: Sequence[Mapping[str, Any]], parameter: str) -> list[Known]:
    """Archives as this collection's modules return them.

    :param parameter: its name in messages.
    :raises Failure: ``invalid_argument``.
    """
    known = []
    for entry in entries:
        name, identity = entry.get("name"), entry.get("id")
        if not isinstance(name, str) or not isinstance(identity, str) or not re.match(r"[0-9a-f]{64}\Z", identity):
            raise Failure(
                "invalid_argument",
                f"{parameter}: {dict(entry)!r} is no archive with its name and id; give what borg_compact, borg_archive_info and"
                " borg_prune return, for example {{ inventory.archives }}.",
            )
        known.append(Known(name, identity))
    return known


def inventory(borg: Borg, known: Sequence[Known], removed: Sequence[Known]) -> tuple[Archive, ...]:
    """The finished archives that are there, if none is gone that should not be. It takes no lock and touches nothing.

    :param known: those of the last inventory.
    :param removed: those that were removed on purpose since then.
    :raises Failure: ``unsafe``, ``append_only``, and every other word that opening may meet.
    """
    description = describe(borg, "--consider-checkpoints")
    _check_known(borg, description, known, removed)
    _check_clock(borg, description)
    if borg.repository.is_local and read_settings(borg).append_only:
        raise Failure(
            "append_only",
            f"{borg.repository} is append-only, so no space can be reclaimed. Make sure that every deletion in it was meant, and"
            " take that setting away for this time with borg_repository.",
        )
    return tuple(archive for archive in description.archives if not archive.is_checkpoint)


def compact(borg: Borg, threshold: Optional[int], judged: bytes) -> tuple[int, bool]:
    """Reclaim space.

    borg writes a new list of archives each time, and reclaims the space of the one before. That much is always freed.

    :param threshold: only segments of which more than this many percent can be freed; None: borg's own 10.
    :param judged: the :func:`manifest` from before the archives were looked at. On another host nothing is done where it is another one by
        now; here it could be anything, for whoever may write here can do worse.
    :returns: the bytes freed, by borg's own words, and whether they are more than what the run itself cost.
    :raises Failure: ``append_only``: the server lets nothing be reclaimed, and borg does not say so; ``unsafe``; ``locked`` …
    """
    cost = len(judged) + _OVERHEAD
    options = [f"--threshold={threshold}"] if threshold is not None else []
    with _guarded(borg, judged) as session:
        outcome = borg.run("compact", *options, common=("--info",), environment=session.environment)
        log = session.log() or outcome.log
    said = [match for message in log.messages for match in [re.match(_FREED, message.text)] if match]
    if not said:
        raise Failure(
            "append_only",
            f"{borg.repository}: borg reclaimed nothing and did not say why: the server allows this key only to append. Compact it"
            " on the server, or with a key that may do more, once it is certain that every deletion in it was meant.",
            rc=outcome.rc,
            stderr=outcome.log.for_humans(),
        )
    freed = max(0, round(float(said[-1].group(1)) * _FACTORS[said[-1].group(2)]))
    return freed, freed > 1.4 * cost


def _check_known(borg: Borg, description: Description, known: Sequence[Known], removed: Sequence[Known]) -> None:
    present = {archive.id for archive in description.archives} | {archive.id for archive in removed}
    missing = [archive.name for archive in known if archive.id not in present]
    if missing:
        raise Failure(
            "unsafe",
            f"{borg.repository}: {len(missing)} archives that were known are gone, and nobody says that they were removed on"
            f" purpose: {_some(missing)}. Compacting would make that final; nothing was changed. Find out who removed them. As long"
            " as nothing is compacted, an append-only repository can be rolled back to the transaction before. If it was meant, give"
            " them as removed_archives.",
            missing_archives=missing,
        )


def _check_clock(borg: Borg, description: Description) -> None:
    latest = datetime.datetime.now(UTC) + datetime.timedelta(seconds=_CLOCK_TOLERANCE)
    future = [archive.name for archive in description.archives if archive.time > latest]
    if future:
        raise Failure(
            "unsafe",
            f"{borg.repository}: {len(future)} archives lie in the future ({_some(future)}): a policy may have preferred them to the"
            " real ones, and compacting would make that final; nothing was changed. Set the clock right, or see that the real ones"
            " are still there and remove these with borg_archive.",
        )


def manifest(borg: Borg) -> bytes:
    """The list of archives as it is stored. No two are the same."""
    with tempfile.TemporaryDirectory(prefix="fleetbackup-") as directory:
        path = os.path.join(directory, "manifest")
        borg.run("debug get-obj", arguments=[_MANIFEST, path])
        with open(path, "rb") as file:
            return file.read()


class _Session(NamedTuple):
    """How borg reaches the repository that it compacts.

    :ivar environment: variables for it.
    :ivar directory: the guard's; None: there is none, since no server stands between.
    """

    environment: dict[str, str]
    directory: Optional[str] = None

    def log(self) -> Optional[Log]:
        """All that the server said, of which borg may have missed the end; None where no server was reached."""
        path = os.path.join(self.directory or "", guard.SAID)
        if self.directory is None or not os.path.exists(path):
            return None
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return Log(file.read())


@contextlib.contextmanager
def _guarded(borg: Borg, judged: bytes) -> Iterator[_Session]:
    """A session in which nothing is committed where the list of archives is another one.

    :raises Failure: ``unsafe`` where it was.
    """
    if borg.repository.is_local:
        yield _Session({})
        return
    with tempfile.TemporaryDirectory(prefix="fleetbackup-") as directory:
        program = os.path.join(directory, "guard.py")
        for path, data in ((program, inspect.getsource(guard).encode()), (os.path.join(directory, guard.MANIFEST), judged)):
            with open(path, "wb") as file:
                file.write(data)
        try:
            yield _Session({"BORG_RSH": f"{shlex.join([sys.executable, '-I', program, directory])} {borg.rsh}"}, directory)
        except Failure as failure:
            if not os.path.exists(os.path.join(directory, guard.REFUSED)):
                raise
            raise Failure(
                "unsafe",
                f"{borg.repository}: somebody changed the list of archives after it was looked at, so nothing was compacted: that could make final"
                " what nobody judged. Try again.",
                retryable=True,
            ) from failure


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
