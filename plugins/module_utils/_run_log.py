# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says in the journal, without secrets."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import Any, Iterator, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._process import find_program, run

_TIMEOUT = 60.0
#: Enough for the cause, which borgmatic repeats at the end, however much it said before.
_ENTRIES = 200
#: The commands of hooks hold secrets at times, and borgmatic shows them where they fail.
_COMMAND = r"(?s)(Command ['\"])(\S+)( .*)(['\"] returned non-zero exit status)"
_SETTING = (
    r"(?i)((?:pass(?:word|phrase|wd)|token|secret|api[-_]?key|credential)s?[\"']?(?:\s*[=:]\s*|\s+(?=\S*\d)))"
    r"(?!\(hidden\)|BORG_)(?:\"[^\"]*\"|'[^']*'|\S+)"
)
_LOGIN = r"((?:^|\s)(?:-u|--user|--auth)[ =][^\s:]+:)\S+"
_HEADER = r"(?i)(authorization:\s*\w+\s+)\S+"
HIDDEN = "(hidden)"


class Entry(NamedTuple):
    """One entry of the journal.

    :ivar moment: seconds since 1970.
    :ivar fields: all that the journal knows of it.
    """

    moment: float
    text: str
    fields: dict[str, Any]

    @property
    def is_error(self) -> bool:
        """Whether whoever wrote it thought of an error."""
        return str(self.fields.get("PRIORITY", "6")) <= "3"


def entries(*matches: str, since: Optional[float] = None) -> list[Entry]:
    """The last entries of the journal that match; none where there is no journal, or this account may not read it.

    :param matches: as journalctl takes them.
    :param since: seconds since 1970.
    """
    if find_program("journalctl") is None:
        return []
    argv = ["journalctl", "--no-pager", "--quiet", "--output=json", f"--lines={_ENTRIES}"]
    if since is not None:
        argv.append(f"--since=@{since:.6f}")
    return list(_parsed(run([*argv, *matches], timeout=_TIMEOUT).stdout))


def _parsed(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        said = fields.get("MESSAGE")
        if isinstance(said, list):  # what is no UTF-8 comes as numbers
            said = bytes(said).decode("utf-8", "replace")
        if isinstance(said, str):
            yield Entry(int(fields.get("__REALTIME_TIMESTAMP", 0)) / 1e6, said.rstrip(), fields)


class Scrubber:
    """Takes secrets out of a log.

    :param words: the command of the schedule. The values that its configurations hide are known secrets.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._documents: list[dict[str, Any]] = []
        for path in configurations(words):
            document = _document(path)
            if document:
                self._documents.append(document)

    def lines(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Some lines, as others may see them; of a traceback only its last one."""
        if not texts:
            return ()
        from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import without_traceback
        from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_diff import scrub

        text = "\n".join(without_traceback(list(texts)))
        for document in self._documents:
            text = scrub(text, document)
        return tuple(line for line in map(without_likely_secrets, text.split("\n")) if line.strip())


def without_likely_secrets(line: str) -> str:
    """A line without what looks like a secret."""
    from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_diff import without_passwords

    line = re.sub(_COMMAND, _shown_command, without_passwords(line))
    for pattern in (_SETTING, _LOGIN, _HEADER):
        line = re.sub(pattern, rf"\1{HIDDEN}", line)
    return line


def _shown_command(match: re.Match[str]) -> str:
    begin, program, arguments, end = match.groups()
    is_borg = os.path.basename(program).startswith("borg")
    return f"{begin}{program}{arguments if is_borg else ' …'}{end}"


def configurations(words: Sequence[str]) -> list[str]:
    """The configuration files that a command of borgmatic names."""
    return [path for option, path in zip(words, words[1:]) if option == "--config"]


def words_of(command: str) -> list[str]:
    """A command line as its words; none where it can't be read."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _document(path: str) -> dict[str, Any]:
    from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_yaml import read

    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return read(file.read())
    except OSError:  # gone meanwhile
        return {}
