# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup server's sshd shall do with the account of the clients, and the configuration around it. Text only."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from typing import Iterator, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

DIRECTORY = "/etc/ssh"
MAIN = f"{DIRECTORY}/sshd_config"

_HEAD = "# Managed by Ansible (fleetbackup.borg.borg_sshd): changes made here will be overwritten."
#: Keyword -> value. What an earlier block can set counts here as much as what sshd does by default.
_SETTINGS = {
    "AuthenticationMethods": "publickey",
    "PubkeyAuthentication": "yes",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "AuthorizedKeysFile": ".ssh/authorized_keys",
    "AuthorizedKeysCommand": "none",
    "AuthorizedPrincipalsCommand": "none",
    "AuthorizedPrincipalsFile": "none",
    "TrustedUserCAKeys": "none",
    "ForceCommand": "none",
    "ChrootDirectory": "none",
    "DisableForwarding": "yes",
    "PermitTunnel": "no",
    "X11Forwarding": "no",
    "PermitTTY": "no",
    "PermitUserRC": "no",
    # replaces what counts for all; what other blocks say is added to it
    "AcceptEnv": "LANG LC_*",
}
#: Of these all settings count, in small letters; of all others the first.
_COLLECTED = ("acceptenv",)
#: What a Match can ask of an account, or of sshd itself. All else it asks of the connection.
_CONSTANT = ("user", "group", "version")
_WITHOUT_PATTERN = ("invalid-user",)
# No pattern: it would match other accounts too.
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?\Z"
_LINE = r"\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*?)\s*\Z"


class Treatment(NamedTuple):
    """How sshd shall treat an account.

    :ivar interval: seconds of silence after which sshd asks whether a client is still there.
    :ivar attempts: how often it asks before it ends the connection.
    """

    user: str
    interval: int
    attempts: int

    def check(self) -> None:
        """:raises Failure: ``invalid_argument``."""
        if not re.match(_USER, self.user):
            raise Failure("invalid_argument", f"user: {self.user!r} is no name of one account; for example borg.")
        if self.interval < 0:
            raise Failure(
                "invalid_argument", f"keepalive_interval: {self.interval} is negative; give seconds, for example 30."
            )
        if self.attempts < 1:
            raise Failure("invalid_argument", f"keepalive_count: {self.attempts} is less than 1; for example 10.")

    @property
    def settings(self) -> dict[str, str]:
        """Keyword -> value."""
        return {**_SETTINGS, "ClientAliveInterval": str(self.interval), "ClientAliveCountMax": str(self.attempts)}

    @property
    def text(self) -> str:
        """The drop-in file."""
        lines = [f"    {keyword} {value}" for keyword, value in self.settings.items()]
        return "\n".join([_HEAD, f"Match User {self.user}", *lines, "Match all", ""])

    def ineffective(self, effective: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """Keyword -> the value in force, where it is not the wanted one.

        :param effective: as :func:`parse_effective` gives it.
        """
        values = {keyword: set(effective.get(keyword.lower(), ("not known",))) for keyword in self.settings}
        found = {keyword: " ".join(sorted(each)) for keyword, each in values.items()}
        return {keyword: value for keyword, value in found.items() if value != self.settings[keyword]}


class Setting(NamedTuple):
    """One line of a configuration.

    :ivar condition: of the Match blocks that it stands in, or that include its file.
    """

    path: str
    number: int
    keyword: str
    value: str
    condition: Optional[str]

    @property
    def asked_of_account(self) -> Optional[str]:
        """The condition without what it asks of the connection; None where it asks nothing of that."""
        kept = []
        is_whole = True
        words = iter(re.findall(r'(?:"[^"]*"|[^\s="])+', self.condition or ""))
        for criterion in words:
            if criterion.lower() in _WITHOUT_PATTERN:
                kept.append(criterion)
            elif criterion.lower() in _CONSTANT:
                kept += [criterion, next(words, "")]
            else:
                next(words, "")
                is_whole = False
        return None if is_whole else " ".join(kept) or "all"


def parse_effective(text: str) -> dict[str, list[str]]:
    """What ``sshd -T`` prints: keyword in small letters -> its values."""
    result: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _blank, value = line.partition(" ")
        result.setdefault(keyword, []).append(value)
    return result


def replace_drop_in(main: str, path: str, by: Optional[str]) -> Optional[str]:
    """The main file with another file in a drop-in's place.

    :param main: its text.
    :param path: the drop-in's path, whether it exists or not.
    :param by: the other file; None: nothing.
    :return: None where no Include for everybody covers the path.
    """
    lines = main.split("\n")
    covered = False
    for setting in _settings(main, MAIN):
        patterns = setting.value.split()
        if setting.keyword == "include" and any(_covers(pattern, path) for pattern in patterns):
            if setting.condition is not None:
                continue
            files = [by if file == path else file for file in _included(patterns, path)]
            names = " ".join(file for file in files if file is not None)
            lines[setting.number - 1] = f"Include {names}" if names else "#"
            covered = True
    return "\n".join(lines) if covered else None


def overriding(path: str, keywords: Sequence[str]) -> list[Setting]:
    """What sets the same as a drop-in under a condition, and counts for sshd because it stands before it, or anywhere.

    :raises OSError: a file of the configuration cannot be read.
    """
    wanted = {keyword.lower() for keyword in keywords}
    found = []
    for setting in _walk(MAIN, path):
        if setting.path == path and setting.condition is None:
            wanted.intersection_update(_COLLECTED)
        elif setting.condition is not None and setting.keyword in wanted:
            found.append(setting)
    return found


def files() -> list[str]:
    """All that the configuration in force is made of, and the directories whose files it includes."""
    found = {MAIN: None}
    for setting in _walk(MAIN):
        found[setting.path] = None
        if setting.keyword == "include":
            for pattern in setting.value.split():
                found[os.path.dirname(_absolute(pattern))] = None
                found.update(dict.fromkeys(glob.glob(_absolute(pattern))))
    return [path for path in found if os.path.exists(path)]


def _settings(text: str, path: str, outer: Optional[str] = None) -> Iterator[Setting]:
    """:param outer: the condition under which the file is included."""
    condition = outer
    for number, line in enumerate(text.split("\n"), start=1):
        match = re.match(_LINE, line)
        if match is None:
            continue
        keyword, value = match.group(1).lower(), re.sub(r"\s#.*", "", match.group(2)).strip()
        if keyword == "match":
            condition = outer if value.lower() == "all" else f"{outer or ''} {value}".strip()
        yield Setting(path, number, keyword, value.replace('"', ""), condition)


def _walk(path: str, beside: str = "", depth: int = 0, condition: Optional[str] = None) -> Iterator[Setting]:
    """Every line in the order in which sshd reads it.

    :param beside: a drop-in to name in its place, whether it exists or not.
    :param condition: under which the file is included.
    """
    if path == beside:
        yield Setting(path, 0, "", "", condition)
        return
    if depth > 16:  # sshd's own limit
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    for setting in _settings(text, path, condition):
        yield setting
        if setting.keyword == "include":
            for included in _included(setting.value.split(), beside):
                yield from _walk(included, beside, depth + 1, setting.condition)


def _included(patterns: Sequence[str], beside: str) -> list[str]:
    """As sshd reads them: each pattern's files in the order of their names."""
    result: list[str] = []
    for pattern in patterns:
        found = set(glob.glob(_absolute(pattern)))
        if beside and _covers(pattern, beside):
            found.add(beside)
        result += sorted(found)
    return result


def _covers(pattern: str, path: str) -> bool:
    directory, name = os.path.split(_absolute(pattern))
    return directory == os.path.dirname(path) and fnmatch.fnmatchcase(os.path.basename(path), name)


def _absolute(pattern: str) -> str:
    return os.path.join(DIRECTORY, pattern)
