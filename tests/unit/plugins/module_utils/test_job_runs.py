# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import stat
import time

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _job_runs
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._job_runs import Job, JobRuns
from ansible_collections.fleetbackup.borg.plugins.module_utils._run_log import Entry

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture(name="journal", autouse=True)
def fixture_journal(monkeypatch):
    said = []
    monkeypatch.setattr(_job_runs, "entries", lambda *matches, since=None: list(said))
    return said


@pytest.fixture(name="cron")
def fixture_cron(tmp_path):
    class Cron:
        runs = JobRuns(str(tmp_path), str(tmp_path / "states"))

        def job(self, command, name="x", disabled=False):
            escaped = command.replace("%", "\\%")
            job = f"12 1 * * * {ME} {escaped}"
            lines = ["# head", 'SHELL="/bin/sh"', 'MAILTO=""', f'HOME="{tmp_path}"', "GREETING='say \"hi\"'"]
            (tmp_path / f"fleetbackup-{name}").write_text("\n".join([*lines, f"# disabled: {job}" if disabled else job, ""]))

        def end(self, identity):
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                run = self.runs.look("x", identity)
                if run.ended is not None:
                    return run
                time.sleep(0.05)
            raise AssertionError("it did not end")

    return Cron()


class TestJob:
    TEXT = '# head\nSHELL="/bin/sh"\nMAILTO=""\nPATH=\'/a"b\'\n12 1 * * * eve nice /usr/bin/flock --close /l borgmatic --config \'/a b\' x\\%y\n'

    def test_is_read_as_cron_reads_it(self):
        job = Job.parse(self.TEXT)
        assert job.account == "eve"
        assert job.variables == {"SHELL": "/bin/sh", "MAILTO": "", "PATH": '/a"b'}
        assert job.words == ["nice", "/usr/bin/flock", "--close", "/l", "borgmatic", "--config", "/a b", "x%y"]
        assert job.waiting == job.words[1:]

    def test_also_where_it_is_disabled(self):
        assert Job.parse(self.TEXT.replace("12 1", "# disabled: 12 1")) == Job.parse(self.TEXT)

    @pytest.mark.parametrize("text", ["", "# head\n", "12 1 * * *\n"])
    def test_or_not_at_all(self, text):
        assert Job.parse(text) is None

    def test_an_account_that_is_gone(self):
        with pytest.raises(Failure, match="no such account"):
            assert Job("fleetbackup-nobody", {}, "x").entry


class TestRuns:
    def test_its_end_is_noted(self, cron, tmp_path):
        cron.job('echo "$GREETING" 100% > out; umask >> out; exit 3', disabled=True)
        begun = cron.runs.start("x")
        run = cron.end(begun.id)
        assert (run.result, run.exit_code, run.joined) == ("failed", 3, False)
        assert (tmp_path / "out").read_text() == 'say "hi" 100%\n0022\n'
        states = tmp_path / "states"
        assert stat.S_IMODE(states.stat().st_mode) == 0o700
        assert [stat.S_IMODE(path.stat().st_mode) for path in states.iterdir()] == [0o600]
        assert run.seconds(0) <= 20 and run.started <= run.ended + 1

    def test_success(self, cron):
        cron.job("true")
        run = cron.end(cron.runs.start("x").id)
        assert (run.result, run.exit_code) == ("succeeded", 0)
        assert cron.runs.under_way("x") is None

    def test_one_under_way_is_joined(self, cron):
        cron.job("sleep 20")
        begun = cron.runs.start("x")
        met = cron.runs.under_way("x")
        assert (met.id, met.joined, met.result) == (begun.id, True, "running")
        (path,) = (os.path.join(cron.runs._states, name) for name in os.listdir(cron.runs._states))
        with open(path, encoding="utf-8") as file:
            os.killpg(int(file.read().split()[1]), 9)
        os.wait()
        killed = cron.runs.look("x", begun.id)
        assert (killed.result, killed.exit_code) == ("failed", None)

    def test_of_crons_own_run_only_the_log_tells_the_end(self, cron, journal, monkeypatch):
        cron.job("/usr/bin/flock --close /l borgmatic create")
        there = []
        monkeypatch.setattr(_job_runs, "_processes", lambda arguments: iter([4711] if there and arguments[0] == "/usr/bin/flock" else []))
        assert cron.runs.under_way("x") is None
        there.append(1)
        met = cron.runs.under_way("x")
        assert met.joined and met.result == "running" and met.id.startswith("pid-4711-")
        there.clear()
        with pytest.raises(Failure, match="whether it succeeded nobody noted"):
            cron.runs.look("x", met.id)
        journal.append(Entry(1.0, "summary:", {"PRIORITY": "6"}))
        assert cron.runs.look("x", met.id)._replace(log=()).result == "succeeded"
        journal.append(Entry(2.0, "An error occurred", {"PRIORITY": "2"}))
        assert cron.runs.look("x", met.id).result == "failed"

    def test_what_nobody_knows(self, cron):
        cron.job("true")
        with pytest.raises(Failure, match="nothing is known of this run any more"):
            cron.runs.look("x", "x.12345")
        with pytest.raises(Failure) as caught:
            cron.runs.look("y", "y.1")
        assert caught.value.error == "absent"

    def test_the_next_run_forgets_the_last(self, cron, tmp_path):
        cron.job("true")
        first = cron.runs.start("x")
        cron.end(first.id)
        second = cron.runs.start("x")
        cron.end(second.id)
        assert [path.name for path in (tmp_path / "states").iterdir()] == [second.id]
        assert cron.runs.schedules() == {"x"}
