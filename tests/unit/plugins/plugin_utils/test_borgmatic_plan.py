# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What follows from the list of configurations."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_plan as plan

ROOT = Path(__file__).resolve().parents[4]
SECRET = "correct CANARY horse"
HOME = plan.Place("~/.config/borgmatic", "~")


def config(**options):
    """A configuration that is right, but for what is said; None leaves an option out."""
    document = {
        "source_directories": ["/etc"],
        "repositories": [{"path": "/srv/backup"}],
        "encryption_passphrase": SECRET,
        "keep_daily": 7,
        **options,
    }
    return {name: value for name, value in document.items() if value is not None}


def entry(name="system", **more):
    return {"name": name, "config": config(**more.pop("options", {})), **more}


def schedules(**more):
    return plan.schedules([entry(**more)], plan.Place())


class TestVariables:
    KNOWN = ("borgmatic_configs", "borgmatic_install_method", "borgmatic_state", "borgmatic_user", "borgmatic_linger")

    @pytest.mark.parametrize("name", KNOWN)
    @pytest.mark.parametrize("slip", ["drop", "double", "swap"])
    def test_a_slip_is_told_with_the_right_name(self, name, slip):
        middle = len("borgmatic_") + 2
        left, right = name[:middle], name[middle:]
        wrong = {"drop": left + right[1:], "double": left + left[-1] + right, "swap": left[:-1] + right[0] + left[-1] + right[1:]}
        (told,) = plan.unknown_variables([*self.KNOWN, wrong[slip]], self.KNOWN)
        assert told.startswith(f"{wrong[slip]}: ") and told.endswith(f"did you mean {name}?")

    @pytest.mark.parametrize(
        ("wrong", "right", "role"),
        [
            ("borgmatic_repositories", "borgmatic_configs", "borgmatic"),
            ("borgmatic_venv", "borgmatic_virtualenv", "borgmatic"),
            ("borgmatic_exec", "borgmatic_executable", "borgmatic"),
            ("borgmatic_owner", "borgmatic_user", "borgmatic"),
            ("borgmatics_configs", "borgmatic_configs", "borgmatic"),
            ("borgmatic__configs", "borgmatic_configs", "borgmatic"),
            ("borgmaticuser", "borgmatic_user", "borgmatic"),
            ("borgmatic_confgs", "borgmatic_configs", "borgmatic"),
            ("borg_server_quota", "borg_server_storage_quota", "borg_server"),
            ("borg_server_owner", "borg_server_user", "borg_server"),
            ("borg_servers_user", "borg_server_user", "borg_server"),
        ],
    )
    def test_a_wrong_guess_is_told_with_the_right_name(self, wrong, right, role):
        specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
        known = list(specs["argument_specs"]["main"]["options"])
        (told,) = plan.unknown_variables([*known, wrong], known, role)
        assert told == f"{wrong}: the role {role} has no such variable; did you mean {right}?"

    def test_a_playbook_s_variable_is_no_role_s(self):
        (told,) = plan.unknown_variables(["fleetbackup_path", "fleetbackup_paths"], ["fleetbackup_paths"], "fleetbackup")
        assert told == "fleetbackup_path: the playbooks have no such variable; did you mean fleetbackup_paths?"

    @pytest.mark.parametrize("role", ["borgmatic", "borg_server"])
    def test_every_guess_leads_to_a_variable(self, role):
        specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
        known = list(specs["argument_specs"]["main"]["options"])
        assert {f"{role}_{stem}" for stem in plan._GUESSES[role].values()} <= set(known)
        assert not {f"{role}_{stem}" for stem in plan._GUESSES[role]} & set(known)

    @pytest.mark.parametrize("name", ["borg_servers", "borg_serverless", "borg_server"])
    def test_the_name_of_a_role_alone_is_nobody_s_mistake(self, name):
        assert plan.unknown_variables([name], ["borg_server_user", "borg_server_home"], "borg_server") == []

    @pytest.mark.parametrize("name", ["passphrase", "exporter_port", "retention", "repository_path", "my_own"])
    def test_other_people_s_variables_are_left_alone(self, name):
        assert plan.unknown_variables([f"borgmatic_{name}"], self.KNOWN) == []

    def test_known_ones_are_right(self):
        assert plan.unknown_variables(self.KNOWN, self.KNOWN) == []


class TestProblems:
    def test_what_is_right_has_none(self):
        assert plan.problems([entry(), entry("home", options={"repositories": [{"path": "/srv/home"}]})]) == []

    @pytest.mark.parametrize(
        ("configs", "said"),
        [
            ([], "borgmatic_configs: is empty"),
            ([entry("../x")], "borgmatic_configs[0].name: '../x' cannot name"),
            ([entry("a.b")], "cannot name"),
            ([entry("a\n")], "cannot name"),
            ([entry("")], "cannot name"),
            ([entry("-rf"), entry()], "cannot name"),
            ([entry("x" * 41)], "cannot name"),
            ([entry(), entry()], "borgmatic_configs[1].name: 'system' stands there more than once"),
            ([entry(path="etc/x.yaml")], "borgmatic_configs[0].path: 'etc/x.yaml' is no absolute path"),
            ([entry(path="/etc/../x.yaml")], "is no absolute path"),
            ([entry(path="/etc/a\nb")], "is no absolute path"),
            ([entry(), entry("b", path="/etc/borgmatic.d/system.yaml")], "two of them shall stand in /etc/borgmatic.d/system.yaml"),
            ([{"name": "system"}], "borgmatic_configs, system: config: is missing"),
            ([entry(options={"keep_dialy": 7})], "config.keep_dialy: "),
            ([entry(options={"repositories": []})], "config.repositories: is an empty list"),
            ([entry(options={"repositories": ["/srv/{nope}"]})], "unknown placeholder {nope}"),
            ([entry(previous_passphrases=[""])], "previous_passphrases: is empty"),
            ([entry(schedules=[{"name": "x", "actions": []}])], "schedule system-x: actions is empty"),
            ([entry(schedules=[{"name": "x", "actions": ["create"], "calendar": "dayly"}])], "'dayly' is no calendar"),
            ([entry(schedules=[{"name": "../x", "actions": ["create"]}])], "cannot name a unit"),
            ([entry(schedules=[{"name": "x", "actions": ["create"], "arguments": ["--password=x"]}])], "looks like a secret"),
            (
                [entry(options={"repositories": [{"path": "/srv/a", "encryption": "none"}]})],
                "system: config.repositories[0].encryption: 'none' stores everything in clear; if you mean that, say allow_unencrypted",
            ),
            (
                [entry(options={"repositories": [{"path": "/srv/a", "encryption": "repokey-aes-ocb"}]})],
                "config.repositories[0].encryption: 'repokey-aes-ocb' is no mode of Borg 1",
            ),
            ([entry(options={"encryption_passphrase": None})], "config.encryption_passphrase: is missing, and /srv/backup shall be"),
            (
                [entry(options={"repositories": [{"path": "h:x", "storage_quota": "5G"}]})],
                "config.repositories[0].storage_quota: '5G' cannot be set on the remote repository ssh://h/./x",
            ),
            ([entry(options={"borg_base_directory": "~/borg"})], "config.borg_base_directory: '~/borg' is no absolute path"),
            ([entry(options={"borg_base_directory": "borg"})], "config.borg_base_directory: 'borg' is no absolute path"),
            ([entry(options={"borg_key_file": "~/key"})], "config.borg_key_file: '~/key' is no absolute path"),
            (
                [entry(options={"repositories": [{"path": "/a", "borg_key_file": "key"}]})],
                "config.repositories[0].borg_key_file: 'key' is no absolute path",
            ),
            (
                [entry(options={"encryption_passphrase": None, "encryption_passcommand": "pass x"}, previous_passphrases=["old"])],
                "previous_passphrases: need passphrase",
            ),
            (
                [entry("a-b", schedules=[{"name": "c", "actions": ["create"]}]), entry("a", schedules=[{"name": "b-c", "actions": ["create"]}])],
                "the schedule a-b-c stands there more than once",
            ),
            (
                [entry(options={"encryption_passphrase": "{credential keepassxc a b}"})],
                "only borgmatic reads {credential keepassxc …}",
            ),
            (
                [entry(), entry("b", options={"encryption_passphrase": "another"})],
                "system and b share the repository /srv/backup and differ in passphrase",
            ),
        ],
    )
    def test_what_is_wrong_is_told(self, configs, said):
        found = plan.problems(configs)
        assert any(said in problem for problem in found), found
        assert "CANARY" not in str(found)

    @pytest.mark.parametrize(
        "more",
        [
            {"options": {"encryption_passphrase": None}, "allow_unencrypted": True},
            {"options": {"encryption_passphrase": None, "repositories": [{"path": "/a", "encryption": "none"}]}, "allow_unencrypted": True},
            {"options": {"encryption_passphrase": None, "encryption_passcommand": "pass show x"}},
            {"options": {"encryption_passphrase": "{credential file /etc/pw}"}},
            {"options": {"repositories": [{"path": "h:x", "storage_quota": "5G"}]}, "enforced": {"ssh://h/./x": False}},
            {"options": {"borg_base_directory": "/var/lib/borg", "borg_key_file": "/root/key"}},
        ],
        ids=str,
    )
    def test_what_borg_repository_takes_is_right(self, more):
        assert plan.problems([entry(**more)]) == []

    def test_everything_is_told_at_once(self):
        found = plan.problems([entry("a", options={"keep_dialy": 1, "compression": "zip"}), entry("b", options={"repositories": []})])
        assert [problem.split(":", maxsplit=1)[0] for problem in found] == ["borgmatic_configs, a"] * 2 + ["borgmatic_configs, b"]

    def test_removal_needs_no_document(self):
        assert plan.problems([{"name": "system"}], "absent") == []
        assert plan.problems([], "absent") == []
        assert plan.problems([{"name": ".."}], "absent") != []

    @pytest.mark.parametrize("action", ["prune", "compact"])
    def test_what_only_grows_is_not_pruned(self, action):
        growing = entry(options={"repositories": [{"path": "/srv/a"}, {"path": "/srv/b", "append_only": True}]})
        (problem,) = plan.problems([{**growing, "schedules": [{"name": "x", "actions": ["create", action]}]}])
        assert f"system: schedules, x: actions: {action} cannot be done on /srv/b, which is append-only" in problem
        assert plan.problems([{**growing, "schedules": [{"name": "x", "actions": ["create", "check"]}]}]) == []
        assert plan.problems([growing]) == []

    def test_options_that_are_not_known_may_be_let_through(self):
        assert plan.problems([entry(options={"brand_new_option": 1})]) != []
        assert plan.problems([entry(options={"brand_new_option": 1}, allow_unknown_options=True)]) == []


class TestFiles:
    def test_each_has_its_place(self):
        configs = [entry(), entry("home", path="~/x.yaml"), entry("c", path="/srv//c.yaml", allow_unknown_options=True)]
        assert plan.files(configs, plan.Place()) == [
            {"name": "system", "path": "/etc/borgmatic.d/system.yaml", "allow_unknown_options": False},
            {"name": "home", "path": "/root/x.yaml", "allow_unknown_options": False},
            {"name": "c", "path": "/srv/c.yaml", "allow_unknown_options": True},
        ]
        assert [file["path"] for file in plan.files(configs[:2], HOME)] == ["~/.config/borgmatic/system.yaml", "~/x.yaml"]

    def test_nothing_secret_is_among_them(self):
        assert "CANARY" not in str(plan.files([entry()], HOME)) + str(plan.schedules([entry()], HOME))

    def test_documents_stand_by_the_same_paths(self):
        configs = [entry(), entry("home", path="~/x.yaml")]
        assert list(plan.documents(configs, HOME)) == [file["path"] for file in plan.files(configs, HOME)]
        assert plan.documents([entry()], HOME) == {"~/.config/borgmatic/system.yaml": config()}


class TestRepositories:
    def test_each_is_listed_once_without_secrets(self):
        shared = [{"path": "/srv/backup/"}, {"path": "/srv/other"}]
        records = plan.repositories([entry(), entry("b", options={"repositories": shared})])
        assert records == [("system", 0, "/srv/backup"), ("b", 1, "/srv/other")]

    def arguments(self, position=0, **more):
        configs = [entry(**more)]
        return plan.repository(configs, plan.repositories(configs)[position])

    def test_the_passphrase_arrives_verbatim(self):
        for passphrase in (SECRET, "a'b\"c $HOME ${PATH} \\${X} \\ {user} %n #:", "7", "ä" * 500):
            assert self.arguments(options={"encryption_passphrase": passphrase})["passphrase"] == passphrase

    def test_what_is_not_said_is_left_out(self):
        assert self.arguments() == {"repository": "/srv/backup", "passphrase": SECRET}

    def test_what_is_said_is_translated(self):
        repository = {
            "path": "/srv/backup",
            "encryption": "keyfile",
            "append_only": True,
            "storage_quota": "5G",
            "make_parent_directories": True,
        }
        options = {
            "repositories": [repository],
            "ssh_command": "ssh -p 1",
            "remote_path": "borg1",
            "local_path": "/opt/borg",
            "lock_wait": 5,
            "borg_base_directory": "/var/lib/borg",
            "borg_key_file": "/root/key",
            "relocated_repo_access_is_ok": True,
        }
        more = {"previous_passphrases": ["old"], "allow_unencrypted": True, "allow_empty_directory": True, "repair_broken_init": True}
        assert self.arguments(options=options, **more) == {
            "repository": "/srv/backup",
            "passphrase": SECRET,
            "encryption": "keyfile",
            "append_only": True,
            "storage_quota": "5G",
            "make_parent_directories": True,
            "rsh": "ssh -p 1",
            "remote_path": "borg1",
            "executable": "/opt/borg",
            "lock_wait": 5,
            "base_directory": "/var/lib/borg",
            "key_file": "/root/key",
            "accept_relocated": True,
            **more,
        }

    def test_a_document_in_sections_says_the_same(self):
        sectioned = {
            "location": {"source_directories": ["/etc"], "repositories": ["/srv/backup"]},
            "storage": {"encryption_passphrase": SECRET},
            "retention": {"keep_daily": 7},
        }
        configs = [{"name": "system", "config": sectioned}]
        assert plan.repository(configs, plan.repositories(configs)[0]) == self.arguments()
        assert plan.schedules(configs, plan.Place()) == schedules()

    def test_what_a_repository_says_for_itself_counts_more(self):
        own = [{"path": "/srv/a"}, {"path": "/srv/b", "encryption_passphrase": "own"}]
        assert self.arguments(0, options={"repositories": own})["passphrase"] == SECRET
        assert self.arguments(1, options={"repositories": own})["passphrase"] == "own"

    def test_constants_are_put_in_their_places(self):
        options = {"constants": {"disk": "/mnt/disk"}, "repositories": [{"path": "{disk}/backup"}], "local_path": "{disk}/borg"}
        assert self.arguments(options=options) == {"repository": "/mnt/disk/backup", "executable": "/mnt/disk/borg", "passphrase": SECRET}

    @pytest.mark.parametrize(
        ("options", "passcommand"),
        [
            ({"encryption_passphrase": "{credential file /etc/pw}"}, "cat /etc/pw"),
            ({"encryption_passphrase": "{credential file '/etc/my pw'}"}, "cat '/etc/my pw'"),
            ({"encryption_passphrase": "{credential file pw}", "working_directory": "/srv"}, "cat /srv/pw"),
            ({"encryption_passphrase": None, "encryption_passcommand": "pass show x"}, "pass show x"),
        ],
    )
    def test_where_borgmatic_finds_the_passphrase_borg_does_too(self, options, passcommand):
        arguments = self.arguments(options=options)
        assert arguments["passcommand"] == passcommand and "passphrase" not in arguments

    def test_what_is_wrong_is_a_failure(self):
        with pytest.raises(Failure):
            plan.repositories([entry(options={"repositories": []})])


class TestSchedules:
    BACKUP = {"name": "system-backup", "actions": ["create", "prune", "compact"], "calendar": "daily", "configs": ["/etc/borgmatic.d/system.yaml"]}
    CHECK = {"name": "system-check", "actions": ["check"], "calendar": "weekly", "configs": ["/etc/borgmatic.d/system.yaml"]}

    def test_by_default_it_is_backed_up_daily_and_checked_weekly(self):
        assert schedules() == [self.BACKUP, self.CHECK]

    def test_what_only_grows_is_not_pruned(self):
        growing = [{"path": "/srv/a"}, {"path": "/srv/b", "append_only": True}]
        assert schedules(options={"repositories": growing}) == [{**self.BACKUP, "actions": ["create"]}, self.CHECK]

    def test_what_is_kept_for_ever_is_not_pruned(self):
        options = {"keep_daily": None, "skip_actions": ["prune"], "keep_exclude_tags": True}
        assert schedules(options=options)[0]["actions"] == ["create"]

    @pytest.mark.parametrize(
        ("options", "actions"),
        [
            ({"skip_actions": ["compact"]}, [["create", "prune"], ["check"]]),
            ({"skip_actions": ["check"]}, [["create", "prune", "compact"]]),
            ({"checks": [{"name": "disabled"}]}, [["create", "prune", "compact"]]),
            ({"skip_actions": ["create", "prune", "compact"]}, [["check"]]),
        ],
    )
    def test_what_shall_be_skipped_is_not_scheduled(self, options, actions):
        assert [schedule["actions"] for schedule in schedules(options=options)] == actions

    def test_the_user_s_own_replace_the_default_ones(self):
        own = [{"name": "nightly", "actions": ["create"], "calendar": "Mon *-*-* 02:00:00", "network": None}]
        assert schedules(schedules=own) == [
            {
                "name": "system-nightly",
                "actions": ["create"],
                "calendar": "Mon *-*-* 02:00:00",
                "configs": ["/etc/borgmatic.d/system.yaml"],
            }
        ]
        assert schedules(schedules=[]) == []
