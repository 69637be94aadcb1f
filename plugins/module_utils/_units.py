# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a schedule's systemd units: a service that runs once, and the timer that starts it."""

from __future__ import annotations

import os
from typing import Iterable, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils import _drill_program as drill_program
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account, Launch
from ansible_collections.fleetbackup.borg.plugins.module_utils._passphrase_path import CREDENTIAL, passphrase_path
from ansible_collections.fleetbackup.borg.plugins.module_utils._sandbox import PRIORITY, directives
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import Schedule

#: No distribution and no administrator names units like this.
PREFIX = "fleetbackup-"

_HEAD = "# Managed by Ansible (fleetbackup.borg.borgmatic_schedule): changes made here will be overwritten."


def service_name(name: str) -> str:
    """The service of the schedule ``name``."""
    return f"{PREFIX}{name}.service"


def timer_name(name: str) -> str:
    """The timer of the schedule ``name``."""
    return f"{PREFIX}{name}.timer"


def runtime_directory(account: Account) -> str:
    """Below the runtime directory of the system or of the user: where the lock lies that one account's runs share."""
    return f"fleetbackup-{account.uid}"


def service_text(schedule: Schedule, launch: Launch, *, scope: str, flock: str, profile: str) -> str:
    """The service.

    :param scope: ``system`` or ``user``.
    :param flock: the absolute path of flock(1). It makes runs wait for each other; the lock ends with the run, however it
        ends, and no program that a hook leaves behind holds it.
    :param profile: the sandbox in force.
    """
    account = launch.account
    directory = runtime_directory(account)
    program = [launch.program, *schedule.borgmatic_arguments("--verbosity", "1")]
    made = launch.own_directories
    if schedule.drills:
        program = drill_program.command(scope, launch, schedule.configs, schedule.arguments)
        made = [*made, drill_program.notes_directory(launch)]
    command = [flock, "--close", f"%t/{directory}/lock", *map(_literal, program)]
    lines = [_HEAD, "[Unit]", f"Description=borgmatic {' '.join(schedule.actions)}: schedule {schedule.name}"]
    if schedule.network and scope == "system":
        lines += ["Wants=network-online.target", "After=network-online.target"]
    lines += ["", "[Service]", "Type=oneshot"]
    if scope == "system":
        lines.append(f"User={account.name}")
    if launch.credentials:
        # systemd finds them by their names; with its path, one that is missing as it is no longer needed would be an error
        names = [os.path.basename(passphrase_path(CREDENTIAL, config)) for config in schedule.configs]
        lines += [f"LoadCredentialEncrypted={name}" for name in names]
    lines += [f"Environment={_quote(_literal(f'{name}={value}'))}" for name, value in launch.environment.items()]
    lines += [
        f"RuntimeDirectory={directory}",
        "RuntimeDirectoryMode=0700",
        "RuntimeDirectoryPreserve=yes",
        f"TimeoutStartSec={schedule.timeout}",
    ]
    if profile == "strict":
        lines.append(f"ExecStartPre={_make_directories(launch, made)}")
    lines += [f"ExecStart={_command_line(command)}", "SyslogIdentifier=borgmatic", *PRIORITY]
    writable = [*launch.own_directories, *(account.expand(path) for path in schedule.read_write_paths)]
    writable += drill_program.written(launch, schedule.arguments) if schedule.drills else []
    lines += directives(
        profile, writable, lambda path: _quote(_literal(path)), root=account.is_root, restores=schedule.drills
    )
    return "\n".join([*lines, ""])


def timer_text(schedule: Schedule) -> str:
    """The timer. It makes up for a run that was due while the machine was off."""
    lines = [
        _HEAD,
        "[Unit]",
        f"Description=When borgmatic runs for schedule {schedule.name}",
        "",
        "[Timer]",
        f"OnCalendar={schedule.calendar.on_calendar}",
        "AccuracySec=1s",
        "Persistent=true",
    ]
    if schedule.calendar.delay:
        lines += [f"RandomizedDelaySec={schedule.calendar.delay}", "FixedRandomDelay=true"]
    return "\n".join([*lines, "", "[Install]", "WantedBy=timers.target", ""])


def _make_directories(launch: Launch, directories: Sequence[str]) -> str:
    """Outside of the sandbox, which can only open what exists: caches get deleted."""
    make = ["/usr/bin/mkdir", "-p", "-m", "0700", "--", *directories]
    if not launch.account.is_root:
        identity = [f"--reuid={launch.account.name}", f"--regid={launch.account.gid}", "--init-groups"]
        make = ["/usr/bin/setpriv", *identity, *make]
    return "+" + _command_line(map(_literal, make))


def _literal(text: str) -> str:
    """Text in which systemd shall see no specifier."""
    return text.replace("%", "%%")


def _quote(word: str) -> str:
    """One word of a list; quoted only where it has to be, for the reader's sake."""
    if word and all(character.isalnum() or character in "-_./=:@,+%" for character in word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _command_line(words: Iterable[str]) -> str:
    # '$' would be a variable, also within quotes
    return " ".join(_quote(word).replace("$", "$$") for word in words)
