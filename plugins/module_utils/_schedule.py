# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schedule: which actions of borgmatic run with which configurations, and when."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._calendar import Calendar
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

#: What is done by a program of ours.
DRILL = "drill"
#: What borgmatic does unattended, in the order in which it has to be done, and what we do.
ACTIONS = ("create", "prune", "compact", "check", DRILL)
#: Seconds after which a run is ended: whatever still hangs then hangs for good, and would hold up every later run.
DEFAULT_TIMEOUT = 7 * 24 * 3600

_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\Z"
_SECRET = r"(?i)passphrase|password|passcommand|token|secret|api[-_]?key|credential"


class Schedule(NamedTuple):
    """One schedule, valid.

    :ivar name: of one machine's schedules, unique.
    :ivar present: whether it is wanted at all; if not, nothing else counts.
    :ivar enabled: whether it runs.
    :ivar actions: some of :data:`ACTIONS`.
    :ivar configs: absolute paths of borgmatic's configuration files.
    :ivar arguments: further ones for borgmatic.
    :ivar profile: the sandbox that is wanted, see :mod:`_sandbox`; None: the strictest.
    :ivar read_write_paths: what its runs write to besides borg's and borgmatic's own directories; ``~`` is the home of
        the account that they run as.
    :ivar network: whether they wait for the network.
    :ivar timeout: seconds after which a run is ended.
    """

    name: str
    present: bool = True
    enabled: bool = True
    actions: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    calendar: Calendar = Calendar("daily")
    arguments: tuple[str, ...] = ()
    profile: Optional[str] = None
    read_write_paths: tuple[str, ...] = ()
    network: bool = True
    timeout: int = DEFAULT_TIMEOUT

    @classmethod
    def parse(cls, raw: dict[str, Any], machine: str, position: int = 0) -> Schedule:
        """The schedule that a user means.

        :param raw: an element of the module's option ``schedules``.
        :param machine: names this machine, for spreading machines over time.
        :param position: of the element, for messages.
        :raises Failure: ``invalid_argument``.
        """
        where = f"schedules[{position}]"
        name = raw["name"]
        if not re.match(_NAME, name) or ".." in name:
            raise Failure(
                "invalid_argument",
                f"{where}.name: {name[:100]!r} cannot name a unit or a file; give 1 to 64 letters, digits, '.', '_' and"
                " '-', for example system-backup.",
            )
        where = f"schedule {name}"
        if raw["state"] == "absent":
            return cls(name, present=False)
        for option, example in (("actions", "[create]"), ("configs", "[/etc/borgmatic.d/system.yaml]")):
            if not raw[option]:
                raise Failure("invalid_argument", f"{where}: {option} is empty; for example {example}.")
        if DRILL in raw["actions"] and len(set(raw["actions"])) > 1:
            raise Failure(
                "invalid_argument",
                f"{where}: actions: {DRILL} stands alone, since borgmatic does the others; give it a schedule of its own.",
            )
        for path in raw["configs"]:
            _check_path(path, f"{where}: configs", "/etc/borgmatic.d/system.yaml", home=False)
        for path in raw["read_write_paths"]:
            _check_path(path, f"{where}: read_write_paths", "/srv/backup", home=True)
        _check_arguments(raw["arguments"], where)
        if raw["timeout"] < 60:
            raise Failure(
                "invalid_argument",
                f"{where}: timeout: {raw['timeout']} seconds end every backup; give at least 60, for example 86400.",
            )
        key = "\0".join((raw["spread_key"] or machine, name, *raw["configs"]))
        return cls(
            name,
            enabled=raw["enabled"],
            actions=tuple(action for action in ACTIONS if action in raw["actions"]),
            configs=tuple(dict.fromkeys(raw["configs"])),
            calendar=Calendar.parse(raw["calendar"], raw["spread"], key, f"{where}: calendar"),
            arguments=tuple(raw["arguments"]),
            profile=raw["profile"],
            read_write_paths=tuple(sorted(set(raw["read_write_paths"]))),
            network=raw["network"] is not False,
            timeout=raw["timeout"],
        )

    @property
    def drills(self) -> bool:
        """Whether it is about restore drills, which borgmatic knows nothing of."""
        return DRILL in self.actions

    def borgmatic_arguments(self, *options: str) -> list[str]:
        """What follows the program on the command line.

        :param options: options of borgmatic for its log.
        """
        configs = [argument for path in self.configs for argument in ("--config", path)]
        return [*configs, *options, *self.actions, *self.arguments]


def parse_schedules(raw: Sequence[dict[str, Any]], machine: str) -> list[Schedule]:
    """The schedules of a module's option ``schedules``, each named once.

    :raises Failure: ``invalid_argument``.
    """
    schedules = [Schedule.parse(element, machine, position) for position, element in enumerate(raw)]
    names = [schedule.name for schedule in schedules]
    for name in names:
        if names.count(name) > 1:
            raise Failure("invalid_argument", f"schedules: the name {name} stands twice; each schedule needs its own.")
    return schedules


def _check_path(path: str, where: str, example: str, *, home: bool) -> None:
    if not (path.startswith("/") or (home and (path == "~" or path.startswith("~/")))):
        raise Failure("invalid_argument", f"{where}: {path[:200]!r} is no absolute path; for example {example}.")
    if _has_control_character(path):
        raise Failure("invalid_argument", f"{where}: {path[:200]!r} holds a control character; rename it.")


def _check_arguments(arguments: Sequence[str], where: str) -> None:
    for argument in arguments:
        if re.search(_SECRET, argument):
            raise Failure(
                "invalid_argument",
                f"{where}: arguments: one looks like a secret, and every user of the machine can read the arguments of a"
                " process; put it into the configuration file.",
            )
        if not argument or _has_control_character(argument):
            raise Failure(
                "invalid_argument",
                f"{where}: arguments: {argument[:100]!r} is empty or holds a control character; for example --stats.",
            )


def _has_control_character(text: str) -> bool:
    return any(ord(character) < 32 or ord(character) == 127 for character in text)
