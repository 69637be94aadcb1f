# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a connection to a server failed. borg says one thing for every cause, so ssh itself is asked, once, afterwards."""

from __future__ import annotations

import os
import re
import shlex
from typing import NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils import _process
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location


class Diagnosis(NamedTuple):
    """What ssh said: a word, a finer reason, and advice.

    :ivar reason: ``unreachable``: name, refused, timeout, closed, lost; ``host_key``: unpinned, changed; ``invalid_argument``:
        unconfigured.
    """

    error: str
    reason: Optional[str]
    advice: str


_CAUSES: tuple[tuple[str, Diagnosis], ...] = (
    (
        r"Can't open user config file",
        Diagnosis("invalid_argument", "unconfigured", "The file that rsh names does not exist: run borg_ssh_identity, or correct rsh."),
    ),
    (
        r"Bad configuration option|Bad owner or permissions on|bad configuration options",
        Diagnosis(
            "invalid_argument", None, "ssh cannot read the configuration that rsh names: run borg_ssh_identity, or correct rsh."
        ),
    ),
    (
        r"Could not resolve hostname",
        Diagnosis("unreachable", "name", "Its name cannot be resolved: correct it, or mend DNS."),
    ),
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|No .* host key is known",
        Diagnosis("host_key", None, ""),  # the advice names the keys
    ),
    (
        r"Permission denied \(|Too many authentication failures",
        Diagnosis("auth", None, "It does not accept this SSH key for this account."),
    ),
    (
        r"Connection refused",
        Diagnosis("unreachable", "refused", "Nothing listens on this port: is sshd running there?"),
    ),
    (
        r"timed out|No route to host|Network is unreachable|Timeout, server \S+ not responding",
        Diagnosis("unreachable", "timeout", "It does not answer: is it up, and does a firewall let SSH through?"),
    ),
    (
        r"kex_exchange_identification: |Not allowed at this time|Exceeded MaxStartups",
        Diagnosis(
            "unreachable",
            "closed",
            "It closed the connection before ssh could log in. Perhaps its sshd takes none from here for a while, as there were"
            " too many, or failed ones: see its log, and try again later.",
        ),
    ),
    (
        r"command not found|: not found|No such file or directory",
        Diagnosis("borg_missing", None, "Borg is not installed there, or is not in PATH: see remote_path."),
    ),
    (
        r"unexpected RPC data format",
        Diagnosis(
            "not_allowed",
            None,
            "It runs something else than borg serve for this key: correct the command in its authorized_keys, and the shell of"
            " the account and what that prints at login.",
        ),
    ),
)
_LOST = Diagnosis("unreachable", "lost", "The connection was closed: see the server's log of sshd and borg.")


#: Seconds for one look at what ssh says; borg has waited already.
_PATIENCE = 20.0


def diagnose(location: Location, rsh: str, remote_path: str, said: str) -> Diagnosis:
    """Find out why borg lost or did not get its connection.

    :param location: a remote repository.
    :param rsh: the remote shell command that borg used.
    :param remote_path: borg on the server.
    :param said: what borg passed on of ssh's words; it is incomplete at times.
    """
    diagnosis = _cause(said)
    if diagnosis is None or diagnosis.error == "host_key":
        said = f"{said}\n{_ask_ssh(location, rsh, remote_path)}"
        diagnosis = _cause(said) or _LOST
    return _host_key(said) if diagnosis.error == "host_key" else diagnosis


def overheard(said: str) -> Diagnosis:
    """What ssh's words tell, without asking it: for what went wrong a while ago."""
    return _cause(said) or _LOST


def _cause(said: str) -> Optional[Diagnosis]:
    # what ssh tells for debugging, and of keys that it tries, names files that need not exist
    aside = r"(?:Remote: )?(?:debug\d: |no such identity: |Warning: Identity file )"
    text = "\n".join(line for line in said.split("\n") if not re.match(aside, line))
    return next((diagnosis for pattern, diagnosis in _CAUSES if re.search(pattern, text)), None)


def _ask_ssh(location: Location, rsh: str, remote_path: str) -> str:
    argv = [*shlex.split(rsh), "-v"]
    if os.path.basename(argv[0]) == "ssh":
        argv[1:1] = ["-o", "ConnectTimeout=10"]  # ssh takes the first one
    if location.port:
        argv += ["-p", str(location.port)]
    host = (location.host or "").strip("[]")
    argv += [f"{location.user}@{host}" if location.user else host, remote_path, "--version"]
    try:
        return _process.run(argv, timeout=_PATIENCE).stderr
    except Failure as failure:
        return failure.msg if failure.error != "timeout" else "timed out"


def _host_key(said: str) -> Diagnosis:
    """Which key the server shows and which one is pinned, in the words of ``ssh-keygen -l``."""
    shown = re.search(r"Server host key: (\S+ \S+)", said)
    got = f"It shows the host key {shown.group(1)}" if shown else "Its host key could not be verified"
    pinned = re.search(r"Offending \S+ key in (.+):(\d+)", said)
    if pinned is None:
        advice = f"{got}, and none is pinned for it here: pin the right one in known_hosts, once you know it from the server."
        return Diagnosis("host_key", "changed" if "HAS CHANGED" in said else "unpinned", advice)
    path, number = pinned.group(1), int(pinned.group(2))
    expected = f"{_pinned_key(path, number)} ({path} line {number})"
    return Diagnosis("host_key", "changed", f"{got}; expected is {expected}: find out why before you pin another.")


def _pinned_key(path: str, number: int) -> str:
    import base64
    import hashlib

    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            kind, blob = file.readlines()[number - 1].split()[1:3]
        digest = hashlib.sha256(base64.b64decode(blob)).digest()
    except (OSError, ValueError, IndexError):  # gone meanwhile, or no plain line
        return "another"
    return f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
