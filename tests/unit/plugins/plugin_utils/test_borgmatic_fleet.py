# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a client and its servers have to know of each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_fleet as fleet
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_plan as plan

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
SECRET = "correct CANARY horse"
SERVERS = ["backup1", "backup2"]
HOSTS = {"backup1": {}, "backup2": {"borg_server_append_only": False}, "client1": {}}
ROLE = Path(__file__).resolve().parents[4] / "roles/borg_server"


def entry(*repositories, name="system", schedules=None, **options):
    config = {
        "source_directories": ["/etc"],
        "repositories": list(repositories),
        "encryption_passphrase": SECRET,
        "keep_daily": 7,
        **options,
    }
    return {"name": name, "config": config, **({"schedules": schedules} if schedules is not None else {})}


def places(configs, said=None, hosts=None):
    found = fleet.destinations(configs, said or {}, SERVERS, {**HOSTS, **(hosts or {})})
    return [{**place._asdict(), "ssh": place.ssh} for place in found]


def record(configs, said=None, key=KEY, names=None, name="web1", user="root"):
    where = places(configs, said)
    identities = [{"host": place["host"], "port": place["port"], "public_key": key} for place in where]
    return fleet.record(configs, where, identities, names or {}, name, user)


def problems(configs, said=None, name="web1", groups=None, hosts=None):
    groups = {"all": list(HOSTS), "borg_clients": ["web1"], **(groups or {})}
    variables = {**HOSTS, **(hosts or {})}
    return fleet.problems(configs, said or {}, places(configs, said, hosts), variables, name, groups, "borg_clients")


class TestDestinations:
    def test_local_repositories_have_none(self):
        assert places([entry({"path": "/srv/backup"})]) == []

    def test_each_host_and_port_is_there_once(self):
        configs = [
            entry({"path": "ssh://borg@backup1/./a"}, {"path": "borg@backup1:b"}),
            entry({"path": "ssh://borg@backup1:2222/./c"}, {"path": "ssh://borg@[2001:db8::1]/./d"}, name="other"),
        ]
        assert [(place["host"], place["port"]) for place in places(configs)] == [
            ("backup1", 22),
            ("backup1", 2222),
            ("2001:db8::1", 22),
        ]

    def test_a_server_of_the_inventory_is_known_by_its_name_or_by_what_is_said(self):
        configs = [entry({"path": "ssh://borg@backup1/./a"}, {"path": "ssh://borg@nas/./b"}, {"path": "ssh://u@else/./c"})]
        found = places(configs, {"nas": {"inventory_name": "backup2"}})
        assert [place["inventory_name"] for place in found] == ["backup1", "backup2", None]
        assert [place["account"] for place in found] == ["borg", "borg", None]
        assert [place["append_only"] for place in found] == [True, False, False]

    def test_keys_that_are_said_count_more_than_those_that_are_published(self):
        published = {"backup1": {"__borg_server_published": {"host_keys": ["ssh-ed25519 PUB"], "clients": ["web1"]}}}
        configs = [entry({"path": "ssh://borg@backup1/./a"})]
        (place,) = places(configs, hosts=published)
        assert (place["host_keys"], place["met"]) == (["ssh-ed25519 PUB"], ["web1"])
        (place,) = places(configs, {"backup1": {"host_keys": ["ssh-ed25519 SAID"]}}, published)
        assert place["host_keys"] == ["ssh-ed25519 SAID"]
        assert (places(configs)[0]["host_keys"], places(configs)[0]["met"]) == (None, [])

    def test_who_calls_ssh_by_himself_is_left_alone_unless_he_names_the_server(self):
        configs = [entry({"path": "ssh://borg@else/./a"}, ssh_command="ssh -i /root/.ssh/mine")]
        assert places(configs) == []
        configs = [entry({"path": "ssh://borg@backup1/./a"}, ssh_command="ssh -i /root/.ssh/mine")]
        (place,) = places(configs)
        assert place["own_ssh"] and place["append_only"]
        (place,) = places(configs, {"backup1": {"identity_file": "/root/.ssh/mine"}})
        assert not place["own_ssh"]
        assert place["ssh"] == {"host": "backup1", "port": 22, "host_keys": None, "identity_file": "/root/.ssh/mine"}

    def test_a_configuration_that_is_wrong_counts_for_nothing(self):
        assert places([{"name": "x"}, entry({"path": "http://backup1/x"}), entry({"path": "ssh://borg@backup1/./a"})]) != []


class TestConnected:
    def test_the_ssh_command_is_added_where_the_user_gave_none(self):
        configs = [
            entry({"path": "ssh://borg@backup1/./a"}),
            entry({"path": "/srv/backup"}, name="local"),
            entry({"path": "ssh://borg@backup1/./b"}, name="own", ssh_command="ssh -i /x"),
        ]
        remote, local, own = fleet.connected(configs, places(configs), "ssh -F /c")
        assert remote["config"]["ssh_command"] == "ssh -F /c"
        assert local["config"] == configs[1]["config"]
        assert own["config"]["ssh_command"] == "ssh -i /x"

    def test_sections_are_understood(self):
        config = {
            "location": {"source_directories": ["/etc"], "repositories": ["borg@backup1:web1"]},
            "storage": {"encryption_passphrase": SECRET},
            "retention": {"keep_daily": 7},
        }
        configs = [{"name": "system", "config": config}]
        (result,) = fleet.connected(configs, places(configs), "ssh -F /c")
        assert result["config"]["ssh_command"] == "ssh -F /c" and result["config"]["keep_daily"] == 7
        assert result["enforced"] == {"ssh://borg@backup1/./web1": True}

    @pytest.mark.parametrize(
        ("host", "said", "actions"),
        [
            ("backup1", None, ["create"]),
            ("backup1", False, ["create", "prune", "compact"]),
            ("backup2", None, ["create", "prune", "compact"]),
            ("backup2", True, ["create"]),
            ("elsewhere", None, ["create", "prune", "compact"]),
            ("elsewhere", True, ["create"]),
        ],
    )
    def test_pruning_follows_where_the_server_lets_it(self, host, said, actions):
        repository = {"path": f"ssh://borg@{host}/./a", **({} if said is None else {"append_only": said})}
        configs = [entry(repository)]
        connected = fleet.connected(configs, places(configs), "ssh")
        assert plan.schedules(connected, plan.Place())[0]["actions"] == actions

    @pytest.mark.parametrize("action", ["prune", "compact"])
    def test_taking_from_a_server_that_only_adds_is_refused(self, action):
        schedules = [{"name": "backup", "actions": ["create", action]}]
        configs = [entry({"path": "ssh://borg@backup1/./a"}, schedules=schedules)]
        (problem,) = plan.problems(fleet.connected(configs, places(configs), "ssh"))
        assert f"{action} cannot be done on ssh://borg@backup1/./a, which is append-only" in problem

    def test_what_a_server_enforces_is_not_asked_of_borg(self):
        options = {"append_only": True, "storage_quota": "50G"}
        configs = [entry({"path": "ssh://borg@backup1/./a", **options}, {"path": "ssh://u@else/./b", **options})]
        connected = fleet.connected(configs, places(configs), "ssh")
        inside, outside = (plan.repository(connected, one) for one in plan.repositories(connected))
        assert not {"append_only", "storage_quota"} & set(inside)
        assert {name: outside[name] for name in options} == options

    def test_a_second_reading_changes_nothing(self):
        configs = [entry({"path": "ssh://borg@backup1/./a"}, checks=["repository"], keep_within="6H")]
        once = fleet.connected(configs, places(configs), "ssh -F /c")
        assert fleet.connected(once, places(configs), "ssh -F /other") == once


class TestRecord:
    def test_it_holds_keys_and_paths_and_no_secret(self):
        configs = [
            entry({"path": "ssh://borg@backup1/./a", "storage_quota": "50G"}, {"path": "/srv/local"}),
            entry({"path": "ssh://borg@backup1/~/b", "storage_quota": "50G"}, {"path": "borg@backup2:/srv/borg/c"}, name="other"),
        ]
        assert record(configs) == {
            "backup1": {
                "public_keys": [KEY],
                "repositories": ["a", "b"],
                "append_only": True,
                "storage_quota": "50G",
            },
            "backup2": {
                "public_keys": [KEY],
                "repositories": ["/srv/borg/c"],
                "append_only": False,
                "storage_quota": None,
            },
        }
        assert SECRET not in str(record(configs))

    def test_placeholders_are_the_client_s(self):
        configs = [entry({"path": "ssh://borg@backup1/./{user}-{hostname}"})]
        assert fleet.fact_needs(configs) == ["hostname"]
        assert record(configs, names={"hostname": "web1"}, user="ada")["backup1"]["repositories"] == ["ada-web1"]

    def test_a_key_that_does_not_exist_yet_is_none(self):
        assert record([entry({"path": "ssh://borg@backup1/./a"})], key=None)["backup1"]["public_keys"] == []

    def test_nobody_has_more_keys_than_a_rotation_takes(self):
        configs = [entry({"path": "ssh://borg@backup1/./a"})]
        shown = [f"ssh-ed25519 {KEY.split()[1][:-4]}{end}" for end in ("a2tr", "a2tq", "a2tx")]
        identities = [{"host": "backup1", "port": 22, "public_key": key} for key in shown]
        assert fleet.record(configs, places(configs), identities[:2] * 2, {}, "web1", "root")["backup1"]["public_keys"] == sorted(shown[:2])
        with pytest.raises(Failure, match="web1 gives more than 2 public keys"):
            fleet.record(configs, places(configs), identities, {}, "web1", "root")

    def test_whose_keys_are_the_user_s_keeps_what_he_has(self):
        configs = [entry({"path": "ssh://borg@backup1/./a"}, ssh_command="ssh -J bastion")]
        assert record(configs) == {"backup1": None}
        found = fleet.authorised({"web1": {"__borgmatic_state": {"servers": {"backup1": None}}}}, ["web1"], "backup1")
        assert found == {"clients": [], "retain": ["web1"], "remove": []}
        schedules = [{"name": "backup", "actions": ["create", "prune"]}]
        configs = [entry({"path": "ssh://borg@backup1/./a"}, ssh_command="ssh -J bastion", schedules=schedules)]
        assert "which is append-only" in plan.problems(fleet.connected(configs, places(configs), "ssh"))[0]

    def test_servers_of_others_learn_nothing(self):
        assert record([entry({"path": "ssh://u@else/./a"})]) == {}

    @pytest.mark.parametrize("option", [{"append_only": False}, {"storage_quota": "1G"}])
    def test_one_server_cannot_treat_one_client_in_two_ways(self, option):
        configs = [entry({"path": "ssh://borg@backup1/./a"}, {"path": "ssh://borg@backup1/./b", **option})]
        with pytest.raises(Failure, match=f"in two ways, with {next(iter(option))}"):
            record(configs)


class TestFalseNames:
    @pytest.mark.parametrize(("placeholder", "names", "name", "false"), [
        ("hostname", {"hostname": "web1"}, "web1", []),
        ("hostname", {"hostname": "web1"}, "web1.example.org", []),
        ("hostname", {"hostname": "web2"}, "web1.example.org", ["web2"]),
        ("hostname", {}, "web1", [""]),
        ("fqdn", {"fqdn": "web1.prod.example.org"}, "web1.prod.example.org", []),
        ("fqdn", {"fqdn": "web1.prod.example.org"}, "web1.test.example.org", ["web1.prod.example.org"]),
        ("reverse-fqdn", {"fqdn": "web1.prod.example.org"}, "web1.test.example.org", ["web1.prod.example.org"]),
        ("fqdn", {"fqdn": "web1.example.org"}, "web1", []),
        ("fqdn", {"fqdn": "web2.example.org"}, "web1", ["web2.example.org"]),
        ("fqdn", {"fqdn": "web1"}, "web1.example.org", ["web1"]),
        ("fqdn", {"fqdn": "web1./../web2"}, "web1", ["web1./../web2"]),
        ("fqdn", {"fqdn": "web1.x\n"}, "web1", ["web1.x\n"]),
        ("fqdn", {"fqdn": "web1.example.org"}, "webx", ["web1.example.org"]),
        ("hostname", {"hostname": "webx1"}, "web.1", ["webx1"]),
        ("hostname", {"hostname": {"web1": 1}}, "web1", ["{'web1': 1}"]),
        ("user", {"hostname": "web2", "fqdn": "web2"}, "web1", []),
    ])
    def test_a_client_is_who_the_inventory_says(self, placeholder, names, name, false):
        configs = [entry({"path": f"ssh://borg@backup1/./{{{placeholder}}}"})]
        if false:
            with pytest.raises(Failure, match=re.escape(f"{name} calls itself {false[0]}, ")) as caught:
                record(configs, names=names, name=name)
            assert caught.value.error == "unsafe"
        else:
            assert record(configs, names=names, name=name)["backup1"]["public_keys"] == [KEY]

    @pytest.mark.parametrize("fact", [
        "borgmatic_configs", "__borgmatic_state", "borg_server_user", "fleetbackup_clients", "inventory_hostname", "group_names",
    ])
    def test_no_fact_counts_as_a_variable(self, fact):
        (problem,) = fleet.pretended({"hostname": "web1", fact: "x", "aborg": 2, "group_names_of_old": 3}, "web1")
        assert f"facts that bear names of variables ({fact})" in problem
        assert fleet.pretended({"hostname": "web1", "aborg": 2}, "web1") == []


def state(*unmet, unpinned=()):
    return {"__borgmatic_state": {"servers": {}, "unmet": list(unmet), "unpinned": list(unpinned)}}


class TestRepresented:
    VARIABLES = {"a": {}, "b": state("one"), "c": state("one", "two"), "d": state("two")}

    @pytest.mark.parametrize(("name", "servers"), [("a", []), ("b", ["one"]), ("c", ["two"]), ("d", [])])
    def test_the_first_that_has_to_speaks_for_all(self, name, servers):
        found = fleet.represented(self.VARIABLES, list(self.VARIABLES), name)
        assert found == [{"name": server, "host_keys": False} for server in servers]

    def test_who_is_in_no_batch_counts_for_nothing(self):
        assert fleet.represented(self.VARIABLES, ["d"], "d") == [{"name": "two", "host_keys": False}]

    def test_the_server_has_to_tell_its_host_keys_where_anybody_lacks_them(self):
        variables = {**self.VARIABLES, "e": state("one", unpinned=["one"])}
        assert fleet.represented(variables, list(variables), "b") == [{"name": "one", "host_keys": True}]

    def test_a_failed_check_published_nothing(self):
        assert fleet.represented({"a": {"__borgmatic_state": {"failed": True}}}, ["a"], "a") == []

    def test_a_server_has_heard_of_those_that_it_names(self):
        met = {"backup1": {"__borg_server_published": {"clients": ["web1"]}}}
        configs = [entry({"path": "ssh://borg@backup1/./a"}, {"path": "ssh://borg@backup2/./a"}, {"path": "ssh://u@else/./a"})]
        assert fleet.unmet(places(configs, hosts=met), "web1") == ["backup2"]


class TestAuthorised:
    WEB1 = {"backup1": {"public_keys": ["k"], "repositories": ["web1"], "append_only": True, "storage_quota": None}}

    def test_who_is_not_in_this_run_is_retained(self):
        variables = {"web1": {"__borgmatic_state": {"servers": self.WEB1}}, "web2": {}, "web3": {"__borgmatic_state": {"servers": {}}}}
        found = fleet.authorised(variables, ["web1", "web2", "web3"], "backup1")
        assert found == {"clients": [{"name": "web1", **self.WEB1["backup1"]}], "retain": ["web2"], "remove": ["web3"]}

    def test_nothing_else_of_a_record_reaches_the_server(self):
        forged = {"backup1": {**self.WEB1["backup1"], "name": "web2", "paths": ["."], "from": []}}
        (client,) = fleet.authorised({"web1": {"__borgmatic_state": {"servers": forged}}}, ["web1"], "backup1")["clients"]
        assert client == {"name": "web1", **self.WEB1["backup1"]}

    @pytest.mark.parametrize("said", [False, "false", "no", 0])
    def test_a_text_from_the_inventory_is_a_truth_value(self, said):
        (place,) = places([entry({"path": "ssh://borg@backup1/./a"})], hosts={"backup1": {"borg_server_append_only": said}})
        assert place["append_only"] is False

    def test_a_server_s_options_are_its_own(self):
        variables = {"backup1": {"borg_server_user": "other"}, "web1": {"borg_server_home": "/mine"}}
        defaults = {"borg_server_user": "borg", "borg_server_home": "/srv/borg"}
        assert fleet.settings(variables, "backup1", defaults) == {"borg_server_user": "other", "borg_server_home": "/srv/borg"}

    def test_the_server_has_a_quota_for_those_who_say_none(self):
        variables = {"web1": {"__borgmatic_state": {"servers": self.WEB1}}}
        found = fleet.authorised(variables, ["web1"], "backup1", [{"name": "nas"}], False, "9G")["clients"]
        assert [client["storage_quota"] for client in found] == ["9G", "9G"]
        assert [(client["name"], client["append_only"]) for client in found] == [("nas", False), ("web1", True)]


class TestProblems:
    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ({"bakcup1": {}}, "borgmatic_servers, bakcup1: no repository is on a host of this name"),
            ({"backup1": {"host_key": []}}, "borgmatic_servers, backup1, host_key: is not known; did you mean host_keys?"),
            ({"backup1": {"inventory_name": "backup9"}}, "inventory_name: backup9 is no host of the inventory; did you mean backup"),
            ({"backup1": "x"}, "borgmatic_servers, backup1: is no dictionary"),
        ],
    )
    def test_what_is_said_of_servers(self, said, told):
        configs = [entry({"path": "ssh://borg@backup1/./a"})]
        (problem,) = problems(configs, said)
        assert told in problem

    @pytest.mark.parametrize("user", ["", "root@"])
    def test_another_account_than_the_server_s_is_told(self, user):
        configs = [entry({"path": f"ssh://{user}backup1/./a"})]
        (problem,) = problems(configs)
        assert problem.endswith("write ssh://borg@backup1/./a.")

    def test_what_is_right_has_none(self):
        configs = [entry({"path": "ssh://borg@backup1/./a"}, {"path": "ssh://anyone@else/./b"})]
        said = {"else": {"host_keys": ["ssh-ed25519 AAAA"]}}
        assert problems(configs, said) == []

    @pytest.mark.parametrize(
        ("groups", "server", "told"),
        [
            ({"borg_clients": []}, {}, "web1 is not in the group borg_clients, which is all that backup1 lets in"),
            ({"other": ["web2"]}, {"borg_server_client_group": "other"}, "web1 is not in the group other,"),
            ({}, {"borg_server_client_group": "nobody"}, "web1 is not in the group nobody,"),
            ({"other": ["web1"]}, {"borg_server_client_group": "other"}, None),
            ({"borg_clients": []}, {"borg_server_clients": [{"name": "web1"}]}, None),
        ],
    )
    def test_whom_a_server_would_forget_is_told(self, groups, server, told):
        configs = [entry({"path": "ssh://borg@backup1/./a"}, {"path": "ssh://u@else/./b"})]
        found = problems(configs, groups=groups, hosts={"backup1": server})
        assert [told in problem for problem in found] == ([True] if told else [])


def test_the_defaults_are_those_of_the_role():
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    assert (defaults["borg_server_user"], defaults["borg_server_append_only"]) == (fleet.SERVER_ACCOUNT, fleet.SERVER_APPEND_ONLY)
