# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _sessions
from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys import Access, Serving
from ansible_collections.fleetbackup.borg.plugins.module_utils._sessions import of_removed

BORG = 990
TICKS = os.sysconf("SC_CLK_TCK")
UPTIME = 1000


def reach(*paths, **access):
    return Access(Serving(), tuple(f"/srv/borg/{path}" for path in paths), **access).reach


def serving(*paths):
    return ("/usr/bin/python3", *Access(Serving(), tuple(f"/srv/borg/{path}" for path in paths), storage_quota="12M").words)


@pytest.fixture(name="proc")
def fixture_proc(tmp_path):
    """A machine with a connection of web1 and one of web10, each with sshd's own processes above it."""
    (tmp_path / "uptime").write_text(f"{UPTIME}.00 1.00\n")
    (tmp_path / "self").mkdir()

    def add(pid, parent, words, uid=BORG, age=100):
        (tmp_path / str(pid)).mkdir()
        # somebody may have called his program so
        fields = ["S", str(parent), *["0"] * 17, str((UPTIME - age) * TICKS), "0"]
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) S 1 (b) {' '.join(fields)}\n")
        (tmp_path / str(pid) / "status").write_text(f"Name:\tsshd\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        (tmp_path / str(pid) / "cmdline").write_bytes("\0".join(words).encode() + b"\0")

    add(1, 0, ["/sbin/init"], uid=0)
    add(2, 0, [], uid=0)
    add(10, 1, ["sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"], uid=0)
    add(20, 10, ["sshd: borg [priv]"], uid=0)
    add(21, 20, ["sshd: borg@notty\0\0\0\0"])
    add(22, 21, ["sh", "-c", "borg serve …"])
    add(23, 22, serving("web1"))
    add(30, 10, ["sshd-session: borg [priv]"], uid=0)
    add(31, 30, ["sshd-session: borg@notty"])
    add(32, 31, serving("web10"))
    return Proc(tmp_path, add)


class Proc:
    def __init__(self, path, add):
        self.path, self.add = path, add

    def found(self, removed, *remaining):
        sessions = of_removed("borg", BORG, removed, remaining, str(self.path))
        return sessions.names, [process.pid for process in sessions.processes]


def test_a_session_and_its_connection(proc):
    assert proc.found({"web1": reach("web1")}, reach("web10")) == (["web1"], [21, 23])
    assert proc.found({"web10": reach("web10"), "web1": reach("web1")}) == (["web1", "web10"], [21, 31, 23, 32])


def test_nobody_was_removed(proc):
    proc.add(40, 30, ["sshd: borg@notty"])
    assert proc.found({}, reach("web1")) == ([], [])


@pytest.mark.parametrize("removed", [reach("web"), reach("web100"), Access(Serving(), (), ("/srv/borg/web1",)).reach])
def test_a_neighbour_goes_on(proc, removed):
    assert proc.found({"other": removed}, reach("web1")) == ([], [])


def test_what_one_who_stays_shares_goes_on(proc):
    assert proc.found({"web1": reach("web1")}, reach("web1")) == ([], [])
    assert proc.found({"web1": reach("web1")}, reach("web1", "more")) == ([], [])


def test_a_session_under_an_earlier_restriction(proc):
    assert proc.found({"web1": reach("web1", "more")}) == (["web1"], [21, 23])


def test_other_accounts_and_what_only_looks_like_it(proc):
    proc.add(50, 1, serving("web1"), uid=1000)
    proc.add(51, 1, ["vi", "--restrict-to-repository", "/srv/borg/web1"])
    assert proc.found({"web1": reach("web1")})[1] == [21, 23]


def test_what_sshd_did_not_start_has_no_connection(proc):
    proc.add(60, 1, serving("db1"))
    assert proc.found({"db1": reach("db1")}) == (["db1"], [60])


def test_connections_over_which_nothing_runs(proc):
    proc.add(70, 20, ["sshd: borg"])
    proc.add(71, 20, ["sshd: borg@notty"])
    proc.add(72, 20, ["sshd: borg@notty"], age=5)
    proc.add(73, 20, ["sshd: borg2@notty"])
    proc.add(74, 20, ["sshd: borg@pts/0"])
    proc.add(75, 20, ["sshd: borg@notty"], uid=1000)
    assert proc.found({"db1": reach("db1")}) == ([], [70, 71])


def test_what_has_just_ended(proc):
    (proc.path / "40").mkdir()
    assert proc.found({"web1": reach("web1")}) == (["web1"], [21, 23])


@pytest.fixture(name="process")
def fixture_process():
    """A real one, as it is seen."""
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"], stdout=subprocess.PIPE) as running:
        running.stdout.readline()
        yield running
        running.kill()


def test_a_process_is_asked_to_end(process):
    _sessions._read("/proc", process.pid).end()
    assert process.wait(10) == -signal.SIGTERM


def test_nobody_who_got_its_number_is(process):
    seen = _sessions._read("/proc", process.pid)
    seen._replace(started=seen.started - 1).end()
    time.sleep(0.1)
    assert process.poll() is None


def test_one_that_has_ended_is_no_failure(process):
    seen = _sessions._read("/proc", process.pid)
    process.kill()
    process.wait()
    seen.end()
