# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One borg command: from words to a result or to one typed failure."""

from __future__ import annotations

import functools
import json
from contextlib import nullcontext
from typing import Any, ContextManager, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils import _process
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._dialects import Dialect, dialect_of
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._packages import package_version
from ansible_collections.fleetbackup.borg.plugins.module_utils._shadow import shadow

#: Seconds that a look-up may take unless the user says otherwise; work on data has no limit of its own.
PROBE_TIMEOUT = 60.0
#: No question of ssh can be answered, and an unknown host is never trusted.
DEFAULT_RSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=30"

#: Every question that borg can ask, answered "no".
_NO_ANSWERS = {
    "BORG_RELOCATED_REPO_ACCESS_IS_OK": "no",
    "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no",
    "BORG_DELETE_I_KNOW_WHAT_I_AM_DOING": "NO",
    "BORG_CHECK_I_KNOW_WHAT_I_AM_DOING": "NO",
}


class Outcome(NamedTuple):
    """A borg command that did its work, perhaps with warnings."""

    rc: int
    stdout: str
    log: Log

    def json(self) -> Any:
        """What it printed, as JSON."""
        try:
            return json.loads(self.stdout)
        except ValueError as error:
            raise Failure(
                "other", f"borg did not print the JSON it was asked for: {error}.", rc=self.rc, stderr=self.stdout[:2000]
            ) from error


class Borg(NamedTuple):
    """How borg reaches one repository.

    :ivar repository: where it is.
    :ivar passphrase: opens its key; it goes to borg through a descriptor.
    :ivar passcommand: prints the passphrase; instead of it.
    :ivar rsh: the remote shell command.
    :ivar remote_path: borg on the server.
    :ivar executable: borg here, a name or a path.
    :ivar lock_wait: seconds to wait for a lock.
    :ivar timeout: seconds that any one command may take; None: :data:`PROBE_TIMEOUT` for look-ups, no limit for data.
    :ivar key_file: the key of a keyfile repository, where it is not in borg's keys directory.
    :ivar base_directory: borg's base directory (BORG_BASE_DIR); None: the home of whoever runs this.
    :ivar accept_relocated: whether a repository that was moved may be opened.
    :ivar allow_unencrypted: whether an unencrypted repository that was never seen before may be opened.
    """

    repository: Location
    passphrase: Optional[str] = None
    passcommand: Optional[str] = None
    rsh: str = DEFAULT_RSH
    remote_path: str = "borg"
    executable: str = "borg"
    lock_wait: int = 1
    timeout: Optional[float] = None
    key_file: Optional[str] = None
    base_directory: Optional[str] = None
    accept_relocated: bool = False
    allow_unencrypted: bool = False

    @property
    def program(self) -> Optional[str]:
        """The absolute path of borg, or None where it is not installed."""
        return _process.find_program(self.executable)

    def dialect(self) -> Dialect:
        """What the installed borg understands. Every command asks first: another version would misread it.

        :raises Failure: ``borg_missing``, ``version``.
        """
        return dialect_of(_version(self._installed()))

    def read(self, command: str, *options: str, cached_id: Optional[str] = None, **how: Any) -> Outcome:
        """Run a look-up that touches nothing: neither a lock nor any file of borg's directories.

        :param cached_id: see :func:`shadow`.
        :param how: as :meth:`run` takes it.
        """
        how.setdefault("timeout", PROBE_TIMEOUT if self.timeout is None else self.timeout)
        how.setdefault("common", ("--bypass-lock",))
        with self._shadow(cached_id) as view:
            return self.run(command, *options, **{**how, "environment": {**view, **how.get("environment", {})}})

    def run(
        self,
        command: str,
        *options: str,
        common: Sequence[str] = (),
        archive: Optional[str] = None,
        arguments: Sequence[str] = (),
        passphrase: Optional[str] = None,
        environment: Optional[Mapping[str, str]] = None,
        timeout: Optional[float] = None,
        cwd: Optional[str] = None,
        escaped: bool = False,
        output: Optional[int] = None,
        shared: Sequence[int] = (),
    ) -> Outcome:
        """Run one borg command.

        :param command: for example ``list``, or ``key change-passphrase``.
        :param options: options of the command.
        :param common: options that stand before the command.
        :param archive: the archive's name; without it the command is about the repository.
        :param arguments: what follows the location.
        :param passphrase: another one than the repository's.
        :param environment: variables on top of ours.
        :param timeout: seconds.
        :param cwd: working directory.
        :param escaped: let borg print in Python's escapes: otherwise it replaces each byte of a file's name that is not
            UTF-8 by a question mark, whatever the locale. Source: `borg.archiver.main`, 1.2.9 and 1.4.5.
        :param output: the descriptor that what it prints goes to; None: it is in the outcome.
        :param shared: descriptors of ours that it has as well, for as long as it lasts.
        :raises Failure: what :mod:`_errors` makes of borg's words.
        """
        self.dialect()
        target = str(self.repository) if archive is None else f"{self.repository}::{archive}"
        argv = [self._installed(), "--log-json", f"--lock-wait={self.lock_wait}", *common, *command.split(), *options]
        if not self.repository.is_local:
            argv[1:1] = [f"--remote-path={self.remote_path}"]
        argv += [target, *arguments]
        secrets = {}
        opening = passphrase if passphrase is not None else self.passphrase
        if opening is not None:
            secrets["BORG_PASSPHRASE_FD"] = opening
        completed = _process.run(
            argv,
            environment={
                **self._environment(),
                **({"PYTHONIOENCODING": "unicode_escape"} if escaped else {}),
                **(environment or {}),
            },
            secrets=secrets,
            timeout=timeout if timeout is not None else self.timeout,
            cwd=cwd,
            encoding="unicode_escape" if escaped else "utf-8",
            output=output,
            shared=shared,
        )
        log = Log(completed.stderr)
        if completed.rc in (0, 1) or 100 <= completed.rc < 128:
            return Outcome(completed.rc, completed.stdout, log)
        raise self._failure(completed, Log(self._without_commands(completed.stderr)))

    def _installed(self) -> str:
        program = self.program
        if program is None:
            raise Failure(
                "borg_missing",
                f"The program {self.executable} is not installed here. Install borgbackup (Debian: apt install"
                " borgbackup), or say with the option executable where it is.",
            )
        return program

    def _environment(self) -> dict[str, str]:
        environment = {**_NO_ANSWERS, "BORG_EXIT_CODES": "modern", "BORG_RSH": self.rsh, "TZ": "UTC"}
        if self.accept_relocated:
            environment["BORG_RELOCATED_REPO_ACCESS_IS_OK"] = "yes"
        if self.allow_unencrypted:
            environment["BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK"] = "yes"
        if self.base_directory is not None:
            environment["BORG_BASE_DIR"] = self.base_directory
        if self.key_file is not None:
            environment["BORG_KEY_FILE"] = self.key_file
        if self.passphrase is None and self.passcommand is not None:
            environment["BORG_PASSCOMMAND"] = self.passcommand
        return environment

    def _without_commands(self, text: str) -> str:
        """What borg printed, without the command lines that were given to it: borg repeats a passcommand that fails, and
        somebody's secret may stand in it."""
        for command in filter(None, (self.passcommand, self.rsh)):
            program, *arguments = command.split()
            for form in (command, _as_list(command)) if arguments else ():
                for spelling in (form, json.dumps(form)[1:-1]):
                    text = text.replace(spelling, f"{program} (hidden)")
        return text

    def _shadow(self, cached_id: Optional[str]) -> ContextManager[dict[str, str]]:
        if self.program is None:
            return nullcontext({})
        return shadow(self.base_directory or _process.home_directory(), cached_id)

    def _failure(self, completed: _process.Completed, log: Log) -> Failure:
        # here, not above: a run that succeeds need not load them
        from ansible_collections.fleetbackup.borg.plugins.module_utils._causes import classify
        from ansible_collections.fleetbackup.borg.plugins.module_utils._transport import diagnose

        message = log.failure()
        said = log.for_humans()
        msgid = message.msgid if message else None
        cause = classify(completed.rc, msgid, log.complaints(), completed.stderr)
        text = message.text if message else (said.strip().splitlines() or ["borg said nothing"])[-1]
        error, reason, advice = cause.error, None, cause.advice
        if error == "unreachable":
            error, reason, advice = diagnose(self.repository, self.rsh, self.remote_path, said)
        elif error == "permission" and self.repository.is_local:
            advice = f"This ran as {_process.base_environment()['USER']}. {advice}"
        subject = "" if str(self.repository) in text else f"{self.repository}: "
        return Failure(
            error,
            f"{subject}{' '.join(text.split())} {advice}".rstrip(),
            rc=completed.rc,
            msgid=msgid,
            reason=reason,
            cmd=completed.argv,
            stderr=said,
        )


def _as_list(command: str) -> str:
    """A command line as Python shows its words."""
    import shlex

    try:
        return str(shlex.split(command))
    except ValueError:  # borg would fail with it, too
        return command


@functools.cache
def _version(program: str) -> str:
    version = package_version(program, "borgbackup")
    if version is None:  # a stand-alone binary has no metadata
        version = _process.run([program, "--version"], timeout=PROBE_TIMEOUT).stdout.rpartition(" ")[2].strip()
    return version
