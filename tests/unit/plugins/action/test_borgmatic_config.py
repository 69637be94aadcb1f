# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of borgmatic_config: what reaches the module, and what does not."""

from __future__ import annotations

import json

import pytest

from ansible_collections.fleetbackup.borg.plugins.action.borgmatic_config import ARGUMENTS, module_arguments
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.modules import borgmatic_config

CANARY = "canary-0b7d"
CONFIG = {"source_directories": "/etc", "repositories": "/srv/backup", "keep_daily": "7"}


def refused(task):
    with pytest.raises(Failure) as caught:
        module_arguments(task)
    assert caught.value.error == "invalid_argument"
    assert CANARY not in str(caught.value.as_result())
    return caught.value.msg


class TestModuleArguments:
    def test_the_document_is_one_text_in_normal_form(self):
        arguments = module_arguments({"path": "/x", "config": CONFIG, "mode": "0640"})
        assert {**arguments, "config": json.loads(arguments["config"])} == {
            "path": "/x",
            "mode": "0640",
            "config": {"source_directories": ["/etc"], "repositories": [{"path": "/srv/backup"}], "keep_daily": 7},
        }

    def test_the_task_is_left_alone(self):
        task = {"path": "/x", "config": CONFIG}
        module_arguments(task)
        assert task == {"path": "/x", "config": CONFIG}

    @pytest.mark.parametrize("name, nearest", [("confg", "config"), ("validat", "validate"), ("xyzzy", "")])
    def test_an_unknown_option_without_its_value(self, name, nearest):
        message = refused({"path": "/x", name: {"encryption_passphrase": CANARY}})
        assert message.startswith(f"{name}: is no option of borgmatic_config")
        assert message.endswith(f"; did you mean {nearest}?" if nearest else ", validate.")

    @pytest.mark.parametrize("config", [CANARY, [CANARY], {"keep_dialy": CANARY}, {"storage": CANARY}])
    def test_a_bad_document(self, config):
        refused({"path": "/x", "config": config})

    @pytest.mark.parametrize("config", [CANARY, CONFIG, {"keep_dialy": CANARY}])
    def test_a_file_that_shall_be_absent_needs_no_document(self, config):
        assert module_arguments({"path": "/x", "state": "absent", "config": config}) == {"path": "/x", "state": "absent"}

    @pytest.mark.parametrize("store, arrives", [("config", "a\\${HOME}"), ("file", "a${HOME}"), ("systemd_credential", "a${HOME}")])
    def test_only_in_a_configuration_is_a_passphrase_spelt_for_borgmatic(self, store, arrives):
        config = {**CONFIG, "encryption_passphrase": "a${HOME}"}
        arguments = module_arguments({"config": config, "passphrase_store": store})
        assert json.loads(arguments["config"])["encryption_passphrase"] == arrives
        assert arguments["passphrase_store"] == store

    def test_without_a_document_the_module_complains(self):
        assert module_arguments({"path": "/x"}) == {"path": "/x"}

    @pytest.mark.parametrize("value", [True, "yes", "True", "1"])
    def test_unknown_options_let_through(self, value):
        arguments = module_arguments({"config": {**CONFIG, "xyzzy": 1}, "allow_unknown_options": value})
        assert json.loads(arguments["config"])["xyzzy"] == 1

    @pytest.mark.parametrize("value", [False, "no", "", None])
    def test_or_not(self, value):
        refused({"config": {**CONFIG, "xyzzy": 1}, "allow_unknown_options": value})


def test_the_names_are_the_modules(monkeypatch):
    specifications = []
    monkeypatch.setattr(borgmatic_config, "run_module", lambda ensure, specification, **options: specifications.append(specification))
    borgmatic_config.main()
    assert set(specifications[0]) == ARGUMENTS
    assert specifications[0]["config"]["no_log"] is True
