# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of schedules that cron starts, and of those that are started here exactly as cron would.

cron keeps no exit codes. A run that is started here has a supervisor of its own, which notes it.
"""

from __future__ import annotations

import glob
import os
import pwd
import re
import subprocess
import time
from typing import Iterator, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._cron import DIRECTORY, PREFIX
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._run import FAILED, SUCCEEDED, Run, Runs
from ansible_collections.fleetbackup.borg.plugins.module_utils._run_log import Entry, Scrubber, entries, words_of

#: Where the states of runs are: below /run, so that a reboot, which ends the runs too, removes them.
STATES = "/run/fleetbackup-runs"
#: Its arguments: the state's file, the command. The umask that it leaves to the command is cron's.
_SUPERVISOR = """
state=$1; shift
(umask 022; exec "$@")
code=$?
printf 'ended %s %s\\n' "$code" "$(date +%s)" >> "$state"
"""
_VARIABLE = r"""([A-Za-z_]\w*)=(["']?)(.*)\2\Z"""
_JOB = r"(?:# disabled: )?(?:\S+\s+){5}(\S+)\s+(.*)\Z"
#: What cron gives a job whose file says nothing else. Source: cron(8), crontab(5).
_DEFAULTS = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
_LOG_COMMAND = "journalctl -t borgmatic, or syslog's file"


class Job(NamedTuple):
    """What a file of cron's makes run.

    :ivar command: as a shell reads it.
    """

    account: str
    variables: dict[str, str]
    command: str

    @property
    def entry(self) -> pwd.struct_passwd:
        """The account.

        :raises Failure: ``other``.
        """
        try:
            return pwd.getpwnam(self.account)
        except KeyError as error:
            raise Failure(
                "other",
                f"cron's job runs as {self.account}, and there is no such account. Run borgmatic_schedule again.",
            ) from error

    @property
    def words(self) -> list[str]:
        """The command's words."""
        return words_of(self.command)

    @property
    def waiting(self) -> list[str]:
        """The arguments of the process that is there from begin to end: the one that waits for the lock."""
        words = self.words
        positions = [index for index, word in enumerate(words) if os.path.basename(word) == "flock"]
        return words[positions[0] :] if positions else words

    @classmethod
    def parse(cls, text: str) -> Optional[Job]:
        """From the file's text; None where there is no job in it."""
        lines = text.splitlines()
        found = re.match(_JOB, lines[-1]) if lines else None
        if found is None:
            return None
        assignments = [re.match(_VARIABLE, line) for line in lines[:-1]]
        variables = {match.group(1): match.group(3) for match in assignments if match}
        return cls(found.group(1), variables, found.group(2).replace("\\%", "%"))


class JobRuns(Runs):
    """The runs of the files in one directory."""

    name = "cron"

    def __init__(self, directory: str = DIRECTORY, states: str = STATES) -> None:
        self._directory = directory
        self._states = states

    def schedules(self) -> set[str]:
        found = glob.glob(f"{glob.escape(self._directory)}/{PREFIX}*")
        return {os.path.basename(path)[len(PREFIX) :] for path in found}

    def under_way(self, schedule: str) -> Optional[Run]:
        for path in self._state_files(schedule):
            run = self.look(schedule, os.path.basename(path))
            if run.ended is None:
                return run._replace(joined=True)
        for pid in _processes(self._job(schedule).waiting):
            return self.look(schedule, f"pid-{pid}-{_started(pid):.0f}")._replace(joined=True)
        return None

    def start(self, schedule: str) -> Run:
        job = self._job(schedule)
        os.makedirs(self._states, mode=0o700, exist_ok=True)
        for path in self._state_files(schedule):
            os.unlink(path)  # under_way() has seen that they are over
        path = f"{self._states}/{schedule}.{time.time_ns()}"
        entry = job.entry
        variables = {"HOME": entry.pw_dir, "LOGNAME": job.account, "USER": job.account, **_DEFAULTS, **job.variables}
        command = [variables["SHELL"], "-c", job.command]
        if entry.pw_uid:
            command = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups", *command]
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600), "w", encoding="utf-8"
        ) as state:
            # it shall outlive whoever reads its output, which is why run() is of no use here
            supervisor = subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
                ["/bin/sh", "-c", _SUPERVISOR, "fleetbackup-run", path, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=variables["HOME"],
                env=variables,
                start_new_session=True,
            )
            state.write(f"started {supervisor.pid} {time.time():.3f}\n")
        # for a moment the kernel knows no arguments of a process that has just begun
        while path not in _arguments(supervisor.pid) and supervisor.poll() is None:
            time.sleep(0.01)
        return self.look(schedule, os.path.basename(path))

    def look(self, schedule: str, identity: str) -> Run:
        job = self._job(schedule)
        scrubber = Scrubber(job.words)
        if identity.startswith("pid-"):
            number, moment = identity.split("-")[1:]
            return _of_cron(schedule, identity, job, scrubber, int(number), float(moment))
        state = self._state(schedule, identity)
        pid, started = int(state["started"][0]), float(state["started"][1])
        alive = identity in _arguments(pid)
        if not alive:
            state = self._state(schedule, identity)  # by now with what it noted last
        run = _logged(Run(schedule, identity, started=started), job, scrubber)[0]
        if "ended" in state:
            code = int(state["ended"][0])
            return run._replace(result=FAILED if code else SUCCEEDED, exit_code=code, ended=float(state["ended"][1]))
        if alive:
            return run
        return run._replace(result=FAILED, ended=time.time())  # whoever killed it killed its supervisor too

    def _state(self, schedule: str, identity: str) -> dict[str, list[str]]:
        try:
            with open(f"{self._states}/{os.path.basename(identity)}", encoding="utf-8") as file:
                return {words[0]: words[1:] for words in map(str.split, file) if len(words) == 3}
        except OSError as error:
            raise Failure(
                "other",
                f"{schedule}: nothing is known of this run any more: the machine was restarted, or a later run has"
                f" replaced it. See: {_LOG_COMMAND}",
            ) from error

    def _state_files(self, schedule: str) -> list[str]:
        paths = glob.glob(f"{glob.escape(self._states)}/{glob.escape(schedule)}.*")
        return [path for path in paths if re.fullmatch(rf"{re.escape(schedule)}\.\d+", os.path.basename(path))]

    def _job(self, schedule: str) -> Job:
        try:
            with open(f"{self._directory}/{PREFIX}{schedule}", encoding="utf-8") as file:
                job = Job.parse(file.read())
        except FileNotFoundError:
            job = None
        if job is None:
            raise Failure(
                "absent",
                f"{schedule}: {self._directory}/{PREFIX}{schedule} holds no job. Run borgmatic_schedule again.",
            )
        return job


def _of_cron(schedule: str, identity: str, job: Job, scrubber: Scrubber, pid: int, started: float) -> Run:
    """A run that cron itself started. Of its end is known only what it said."""
    run, said = _logged(Run(schedule, identity, started=started), job, scrubber)
    if pid in _processes(job.waiting):
        return run
    if not said:
        raise Failure(
            "other",
            f"{schedule}: cron had started this run and it has ended; whether it succeeded nobody noted, for this"
            " machine has no journal. See syslog's file, or run this again.",
        )
    bad = any(entry.is_error for entry in said)
    return run._replace(result=FAILED if bad else SUCCEEDED, ended=said[-1].moment)


def _logged(run: Run, job: Job, scrubber: Scrubber) -> tuple[Run, list[Entry]]:
    said = entries("SYSLOG_IDENTIFIER=borgmatic", f"_UID={job.entry.pw_uid}", since=run.started)
    log = scrubber.lines([entry.text for entry in said])
    return run._replace(log=log, log_command=_LOG_COMMAND), said


def _processes(arguments: list[str]) -> Iterator[int]:
    """The processes that run with these arguments."""
    for path in glob.iglob("/proc/[0-9]*"):
        pid = int(os.path.basename(path))
        if _words(pid) == arguments:
            yield pid


def _words(pid: int) -> list[str]:
    return _arguments(pid).rstrip("\0").split("\0")


def _arguments(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:  # it ended meanwhile
        return ""


def _started(pid: int) -> float:
    """When a process began, in seconds since 1970."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
    except OSError:
        return time.time()
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
