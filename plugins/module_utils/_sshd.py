# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine's sshd: what it makes of a configuration, and what the running one has loaded."""

from __future__ import annotations

import os
import re
import socket
import tempfile
import time
from typing import Mapping, NamedTuple, NoReturn, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import find_program, run
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey
from ansible_collections.fleetbackup.borg.plugins.module_utils._sshd_config import (
    MAIN,
    Setting,
    Treatment,
    files,
    overriding,
    parse_effective,
    replace_drop_in,
)

#: Debian's name of the service, and that of all others.
_UNITS = ("ssh.service", "sshd.service")
_TIMEOUT = 60.0
#: Seconds in which a reloaded sshd listens again.
_PATIENCE = 5.0
_MISSING = r"Missing privilege separation directory: (/run/\w+)\s"
_MOMENT = r"\w+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d{6}) UTC"


class Service(NamedTuple):
    """sshd under systemd.

    :ivar unit: its name.
    :ivar since: when it was started or reloaded, in microseconds since 1970; None: it does not run by itself, and each
        connection starts one that reads what is there.
    """

    unit: str
    since: Optional[int]

    @property
    def is_outdated(self) -> bool:
        """Whether the configuration is younger than what was loaded."""
        return self.since is not None and any(os.stat(path).st_ctime_ns // 1000 > self.since for path in files())


class Sshd:
    """:ivar program: its absolute path."""

    def __init__(self, program: str) -> None:
        self.program = program

    @classmethod
    def find(cls) -> Optional[Sshd]:
        """The installed one, or None."""
        program = find_program("sshd")
        return cls(program) if program is not None and os.path.exists(MAIN) else None

    def judge(self, path: str, text: Optional[str], treatment: Treatment) -> dict[str, list[str]]:
        """What would be in force for the account if a drop-in were as it shall be. Nothing of the machine is touched.

        :param path: of the drop-in.
        :param text: its content; None: no such file.
        :raises Failure: ``drift``: sshd rejects the whole, or does not read the drop-in; ``unsafe``: something wins over it.
        """
        with open(MAIN, encoding="utf-8", errors="surrogateescape") as file:
            main = file.read()
        with tempfile.TemporaryDirectory(prefix="fleetbackup-") as directory:
            trial, drop_in = f"{directory}/sshd_config", f"{directory}/drop-in"
            replaced = replace_drop_in(main, path, drop_in if text is not None else None)
            if replaced is None and text is not None:
                raise Failure(
                    "drift",
                    f"{MAIN} does not include {path} for everybody. Add the line 'Include"
                    f" {os.path.dirname(path)}/*.conf' to it,"
                    " before its first Match.",
                )
            _write(trial, main if replaced is None else replaced)
            _write(drop_in, text or "")
            names = {trial: MAIN, drop_in: path}
            self._run(["-t", "-f", trial], names)
            effective = self._effective(trial, treatment.user, names)
            if text is not None:
                ineffective = treatment.ineffective(effective)
                if ineffective:
                    _tell_overriding(path, treatment, ineffective, overriding(path, list(ineffective)))
                self._judge_other_connections(path, treatment, trial, names)
        return effective

    def _judge_other_connections(self, path: str, treatment: Treatment, trial: str, names: Mapping[str, str]) -> None:
        """The same for all others: sshd is asked what would be in force if whatever a block asks of a connection were so."""
        ineffective: dict[str, str] = {}
        found = []
        beside = os.path.dirname(trial)
        _write(f"{beside}/both", f"Include {beside}/block\nInclude {trial}\n")
        for setting in overriding(path, list(treatment.settings)):
            condition = setting.asked_of_account
            if condition is None:
                continue
            _write(f"{beside}/block", f"Match {condition}\n{setting.keyword} {setting.value}\n")
            differing = treatment.ineffective(self._effective(f"{beside}/both", treatment.user, names))
            if differing:
                ineffective.update(differing)
                found.append(setting)
        if found:
            _tell_overriding(path, treatment, ineffective, found)

    def service(self) -> Optional[Service]:
        """The one that systemd runs; None where there is no systemd, or it knows none."""
        if not os.path.isdir("/run/systemd/system"):
            return None
        properties = "Id,LoadState,ActiveState,StateChangeTimestamp"
        shown = run(["systemctl", "show", "--timestamp=us+utc", f"--property={properties}", *_UNITS], timeout=_TIMEOUT)
        for block in shown.stdout.split("\n\n"):
            unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            if unit.get("LoadState") == "loaded":
                active = unit["ActiveState"] in ("active", "reloading")
                return Service(unit["Id"], _microseconds(unit["StateChangeTimestamp"]) if active else None)
        return None

    def reload(self, service: Service, effective: Mapping[str, Sequence[str]]) -> None:
        """Let the running one read its configuration, and wait until it listens again.

        :raises Failure: ``drift``.
        """
        done = run(["systemctl", "reload", service.unit], timeout=_TIMEOUT)
        if done.rc:
            raise Failure(
                "drift",
                f"{service.unit} could not be reloaded: {' '.join(done.stderr.split())} See systemctl status"
                f" {service.unit}.",
                rc=done.rc,
                cmd=done.argv,
                stderr=done.stderr,
            )
        _await(ports(effective))

    def _effective(self, configuration: str, user: str, names: Mapping[str, str]) -> dict[str, list[str]]:
        connection = f"user={user},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22"
        return parse_effective(self._run(["-T", "-f", configuration, "-C", connection], names))

    def _run(self, arguments: list[str], names: Mapping[str, str]) -> str:
        done = run([self.program, *arguments], timeout=_TIMEOUT)
        missing = re.search(_MISSING, done.stderr)
        if missing is not None:
            # it comes and goes with the service, which sockets start for each connection only
            os.mkdir(missing.group(1), 0o755)
            try:
                done = run([self.program, *arguments], timeout=_TIMEOUT)
            finally:
                os.rmdir(missing.group(1))
        if done.rc == 0:
            return done.stdout
        said = done.stderr
        for temporary, name in names.items():
            said = said.replace(temporary, name)
        raise Failure(
            "drift",
            f"sshd rejects its configuration: {' '.join(said.split())} Nothing was changed. Repair it and see sshd -t.",
            rc=done.rc,
            stderr=said,
        )


def ports(effective: Mapping[str, Sequence[str]]) -> list[int]:
    """The ports that it listens on."""
    addresses = effective.get("listenaddress", ())
    found = [address.rpartition(":")[2] for address in addresses] or effective.get("port", ())
    return sorted({int(port) for port in found})


def host_keys(effective: Mapping[str, Sequence[str]]) -> list[str]:
    """The public host keys that clients may meet, as ``type base64``."""
    found = []
    for path in effective.get("hostkey", ()):
        public = path if path.endswith(".pub") else f"{path}.pub"
        try:
            with open(public, encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            # sshd itself goes on without a key that it is told of and cannot find
            text = run(["ssh-keygen", "-y", "-P", "", "-f", path], timeout=_TIMEOUT).stdout
        try:
            found.append(PublicKey.parse(text).bare)
        except ValueError:
            continue
    return sorted(found)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _tell_overriding(
    path: str, treatment: Treatment, ineffective: Mapping[str, str], settings: Sequence[Setting]
) -> NoReturn:
    wanted = treatment.settings
    facts = "; ".join(
        f"{keyword} would be {value!r}, not {wanted[keyword]!r}" for keyword, value in ineffective.items()
    )
    earlier = "; ".join(
        f"{found.path} line {found.number} (Match {found.condition}) sets {found.keyword} {found.value}"
        for found in settings
    )
    raise Failure(
        "unsafe",
        f"sshd would treat {treatment.user} otherwise than {path} says: {facts}. What comes first counts (of"
        f" AcceptEnv, all): {earlier or 'see sshd -T and what stands before its Include'}. Take it out, or exclude the"
        f" account from it: Match User !{treatment.user},*.",
    )


def _microseconds(text: str) -> Optional[int]:
    import calendar

    match = re.match(_MOMENT, text)
    if match is None:
        return None
    return calendar.timegm(time.strptime(match.group(1), "%Y-%m-%d %H:%M:%S")) * 10**6 + int(match.group(2))


def _await(listened: Sequence[int]) -> None:
    """sshd closes its sockets on the way; the next task may come over the same one."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            with socket.create_connection(("localhost", listened[0]), timeout=1) as connection:
                if connection.recv(4):
                    return
        except OSError:
            pass
        time.sleep(0.05)
