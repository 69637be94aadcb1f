# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a repository is consistent, as ``borg check`` sees it, and its repair.

borg calls what it found a warning (exit code 1), and a repair that lost data a success (0). So its messages count.
Source: `borg.repository.Repository.check` and `borg.archive.ArchiveChecker`, 1.2.4, 1.2.9, 1.4.0 and 1.4.5.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive, check_filter
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import describe
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

#: What can be checked, and borg's option for it.
PARTS: dict[str, tuple[str, ...]] = {"all": (), "repository": ("--repository-only",), "archives": ("--archives-only",)}

#: What keeps a damaged repository from being listed; the check tells more of it.
_DAMAGE = ("integrity", "broken_init")
#: Errors that only sum up those before them.
_SUMMARY = (
    r"Finished (full|partial) repository check, errors found|Archive consistency check complete, problems found"
    r"|Finished cryptographic data integrity verification"
)
_ANALYSED = r"(?s)Analyzing archive (.*) \(\d+/\d+\)\Z"
#: Without a repair nothing is healed, whatever borg before 1.4.5 says.
_ZEROS = (
    r"(?s)(.*): (?:Previously missing file chunk is still missing"
    r"|(Healed previously missing file chunk!|Missing file chunk would be healed with --repair!)) \("
)
#: borg may miss the end of what a server's log says, so only what was said counts.
_ENDED = "finished segment check"


class Scope(NamedTuple):
    """What of a repository is checked.

    :ivar part: one of :data:`PARTS`.
    :ivar match: only archives whose names match this pattern; None: all.
    :ivar newest: only this many of the newest of them.
    :ivar verify_data: read, decrypt and verify all data.
    :ivar max_duration: seconds after which the next check goes on.
    """

    part: str
    match: Optional[str] = None
    newest: Optional[int] = None
    verify_data: bool = False
    max_duration: Optional[int] = None

    @property
    def filters(self) -> list[str]:
        """The options that choose archives."""
        match = [f"--glob-archives={self.match}"] if self.match is not None else []
        return match + ([f"--last={self.newest}"] if self.newest is not None else [])

    def options(self) -> list[str]:
        """The options of ``borg check``."""
        verify = ["--verify-data"] if self.verify_data else []
        limit = [f"--max-duration={self.max_duration}"] if self.max_duration is not None else []
        return [*PARTS[self.part], *self.filters, *verify, *limit]


class Findings(NamedTuple):
    """What one run of ``borg check`` found.

    :ivar problems: in borg's words.
    :ivar damaged: files that hold zeros since a repair found no data for them, as ``archive: path``.
    :ivar healable: whether a newer backup brought such data back, so that another repair restores them.
    :ivar analysed: the names of the archives that were looked through.
    :ivar complete: whether the check got to its end.
    """

    problems: list[str]
    damaged: list[str]
    healable: bool
    analysed: list[str]
    complete: bool
    warnings: list[str]


def read_scope(parameters: Mapping[str, Any]) -> Scope:
    """The scope of a module's parameters.

    :raises Failure: ``invalid_argument``: what borg cannot combine, or no number.
    """
    part, match, newest, limit = (parameters[name] for name in ("part", "match_archives", "newest", "max_duration"))
    for name, number, example in (("newest", newest, 3), ("max_duration", limit, 3600)):
        if number is not None and number < 1:
            raise Failure("invalid_argument", f"{name}: {number} is less than 1; for example {example}.")
    if part == "repository":
        for name in ("match_archives", "newest", "verify_data"):
            if parameters[name]:
                raise Failure(
                    "invalid_argument", f"{name}: is about archives, which part: repository leaves out; say part: archives."
                )
    elif limit is not None:
        raise Failure("invalid_argument", "max_duration: goes with part: repository only, since the rest needs all of it.")
    if limit is not None and parameters["repair"]:
        raise Failure("invalid_argument", "max_duration: excludes repair: true: a repair needs a check of everything.")
    return Scope(part, None if match is None else check_filter(match), newest, parameters["verify_data"], limit)


def listed_archives(borg: Borg, scope: Scope) -> Optional[tuple[Archive, ...]]:
    """The archives that a check will be about, which proves that the repository opens and is the one seen last.

    :returns: None where it is too damaged to be listed.
    :raises Failure: ``archive_absent`` where a check would look at nothing, and every other word that opening may meet.
    """
    try:
        archives = describe(borg, *scope.filters).archives
    except Failure as failure:
        if failure.error in _DAMAGE:
            return None
        raise
    if scope.match is not None and not archives:
        raise Failure(
            "archive_absent",
            f"{borg.repository} holds no archive that matches {scope.match!r}, so nothing would be checked. List what there is"
            " with borg_archive_info.",
        )
    return archives


def look(borg: Borg, scope: Scope) -> Findings:
    """Check, and change nothing.

    :raises Failure: where borg could not check at all.
    """
    return _findings(scope, _run(borg, scope))


def repair(borg: Borg, scope: Scope) -> Findings:
    """Have borg drop or replace what is damaged; what it found while it did.

    :raises Failure: ``append_only`` …
    """
    return _findings(scope, _run(borg, scope, "--repair", environment={"BORG_CHECK_I_KNOW_WHAT_I_AM_DOING": "YES"}))


def _run(borg: Borg, scope: Scope, *options: str, **how: Any) -> Outcome:
    return borg.run("check", *scope.options(), *options, common=("--info",), **how)


def _findings(scope: Scope, outcome: Outcome) -> Findings:
    said = [(message.level, re.sub(r"\ARemote: ", "", message.text)) for message in outcome.log.messages]
    errors = [text for level, text in said if level in ("ERROR", "CRITICAL")]
    problems = [text for text in errors if not re.match(_SUMMARY, text)]
    if not problems and (errors or outcome.rc):
        problems = errors or [f"borg check ended with exit code {outcome.rc}."]
    zeros = [match for _level, text in said for match in [re.match(_ZEROS, text)] if match]
    analysed = [match.group(1) for _level, text in said for match in [re.match(_ANALYSED, text)] if match]
    return Findings(
        problems=_unique(problems),
        damaged=_unique([match.group(1) for match in zeros]),
        healable=any(match.group(2) for match in zeros),
        analysed=analysed,
        complete=scope.max_duration is None or any(text.startswith(_ENDED) for _level, text in said),
        warnings=[text for level, text in said if level == "WARNING"],
    )


def _unique(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(texts))
