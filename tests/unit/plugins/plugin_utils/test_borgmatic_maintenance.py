# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_maintenance import distrusted, inventory_name, maintained
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_names import claims

OWN = "ssh://borg@backup1/./web1"
SECRET = "correct CANARY horse"


def entry(name="system", locations=(OWN,), grows=True, **options):
    document = {
        "source_directories": ["/etc"],
        "repositories": [{"path": location} for location in locations],
        "encryption_passphrase": SECRET,
        "keep_daily": 7,
        **options,
    }
    given = {key: value for key, value in document.items() if value is not None}
    return {"name": name, "config": given, "enforced": dict.fromkeys(locations, grows)}


def of_web1(*configs, user="root"):
    return maintained(configs, "web1.example.org", user)


def test_what_a_client_may_only_add_to_is_looked_after():
    (found,) = of_web1(entry(keep_weekly=4))
    assert found["location"] == found["address"] == OWN and found["record"] == {"config": "system", "position": 0, "location": OWN}
    (retention,) = found["retentions"]
    assert retention["match_archives"].startswith("web1-[12]") and retention["foreign_archives"] == []
    assert (retention["keep_daily"], retention["keep_weekly"]) == (7, 4)
    assert SECRET not in json.dumps(found)


def test_what_the_client_prunes_itself_and_what_nobody_serves_is_left_alone():
    elsewhere = entry()
    del elsewhere["enforced"]
    assert of_web1(entry(grows=False), elsewhere) == []


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"archive_name_format": "{hostname}-{now}", "match_archives": "sh:{hostname}-*"}, "sh:web1-*"),
        ({"match_archives": "{host}-*", "constants": {"host": "db"}}, "db-*"),
        ({"archive_name_format": "{fqdn}-{now:%y}"}, "web1.example.org-[0-9][0-9]"),
    ],
)
def test_the_filter_is_what_somebody_says_and_else_what_the_client_makes(options, match):
    (found,) = of_web1(entry(**options))
    assert [retention["match_archives"] for retention in found["retentions"]] == [match]


@pytest.mark.parametrize(
    ("options", "certain"),
    [
        ({}, True),
        ({"archive_name_format": "{fqdn}-{now:%d.%m.%Y}"}, True),
        ({"archive_name_format": "{hostname}-{now:%Y-%m}", "match_archives": "web1-[12][0-9][0-9][0-9]-[01][0-9]"}, True),
        ({"archive_name_format": "[*]{hostname}-{now:%Y-%m}"}, True),
        ({"archive_name_format": "{hostname}-{now:%B}"}, False),
        ({"archive_name_format": "{hostname}-{pid}-{now:%Y}"}, False),
        ({"archive_name_format": "backup-{now:%d.%m.%Y}"}, False),
        ({"match_archives": "web1-*"}, False),
        ({"match_archives": "web1-[12][0-9][0-9][0-9]"}, False),
    ],
)
def test_a_filter_is_taken_at_its_word_where_it_takes_in_nobody_elses(options, certain):
    (found,) = of_web1(entry(**options))
    assert [retention["allow_any_series"] for retention in found["retentions"]] == [certain], found["retentions"]


@pytest.mark.parametrize("options", [{"keep_daily": None, "skip_actions": ["prune"]}, {"skip_actions": ["prune"]}])
def test_without_a_policy_there_is_an_inventory_alone(options):
    (found,) = of_web1(entry(**options))
    assert found["retentions"] == []


def test_configurations_that_share_a_repository_each_have_their_policy():
    (found,) = of_web1(entry(), entry("database", archive_name_format="{hostname}-db-{now}", keep_daily=3))
    assert found["record"]["config"] == "system"
    assert [(each["match_archives"][:9], each["keep_daily"]) for each in found["retentions"]] == [("web1-[12]", 7), ("web1-db-[", 3)]


def test_no_policy_is_for_what_another_one_calls_its_own():
    variables = {
        "web1.example.org": {"borgmatic_configs": [entry(), entry("database", archive_name_format="db-{now:%y}")]},
        "web2": {"borgmatic_configs": [entry(archive_name_format="backup-{now:%y}")]},
    }
    known = claims(list(variables), variables)
    (found,) = maintained(variables["web1.example.org"]["borgmatic_configs"], "web1.example.org", "root", known)
    system, database = (retention["foreign_archives"] for retention in found["retentions"])
    assert system == ["backup-[0-9][0-9]", "db-[0-9][0-9]"]
    assert database[0] == "backup-[0-9][0-9]" and database[1].startswith("web1-[12]")


def test_names_in_a_location_are_those_of_the_inventory():
    (found,) = of_web1(entry(locations=["ssh://borg@backup1/./{hostname}"]))
    assert found["location"].endswith("{hostname}") and found["address"] == OWN
    assert found["inventory"] == inventory_name(OWN)


def test_each_repository_has_a_file_of_its_own():
    names = [inventory_name(f"ssh://borg@backup1/./{path}") for path in ("web1", "web10", "web_1", "a/b", "a_b", "x" * 200)]
    assert len(set(names)) == len(names) and all(len(name) < 100 and "/" not in name for name in names)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("vault", ""),
        ("localhost", ""),
        ("web1", "web1 is a client itself"),
        ("backup1", "backup1 is a backup server itself"),
        ("alias", "alias is the same machine as backup1, which is a backup server"),
        ("127.0.0.1", ""),
        ("web10", ""),
        ("container", ""),
    ],
)
def test_who_may_look_after_them(host, reason):
    said = {"backup1": {"ansible_host": "192.0.2.1"}, "alias": {"ansible_host": "192.0.2.1", "ansible_connection": "ssh"}, "web1": {}, "vault": {}}
    said["container"] = {"ansible_host": "127.0.0.1", "ansible_port": 2222}
    assert distrusted(host, ["web1"], ["backup1"], said) == reason


@pytest.mark.parametrize(
    "variables",
    [
        {"ansible_connection": "local"},
        {"ansible_connection": "ansible.builtin.local"},
        {"ansible_host": "localhost"},
        {"ansible_host": "127.0.0.1", "ansible_port": 22},
    ],
)
def test_the_controller_may_not_where_it_backs_itself_up(variables):
    assert distrusted("localhost", ["laptop"], [], {"laptop": variables}) == "localhost is the same machine as laptop, which is a client"
    assert distrusted("vault", ["laptop"], [], {"laptop": variables}) == ""
