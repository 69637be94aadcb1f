# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json

import pytest
from ansible.errors import AnsibleError

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import matches
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_names import claimants, claims, foreign, locations, made_by, own_in_words

SHARED = "ssh://borg@backup1/./shared"
SECRET = "correct CANARY horse"
DIRECTIVES = "YmdHMSfyjUVWGuwszFTRI%"


def made(name_format=None, name="web1", **others):
    return made_by({"archive_name_format": name_format, **others}, name, "root")


@pytest.mark.parametrize(
    ("name_format", "own", "neighbours"),
    [
        (
            None,
            "web1-2026-11-20T02:00:00.000001",
            ["web1-db-2026-11-20T02:00:00.000001", "web10-2026-11-20T02:00:00.000001", "web1-manual"],
        ),
        ("{hostname}-{now}", "web1-2026-11-20T02:00:00", ["web1-db-2026-11-20T02:00:00", "web1-2-2026-11-20T02:00:00"]),
        ("{hostname}-{now:%d-%m}", "web1-20-11", ["web1-db-20-11", "web1-ab-cd", "web1-20-11-20-11"]),
        ("{now:%Y-%m-%d}-{hostname}", "2026-11-20-web1", ["2026-11-20-db-web1", "x-2026-11-20-web1", "2026-11-20-web1-db"]),
        ("{utcnow}_{user}@{reverse-fqdn}", "2026-11-20T02:00:00_root@web1", ["2026-11-20T02:00:00_root@org.web1"]),
        ("w*b[1]-{now:%s}", "w*b[1]-1795312800", ["wxb[1]-1795312800", "w*b1-1795312800"]),
        ("{hostname}-{now:%Y}-{pid}", "web1-2026-77", ["web1-db-2026-77"]),
        ("{hostname}-{now:%Y_%B}", "web1-2026_November", ["web1-db-2026_November"]),
        ("{hostname}-{now:%-d.%m}", "web1-3.11", ["web10-3.11"]),
        ("{name}-{now:%y}", "web1-26", ["{name}-26"]),
    ],
)
def test_a_configuration_makes_these_names_and_no_neighbours(name_format, own, neighbours):
    pattern = made(name_format, constants={"name": "web1"})
    assert matches(own, pattern)
    assert not [name for name in neighbours if matches(name, pattern)]


def test_what_borgmatic_has_archives_called_as_may_count_on_the_client():
    said = {"archive_hostname": "cluster", "archive_username": "ada"}
    assert own_in_words({**said, "archive_name_format": "{hostname}-{user}-{fqdn}-{now:%y}"}) == "*-*-{fqdn}-[0-9][0-9]"
    assert own_in_words({"match_archives": "{hostname}-*"}) == "{hostname}-*"


@pytest.mark.parametrize("directive", DIRECTIVES)
@pytest.mark.parametrize("seconds", [1000020000, 1078012799, 1795312800, 4102444799])
def test_whatever_python_makes_of_a_time_is_taken_in(directive, seconds):
    time = datetime.datetime.fromtimestamp(seconds, datetime.timezone(datetime.timedelta(hours=-3.5)))
    pattern = made(f"{{now:x%{directive}y}}")
    assert matches(time.strftime(f"x%{directive}y"), pattern)
    assert "*" not in pattern


def entry(location=SHARED, name="system", **options):
    document = {"source_directories": ["/etc"], "repositories": [{"path": location}], "encryption_passphrase": SECRET, "keep_daily": 7}
    return {"name": name, "config": {**document, **options}}


def client(*entries, **variables):
    return {"borgmatic_configs": list(entries), **variables}


def foreign_of_web1(location=SHARED, **hosts):
    found = claims(list(hosts), hosts)
    assert SECRET not in json.dumps(found)
    return foreign(found, "web1", "system", location)


def test_of_another_client_its_names_are_foreign_whatever_it_prunes():
    other = entry(archive_name_format="{hostname}-{user}-{now:%y}", match_archives="sh:x-*", skip_actions=["prune"])
    assert foreign_of_web1(web1=client(entry()), web2=client(other, borgmatic_user="ada")) == ["web2-ada-[0-9][0-9]"]


def test_of_another_repository_nothing_is_foreign():
    assert foreign_of_web1(web1=client(entry()), web2=client(entry("ssh://borg@backup1/./web2"), entry("ssh://borg@backup2/./shared", "more"))) == []


@pytest.mark.parametrize(
    ("location", "variables"),
    [
        ("ssh://borg@backup1:22/./shared", {}),
        ("ssh://borg@backup1/srv/borg/shared", {}),
        ("ssh://borg@backup1/~/shared", {}),
        ("borg@backup1:shared", {}),
        ("ssh://borg@192.0.2.1/./shared", {"borgmatic_servers": {"192.0.2.1": {"inventory_name": "backup1"}}}),
    ],
)
def test_the_same_repository_is_known_in_other_words(location, variables):
    other = client(entry(location, archive_name_format="backup-{now:%y}"), **variables)
    assert foreign_of_web1(web1=client(entry()), web2=other) == ["backup-[0-9][0-9]"]
    hosts = {"web1": client(entry(location), **variables), "web2": client(entry(archive_name_format="backup-{now:%y}"))}
    assert foreign_of_web1(location if ":shared" not in location else "ssh://borg@backup1/./shared", **hosts) == ["backup-[0-9][0-9]"]


def test_what_makes_no_archives_has_none():
    assert foreign_of_web1(web1=client(entry()), web2=client(entry(skip_actions=["create"])), web3={}) == []


def test_a_configuration_that_nobody_can_read_is_told():
    with pytest.raises(Failure, match="web2: nobody can tell which archives are its own.*borgmatic_configs, broken: ") as caught:
        claims(["web1", "web2"], {"web1": client(entry()), "web2": client(entry(name="broken", repositories=[]))})
    assert caught.value.error == "invalid_argument"


class Untold(dict):
    """Variables of which one needs what this run does not have."""

    def get(self, name, default=None):
        if name == "borgmatic_configs":
            raise AnsibleError("'vault_web5' is undefined")
        return super().get(name, default)


def test_who_cannot_be_asked_is_named():
    with pytest.raises(Failure, match="web5: nobody can tell.*its variables: 'vault_web5' is undefined"):
        claims(["web1", "web5"], {"web1": client(entry()), "web5": Untold()})


def test_one_that_leaves_need_not_say_more_than_its_name():
    leaving = client({"name": "system"}, entry(name="more", archive_name_format="backup-{now:%y}"), borgmatic_state="absent")
    assert foreign_of_web1(web1=client(entry()), web2=leaving) == ["backup-[0-9][0-9]"]


@pytest.mark.parametrize("wrong", [{"name": "one"}, "text", [{"name": "one", "config": ["no"]}], [7]])
def test_one_whose_configurations_are_none_is_named(wrong):
    with pytest.raises(Failure, match="web5: nobody can tell which archives are its own"):
        claims(["web1", "web5"], {"web1": client(entry()), "web5": {"borgmatic_configs": wrong}})


class TestClaimants:
    OWN = made("{hostname}-{now:%Y-%m-%dT%H:%M:%S.%f}")
    SOURCE = {"config": "system", "location": SHARED, "own_archives": OWN}
    HOME = entry(name="home", archive_name_format="{hostname}-home-{now}", source_directories=["/home"])
    HOSTS = {
        "web1": client(entry(), HOME),
        "web2": client(entry()),
        "web3": client(entry("ssh://borg@backup1/./web3")),
        "web4": Untold(),
        "web5": {"borgmatic_configs": [7]},
    }

    def found(self, configs=None, **how):
        return claimants(self.SOURCE, configs or self.HOSTS["web1"]["borgmatic_configs"], "web1", self.HOSTS, **how)

    def test_everybody_who_has_the_repository_is_named_and_what_is_broken_tells_nothing(self):
        assert self.found(others=list(self.HOSTS)) == ["web1 (home)", "web2 (system)"]
        assert self.found() == ["web1 (home)"]

    def test_of_an_archive_only_those_who_would_call_it_so(self):
        assert self.found(archive="web1-2026-11-20T02:00:00.000001") == []
        alike = [entry(), entry(name="more", source_directories=["/srv"])]
        assert self.found(alike, archive="web1-2026-11-20T02:00:00.000001") == ["web1 (more)"]

    def test_where_others_may_match_all_are_looked_at(self):
        theirs = "web1-db-2026-11-20T02:00:00.000001"
        hosts = {**self.HOSTS, "web1-db": client(entry())}
        wide = {**self.SOURCE, "own_archives": "sh:web1-*"}
        assert claimants(wide, [entry()], "web1", hosts, list(hosts), theirs) == ["web1-db (system)"]
        assert claimants(wide, [entry()], "web1", hosts, list(hosts), "web1-2026-11-20T02:00:00.000001") == []

    def test_the_same_name_of_another_domain_is_looked_at(self):
        hosts = {"web1.example.org": client(entry()), "web1.example.net": client(entry()), "web2": Untold()}
        found = claimants(self.SOURCE, [entry()], "web1.example.org", hosts, list(hosts), "web1-2026-11-20T02:00:00.000001")
        assert found == ["web1.example.net (system)"]

    def test_bundles_of_different_times_do_not_contest_each_other(self):
        later = entry(name="system-2", repositories=[{"path": SHARED}], keep_daily=9)
        assert self.found([entry(), later], archive="web1-2026-11-20T02:00:00.000001") == []

    @pytest.mark.parametrize("places", [("/mnt/usb", "/mnt/usb"), ("ssh://web1@backup1/./repo", "ssh://web2@backup1/./repo")])
    def test_what_only_looks_alike_is_not_shared(self, places):
        hosts = {"web1": client(entry(places[0])), "web2": client(entry(places[1]))}
        assert claimants({**self.SOURCE, "location": places[0]}, [entry(places[0])], "web1", hosts, list(hosts)) == []

    def test_a_client_that_is_gone_has_none_of_its_own_words(self):
        assert claimants(self.SOURCE, [entry()], "lost", self.HOSTS, others=["web2"]) == ["web2 (system)"]

    def test_a_repository_of_its_own_is_nobody_elses(self):
        own = entry("ssh://borg@backup1/./web1")
        assert claimants({**self.SOURCE, "location": "ssh://borg@backup1/./web1"}, [own], "web1", self.HOSTS, others=list(self.HOSTS)) == []


def test_the_locations_of_those_who_can_be_read():
    hosts = {
        "web1": client(entry(), entry("/mnt/usb", "home")),
        "web2": client(entry(), {"name": "leaving"}),
        "web3": Untold(),
        "web4": {"borgmatic_configs": [7]},
        "web5": client({"name": "broken", "config": {"repositories": 7}}),
        "vault": {},
    }
    assert locations([*hosts], hosts) == [SHARED, "/mnt/usb"]
