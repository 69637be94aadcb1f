# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives: their names, what a repository lists of them, and their making and removal."""

from __future__ import annotations

import datetime
import fnmatch
import re
from typing import Any, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import STABLE_PLACEHOLDERS, check_placeholders
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

UTC = datetime.timezone.utc

_MONTH, _DAY, _HOUR, _MINUTE = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])", r"(?:[01]\d|2[0-3])", r"[0-5]\d"
_SECOND = r"[0-6]\d(?:[.,]\d+)?"
_ZONE = r"(?:Z|[+-]\d{2}:?\d{2})?"
#: Only what is complete and plausible is a date: the digits of a host's name are not. Group by group: what stands before
#: the last date, the date, its time, what follows.
_DATED = (
    r"(?s)(.*)(?<!\d)(?:"
    rf"((?:19|20)\d\d([-_.]){_MONTH}\3{_DAY})"
    rf"(?:[T _.@-]+{_HOUR}[-:._h]{_MINUTE}(?:[-:._m]{_SECOND})?{_ZONE}|[T _.@-]{_HOUR}{_MINUTE}{_SECOND}{_ZONE}|T{_HOUR}(?:{_MINUTE})?{_ZONE})?"
    rf"|((?:19|20)\d\d{_MONTH}{_DAY})(?:[T _.@-]?{_HOUR}[-:._h]?{_MINUTE}(?:[-:._m]?{_SECOND})?{_ZONE})?"
    r"|((?:19|20)\d\d-?W[0-5]\d(?:-?[1-7])?)"
    r"|(1\d{9}(?:\.\d+)?)"  # seconds since 1970
    r")(?!\d)(.*)\Z"
)
_SEPARATORS = "-_.:@+ "
#: How a pattern begins whose style Borg 1 does not have.
OTHER_STYLE = r"(re|id|fm|pp|pf|name|aid|host|user|tags):"
_CHECKPOINT = r"\.checkpoint(\.\d+)?\Z"


class Archive(NamedTuple):
    """An archive as its repository lists it."""

    name: str
    id: str
    time: datetime.datetime

    @property
    def finished_name(self) -> str:
        """Its name, without what makes it a checkpoint."""
        return re.sub(_CHECKPOINT, "", self.name)

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is what an interrupted backup left."""
        return re.search(_CHECKPOINT, self.name) is not None

    @property
    def stem(self) -> str:
        """The name up to its last date: most often the name of a machine."""
        return self._parts()[0].rstrip(_SEPARATORS)

    @property
    def tail(self) -> str:
        """What follows the last date and its time."""
        return self._parts()[2]

    @property
    def series(self) -> str:
        """The name without its last date: what the archives of one machine and one configuration share."""
        before, date, after = self._parts()
        stem = before.rstrip(_SEPARATORS)
        return f"{stem}\u2026{after}" if date and after else stem

    @property
    def series_filter(self) -> str:
        """A filter that matches the archives of its series and of no neighbour."""
        before, date, after = self._parts()
        dates = re.sub(r"\d", "?", date) + "*" if date else ""
        return escape_pattern(before) + dates + escape_pattern(after)

    def _parts(self) -> tuple[str, str, str]:
        """What stands before the last date, that date, and what follows its time."""
        dated = re.match(_DATED, self.finished_name)
        if dated is None:
            return self.finished_name, "", ""
        return dated.group(1), next(filter(None, dated.group(2, 4, 5, 6))), dated.group(7)

    def as_result(self) -> dict[str, Any]:
        """For a module's return value."""
        return {"name": self.name, "id": self.id, "time": self.time.isoformat()}


def read_archive(entry: dict[str, Any]) -> Archive:
    """One element of the list that ``borg list --json`` prints under TZ=UTC; its times bear no zone."""
    return Archive(entry["name"], entry["id"], parse_time(entry["start"]))


def parse_time(text: str) -> datetime.datetime:
    """A time of Borg 1 that was printed under TZ=UTC."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


def newest(archives: Sequence[Archive]) -> Optional[dict[str, Any]]:
    """The newest of some archives with its age, for a module's return value."""
    if not archives:
        return None
    last = max(archives, key=lambda archive: archive.time)
    age = datetime.datetime.now(UTC) - last.time
    return {**last.as_result(), "age_seconds": int(age.total_seconds())}


def check_name(name: str, parameter: str = "name") -> None:
    """Refuse names that borg would refuse, expand or hide.

    :raises Failure: ``invalid_argument``.
    """
    for bad, reason in (
        (not name.strip(), "is empty"),
        (name != name.strip(), "begins or ends with white space"),
        (any(ord(character) < 32 or ord(character) == 127 for character in name), "holds a control character"),
        ("/" in name or "::" in name, "holds '/' or '::', which end an archive's name"),
        ("{" in name or "}" in name, "holds a brace, which borg would take for a placeholder"),
        (name.startswith("-"), "begins with '-'"),
        (bool(re.search(_CHECKPOINT, name)), "ends like borg's own checkpoints, which it hides"),
        (len(name) > 255, "is longer than 255 characters"),
    ):
        if bad:
            raise Failure(
                "invalid_argument",
                f"{parameter}: {name[:300]!r} {reason}; write it with Ansible's own variables, for example"
                " \"{{ inventory_hostname }}-{{ now(fmt='%Y-%m-%d') }}\".",
            )


def check_filter(text: str, parameter: str = "match_archives") -> str:
    """The shell-style pattern of a filter, as borg 1 takes it.

    :raises Failure: ``invalid_argument``: empty, a style that Borg 1 has not, an unknown placeholder.
    """
    pattern = text[len("sh:") :] if text.startswith("sh:") else text
    style = re.match(OTHER_STYLE, pattern)

    def reject(reason: str) -> Any:
        raise Failure(
            "invalid_argument", f"{parameter}: {text!r} {reason}; for example 'web1-*' or '{{hostname}}-2*'."
        )

    if not pattern.strip():
        reject("is empty")
    if style:
        reject(f"has the style {style.group(0)!r}, which Borg 1 does not know: it takes shell-style patterns")
    if any(ord(character) < 32 for character in text):
        reject("holds a control character")
    check_placeholders(text, reject, STABLE_PLACEHOLDERS)
    return pattern


def escape_pattern(name: str) -> str:
    """A pattern that matches this name alone."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def matches(name: str, pattern: str) -> bool:
    """Whether a filter takes in an archive of this name. No name holds a slash, so that borg's patterns are Python's."""
    return fnmatch.fnmatchcase(name, pattern)


def delete(borg: Borg, name: str) -> None:
    """Remove an archive. Its space is freed by compacting.

    :raises Failure: ``archive_absent``: 1.2 calls the removal of a missing archive a success.
    """
    outcome = borg.run("delete", archive=name)
    missing = [text for text in outcome.log.warnings() if "not found" in text]
    if missing:
        raise Failure("archive_absent", f"{borg.repository}: {missing[0]}", rc=outcome.rc)
