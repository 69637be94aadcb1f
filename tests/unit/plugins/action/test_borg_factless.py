# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules of ansible-core, run without the facts that their target answers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.playbook.task import Task

from ansible_collections.fleetbackup.borg.plugins.action.borg_factless import MODULES, ActionModule
from ansible_collections.fleetbackup.borg.plugins.modules import borg_factless as documented

LIE = {"ansible_facts": {"inventory_hostname": "web2"}, "ansible_stats": 1}


@pytest.fixture(name="run")
def fixture_run():
    """Runs the action; returns its result, and what was run instead."""
    def run(**arguments):
        asked = []
        handler = SimpleNamespace(
            run=lambda task_vars: {"stat": {"exists": True}, "changed": False, **LIE},
            _discovered_interpreter_key="discovered_interpreter_python", _discovered_interpreter="/usr/bin/python3",
        )

        def get(name, task, **_others):
            asked.append((name, task.action, task.args))
            return handler

        loader = SimpleNamespace(has_plugin=lambda name: name == "ansible.builtin.copy", get=get)
        task = Task()
        task.args = arguments
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/x"))
        action = ActionModule(task, connection, SimpleNamespace(), None, None, None)
        action._load_name = "borg_factless"
        action._shared_loader_obj = SimpleNamespace(action_loader=loader)
        return action.run(task_vars={}), asked
    return run


def test_the_module_runs_with_its_options_and_without_facts(run):
    result, asked = run(module="stat", args={"path": "/x", "follow": True})
    assert asked == [("ansible.legacy.normal", "ansible.builtin.stat", {"path": "/x", "follow": True})]
    assert result == {"stat": {"exists": True}, "changed": False, "ansible_facts": {"discovered_interpreter_python": "/usr/bin/python3"}}


def test_its_own_half_on_the_controller_runs_too(run):
    assert run(module="copy", args={"content": "x", "dest": "/x"})[1][0][0] == "ansible.builtin.copy"


@pytest.mark.parametrize("arguments", [{"module": "setup"}, {"module": "shell", "args": {}}, {}, {"module": "stat", "arg": {}}])
def test_no_other_module_or_option_is_taken(run, arguments):
    with pytest.raises(AnsibleError):
        run(**arguments)


def test_what_is_documented_is_what_there_is():
    options = yaml.safe_load(documented.DOCUMENTATION)["options"]
    assert options["module"]["choices"] == list(MODULES)
