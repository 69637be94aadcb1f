# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What borg writes to standard error under ``--log-json``.

It is not pure JSON: usage errors are plain text, a passphrase prompt stands glued in front of the next object on the
same line, and interpreter messages may follow.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, Optional

_ERRORS = ("ERROR", "CRITICAL")
_TRACEBACK = "Traceback (most recent call last):"
#: How borg begins what it passes on from the server.
_REMOTE = "Remote: "


class Message(NamedTuple):
    """One log message."""

    level: str
    text: str
    msgid: Optional[str] = None


class Log:
    """All that one borg command said.

    :ivar messages: its log messages, in order.
    :ivar statuses: (letter, path) of each file that ``--list`` told of.
    :ivar questions: message ids of the questions that it would have asked.
    :ivar plain: text that was no JSON.
    """

    def __init__(self, stderr: str) -> None:
        """Read standard error, line by line."""
        self.messages: list[Message] = []
        self.statuses: list[tuple[str, str]] = []
        self.questions: list[str] = []
        self.plain: list[str] = []
        for line in stderr.split("\n"):
            if line.strip():
                self._add(line)

    def _add(self, line: str) -> None:
        start = line.find('{"')
        try:
            entry = json.loads(line[start:]) if start >= 0 else None
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            self.plain.append(line)
            return
        if start:
            self.plain.append(line[:start])
        kind = entry.get("type")
        if kind == "log_message":
            message = _message(entry)
            if message.text:
                self.messages.append(message)
        elif kind == "file_status":
            self.statuses.append((entry.get("status", ""), entry.get("path", "")))
        elif kind == "question_prompt":
            self.questions.append(entry.get("msgid", ""))
            self.plain.append(entry.get("message", ""))

    def failure(self) -> Optional[Message]:
        """The message that tells why the command failed: the last error with a message id that says something
        (``Exception`` does not), or the last error."""
        errors = [message for message in self.messages if message.level in _ERRORS]
        named = [message for message in errors if message.msgid not in (None, "Exception")]
        chosen = named or errors
        return chosen[-1] if chosen else None

    def complaints(self) -> str:
        """The text of its errors and what was no JSON; a warning about a file is not why a command failed."""
        errors = [message.text for message in self.messages if message.level in _ERRORS]
        return "\n".join(without_traceback(errors + self.plain))

    def warnings(self) -> list[str]:
        """The texts of all warnings."""
        return [message.text for message in self.messages if message.level == "WARNING"]

    def for_humans(self) -> str:
        """All text, as borg would have printed it without ``--log-json``."""
        lines = [line for message in self.messages for line in message.text.split("\n")]
        return "\n".join(without_traceback(lines + self.plain))


def _message(entry: dict[str, Any]) -> Message:
    text = str(entry.get("message", "")).strip()
    # what borg tells about the system after an unforeseen exception, here or on the server
    text = re.split(r"(?:\A|\n\n)(?:Borg server: )?Platform: ", text, maxsplit=1)[0]
    if _TRACEBACK in text and not text.startswith(_REMOTE):  # of a chain of exceptions the last one is what borg could not cope with
        last = _TRACEBACK + text.rpartition(_TRACEBACK)[2]
        text = "\n".join(without_traceback(last.split("\n")))
    return Message(str(entry.get("levelname", "")), text, entry.get("msgid") or None)


def without_traceback(lines: list[str]) -> list[str]:
    """Of what the interpreter prints for an exception, only the line that says which: where in borg helps no user."""
    kept = []
    inside = False
    for line in lines:
        remote = line.startswith(_REMOTE)
        said = line[len(_REMOTE) :] if remote else line
        if said.startswith((_TRACEBACK, "Exception ignored in")):
            inside = True
        elif not (inside and _is_part_of_traceback(said, remote=remote)):
            inside = False
            kept.append(line)
    return kept


def _is_part_of_traceback(line: str, *, remote: bool) -> bool:
    if remote:  # borg passes these on one by one, without their indentation
        return not re.match(r"[\w.]+(Error|Exception|Exit|Interrupt)\b", line)
    return not line or line.startswith(" ")
