# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a host's archives are, and what opens them."""

from __future__ import annotations

import fnmatch

import pytest
from ansible.parsing.vault import VaultSecret

from ansible_collections.fleetbackup.borg.plugins.lookup import escrowed_passphrase
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import EscrowDirectory, EscrowFiles
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _recovery as recovery
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery_bundle import Bundle
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient

ADA, GRACE = Recipient("ada", VaultSecret(b"one")), Recipient("grace", VaultSecret(b"two"))
FIRST, SECOND = "ssh://borg@backup1/./web1", "ssh://borg@[2001:db8::1]:2222/srv/{hostname}"


def config(*repositories, name="system", **more):
    document = {"source_directories": ["/etc"], "repositories": list(repositories), "encryption_passphrase": "CANARY", "keep_daily": 7, **more}
    return {"name": name, "config": document}


class TestNewestFirst:
    CONFIGS = [config("/one", "/two", "/three"), config("/four", "/five", name="home")]
    TIMES = {"/one": "2026-11-20T03:00:00+00:00", "/two": "2026-11-20T03:00:00.500000+00:00", "/four": None, "/five": "2020-01-01T00:00:00+00:00"}

    def found(self, times):
        sources = recovery.sources(self.CONFIGS, "web1")
        looked = [{"__borgmatic_source": one, "archives": [{"time": times[one["location"]]}] if times.get(one["location"]) else []} for one in sources]
        looked = [{"__borgmatic_source": one["__borgmatic_source"], "failed": False} if not one["archives"] else one for one in looked]
        return [source["location"] for source in recovery.newest_first(sources, looked)]

    def test_of_each_configuration_the_newest_comes_first_and_what_does_not_answer_last(self):
        assert self.found(self.TIMES) == ["/two", "/one", "/three", "/five", "/four"]

    def test_a_second_look_counts_where_the_first_one_found_nothing(self):
        sources = recovery.sources(self.CONFIGS, "web1")
        looked = [{"__borgmatic_source": one, "archives": []} for one in sources]
        again = [{"__borgmatic_source": sources[2], "archives": [{"time": "2026-01-01T00:00:00+00:00"}]}]
        assert recovery.newest_first(sources, looked + again)[0]["location"] == "/three"
        assert recovery.newest_first(sources, again + looked)[0]["location"] == "/three"

    def test_where_nobody_knows_they_stay_in_their_order(self):
        sources = recovery.sources(self.CONFIGS, "web1")
        assert self.found({}) == [source["location"] for source in sources]
        assert recovery.newest_first(sources, []) == sources


class TestSources:
    def test_each_repository_of_each_configuration(self):
        configs = [config({"path": FIRST, "label": "near"}, SECOND), config("/mnt/disk", name="home")]
        found = recovery.sources(configs, "web1.example.org")
        assert [(one["config"], one["position"], one["label"]) for one in found] == [("system", 0, "near"), ("system", 1, ""), ("home", 0, "")]
        assert [(one["host"], one["port"], one["path"]) for one in found] == [
            ("backup1", 22, "web1"), ("2001:db8::1", 2222, "/srv/web1"), (None, 22, "/mnt/disk"),
        ]  # fmt: skip
        assert "CANARY" not in str(found)

    def test_the_archives_of_a_neighbour_in_the_same_repository_are_not_its_own(self):
        configs = [config(FIRST), config(FIRST, name="db", archive_name_format="{hostname}-db-{now:%Y}"), config(FIRST, match_archives="*")]
        patterns = [source["own_archives"] for source in recovery.sources(configs, "web1.example.org")]
        names = ["web1-2026-11-20T03:00:00.123456", "web1-db-2026", "web2-2026-11-20T03:00:00.123456", "wiki"]
        assert [[name for name in names if fnmatch.fnmatchcase(name, pattern)] for pattern in patterns] == [names[:1], names[1:2], names]

    def test_the_machine_itself_knows_its_names_by_borgs_words(self):
        configs = [config(FIRST), config(FIRST, archive_name_format="{fqdn}@{user}-{now:%Y}", archive_username="ada"), config(FIRST, match_archives="x-*")]
        patterns = [source["made_archives"] for source in recovery.sources(configs, "web1.example.org")]
        assert patterns[0].startswith("{hostname}-[12]") and patterns[1:] == ["{fqdn}@*-[12][0-9][0-9][0-9]", "x-*"]

    @pytest.mark.parametrize(("paths", "has"), [(["/etc"], True), (["/srv", "/"], True), (["/etc/"], True), (["/etcetera", "/srv/etc"], False)])
    def test_whether_the_accounts_come_along(self, paths, has):
        (source,) = recovery.sources([config(FIRST, source_directories=paths)], "web1")
        assert source["has_accounts"] is has

    @pytest.mark.parametrize("style", ["re:.*", "id:abc", "fm:*", "pp:abc"])
    def test_what_borg_1_has_no_pattern_for_keeps_nobody_from_a_restore(self, style):
        (source,) = recovery.sources([config(FIRST, match_archives=style)], "web1")
        assert (source["match_archives"], source["own_archives"]) == ("", "")

    def test_other_machines_write_out_what_borg_would_take_for_their_own_names(self):
        (source,) = recovery.sources([config(SECOND)], "web1.example.org")
        assert source["location"] == SECOND and source["elsewhere"] == SECOND.replace("{hostname}", "web1")

    def test_the_client_itself_has_told_its_names_to_its_bundle(self):
        place = "ssh://borg@backup1/./{user}-{hostname}"
        bundles = [recovery.described(Bundle("web1", (place,), "one", resolved="ssh://borg@backup1/./ada-srv17"))]
        (source,) = recovery.sources([config(place)], "web1", bundles=bundles, user="root")
        assert (source["location"], source["elsewhere"], source["path"]) == (place, "ssh://borg@backup1/./ada-srv17", "ada-srv17")
        (source,) = recovery.sources([config(place)], "web1", user="ada")
        assert source["elsewhere"] == "ssh://borg@backup1/./ada-web1"

    @pytest.mark.parametrize(
        ("place", "name"),
        [
            (FIRST, "backup1__web1"),
            (SECOND, "2001_db8__1__srv_web1"),
            ("/mnt/disk/a b", "mnt_disk_a_b"),
            ("ssh://b/" + "x" * 120, "b__" + "x" * 97),
        ],
    )
    def test_borg_has_a_name_for_the_file_of_a_key(self, place, name):
        (source,) = recovery.sources([config(place)], "web1")
        assert source["key_name"] == name

    @pytest.mark.parametrize("named", [FIRST, "near", "web1"])
    def test_one_is_chosen_by_any_of_its_names(self, named):
        found = recovery.sources([config({"path": FIRST, "label": "near"}, SECOND)], "web1", named)
        assert [source["location"] for source in found] == [FIRST]

    def test_a_name_that_fits_nothing_says_what_there_is(self):
        with pytest.raises(Failure, match=r"web1 has no repository far; it has near \(system\), /mnt/disk \(system\)\."):
            recovery.sources([config({"path": FIRST, "label": "near"}, "/mnt/disk")], "web1", "far")

    @pytest.mark.parametrize(
        ("said", "pattern"),
        [
            ({}, ""),
            ({"archive_name_format": "web1-system-{now:%Y-%m-%d}"}, "web1-system-*"),
            ({"archive_name_format": "{hostname}-home-{now}"}, "*-home-*"),
            ({"match_archives": "sh:{hostname}-home-*", "archive_name_format": "x-{now}"}, "*-home-*"),
        ],
    )
    def test_the_newest_archive_is_one_of_this_configuration(self, said, pattern):
        (source,) = recovery.sources([config("/mnt/disk", **said)], "web1")
        assert source["match_archives"] == pattern


class TestResolved:
    PLACE = "ssh://borg@backup1/./{user}-{hostname}"
    CONFIGS = [config({"path": PLACE, "label": "near"}, "/mnt/{fqdn}"), config("/mnt/disk", name="other")]
    BUNDLES = [recovery.described(Bundle("web1", (PLACE,), "one", resolved="ssh://borg@backup1/./ada-web1"))]

    def test_another_machine_goes_where_the_lost_one_went(self):
        found = recovery.resolved(self.CONFIGS, self.BUNDLES, {"hostname": "new", "fqdn": "new.example.org"}, "ada")
        assert found[0]["config"]["repositories"][0] == {"path": "ssh://borg@backup1/./ada-web1", "label": "near"}
        assert found[0]["config"]["repositories"][1]["path"] == "/mnt/{fqdn}"  # no bundle says it
        assert found[0]["config"]["keep_daily"] == 7 and found[1] == self.CONFIGS[1]
        assert recovery.bundle_of(self.BUNDLES, {"location": "ssh://borg@backup1/./ada-web1"})["passphrase"] == "one"

    def test_so_does_another_account(self):
        found = recovery.resolved(self.CONFIGS, self.BUNDLES, {"hostname": "web1"}, "root")
        assert found[0]["config"]["repositories"][0]["path"] == "ssh://borg@backup1/./ada-web1"

    def test_one_of_the_same_names_keeps_them(self):
        assert recovery.resolved(self.CONFIGS, self.BUNDLES, {"hostname": "web1"}, "ada") == self.CONFIGS


class TestNarrowed:
    CONFIGS = [config({"path": FIRST, "label": "near"}, "/mnt/disk"), config(FIRST, name="home"), config("/mnt/other", name="other")]

    def test_one_repository_is_left_wherever_it_stands(self):
        found = recovery.narrowed(self.CONFIGS, "web1", FIRST)
        assert [entry["name"] for entry in found] == ["system", "home"]
        assert [[said["path"] for said in entry["config"]["repositories"]] for entry in found] == [[FIRST], [FIRST]]
        assert found[0]["config"]["keep_daily"] == 7

    def test_nothing_is_left_out_unasked(self):
        assert recovery.narrowed(self.CONFIGS, "web1") == self.CONFIGS

    def test_a_name_that_fits_nothing_is_an_error(self):
        with pytest.raises(Failure, match="web1 has no repository far"):
            recovery.narrowed(self.CONFIGS, "web1", "far")


def test_host_keys_that_nobody_says_are_those_in_escrow():
    def place(host, port=22, host_keys=None, own_ssh=False):
        ssh = {"host": host, "port": port, "host_keys": host_keys, "identity_file": None}
        return {"host": host, "port": port, "host_keys": host_keys, "own_ssh": own_ssh, "ssh": ssh}

    places = [place("b1"), place("B2", 2222), place("b3", host_keys=["said"]), place("b4"), place("b1", own_ssh=True)]
    lines = ("b1 ssh-ed25519 AAAA1", "[b2]:2222 ssh-ed25519 AAAA2", "b3 ssh-ed25519 AAAA3")
    found = recovery.servers(places, [recovery.described(Bundle("web1", (FIRST,), "one", known_hosts=lines))] * 2)
    assert [(server["host"], server["host_keys"]) for server in found] == [
        ("b1", ["ssh-ed25519 AAAA1"]), ("B2", ["ssh-ed25519 AAAA2"]), ("b3", ["said"]), ("b4", None),
    ]  # fmt: skip


class TestOptions:
    def test_the_client_opens_it_as_its_backups_do(self):
        configs = [config(FIRST, ssh_command="ssh -F x", lock_wait=5)]
        (source,) = recovery.sources(configs, "web1")
        said = recovery.options(configs, source)
        assert said == {"repository": FIRST, "passphrase": "CANARY", "rsh": "ssh -F x", "lock_wait": 5}

    def test_another_machine_takes_over_nothing_that_counts_on_the_client_only(self):
        configs = [config(SECOND, ssh_command="ssh -F x", local_path="/opt/borg", remote_path="borg1")]
        (source,) = recovery.sources(configs, "web1")
        said = recovery.options(configs, source, elsewhere=True)
        assert said == {"repository": SECOND.replace("{hostname}", "web1"), "passphrase": "CANARY", "remote_path": "borg1"}

    def test_a_passphrase_that_only_the_client_knew_comes_from_its_bundle(self):
        configs = [{"name": "system", "config": {**config("/mnt/disk")["config"], "encryption_passcommand": "cat /pw"}}]
        del configs[0]["config"]["encryption_passphrase"]
        (source,) = recovery.sources(configs, "web1")
        bundles = [recovery.described(Bundle("web1", ("/mnt/disk",), "escrowed"))]
        assert recovery.options(configs, source, bundles)["passcommand"] == "cat /pw"
        said = recovery.options(configs, source, bundles, elsewhere=True)
        assert said == {"repository": "/mnt/disk", "passphrase": "escrowed"}


class TestBundles:
    @pytest.fixture(name="escrow")
    def fixture_escrow(self, tmp_path):
        """Puts bundles there."""

        def put(bundle, recipient=ADA, label=None):
            files = EscrowFiles(str(tmp_path), bundle.host, bundle.locations[0])
            with files.locked():
                files.write(files.path(label), recipient.encrypt(bundle.render()), lambda path: None)

        return put

    def bundles(self, directory, host, *identities):
        return recovery.bundles_in(EscrowDirectory(str(directory)), str(directory), host, identities or [ADA, GRACE])

    def test_those_of_one_host(self, tmp_path, escrow):
        escrow(Bundle("web1", (FIRST,), "one"))
        escrow(Bundle("web1", ("/mnt/disk",), "two"), GRACE)
        # the names of their files begin alike
        escrow(Bundle("web1_", (FIRST,), "three"))
        assert sorted(bundle.passphrase for bundle in self.bundles(tmp_path, "web1")) == ["one", "two"]
        assert self.bundles(tmp_path, "web2") == [] == self.bundles(tmp_path / "nowhere", "web1")

    def test_one_that_nothing_opens_is_told_by_its_path(self, tmp_path, escrow):
        escrow(Bundle("web1", (FIRST,), "one"), GRACE)
        with pytest.raises(Failure, match="web1_.*opens with none of the vault secrets") as caught:
            self.bundles(tmp_path, "web1", ADA)
        assert caught.value.error == "unsafe"

    @pytest.mark.parametrize(("identity", "passphrase"), [(ADA, "one"), (GRACE, "one, too")])
    def test_any_of_several_recipients_opens_its_own(self, tmp_path, escrow, identity, passphrase):
        escrow(Bundle("web1", (FIRST,), "one"))
        escrow(Bundle("web1", (FIRST,), "one, too"), GRACE, "grace")
        escrow(Bundle("web1", ("/deadbeef.example",), "two"), identity)
        assert sorted(bundle.passphrase for bundle in self.bundles(tmp_path, "web1", identity)) == [passphrase, "two"]
        assert {bundle.passphrase for bundle in self.bundles(tmp_path, "web1")} == {"one", "two"}

    @pytest.mark.parametrize("identity", [ADA, GRACE])
    def test_so_does_the_lookup_of_a_passphrase(self, tmp_path, escrow, identity):
        bundle = Bundle("web1", (FIRST,), "one", other_passphrases=("two",))
        escrow(bundle)
        escrow(bundle, GRACE, "grace")
        escrow(bundle._replace(locations=("/mnt/disk",), passphrase="three"))
        files = EscrowFiles(str(tmp_path), "web1", FIRST)
        assert escrowed_passphrase._passphrases(files, str(tmp_path), "web1", [identity]) == ["one", "two"]
        assert escrowed_passphrase._passphrases(EscrowFiles(str(tmp_path), "web2", FIRST), str(tmp_path), "web2", [identity]) == []

    def test_where_none_opens_the_sealed_one_is_named(self, tmp_path, escrow):
        escrow(Bundle("web1", (FIRST,), "one"))
        escrow(Bundle("web1", (FIRST,), "one"), GRACE, "grace")
        (tmp_path / EscrowFiles(str(tmp_path), "web1", FIRST).path_beside("age")).write_bytes(b"age")
        with pytest.raises(Failure, match=r"\.yml and .*\.grace\.yml: opens with none .*\.age can be opened by hand"):
            self.bundles(tmp_path, "web1", Recipient("eve", VaultSecret(b"three")))

    def test_configurations_come_out_of_them(self):
        text = "source_directories: [/etc]\nrepositories:\n- path: /mnt/disk\n"
        both = [recovery.described(Bundle("web1", (place,), "one", configuration=text)) for place in (FIRST, "/mnt/disk")]
        other = recovery.described(Bundle("web1", ("/mnt/other",), "one", configuration="source_directories: [/home]\n"))
        assert [entry["name"] for entry in recovery.recovered([*both, other])] == ["system", "system-2"]
        assert recovery.recovered(both)[0]["config"]["source_directories"] == ["/etc"]

    def test_a_bundle_without_a_configuration_says_so(self):
        with pytest.raises(Failure, match="/mnt/disk holds no configuration"):
            recovery.recovered([recovery.described(Bundle("web1", ("/mnt/disk",), "one"))])
