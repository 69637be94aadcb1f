# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules of the role are asked for in one launch is what the role's own tasks ask them for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret

from ansible_collections.fleetbackup.borg.plugins.action.borgmatic_role_info import (
    _OURS,
    ActionModule,
    Keeper,
    _check_options,
    requests_of,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils import _role_state as role_state
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.modules import borgmatic_role_info as role_info
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_fleet as fleet
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_plan as plan

TASKS = Path(__file__).resolve().parents[4] / "roles/borgmatic/tasks"
CONFIGS = [
    {
        "name": "system",
        "config": {
            "source_directories": ["/etc"],
            "repositories": [{"path": "ssh://borg@backup1/./web1"}, {"path": "/srv/backup"}],
            "encryption_passphrase": "CANARY",
            "keep_daily": 7,
        },
    }
]
PLACES = [{**place._asdict(), "ssh": place.ssh} for place in fleet.destinations(CONFIGS, {}, ["backup1"], {"backup1": {}})]


def tasks(name):
    return yaml.safe_load((TASKS / f"{name}.yml").read_text(encoding="utf-8"))


def arguments(name, module):
    (found,) = [task[f"fleetbackup.borg.{module}"] for task in tasks(name) if f"fleetbackup.borg.{module}" in task]
    return found


def request():
    asked = arguments("look", "borgmatic_role_info")
    return requests_of({**asked, "configs": CONFIGS, "destinations": PLACES, "directory": "/etc/borgmatic.d", "user": "ada"}, "web1")


@pytest.mark.parametrize(
    ("phase", "file", "module"),
    [
        ("install", "install", "borgmatic_installation"),
        ("ssh", "identity", "borg_ssh_identity"),
        ("config", "config", "borgmatic_config"),
        ("schedule", "schedules", "borgmatic_schedule"),
    ],
)
def test_each_phase_is_asked_with_the_options_of_its_task(phase, file, module):
    asked = request()[phase]
    asked = asked[0] if isinstance(asked, list) else asked
    # the target itself knows where the programs are
    own = {"executable"} if phase in ("config", "schedule") else set()
    # documents stay on the controller
    assert set(asked) | own | ({"documents"} if phase == "schedule" else set()) == set(arguments(file, module))
    assert {name: value for name, value in asked.items() if "{{" in str(value)} == {
        name: value for name, value in arguments(file, module).items() if name in asked and "{{" in str(asked[name])
    }


def test_every_repository_is_asked_for_once_with_what_its_task_can_say():
    local, remote = sorted(request()["repository"], key=lambda asked: asked["repository"])
    assert (local["repository"], remote["repository"]) == ("/srv/backup", "ssh://borg@backup1/./web1")
    assert set(local) | set(remote) <= set(arguments("repository", "borg_repository"))
    assert remote["rsh"] == role_state.SSH_COMMAND
    assert request()["config"][0]["config"]["ssh_command"] == role_state.SSH_COMMAND


def test_who_has_no_server_is_asked_for_no_identity():
    assert requests_of({"configs": CONFIGS}, "web1")["ssh"] is None


def test_a_bad_configuration_is_told_before_the_target_is_asked():
    with pytest.raises(Failure, match="repositories"):
        requests_of({"configs": [{"name": "x", "config": {"repositories": []}}]}, "web1")


@pytest.mark.parametrize("task", [
    {}, {"configs": "CANARY"}, {"configs": ["CANARY"]}, {"configs": [{"config": "CANARY"}]}, {"configs": [], "confgs": "CANARY"},
])
def test_what_is_no_list_of_configurations_is_refused_without_showing_it(task):
    with pytest.raises(Failure) as caught:
        _check_options(task)
    assert caught.value.error == "invalid_argument" and "CANARY" not in caught.value.msg


def test_what_a_client_says_of_itself_to_its_servers_counts_for_nothing():
    module = yaml.safe_load(role_info.RETURN)
    told = {"changed", *role_state.Examination("{}", "root", "/tmp").answers, "done"}
    assert set(_OURS) == set(module) - told


def test_what_is_published_is_of_the_client_that_was_asked():
    action = ActionModule.__new__(ActionModule)
    action._connection = SimpleNamespace(transport="ssh")
    action._loader = DataLoader()
    server = {"host": "backup1", "port": 22, "public_key": None}
    forged = {"servers": {"backup1": "forged"}, "unmet": ["forged"], "unescrowed": ["forged"]}
    told = {"done": ["install", "ssh", "repository", "config"], "ssh": {"servers": [server], "unpinned": [], "names": {}}, "repository": []}
    action._execute_module = lambda **_arguments: {**told, **forged}
    task = {"configs": CONFIGS, "destinations": [{**place, "met": ["web1"]} for place in PLACES]}
    answer = action._answer(task, {"inventory_hostname": "web1"})
    assert answer["done"] == ["install", "ssh", "repository", "escrow", "config"]
    assert (answer["unmet"], answer["servers"]["backup1"]["repositories"]) == ([], ["web1"])
    assert action._answer(task, {"inventory_hostname": "web2"})["unmet"] == ["backup1"]
    assert "forged" not in json.dumps(answer) and len(answer["unescrowed"]) == 2


def test_a_record_has_the_names_that_were_asked_for_with_it():
    action = ActionModule.__new__(ActionModule)
    action._connection = SimpleNamespace(transport="ssh")
    action._loader = DataLoader()
    config = {**CONFIGS[0]["config"], "repositories": [{"path": "ssh://borg@backup1/./{hostname}"}]}
    task = {"configs": [{"name": "system", "config": config}], "destinations": PLACES}
    asked = []

    def launch(module_args, **_arguments):
        asked.append(json.loads(module_args["requests"])["ssh"]["names"])
        server = {"host": "backup1", "port": 22, "public_key": None}
        return {"done": ["install", "ssh"], "ssh": {"servers": [server], "unpinned": [], "names": {"hostname": "web1"}}, "repository": []}

    action._execute_module = launch
    # whatever was gathered, or was not
    for facts in ({}, {"hostname": "web2"}):
        answer = action._answer(task, {"inventory_hostname": "web1.example.org", "ansible_facts": facts})
        assert answer["servers"]["backup1"]["repositories"] == ["web1"]
    assert asked == [["hostname"], ["hostname"]]


class TestKeeper:
    LOCAL = "/srv/backup"
    REMOTE = "ssh://borg@backup1/./web1"

    @pytest.fixture
    def keeper(self, tmp_path):
        """Looks what is to stand in escrow."""
        def made(*locations, vault=True, on_client=False, lacks=(), others=(), **settings):
            loader = DataLoader()
            loader.set_vault_secrets([("default", VaultSecret(b"secret")), *others] if vault else [])
            config = {name: value for name, value in CONFIGS[0]["config"].items() if name not in lacks}
            if lacks:
                config["encryption_passcommand"] = "cat /etc/pw"
            configs = [{"name": "x", "config": {**config, "repositories": [{"path": location} for location in locations]}}]
            settings = {"keep": True, "directory": str(tmp_path / "escrow"), **settings}
            return Keeper({"configs": configs, "escrow": settings}, "web1", loader, on_client=on_client)
        return made

    def test_all_have_one(self, keeper):
        found = keeper(self.LOCAL, self.REMOTE)
        assert ([record.location for record in found.records], found.omitted) == ([self.LOCAL, self.REMOTE], [])
        assert found.digest(self.REMOTE) is None
        assert not found.is_done({"repository": [{"location": self.REMOTE, "key_digest": None}], "ssh": None})

    @pytest.mark.parametrize(("circumstances", "told"), [
        ({"vault": False}, "no vault secret"),
        ({"on_client": True}, "on the very machine that it shall outlive"),
        ({"lacks": ["encryption_passphrase"]}, "only the client knows its passphrase"),
    ])
    def test_only_a_repository_on_the_host_itself_does_without(self, keeper, circumstances, told):
        found = keeper(self.LOCAL, **circumstances)
        assert (found.records, len(found.omitted)) == ([], 1)
        assert told in found.omitted[0]
        assert found.is_done({"repository": [], "ssh": None})
        with pytest.raises(Failure, match=told) as caught:
            keeper(self.LOCAL, self.REMOTE, **circumstances)
        assert caught.value.error == "unsafe"

    def test_whoever_wants_none_is_told_each_time(self, keeper):
        found = keeper(self.LOCAL, self.REMOTE, vault=False, keep=False)
        assert found.records == []
        assert [text.count("borgmatic_escrow is false") for text in found.omitted] == [1, 1]

    def test_whose_secret_is_missing_is_told_where_one_is_enough(self, keeper):
        both = {"vault_id": "default", "vault_ids": ["grace"]}
        assert keeper(self.LOCAL, self.REMOTE, others=[("grace", VaultSecret(b"two"))], **both).left_alone == []
        (told,) = keeper(self.LOCAL, self.REMOTE, on_missing_secret="skip", **both).left_alone
        assert "not given the vault secret of grace" in told
        with pytest.raises(Failure, match="no vault secret named 'grace'"):
            keeper(self.LOCAL, **both)

    def test_the_client_itself_may_be_agreed_to(self, tmp_path):
        loader = DataLoader()
        loader.set_vault_secrets([("default", VaultSecret(b"secret"))])
        task = {"configs": CONFIGS, "escrow": {"keep": True, "on_client": True, "directory": str(tmp_path / "escrow")}}
        assert len(Keeper(task, "web1", loader, on_client=True).records) == 2

    def test_what_is_not_encrypted_has_no_key(self):
        configs = [{"name": "x", "config": {"repositories": [{"path": "/a", "encryption": "none"}], "source_directories": ["/etc"], "keep_daily": 1}}]
        assert plan.escrowed(configs) == []


class TestExamination:
    @pytest.fixture
    def answers(self, monkeypatch):
        """What each module would say; a failure, where it is one."""
        said = {
            "installation": {"changed": False, "borgmatic": "/opt/b", "diff": {}},
            "client_identity": {"changed": False, "unpinned": [], "ssh_command": 'ssh -F "/x y/config"'},
            "managed_repository": {"changed": False},
            "configuration_file": {"changed": False},
            "wanted_schedules": {"changed": False},
        }
        asked = []

        def ensure(name):
            def answer(call):
                asked.append((name, call.params))
                assert call.check_mode
                if isinstance(said[name], Exception):
                    raise said[name]
                return dict(said[name])
            return answer

        for name in said:
            monkeypatch.setattr(getattr(role_state, name), "ensure", ensure(name))
        return said, asked

    def run(self):
        requests = requests_of({"configs": CONFIGS, "destinations": PLACES}, "web1")
        user = role_state.Account.named(None).name
        examination = role_state.Examination(json.dumps(requests), user, "/tmp")
        examination.run()
        return examination

    def test_all_is_done_where_nobody_has_anything_to_do(self, answers):
        examination = self.run()
        assert examination.done == list(examination.answers) == ["install", "ssh", "repository", "config", "schedule"]
        assert examination.answers["install"] == {"changed": False, "borgmatic": "/opt/b"}
        assert examination.answers["repository"] == [{"changed": False}] * 2

    def test_the_target_completes_what_it_knows_better(self, answers):
        self.run()
        asked = dict(answers[1])
        assert asked["managed_repository"]["repository"] == "/srv/backup"
        assert [params["rsh"] for name, params in answers[1] if name == "managed_repository"][0] == 'ssh -F "/x y/config"'
        assert json.loads(asked["configuration_file"]["config"])["ssh_command"] == 'ssh -F "/x y/config"'
        assert asked["configuration_file"]["executable"] == asked["wanted_schedules"]["executable"] == "/opt/b"

    @pytest.mark.parametrize("outcome", [
        {"changed": True}, Failure("locked", "x"), PermissionError("x"), TypeError("x"), KeyError("x"),
    ])
    @pytest.mark.parametrize(("name", "done"), [
        ("installation", []),
        ("client_identity", ["install"]),
        ("managed_repository", ["install", "ssh"]),
        ("configuration_file", ["install", "ssh", "repository"]),
        ("wanted_schedules", ["install", "ssh", "repository", "config"]),
    ])
    def test_who_has_something_to_do_or_fails_is_launched_by_the_role(self, answers, name, done, outcome):
        answers[0][name] = outcome
        examination = self.run()
        assert examination.done == done

    def test_a_server_whose_host_key_is_unknown_is_not_done(self, answers):
        answers[0]["client_identity"] = {**answers[0]["client_identity"], "unpinned": ["backup1"]}
        assert self.run().done == ["install"]

    def test_what_a_module_would_refuse_is_not_done(self, answers):
        requests = requests_of({"configs": CONFIGS}, "web1")
        requests["install"]["method"] = "nonsense"
        examination = role_state.Examination(json.dumps(requests), "root", "/tmp")
        examination.run()
        assert (examination.done, answers[1]) == ([], [])


def test_nobody_answers_for_an_account_that_is_not_there():
    account = role_state.Account("nobody-of-this-name", "/x", None, None)
    assert role_state._as(account, dict) is None
