# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _unit_runs
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._run_log import Entry
from ansible_collections.fleetbackup.borg.plugins.module_utils._unit_runs import UnitRuns

OLD, NEW = "0" * 32, "1" * 32
#: The ids of their runs.
BEFORE, NOW = f"{OLD}@b007", f"{NEW}@b007"
#: What systemd 257 shows of a unit that was never started, or that it has forgotten.
BLANK = {
    "ActiveState": "inactive", "Job": "", "InvocationID": "", "Result": "success", "ExecMainCode": "0", "ExecMainStatus": "0",
    "FragmentPath": "", "InactiveExitTimestampMonotonic": "0", "InactiveEnterTimestampMonotonic": "0", "ConditionResult": "no",
}
BEGUN = {**BLANK, "InvocationID": NEW, "InactiveExitTimestampMonotonic": "5000000", "ConditionResult": "yes"}
RUNNING = {**BEGUN, "ActiveState": "activating", "Job": "90"}
ENDED = {**BEGUN, "InactiveEnterTimestampMonotonic": "66000000", "ExecMainCode": "1"}
FAILED = {**ENDED, "ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "1"}


class Systemd:
    """Stands for systemd: shows one state after the other, the last one for ever."""

    scope = "system"
    is_running = True

    def __init__(self, *states):
        self.states = list(states)
        self.calls = []

    def properties(self, names, wanted):
        assert names == ["fleetbackup-x.service"]
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        assert set(wanted) <= state.keys()
        return [state]

    def call(self, *arguments):
        self.calls.append(arguments)


@pytest.fixture(name="journal", autouse=True)
def fixture_journal(monkeypatch):
    said = []
    monkeypatch.setattr(_unit_runs, "entries", lambda *matches, since=None: list(said))
    monkeypatch.setattr(_unit_runs, "_PATIENCE", 0.3)
    monkeypatch.setattr(_unit_runs, "_boot", lambda: "b007")
    return said


def line(text, moment=1.0, **fields):
    return Entry(moment, text, {"SYSLOG_IDENTIFIER": "borgmatic", "PRIORITY": "6", **fields})


class TestStart:
    def test_does_not_wait_for_the_run(self):
        systemd = Systemd(BLANK, BLANK | {"Job": "90"}, RUNNING)
        run = UnitRuns(systemd).start("x")
        assert systemd.calls == [("start", "--no-block", "--", "fleetbackup-x.service")]
        assert (run.id, run.result, run.joined, run.log_command) == (NOW, "running", False, "journalctl -u fleetbackup-x.service")

    def test_the_run_before_is_another(self):
        assert UnitRuns(Systemd(FAILED | {"InvocationID": OLD}, FAILED | {"InvocationID": OLD, "Job": "9"}, RUNNING)).start("x").id == NOW

    def test_one_that_waits_for_the_network_is_known_by_the_one_before(self):
        waiting = ENDED | {"InvocationID": OLD, "Job": "90"}
        runs = UnitRuns(Systemd(waiting))
        run = runs.start("x")
        assert (run.id, run.result, run.started) == (f"after-{OLD}", "running", None)
        assert runs.look("x", run.id) == run
        assert UnitRuns(Systemd(RUNNING)).look("x", run.id).id == NOW
        with pytest.raises(Failure):
            UnitRuns(Systemd(ENDED | {"InvocationID": OLD})).look("x", run.id)

    @pytest.mark.parametrize(
        ("after", "why"),
        [
            (ENDED | {"InvocationID": OLD, "ConditionResult": "no"}, "a condition of the unit does not hold"),
            (FAILED | {"InvocationID": OLD, "Result": "start-limit-hit"}, "its result is start-limit-hit"),
        ],
    )
    def test_what_did_not_start_is_told(self, after, why):
        with pytest.raises(Failure) as caught:
            UnitRuns(Systemd(ENDED | {"InvocationID": OLD}, after)).start("x")
        assert why in caught.value.msg and "systemctl status fleetbackup-x.service" in caught.value.msg


class TestUnderWay:
    @pytest.mark.parametrize("shown", [BLANK, ENDED, FAILED])
    def test_none(self, shown):
        assert UnitRuns(Systemd(shown)).under_way("x") is None

    def test_one_is_joined(self):
        run = UnitRuns(Systemd(RUNNING)).under_way("x")
        assert (run.id, run.joined, run.result) == (NOW, True, "running")

    def test_one_that_waits_for_its_turn_too(self):
        assert UnitRuns(Systemd(ENDED | {"InvocationID": OLD, "Job": "7"})).under_way("x").id == f"after-{OLD}"

    def test_no_systemd_no_run(self):
        systemd = Systemd(RUNNING)
        systemd.is_running = False
        assert UnitRuns(systemd).under_way("x") is None
        with pytest.raises(Failure, match="does not run"):
            UnitRuns(systemd).start("x")


class TestLook:
    def test_the_end_as_systemd_shows_it(self):
        run = UnitRuns(Systemd(ENDED)).look("x", NOW)
        assert (run.result, run.exit_code, run.seconds(0)) == ("succeeded", 0, 61)
        assert run.started == pytest.approx(time.time() - time.monotonic() + 5, abs=0.5)

    @pytest.mark.parametrize(
        ("shown", "code"),
        [
            (FAILED, 1),
            (FAILED | {"Result": "signal", "ExecMainCode": "2", "ExecMainStatus": "9"}, 137),
            (FAILED | {"Result": "timeout", "ExecMainCode": "2", "ExecMainStatus": "15"}, 124),
            (FAILED | {"Result": "resources", "ExecMainCode": "0", "ExecMainStatus": "0"}, None),
        ],
    )
    def test_a_failure(self, shown, code):
        run = UnitRuns(Systemd(shown)).look("x", NOW)
        assert (run.result, run.exit_code) == ("failed", code)

    def test_what_ended_well_is_forgotten_at_once(self, journal):
        assert UnitRuns(Systemd(BLANK)).look("x", NOW).result == "succeeded"
        journal += [line("Creating archive", 10.0), line("done", 71.0)]
        run = UnitRuns(Systemd(BLANK)).look("x", NOW)
        assert (run.result, run.exit_code, run.seconds(0), run.log) == ("succeeded", 0, 61, ("Creating archive", "done"))

    def test_of_one_that_a_later_one_replaced_the_journal_knows(self, journal):
        journal += [
            line("Creating archive"),
            line("Main process exited", 2.0, SYSLOG_IDENTIFIER="systemd", EXIT_STATUS="1", EXIT_CODE="exited"),
            line("Failed with result", 3.0, SYSLOG_IDENTIFIER="systemd", UNIT_RESULT="exit-code"),
        ]
        run = UnitRuns(Systemd(RUNNING)).look("x", BEFORE)
        assert (run.result, run.exit_code, run.log) == ("failed", 1, ("Creating archive",))

    def test_also_of_its_success(self, journal):
        journal.append(line("Deactivated successfully.", 3.0, MESSAGE_ID="7ad2d189f7e94e70a38c781354912448"))
        assert UnitRuns(Systemd(RUNNING)).look("x", BEFORE).result == "succeeded"
        assert UnitRuns(Systemd(BLANK)).look("x", f"{NEW}@01db007").result == "succeeded"

    @pytest.mark.parametrize(("shown", "identity"), [(RUNNING, BEFORE), (BLANK, f"{NEW}@01db007"), (BLANK, NEW)])
    def test_or_nobody(self, journal, shown, identity):
        with pytest.raises(Failure, match="not known any more"):
            UnitRuns(Systemd(shown)).look("x", identity)
        journal.append(line("Creating archive"))  # then the machine went down
        with pytest.raises(Failure, match="not known any more"):
            UnitRuns(Systemd(shown)).look("x", identity)

    def test_secrets_of_its_configurations_are_hidden(self, journal, tmp_path):
        config = tmp_path / "it's $100%.yaml"
        config.write_text("repositories: [{path: /srv/x}]\nencryption_passphrase: canary-9\n")
        unit = tmp_path / "unit"
        quoted = str(config).replace("%", "%%").replace("$", "$$")
        unit.write_text(f'[Service]\nExecStartPre=/bin/true\nExecStart=/usr/bin/flock /l borgmatic --config "{quoted}" create\n')
        journal.append(line("hook says canary-9"))
        run = UnitRuns(Systemd(RUNNING | {"FragmentPath": str(unit)})).look("x", NOW)
        assert run.log == ("hook says (hidden)",)
