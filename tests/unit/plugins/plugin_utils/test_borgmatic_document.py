# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A user's document, checked: what is refused and in which words, what is accepted and in which form."""

from __future__ import annotations

import datetime
import math

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_document
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_document import check_document

CANARY = "canary-7c3f-passphrase"

SEED_SECTIONED = {
    "location": {
        "source_directories": ["/home", "/etc", "/var/log/syslog*"],
        "repositories": ["user@backupserver:sourcehostname.borg"],
        "exclude_patterns": ["/home/*/.cache"],
    },
    "retention": {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 6},
    "consistency": {"checks": ["repository", "archives"]},
}
SEED_FLAT = {
    "source_directories": ["~/"],
    "exclude_patterns": ["**/.cache", "~/Downloads", "**/*.qcow2"],
    "exclude_caches": True,
    "exclude_if_present": [".nobackup"],
    "repositories": [
        {"path": "ssh://borg-backup@nas.example.net/volume1/BorgBackup/{user}-{hostname}", "label": "local-nas"},
        {"path": "ssh://borg-backup@far.example.net/volume1/BorgBackup/{user}-{hostname}", "label": "remote-nas"},
    ],
    "encryption_passphrase": "your seven word diceware passphrase here",
    "ssh_command": "ssh -i ~/.config/borg/ssh/id_ed25519 -o BatchMode=yes",
    "archive_name_format": "{user}-{hostname}-{now}",
    "compression": "zstd",
    "keep_within": "6H",
    "keep_hourly": 8,
    "keep_daily": 7,
    "checks": [{"name": "repository", "frequency": "2 weeks"}, {"name": "archives", "frequency": "4 weeks"}],
    "on_error": ['~/.config/borgmatic/notify.sh "{configuration_filename}" "{repository}" "{error}" "{output}"'],
}


def document(**options):
    """A sound document with these options; None takes one out."""
    merged = {
        "source_directories": ["/etc"],
        "repositories": [{"path": "/srv/backup", "label": "local"}],
        "keep_daily": 7,
        **options,
    }
    return {name: value for name, value in merged.items() if value is not None}


def problems_of(config, **arguments):
    with pytest.raises(Failure) as caught:
        check_document(config, **arguments)
    assert caught.value.error == "invalid_argument"
    assert caught.value.retryable is False
    assert all(problem in caught.value.msg for problem in caught.value.details["problems"])
    return caught.value.details["problems"]


def only_problem_of(config, **arguments):
    problems = problems_of(config, **arguments)
    assert len(problems) == 1, problems
    return problems[0]


class TestWhatPeoplePaste:
    def test_the_sectioned_example(self):
        assert check_document(SEED_SECTIONED) == {
            "source_directories": ["/home", "/etc", "/var/log/syslog*"],
            "repositories": [{"path": "ssh://user@backupserver/./sourcehostname.borg"}],
            "exclude_patterns": ["/home/*/.cache"],
            "keep_daily": 7,
            "keep_weekly": 4,
            "keep_monthly": 6,
            "checks": [{"name": "repository"}, {"name": "archives"}],
        }

    def test_the_flat_example_as_it_stands(self):
        assert check_document(SEED_FLAT) == SEED_FLAT


class TestNormalForm:
    @pytest.mark.parametrize(
        "option, given, normal",
        [
            ("source_directories", "/etc", ["/etc"]),
            ("exclude_if_present", ".nobackup", [".nobackup"]),
            ("before_backup", "sync", ["sync"]),
            ("repositories", "/srv/backup", [{"path": "/srv/backup"}]),
            ("repositories", ["/srv/backup"], [{"path": "/srv/backup"}]),
            ("repositories", [{"path": "file:///srv/a/../b/"}], [{"path": "/srv/b"}]),
            ("repositories", ["u@[::1]:repo"], [{"path": "ssh://u@[::1]/./repo"}]),
            (
                "repositories",
                ["ssh://[2001:db8::1]:2222/./r"],
                [{"path": "ssh://[2001:db8::1]:2222/./r"}],
            ),
            ("keep_daily", "7", 7),
            ("keep_weekly", 0, 0),
            ("umask", "0077", 77),
            ("umask", 63, 77),  # what YAML makes of 0077
            ("umask", 77, 77),
            ("umask", 23, 27),  # 0027
            ("umask", 18, 22),  # 0022
            ("umask", 0, 0),
            ("one_file_system", "yes", True),
            ("one_file_system", "False", False),
            ("archive_hostname", 7, "7"),
            ("verbosity", "-1", -1),
            ("verbosity", 1, 1),
            ("statistics", True, True),
            ("statistics", "quick", "quick"),
            ("checks", "repository", [{"name": "repository"}]),
            ("checks", ["repository", {"name": "data"}], [{"name": "repository"}, {"name": "data"}]),
            (
                "checks",
                [{"name": "archives", "only_run_on": "Saturday"}],
                [{"name": "archives", "only_run_on": ["Saturday"]}],
            ),
            ("healthchecks", "https://hc.example.org/x", {"ping_url": "https://hc.example.org/x"}),
            ("pagerduty", "key", {"integration_key": "key"}),
            ("postgresql_databases", {"name": "all"}, [{"name": "all"}]),
            ("zfs", None, {}),
            ("prefix", "", ""),
            ("encryption_passphrase", 1234, "1234"),
        ],
    )
    def test_of(self, option, given, normal):
        wanted = {**document(), option: given}
        result = check_document(wanted)[option]
        assert result == normal
        assert type(result) is type(normal)

    @pytest.mark.parametrize("option", ["exclude_patterns", "before_backup", "postgresql_databases", "patterns"])
    def test_an_empty_list_of_an_optional_option_says_nothing(self, option):
        assert option not in check_document(document(**{option: []}))

    @pytest.mark.parametrize(
        "old, new, value",
        [("numeric_owner", "numeric_ids", True), ("bsd_flags", "flags", False), ("remote_rate_limit", "upload_rate_limit", 5)],
    )
    def test_a_renamed_option_gets_its_name(self, old, new, value):
        result = check_document(document(**{old: value}))
        assert result[new] == value
        assert old not in result

    def test_check_repositories_get_the_spelling_of_the_repositories(self):
        result = check_document(document(repositories=["u@h:r"], check_repositories=["u@h:r"]))
        assert result["check_repositories"] == [result["repositories"][0]["path"]] == ["ssh://u@h/./r"]

    def test_an_option_of_one_repository(self):
        entry = {"path": "/srv/backup", "keep_daily": "3", "exclude_patterns": "*.o", "encryption_passphrase": "${A} b"}
        normal = {**entry, "keep_daily": 3, "exclude_patterns": ["*.o"], "encryption_passphrase": "\\${A} b"}
        assert check_document(document(repositories=[entry]))["repositories"] == [normal]

    def test_types_of_ansible_become_plain(self):
        class Tagged(str):
            pass

        class Encrypted:
            __ENCRYPTED__ = True

            def __str__(self):
                return "from the vault"

        result = check_document(document(encryption_passphrase=Encrypted(), compression=Tagged("lz4")))
        assert result["encryption_passphrase"] == "from the vault"
        assert not isinstance(result["compression"], Tagged)


class TestRepositories:
    @pytest.mark.parametrize(
        "location, reason",
        [
            ("http://h/x", "scheme"),
            ("sftp://h/x", "scheme"),
            ("rclone:x:y", "colon"),
            ("~/x", "'~'"),
            ("x/y", "relative"),
            ("ssh://h", "no path"),
            ("ssh:///x", "no host"),
            ("ssh://h:99999/x", "port"),
            ("ssh://u:secret@h/x", "password"),
            ("ssh://-oProxyCommand=x@h/p", "ssh could take"),
            ("/srv/{nope}", "unknown placeholder"),
            ("/srv/{hostnam}", "unknown placeholder"),
            ("/srv/{now}", "differs from run to run"),
            ("/a::b", "'::'"),
            ("/srv/a\nb", "control character"),
            ("", "empty"),
            ("   ", "empty"),
        ],
    )
    def test_a_bad_location(self, location, reason):
        problem = only_problem_of(document(repositories=[location]))
        assert problem.startswith("config.repositories[0].path: ")
        assert reason in problem
        assert "for example" in problem or "give" in problem or "write" in problem
        assert "secret" not in problem

    @pytest.mark.parametrize(
        "repositories, says",
        [
            ([], "config.repositories: is an empty list, and borgmatic would succeed without any backup; for example"),
            ({"label": "x"}, "config.repositories[0].path: is missing"),
            ([7], "config.repositories[0]: is no dictionary"),
            ([{"path": "/a", "labl": "x"}], "config.repositories[0].labl: is no key that is known here; did you mean label?"),
            ([{"path": "/a", "encryption": "repoky"}], "config.repositories[0].encryption: 'repoky' is none of"),
            ([{"path": "/a", "append_only": "perhaps"}], "config.repositories[0].append_only: 'perhaps' is no boolean"),
            ([{"path": "/a", "storage_quota": "3M"}], "config.repositories[0].storage_quota: '3M' is below 10M"),
            ([{"path": "/a", "storage_quota": "abc"}], "config.repositories[0].storage_quota: 'abc' is no size"),
            ([{"path": "/a", "label": ""}], "config.repositories[0].label: '' is empty"),
            ([{"path": "/a", "label": "a\nb"}], "config.repositories[0].label: 'a\\nb' holds a control character"),
            ([{"path": "/a", "keep_daily": -1}], "config.repositories[0].keep_daily: is less than 0"),
            ([{"path": "/a"}, {"path": "/a/"}], "config.repositories: the path '/a' stands there more than once"),
            ([{"path": "/a", "label": "x"}, {"path": "/b", "label": "x"}], "config.repositories: the label 'x' stands there more"),
            (["u@h:r", "ssh://u@h/./r"], "config.repositories: the path 'ssh://u@h/./r' stands there more than once"),
        ],
    )
    def test_a_bad_list(self, repositories, says):
        assert only_problem_of(document(repositories=repositories)).startswith(says)

    def test_none_at_all(self):
        assert only_problem_of(document(repositories=None)).startswith("config.repositories: is missing; for example")

    def test_each_bad_one_is_told(self):
        problems = problems_of(document(repositories=["http://h/x", "/good", "sftp://h/x"]))
        assert [problem.split(": ")[0] for problem in problems] == [
            "config.repositories[0].path",
            "config.repositories[2].path",
        ]

    def test_a_check_of_a_repository_that_is_not_there(self):
        problem = only_problem_of(document(check_repositories=["locl"]))
        assert "'locl' is neither the label nor the path of a repository; did you mean local?" in problem

    def test_a_glob_of_repositories_is_borgmatics_to_resolve(self):
        assert check_document(document(check_repositories=["loc*"]))["check_repositories"] == ["loc*"]


class TestRetention:
    @pytest.mark.parametrize(
        "option, value, reason",
        [
            ("keep_daily", -1, "-1 is less than 0; for example 7"),
            ("keep_daily", "-1", "'-1' is less than 0"),
            ("keep_daily", 7.5, "7.5 is no whole number; for example 7"),
            ("keep_daily", "7.5", "'7.5' is no whole number"),
            ("keep_daily", True, "True is no whole number"),
            ("keep_daily", "seven", "'seven' is no whole number"),
            ("keep_daily", [7], "is no whole number"),
            ("keep_within", "banana", "'banana' is no interval: a number and one of H, d, w, m, y; for example 6H"),
            ("keep_within", "0d", "'0d' is no interval"),
            ("keep_within", "2 weeks", "'2 weeks' is no interval"),
            ("keep_within", 14, "14 is no interval"),
        ],
    )
    def test_a_bad_value(self, option, value, reason):
        assert only_problem_of(document(**{option: value})).startswith(f"config.{option}: {reason}")

    @pytest.mark.parametrize("options", [{}, {"keep_weekly": 0}, {"keep_exclude_tags": True}])
    def test_none_at_all(self, options):
        problem = only_problem_of(document(keep_daily=None, **options))
        assert problem.startswith("config: no keep_ option keeps anything")
        assert "keep_daily: 7" in problem
        assert "skip_actions: [prune]" in problem

    @pytest.mark.parametrize("options", [{"skip_actions": ["prune"]}, {"keep_within": "2w"}, {"keep_13weekly": 1}])
    def test_enough(self, options):
        check_document(document(keep_daily=None, **options))

    def test_a_misspelt_one_is_told_once(self):
        problem = only_problem_of(document(keep_daily=None, keep_dialy=7))
        assert problem == "config.keep_dialy: no borgmatic up to 2.1.10 has this option; did you mean keep_daily?"


class TestSecrets:
    @pytest.mark.parametrize(
        "passphrase, reason",
        [
            ("", "empty"),
            ("   ", "blank"),
            (f"{CANARY}\n", "newline"),
            (f"{CANARY}\nx", "line break"),
            (f"{{{{ {CANARY} }}}}", "template"),
            (f"$ANSIBLE_VAULT;1.1;AES256 {CANARY}", "vault"),
            (f"VARIABLE IS NOT DEFINED! {CANARY}", "not defined"),
            (f"__omit_place_holder__{CANARY}", "omit"),
            (f"{{credential file {CANARY}}}x", "begins like borgmatic's {credential"),
            ("{credential}", "begins like borgmatic's {credential"),
            ("${BORG_PASSPHRASE}", "environment variable"),
            ("${BORG_PASSPHRASE:-x}", "environment variable"),
            ([CANARY], "no text"),
            ({CANARY: CANARY}, "no text"),
            (True, "no text"),
            (f"{CANARY}\udc80", "no UTF-8"),
        ],
    )
    def test_a_bad_passphrase_is_refused_and_never_shown(self, passphrase, reason):
        problem = only_problem_of(document(encryption_passphrase=passphrase))
        assert problem.startswith("config.encryption_passphrase: ")
        assert reason in problem
        assert CANARY not in problem

    @pytest.mark.parametrize(
        "passphrase",
        [
            "it's \"quoted\"",
            "$HOME",
            "100%",
            "a{b}c",
            "{",
            "# no comment",
            "key: value",
            "日本語 – Ωß😀",
            "x" * 1024,
            " edges ",
            "\\{escaped\\}",
            "{credentials}",
        ],
    )
    def test_a_good_one_stays_as_it_is(self, passphrase):
        assert check_document(document(encryption_passphrase=passphrase))["encryption_passphrase"] == passphrase

    @pytest.mark.parametrize(
        "passphrase, told",
        [("a ${HOME} b", "a \\${HOME} b"), ("\\${A}${B-c}", "\\\\${A}\\${B-c}"), ("${not closed", "${not closed")],
    )
    def test_what_borgmatic_would_resolve_is_escaped(self, passphrase, told):
        assert check_document(document(encryption_passphrase=passphrase))["encryption_passphrase"] == told

    def test_a_credential_is_borgmatics_own(self):
        reference = "{credential systemd borgmatic.pw}"
        assert check_document(document(encryption_passphrase=reference))["encryption_passphrase"] == reference

    @pytest.mark.parametrize("where", ["config", "config.repositories[0]"])
    def test_passphrase_and_passcommand(self, where):
        both = {"encryption_passphrase": CANARY, "encryption_passcommand": "pass show borg"}
        config = document(**both) if where == "config" else document(repositories=[{"path": "/a", **both}])
        problems = problems_of(config)
        assert f"{where}: encryption_passphrase and encryption_passcommand are both given; give one of them" in problems
        assert CANARY not in str(problems)

    @pytest.mark.parametrize("passphrase", ["my {host}!", "\\{other\\}", "0123", " 12 ", "1_000", "true", "False"])
    def test_constants_that_would_change_it(self, passphrase):
        config = document(encryption_passphrase=passphrase, constants={"host": "web1"})
        problem = only_problem_of(config)
        assert problem.startswith("config.encryption_passphrase: borgmatic would change it, since the document has constants")
        check_document(document(encryption_passphrase=passphrase))

    def test_constants_that_leave_it_alone(self):
        check_document(document(encryption_passphrase="my {other}", constants={"host": "web1"}))

    @pytest.mark.parametrize(
        "config",
        [
            document(ssh_command=[CANARY]),
            document(extra_borg_options=CANARY),
            document(healthchecks=[CANARY]),
            document(constants=CANARY),
            document(commands=[{"before": CANARY, "run": [CANARY]}]),
            document(postgresql_databases=CANARY),
            document(on_error=[{"x": CANARY}]),
            document(encryption_passcommand=""),
            document(unforeseen=CANARY),
            document(location=CANARY),
            document(repositories=[{"path": "/a", "ssh_command": [CANARY], "unforeseen": CANARY}]),
            document(ntfy={"topic": f"{{{{ {CANARY} }}}}"}),
            document(constants={"user": CANARY}, repositories=["ssh://{user}@h:99999/x"]),
            document(checks=[{"name": "spot", "xxh64sum_command": [CANARY]}]),
            {"storage": {"encryption_passphrase": CANARY}, "encryption_passphrase": CANARY + "2"},
            [CANARY],
            CANARY,
        ],
        ids=repr,
    )
    def test_no_message_shows_a_value_that_may_be_secret(self, config):
        assert CANARY not in str(problems_of(config))

    def test_a_password_in_a_location_of_check_repositories(self):
        assert "hunter2" not in str(problems_of(document(check_repositories=["ssh://u:hunter2@h/x"])))


class TestNames:
    @pytest.mark.parametrize(
        "name, reason",
        [
            ("{hostname}", "lacks {now}"),
            ("backup", "lacks {now}"),
            ("{hostname}-{hostnam}-{now}", "unknown placeholder {hostnam}"),
            ("{now", "lone"),
            ("{{hostname}}-{now}", "template"),
            ("a/{now}", "'/'"),
            ("a::{now}", "'::'"),
            ("a\n{now}", "control character"),
            (" {now}", "white space"),
            ("x" * 300 + "{now}", "longer than 200"),
            ("", "empty"),
            (["{now}"], "no text"),
        ],
    )
    def test_a_bad_archive_name(self, name, reason):
        problem = only_problem_of(document(archive_name_format=name))
        assert problem.startswith("config.archive_name_format: ")
        assert reason in problem

    @pytest.mark.parametrize(
        "name",
        [
            "{hostname}-{now}",
            "{hostname}-{now:%Y-%m-%dT%H:%M:%S.%f}",  # borgmatic's own
            "{user}-{hostname}-{now}",
            "{fqdn}_{user}.{utcnow}",
            "{now:%Y}-{pid}-{hostname}",
            "backup {now:%Y-%m-%d}",
        ],
    )
    def test_a_good_archive_name(self, name):
        assert check_document(document(archive_name_format=name))["archive_name_format"] == name

    #: What borgmatic derives from it does not tell these archives from others'.
    UNTOLD = (
        ("{now}", "matches every archive"),
        ("{now:%Y-%m-%dT%H:%M:%S.%f}", "matches every archive"),
        ("{now:%Y}-{utcnow:%m}_{pid}", "matches every archive"),
        ("web1{now}", "whose name begins alike"),
        ("{hostname}{now}", "whose name begins alike"),
        ("web1{now}-daily", "whose name begins alike"),
        ("{now}web1", "whose name ends alike"),
        ("{now}{hostname}", "whose name ends alike"),
        ("{hostname}-{unixtime}", "still holds {unixtime}"),
        ("{hostname}-{uuid4}", "still holds {uuid4}"),
        ("{hostname}-{now}-{uuid4}", "still holds {uuid4}"),
        ("{hostname}-{borgversion}-{now}", "still holds {borgversion}"),
        ("{hostname}-{now:%Y-%m-%d %H}", "still holds {now}"),
    )

    @pytest.mark.parametrize("name, reason", UNTOLD)
    def test_an_archive_name_from_which_no_filter_follows(self, name, reason):
        problem = only_problem_of(document(archive_name_format=name))
        assert problem.startswith(f"config.archive_name_format: {name!r} makes a filter for pruning and checking that ")
        assert reason in problem and "match_archives: " in problem

    @pytest.mark.parametrize("name, _reason", UNTOLD)
    @pytest.mark.parametrize(
        "options", [{"match_archives": "sh:{hostname}-*"}, {"prefix": "{hostname}-"}, {"skip_actions": ["prune", "check"]}]
    )
    def test_unless_none_need_follow(self, name, _reason, options):
        check_document(document(archive_name_format=name, **options))

    def test_the_archive_name_of_one_repository(self):
        config = document(repositories=["/a", {"path": "/b", "archive_name_format": "{now}"}])
        assert only_problem_of(config).startswith("config.repositories[1].archive_name_format: '{now}' makes a filter")

    def test_an_archive_name_with_a_constant(self):
        config = document(constants={"host": "web1-"}, archive_name_format="{host}{now}")
        check_document(config)
        assert "begins alike" in only_problem_of({**config, "constants": {"host": "web1"}})

    @pytest.mark.parametrize("option", ["debug_passphrase", "display_passphrase"])
    def test_what_prints_the_passphrase(self, option):
        assert only_problem_of(document(**{option: True})).startswith(f"config.{option}: True makes borg print the passphrase")
        assert check_document(document(**{option: "no"}))[option] is False

    @pytest.mark.parametrize(
        "pattern, reason",
        [
            ("", "empty"),
            ("sh:", "is empty"),
            ("sh:{hostnam}-*", "unknown placeholder"),
            ("sh:{now}-*", "differs from run to run"),
            ("{hostname}*", "every host whose name begins alike"),
            ("sh:web*", "every host whose name begins alike"),
            ("re:[", "no regular expression"),
        ],
    )
    def test_a_bad_filter(self, pattern, reason):
        problem = only_problem_of(document(match_archives=pattern))
        assert problem.startswith("config.match_archives: ")
        assert reason in problem

    @pytest.mark.parametrize("pattern", ["*", "sh:*", "sh:{hostname}-*", "web-*", "re:^web-[0-9]{4}", "id:web"])
    def test_a_good_filter(self, pattern):
        assert check_document(document(match_archives=pattern))["match_archives"] == pattern

    @pytest.mark.parametrize(
        "prefix, reason", [("{nope}-", "holds"), ("{now}", "holds"), ("web1", "also matches"), ("{hostname}", "also matches")]
    )
    def test_a_bad_prefix(self, prefix, reason):
        assert only_problem_of(document(prefix=prefix)).startswith(f"config.prefix: '{prefix}' {reason}")

    @pytest.mark.parametrize("prefix", ["", "{hostname}-", "web1_"])
    def test_a_good_prefix(self, prefix):
        assert check_document(document(prefix=prefix))["prefix"] == prefix


class TestConstants:
    def test_they_stand_in_names_and_places_as_they_are(self):
        config = document(
            constants={"host": "web1", "days": 3, "algorithm": "zstd"},
            repositories=["/srv/{host}"],
            archive_name_format="{host}-{now}",
            match_archives="sh:{host}-*",
            keep_daily="{days}",
            compression="{algorithm},3",
        )
        result = check_document(config)
        assert result["repositories"] == [{"path": "/srv/{host}"}]
        assert {name: result[name] for name in ("archive_name_format", "keep_daily", "compression")} == {
            "archive_name_format": "{host}-{now}",
            "keep_daily": "{days}",
            "compression": "{algorithm},3",
        }

    @pytest.mark.parametrize(
        "options", [{"compression": "{algorithm},99"}, {"keep_daily": "{algorithm}"}, {"archive_name_format": "{other}-{now}"}]
    )
    def test_what_they_become_is_checked(self, options):
        only_problem_of(document(constants={"algorithm": "zstd"}, **options))


class TestSources:
    @pytest.mark.parametrize(
        "sources, says",
        [
            ([], "config.source_directories: is an empty list; for example [/etc, /home]"),
            ("", "config.source_directories[0]: '' is empty"),
            (["/etc", None], "config.source_directories[1]: is no text"),
            (["/etc", {"path": "/home"}], "config.source_directories[1]: is no text"),
            (["/etc "], "config.source_directories[0]: '/etc ' begins or ends with white space"),
            (["/etc\0"], "config.source_directories[0]: holds a control character"),
            (["{{ dirs }}"], "config.source_directories[0]: looks like a template"),
            (["home"], "config.source_directories[0]: 'home' is relative to wherever borgmatic happens to start"),
        ],
    )
    def test_bad_ones(self, sources, says):
        assert only_problem_of(document(source_directories=sources)).startswith(says)

    @pytest.mark.parametrize(
        "options",
        [
            {"patterns": ["R /home"]},
            {"patterns_from": ["/etc/borgmatic/patterns"]},
            {"postgresql_databases": [{"name": "all"}]},
            {"zfs": {}},
            {"skip_actions": ["create"]},
        ],
    )
    def test_other_things_to_back_up(self, options):
        check_document(document(source_directories=None, **options))

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"postgresql_databases": []},
            {"patterns": []},
            {"patterns_from": []},
            {"patterns": ["- /x", "+ /y", "P sh"]},
            {"exclude_patterns": ["/x"]},
        ],
        ids=str,
    )
    def test_nothing_to_back_up(self, options):
        assert only_problem_of(document(source_directories=None, **options)).startswith("config.source_directories: is missing")

    def test_relative_ones_in_a_working_directory(self):
        check_document(document(source_directories=["home"], working_directory="/srv"))


class TestChecks:
    @pytest.mark.parametrize(
        "checks, says",
        [
            ([], "config.checks: is an empty list, and borgmatic then runs its default checks"),
            (["repositry"], "config.checks[0].name: 'repositry' is none of repository, archives, data, spot, extract, disabled"),
            ([{"name": "repositry"}], "config.checks[0].name: 'repositry' is none of"),
            ([{"frequency": "2 weeks"}], "config.checks[0].name: is missing"),
            ([{"name": "data", "frequency": "2 fortnights"}], "config.checks[0].frequency: '2 fortnights' is no frequency"),
            ([{"name": "data", "frequency": "0 days"}], "config.checks[0].frequency: '0 days' is no frequency"),
            ([{"name": "data", "frequency": 14}], "config.checks[0].frequency: 14 is no frequency"),
            ([{"name": "data", "only_run_on": ["Caturday"]}], "config.checks[0].only_run_on[0]: 'Caturday' is none of Monday"),
            ([{"name": "data", "only_run_on": ["saturday"]}], "config.checks[0].only_run_on[0]: 'saturday' is none of Monday"),
            ([{"name": "data", "only_run_on": []}], "config.checks[0].only_run_on: is an empty list"),
            ([{"name": "data", "frequncy": "2 weeks"}], "config.checks[0].frequncy: is no key that is known here; did you mean frequency?"),
            ([{"name": "data", "max_duration": 60}], "config.checks[0].max_duration: 60 belongs to the check repository only"),
            ([{"name": "repository", "max_duration": 0}], "config.checks[0].max_duration: 0 is less than 1"),
            ([{"name": "data", "data_sample_percentage": 1}], "config.checks[0].data_sample_percentage: 1 belongs to the check spot"),
            ([7], "config.checks[0]: 7 is no dictionary"),
        ],
    )
    def test_bad_ones(self, checks, says):
        problem = only_problem_of(document(checks=checks))
        assert problem.startswith(says.partition(": 7")[0] if says.endswith("7 is no dictionary") else says), problem

    def test_the_nearest_name_is_offered(self):
        assert only_problem_of(document(checks=["repositry"])).endswith("; did you mean repository?")

    def test_a_spot_check(self):
        spot = {"name": "spot", "count_tolerance_percentage": "10", "data_sample_percentage": 1, "data_tolerance_percentage": 0.5}
        assert check_document(document(checks=[spot]))["checks"] == [{**spot, "count_tolerance_percentage": 10}]
        assert "is more than data_sample_percentage" in only_problem_of(
            document(checks=[{**spot, "data_tolerance_percentage": 2}])
        )
        assert len(problems_of(document(checks=["spot"]))) == 3

    @pytest.mark.parametrize("frequency", ["always", "2 weeks", "1 month", "36 hours", "1 year", "10 days"])
    def test_a_good_frequency(self, frequency):
        check_document(document(checks=[{"name": "data", "frequency": frequency, "only_run_on": ["Sunday", "weekday"]}]))


class TestValues:
    @pytest.mark.parametrize(
        "value",
        ["none", "lz4", "zstd", "zstd,1", "zstd,22", "zlib,0", "lzma,9", "auto,zstd,3", "obfuscate,110,auto,zstd,10", "obfuscate,6,lz4"],
    )
    def test_a_good_compression(self, value):
        assert check_document(document(compression=value))["compression"] == value

    @pytest.mark.parametrize(
        "value",
        ["zip", "zstd,99", "zstd,0", "zstd,-1", "zlib,10", "lz4,1", "none,1", "zstd,", "auto", "obfuscate,7,lz4", "ZSTD", 3, ""],
    )
    def test_a_bad_compression(self, value):
        assert only_problem_of(document(compression=value)).startswith(f"config.compression: {value!r} ")

    @pytest.mark.parametrize(
        "option, value",
        [
            ("umask", "0999"),
            ("umask", 600),
            ("umask", True),
            ("umask", -1),
            ("umask", "700"),
            ("files_cache", "ctime,inode"),
            ("files_cache", "mtime,disabled"),
            ("chunker_params", "19,23,21"),
            ("chunker_params", "fixed"),
            ("borg_files_cache_ttl", "long"),
            ("one_file_system", 1),
            ("verbosity", 3),
            ("verbosity", True),
            ("statistics", 1),
            ("files_changed", "size"),
            ("skip_actions", ["purge"]),
            ("skip_actions", ["prun"]),
            ("borg_exit_codes", [{"code": 0, "treat_as": "error"}]),
            ("borg_exit_codes", [{"code": 100}]),
            ("working_directory", ""),
            ("log_file", "/var/log/a\nb"),
            ("exclude_patterns", [None]),
            ("check_last", 0),
        ],
    )
    def test_a_bad_one(self, option, value):
        assert only_problem_of(document(**{option: value})).startswith(f"config.{option}")

    @pytest.mark.parametrize(
        "hook",
        [
            {"run": ["sync"]},
            {"before": "action", "after": "action", "run": ["sync"]},
            {"before": "acton", "run": ["sync"]},
            {"before": "error", "run": ["sync"]},
            {"after": "error"},
            {"after": "error", "run": []},
            {"after": "action", "when": ["creat"], "run": ["sync"]},
            {"after": "action", "states": ["done"], "run": ["sync"]},
        ],
        ids=repr,
    )
    def test_a_bad_command_hook(self, hook):
        assert only_problem_of(document(commands=[hook])).startswith("config.commands[0]")

    def test_a_good_command_hook(self):
        hook = {"after": "error", "when": "create", "run": "docker ps --format '{{.Names}}'"}
        normal = {"after": "error", "when": ["create"], "run": ["docker ps --format '{{.Names}}'"]}
        assert check_document(document(commands=hook))["commands"] == [normal]

    @pytest.mark.parametrize("value", [None, datetime.date(2026, 1, 1), math.nan, math.inf, b"bytes", {1: 2}])
    def test_what_no_configuration_can_hold(self, value):
        assert only_problem_of({**document(), "log_file_format": value}).startswith("config.log_file_format: ")


class TestUnknownOptions:
    @pytest.mark.parametrize("name, nearest", [("keep_dialy", "keep_daily"), ("source_directory", "source_directories"), ("storag", "storage")])
    def test_the_nearest_name(self, name, nearest):
        problem = only_problem_of(document(**{name: 7}))
        assert problem == f"config.{name}: no borgmatic up to 2.1.10 has this option; did you mean {nearest}?"

    def test_without_a_similar_name(self):
        assert "see allow_unknown_options" in only_problem_of(document(xyzzy=7))

    def test_let_through(self):
        assert check_document(document(xyzzy={"a": 1}), allow_unknown_options=True)["xyzzy"] == {"a": 1}

    def test_let_through_only_without_left_overs(self):
        assert "template" in only_problem_of(document(xyzzy="{{ a }}"), allow_unknown_options=True)


class TestSections:
    def test_an_empty_section(self):
        assert check_document({**SEED_SECTIONED, "hooks": None}) == check_document(SEED_SECTIONED)

    def test_one_option_in_two_sections(self):
        agreeing = {**SEED_SECTIONED, "storage": {"umask": "0077"}, "hooks": {"umask": "0077"}}
        assert check_document(agreeing)["umask"] == 77
        problem = only_problem_of({**agreeing, "hooks": {"umask": "0027"}})
        assert problem == "config.hooks.umask differs from config.storage.umask, and they are one option: give it once"

    def test_a_section_that_is_none(self):
        problem = only_problem_of({**SEED_SECTIONED, "storage": ["compression"]})
        assert problem == "config.storage is a section: give it options, for example storage: {compression: zstd}"


class TestTheWhole:
    def test_every_problem_is_told_at_once(self):
        problems = problems_of(
            document(keep_dialy=7, compression="zip", repositories=[], checks=["repositry"], encryption_passphrase="")
        )
        assert sorted(problem.split(":")[0] for problem in problems) == [
            "config.checks[0].name",
            "config.compression",
            "config.encryption_passphrase",
            "config.keep_dialy",
            "config.repositories",
        ]

    @pytest.mark.parametrize("config", [None, "text", ["a"], 7, True])
    def test_no_dictionary(self, config):
        assert "is no dictionary" in only_problem_of(config)

    def test_a_long_value_is_cut(self):
        assert len(only_problem_of(document(compression="z" * 1000))) < 300

    def test_without_voluptuous(self, monkeypatch):
        monkeypatch.setattr(_borgmatic_document, "HAS_VOLUPTUOUS", False)
        with pytest.raises(Failure, match=r"package voluptuous is missing on the controller.* -m pip install voluptuous"):
            check_document(document())
