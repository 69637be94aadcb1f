# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore drill takes, by chance: an archive, and files of it."""

from __future__ import annotations

import datetime
import os
import random
import re
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC, Archive, check_filter, escape_pattern
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry, printable, read_contents
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._prune_rules import Policy
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import describe
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

DEFAULT_WITHIN = "30d"
DEFAULT_SAMPLE = 20
DEFAULT_SAMPLE_BYTES = 100_000_000
#: How much of a list is told.
SHOWN = 1000

_INTERVAL = r"(?:[1-9]\d{0,3}[Hdwm]|[1-9]\d?y)\Z"


class Request(NamedTuple):
    """What a drill is about.

    :ivar seed: decides what chance decides.
    :ivar match: only archives whose names match this pattern; None: all.
    :ivar within: an archive that is not older than this, as borg writes intervals; where there is none, the newest.
    :ivar full: all of the archive, no sample.
    :ivar sample: how many files at most.
    :ivar sample_bytes: how large they may be together.
    :ivar witness: the absolute path of a file that every archive holds which was made since that file was.
    """

    seed: str
    match: Optional[str] = None
    within: str = DEFAULT_WITHIN
    full: bool = False
    sample: int = DEFAULT_SAMPLE
    sample_bytes: int = DEFAULT_SAMPLE_BYTES
    witness: Optional[str] = None


class Pick(NamedTuple):
    """What chance has picked.

    :ivar seed: what decided.
    :ivar host: the machine that made the archive.
    :ivar entries: all that the archive holds.
    :ivar chosen: what of it is restored.
    """

    seed: str
    archive: Archive
    host: str
    entries: Sequence[Entry]
    chosen: Sequence[Entry]

    @property
    def files(self) -> int:
        """How many of them are files."""
        return sum(entry.kind in "-h" for entry in self.chosen)

    @property
    def size(self) -> int:
        """How large their contents are, in bytes."""
        return sum(self.sizes)

    @property
    def sizes(self) -> list[int]:
        """How large each is that is more than a further name of a file."""
        return [entry.size if entry.kind == "-" else 0 for entry in self.chosen if entry.kind != "h"]

    def as_result(self) -> dict[str, Any]:
        """For a module's return value."""
        return {
            "seed": self.seed,
            "archive": self.archive.as_result(),
            "files": self.files,
            "bytes": self.size,
            "paths": [printable(entry.path) for entry in self.chosen[:SHOWN]],
            "truncated": len(self.chosen) > SHOWN,
        }


def read_request(parameters: Mapping[str, Any]) -> Request:
    """The request of a module's parameters.

    :raises Failure: ``invalid_argument``.
    """
    match, within, witness = (parameters[name] for name in ("match_archives", "within", "witness"))
    if not re.match(_INTERVAL, within):
        raise Failure(
            "invalid_argument", f"within: {within!r} is no interval; give a number and H, d, w, m or y, for example '30d'."
        )
    for name, example in (("sample", 20), ("sample_bytes", DEFAULT_SAMPLE_BYTES)):
        if parameters[name] < 1:
            raise Failure("invalid_argument", f"{name}: {parameters[name]} is less than 1; for example {example}.")
    if witness is not None and (not witness.startswith("/") or ".." in witness.split("/")):
        raise Failure("invalid_argument", f"witness: {witness!r} is no absolute path; for example /srv/.witness.")
    return Request(
        parameters["seed"] or f"{random.SystemRandom().getrandbits(64):016x}",
        None if match is None else check_filter(match),
        within,
        parameters["full"],
        parameters["sample"],
        parameters["sample_bytes"],
        None if witness is None else os.path.normpath(witness),
    )


def pick(borg: Borg, request: Request) -> Pick:
    """Let chance pick. It needs no lock and touches nothing.

    :raises Failure: ``archive_absent``; ``integrity`` where the archive can't be listed; what opening a repository may meet.
    """
    chance = random.Random(request.seed)
    archive = _archive(borg, request, chance)
    try:
        entries = read_contents(borg, archive.name)
    except Failure as failure:
        failure.details["archive"] = archive.as_result()
        raise
    chosen = entries if request.full else _sample(entries, request, chance)
    return Pick(request.seed, archive, _host(borg, archive), entries, chosen)


def inside(path: str) -> str:
    """What a path of this machine is called in an archive."""
    return path.lstrip("/")


def _archive(borg: Borg, request: Request, chance: random.Random) -> Archive:
    filters = [] if request.match is None else [f"--glob-archives={request.match}"]
    archives = describe(borg, *filters).archives
    if not archives:
        matching = "" if request.match is None else f" that matches {request.match!r}"
        raise Failure(
            "archive_absent",
            f"{borg.repository} holds no archive{matching}, so there is nothing that could be restored. See why no backup was made.",
        )
    since = Policy({}, request.within).since(datetime.datetime.now(UTC))
    young = [archive for archive in archives if since is not None and archive.time > since]
    return chance.choice(young or archives[-1:])


def _host(borg: Borg, archive: Archive) -> str:
    name = escape_pattern(archive.name)
    (listed,) = borg.read("list", "--json", "--format={hostname}", f"--glob-archives={name}").json()["archives"]
    return str(listed["hostname"])


def _sample(entries: Sequence[Entry], request: Request, chance: random.Random) -> list[Entry]:
    """Some files, in the order of the archive: the witness, and others by chance."""
    files = [entry for entry in entries if entry.kind == "-"]
    shuffled = chance.sample(files, len(files))
    wanted = inside(request.witness) if request.witness is not None else None
    shuffled.sort(key=lambda entry: entry.path != wanted)
    chosen: set[str] = set()
    left = request.sample_bytes
    for entry in shuffled:
        if len(chosen) == request.sample:
            break
        if entry.size <= left or entry.path == wanted:
            chosen.add(entry.path)
            left -= entry.size
    if not chosen and files:  # all of them are too large, and something has to be tried
        chosen.add(min(files, key=lambda entry: entry.size).path)
    return [entry for entry in files if entry.path in chosen]
