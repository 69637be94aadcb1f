# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _process
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

PYTHON = sys.executable


def python(code: str, *arguments: str, **how):
    return _process.run([PYTHON, "-c", textwrap.dedent(code), *arguments], **how)


def test_output_and_exit_code_are_returned():
    done = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (done.rc, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_nothing_is_expanded():
    arguments = ["$HOME", "~", "*", "a b", "$(id)", ";", "é"]
    done = python("import sys, json; print(json.dumps(sys.argv[1:]))", *arguments)
    assert done.stdout == '["$HOME", "~", "*", "a b", "$(id)", ";", "\\u00e9"]\n'


def test_standard_input_is_empty_even_where_ours_is_an_open_pipe():
    code = (
        "from ansible_collections.fleetbackup.borg.plugins.module_utils._process import run\n"
        "print(run(['cat'], timeout=20).rc)"
    )
    with subprocess.Popen([PYTHON, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout.read() == b"0\n"  # and nobody wrote to its standard input
        process.stdin.close()


def test_standard_input_may_be_given_whatever_it_holds_and_however_long_it_is():
    text = " ü\udcff'\n" * 50_000
    done = _process.run(["cat"], stdin=text, timeout=20)
    assert done.stdout == text
    assert _process.run(["true"], stdin=text).rc == 0, "one that does not read it is no failure"


def test_output_may_go_elsewhere(tmp_path):
    with open(tmp_path / "out", "wb") as file:
        done = python("print('out')", output=file.fileno())
    assert (done.stdout, (tmp_path / "out").read_text()) == ("", "out\n")


def test_there_is_no_terminal_to_ask_at():
    done = python("open('/dev/tty')")
    assert done.rc == 1
    assert "No such device or address" in done.stderr


def test_the_environment_is_of_our_making(monkeypatch):
    for name in ("BORG_PASSPHRASE", "BORG_PASSCOMMAND", "BORG_REPO", "PYTHONPATH", "LC_MESSAGES", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "inherited")
    monkeypatch.setenv("HOME", "/wrong")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    shown = dict(line.split("=", 1) for line in _process.run(["env"], environment={"GIVEN": "1"}).stdout.splitlines())
    assert shown["GIVEN"] == "1"
    assert shown["HOME"] == _process.home_directory() != "/wrong"
    assert shown["LANG"] == shown["LC_ALL"] == "C.UTF-8"
    assert shown["PATH"] == _process.SEARCH_PATH
    assert shown["SSH_AUTH_SOCK"] == "/agent"
    assert set(shown) <= {"GIVEN", "HOME", "LANG", "LC_ALL", "PATH", "USER", "LOGNAME", *_process.INHERITED}


@pytest.mark.parametrize("secret", ["it's", "$HOME {x} %s", "ünïcödé 🔑", "x" * 4096, " spaces "])
def test_a_secret_arrives_verbatim_through_a_descriptor_and_shows_nowhere(secret):
    done = python(
        """
        import os, sys
        number = int(os.environ["BORG_PASSPHRASE_FD"])
        everything = open("/proc/self/environ").read() + open("/proc/self/cmdline").read()
        secret = os.fdopen(number).read()
        assert secret not in everything
        print(secret, end="")
        """,
        secrets={"BORG_PASSPHRASE_FD": secret},
    )
    assert (done.rc, done.stdout) == (0, secret)


def test_each_secret_has_a_descriptor_of_its_own_and_none_stays_open():
    before = len(os.listdir("/proc/self/fd"))
    code = "import os; print([os.read(int(os.environ[name]), 99).decode() for name in ('A', 'B')])"
    assert python(code, secrets={"A": "one", "B": "two"}).stdout == "['one', 'two']\n"
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_other_descriptor_is_inherited(tmp_path):
    with open(tmp_path / "file", "w") as file:
        os.set_inheritable(file.fileno(), True)
        done = python("import os, sys; os.fstat(int(sys.argv[1]))", str(file.fileno()))
    assert "Bad file descriptor" in done.stderr


def test_files_are_private_and_the_directory_is_ours(tmp_path):
    python("open('file', 'w')", cwd=str(tmp_path))
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_bytes_that_are_not_utf_8_survive():
    done = python(r"import sys; sys.stdout.buffer.write(b'\xff\xe9')")
    assert os.fsencode(done.stdout) == b"\xff\xe9"


def test_another_encoding_may_be_asked_for():
    done = python(r"import sys; sys.stdout.buffer.write(b'caf\\xe9\\n\\udcff')", encoding="unicode_escape")
    assert done.stdout == "café\n\udcff"


def test_a_missing_program_is_named():
    with pytest.raises(Failure) as caught:
        _process.run(["/usr/bin/no-such-program", "x"])
    assert caught.value.error == "borg_missing"
    assert "/usr/bin/no-such-program does not exist" in caught.value.msg
    assert caught.value.cmd == ["/usr/bin/no-such-program", "x"]


def test_a_program_that_may_not_be_executed_is_named(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(Failure) as caught:
        _process.run([str(program)])
    assert caught.value.error == "permission"
    assert str(program) in caught.value.msg


def test_a_secret_does_not_leak_a_descriptor_where_the_program_is_missing():
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Failure):
        _process.run(["/usr/bin/no-such-program"], secrets={"A": "one"})
    assert len(os.listdir("/proc/self/fd")) == before


def ends(number: int) -> bool:
    """Whether a process ends, at once or while we wait; a zombie has ended."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{number}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_a_timeout_ends_all_that_was_started(tmp_path):
    code = """
        import os, signal, subprocess, sys, time
        child = subprocess.Popen(["sleep", "300"])
        open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
        print("working", file=sys.stderr, flush=True)
        time.sleep(300)
    """
    started = time.monotonic()
    with pytest.raises(Failure) as caught:
        python(code, str(tmp_path / "pids"), timeout=1)
    assert time.monotonic() - started < 15
    failure = caught.value
    assert (failure.error, failure.retryable, failure.stderr) == ("timeout", True, "working\n")
    assert "did not end within 1 seconds" in failure.msg
    assert "timeout" in failure.msg
    assert all(ends(int(number)) for number in (tmp_path / "pids").read_text().split())


def test_a_child_that_ignores_the_polite_signal_is_killed_though_its_parent_obeyed(tmp_path):
    code = """
        import os, subprocess, sys, time
        stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(300)"
        child = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        child.stdout.readline()
        open(sys.argv[1], "w").write(str(child.pid))
        time.sleep(300)
    """
    with pytest.raises(Failure, match="did not end"):
        python(code, str(tmp_path / "pid"), timeout=3)
    assert ends(int((tmp_path / "pid").read_text()))


def test_a_stubborn_process_is_killed(monkeypatch, tmp_path):
    code = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("up", flush=True)
        time.sleep(300)
    """
    monkeypatch.setattr(_process, "PATIENCE", 0.5)
    started = time.monotonic()
    with pytest.raises(Failure, match="did not end"):
        python(code, timeout=2)
    assert time.monotonic() - started < 8


def test_programs_are_found_in_the_places_of_a_system(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _process.find_program("sh") in ("/usr/bin/sh", "/bin/sh")
    program = tmp_path / "only-here"
    program.write_text("")
    program.chmod(0o755)
    assert _process.find_program("only-here") == str(program)
    assert _process.find_program(str(program)) == str(program)
    assert _process.find_program("no-such-program") is None
    program.chmod(0o644)
    assert _process.find_program(str(program)) is None
