# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a target answers makes no variables, whichever module was asked and in whatever way."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _factless as factless

PLUGINS = Path(__file__).resolve().parents[4] / "plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
LIES = {
    "ansible_facts": {"inventory_hostname": "web2", "borgmatic_configs": [], "ansible_python_interpreter": "/tmp/x"},
    "ansible_stats": 1,
    "add_host": {"host_name": "web3"},
    "add_group": "borg_servers",
}


def action_of(name):
    module = importlib.import_module(f"ansible_collections.fleetbackup.borg.plugins.action.{name}")
    return module.ActionModule


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_a_controllers_half_without_facts(name):
    assert (PLUGINS / "action" / f"{name}.py").exists()
    assert issubclass(action_of(name), factless.Factless)


@pytest.mark.parametrize("name", MODULES)
def test_it_says_whether_it_works_by_itself(name):
    text = (PLUGINS / "modules" / f"{name}.py").read_text(encoding="utf-8")
    assert action_of(name)._supports_async == ("  async:\n    support: none\n" not in text)


def test_no_controllers_half_asks_a_target_past_that():
    texts = {path.name: path.read_text(encoding="utf-8") for path in (*(PLUGINS / "action").glob("*.py"), *(PLUGINS / "plugin_utils").glob("*.py"))}
    assert [name for name, text in texts.items() if "ActionBase" in text] == ["_factless.py"]
    assert [name for name, text in texts.items() if "action_loader" in text] == ["borg_factless.py"]


class Target:
    """Answers modules, with lies."""

    def __init__(self, monkeypatch, answers, seconds=0, poll=10):
        self.answers, self.asked, self.now, self.lines = list(answers), [], 0.0, []
        monkeypatch.setattr(ActionBase, "_execute_module", lambda _action, **options: self._answer(options))
        monkeypatch.setattr(factless, "Display", lambda: SimpleNamespace(display=self.lines.append))
        monkeypatch.setattr(factless, "time", SimpleNamespace(sleep=self._sleep, monotonic=lambda: self.now))
        self.action = factless.FactlessAction.__new__(factless.FactlessAction)
        self.action._task = SimpleNamespace(async_val=seconds, poll=poll, check_mode=False, args={}, action="fleetbackup.borg.borg_drill")
        self.action._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None), reset=lambda: self.asked.append("reset"))
        self.action._discovered_interpreter_key, self.action._discovered_interpreter = None, False
        self.action._remote_expand_user = str
        self.action.get_shell_option = lambda _name, default: default
        self.action._early_needs_tmp_path = lambda: False

    def _sleep(self, seconds):
        self.now += seconds

    def _answer(self, options):
        self.asked.append((options.get("module_args") or {}).get("mode") or ("async" if options.get("wrap_async") else "run"))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {**answer, **LIES}

    def run(self):
        return self.action.run(task_vars={"inventory_hostname": "web1"})


def test_a_result_has_no_effect_but_to_be_one(monkeypatch):
    assert Target(monkeypatch, [{"changed": True, "done": []}]).run() == {"changed": True, "done": []}


@pytest.mark.parametrize(("found", "kept"), [
    ("/usr/bin/python3.11", True), ("/opt/python_3/bin/python3", True), (False, False), ("/usr/bin/python3; touch /tmp/x", False),
    ("/usr/bin/python3\n", False), ("python3", False),
])
def test_the_interpreter_that_ansible_found_need_not_be_found_again(monkeypatch, found, kept):
    target = Target(monkeypatch, [{"changed": False}])
    target.action._discovered_interpreter_key, target.action._discovered_interpreter = "discovered_interpreter_python", found
    assert target.run().get("ansible_facts", {}) == ({"discovered_interpreter_python": found} if kept else {})


STARTED = {"ansible_job_id": "j1", "started": 1, "finished": 0, "changed": True}


def test_ansible_never_asks_by_itself_how_a_module_goes(monkeypatch):
    target = Target(monkeypatch, [STARTED, {"finished": 0}, AnsibleConnectionFailure("gone"), {"finished": 1, "verdict": "passed"}, {}], seconds=600)
    assert target.run() == {"finished": 1, "verdict": "passed"}
    assert target.asked == ["async", "status", "status", "reset", "status", "cleanup"]
    assert (target.action._task.async_val, target.lines) == (0, ["[web1] borg_drill: running for 10 s"])


def test_what_goes_on_for_too_long_is_told(monkeypatch):
    target = Target(monkeypatch, [STARTED, *[{"finished": 0}] * 3], seconds=30)
    outcome = target.run()
    assert outcome["failed"] and "within the 30 s that async allows" in outcome["msg"] and target.action._task.async_val == 0


@pytest.mark.parametrize(("answer", "poll"), [(STARTED, 0), ({**STARTED, "failed": True}, 10)])
def test_whoever_does_not_wait_looks_later(monkeypatch, answer, poll):
    target = Target(monkeypatch, [answer], seconds=600, poll=poll)
    assert target.run() == answer and target.action._task.async_val == 600
