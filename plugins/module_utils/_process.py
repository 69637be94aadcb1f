# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One process: its arguments, its environment, its secrets, its end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from typing import Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

#: Where programs of a system are found; a module's own PATH may be cron's or a bare login's.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: What a program needs of the caller's environment; all else stays outside.
INHERITED = ("SSH_AUTH_SOCK", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")

#: Seconds that a process has to end after a signal.
PATIENCE = 10.0


class Completed(NamedTuple):
    """How a process ended. Output that is not UTF-8 keeps its bytes as surrogates."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str


def home_directory() -> str:
    """The home of the user who runs this, from the user database: sudo, cron and systemd set HOME differently, and the
    whole identity of a borg client hangs on it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return os.environ.get("HOME", "/")


def base_environment() -> dict[str, str]:
    """An environment that is the same in a module, under systemd and under cron."""
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment.update(PATH=SEARCH_PATH, HOME=home_directory(), LANG="C.UTF-8", LC_ALL="C.UTF-8")
    try:
        environment["USER"] = environment["LOGNAME"] = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        environment["USER"] = environment["LOGNAME"] = str(os.getuid())
    return environment


def find_program(name: str) -> Optional[str]:
    """The absolute path of a program, or None. A path is taken as it is."""
    return shutil.which(name, path=SEARCH_PATH + ":" + os.environ.get("PATH", ""))


def run(
    argv: Sequence[str],
    *,
    environment: Optional[Mapping[str, str]] = None,
    secrets: Optional[Mapping[str, str]] = None,
    stdin: Optional[str] = None,
    timeout: Optional[float] = None,
    cwd: Optional[str] = None,
    umask: int = 0o077,
    encoding: str = "utf-8",
    output: Optional[int] = None,
    shared: Sequence[int] = (),
) -> Completed:
    """Run one process to its end; its exit code is the caller's to judge.

    Nothing is expanded, and no question can be asked: there is no terminal.

    :param argv: the program and its arguments.
    :param environment: variables on top of :func:`base_environment`.
    :param secrets: variable name -> text. The text goes through a pipe of its own; the variable holds the number of
        the descriptor (as BORG_PASSPHRASE_FD does), so that neither ``ps`` nor ``/proc`` shows it.
    :param stdin: what it reads from standard input; None: nothing.
    :param timeout: seconds until the process and all that it started are killed; None: no limit.
    :param cwd: the working directory.
    :param umask: for the files that it makes.
    :param encoding: of its output.
    :param output: the descriptor that its standard output goes to; None: it is returned.
    :param shared: descriptors of ours that it has as well, for as long as it lasts.
    :raises Failure: ``timeout``, ``borg_missing`` (no such program), ``permission`` (not executable), ``disk_full``.
    """
    variables = {**base_environment(), **(environment or {})}
    descriptors = []
    try:
        for name, text in (secrets or {}).items():
            descriptor = _readable(text)
            descriptors.append(descriptor)
            variables[name] = str(descriptor)
        try:
            # run_command leaves standard input open and knows no timeout
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                list(argv),
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE if output is None else output,
                stderr=subprocess.PIPE,
                env=variables,
                cwd=cwd,
                pass_fds=[*descriptors, *shared],
                start_new_session=True,
                umask=umask,
            )
        except FileNotFoundError as error:
            raise Failure(
                "borg_missing", f"The program {argv[0]} does not exist. Install it, or say where it is.", cmd=argv
            ) from error
        except PermissionError as error:
            raise Failure("permission", f"The program {argv[0]} may not be executed: {error}.", cmd=argv) from error
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    try:
        stdout, stderr = process.communicate(None if stdin is None else _bytes(stdin), timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise Failure(
            "timeout",
            f"{os.path.basename(argv[0])} did not end within {timeout:g} seconds and was stopped."
            " See what it waited for, or raise the option timeout.",
            cmd=argv,
            stderr=_text(_stop(process), encoding),
        ) from error
    except BaseException:
        _stop(process)
        raise
    return Completed(tuple(argv), process.returncode, _text(stdout or b"", encoding), _text(stderr, encoding))


def _readable(text: str) -> int:
    """A descriptor from which the text can be read once. The text is far smaller than a pipe's 64 KiB buffer."""
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, _bytes(text))
    finally:
        os.close(write_end)
    return read_end


def _stop(process: subprocess.Popen[bytes]) -> bytes:
    """End the whole process group: politely, so that borg removes its locks, then for good, so that no child stays that
    did not listen. What it said last."""
    _signal(process, signal.SIGTERM)
    try:
        return process.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal(process, signal.SIGKILL)
    try:
        return process.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        return b""


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes, encoding: str) -> str:
    return data.decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
