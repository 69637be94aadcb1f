# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ordinary maintenance: what the retention of the inventory says goes, and nothing else, whatever the names of the neighbours."""

from __future__ import annotations

import re
from typing import Any

import pytest
from conftest import History, Maintained
from controller import maintain, module, play
from machines import INVENTORIES, PASSPHRASE, VAULT, WEB1, WEB10, escape_pattern, kept, known, tree


def test_the_first_run_takes_an_inventory_and_prunes_nothing(history: History) -> None:
    assert "/./web1: took the first inventory, pruned nothing; 4 archives are left" in history.first.said
    assert set(VAULT.output(f"stat --format %a {INVENTORIES} {INVENTORIES}/*.json").split()) == {"700", "600"}


def test_check_mode_tells_what_goes_and_touches_nothing(history: History, maintained: Maintained) -> None:
    assert [archive["name"] for archive in maintained.told["pruned"]] == list(reversed(history.web1[:2])), maintained.told
    assert maintained.told["changed"] and maintained.untouched


def test_what_the_retention_says_goes_and_its_space_is_reclaimed(history: History, maintained: Maintained) -> None:
    # Of the last two days everything is kept, and one day more.
    assert WEB1.archives("web1") == history.web1[2:]
    assert WEB10.archives("web10") == history.web10
    # Each had 300,000 bytes of its own. The first shares its segment with what all have, which is not worth to be rewritten.
    assert maintained.freed > 250_000
    assert maintained.run.changes["web1"] and not maintained.run.changes["backup1"]


def test_of_a_shared_repository_each_loses_what_is_its_own(history: History, maintained: Maintained) -> None:
    """The name of the one begins like that of the other."""
    assert {*WEB1.archives("shared")} == {*history.shared1[1:], *history.shared10[1:]}


def test_the_key_of_the_escrow_opens_what_only_the_client_could(history: History, maintained: Maintained) -> None:
    assert WEB1.archives("keyfile") == history.keyfile[1:]
    places = f"/root/.config/borg /tmp /var/tmp {INVENTORIES}"
    # 0 is: found; 2: it could not look everywhere.
    assert VAULT.output(f"code=0; grep --recursive --files-with-matches '^BORG_KEY' {places} 2>&1 || code=$?; echo $code") == "1"


def test_the_next_run_changes_nothing(maintained: Maintained) -> None:
    before = known()
    assert not module()["changed"] and known() == before


def test_neighbours_keep_everything_whatever_they_are_called(maintained: Maintained) -> None:
    with kept():
        theirs = {series: WEB1.make("web1", 9, 8, 0.5, series=series) for series in ("web", "web100", "w*b1", "web[1]", "web?")}
        accepted = {"accept_backdated": sum(theirs.values(), []), "most_deletions": "100%"}
        going = {archive["name"] for archive in module(check=True, retentions=[{"match_archives": "web1-*", "keep_within": "1H"}], **accepted)["pruned"]}
        assert going and not going & set(accepted["accept_backdated"])
        # and their own policies, with their names as the playbook writes them, drop nothing of each other's
        done = module(retentions=[{"match_archives": f"{escape_pattern(series)}-*", "keep_daily": 1} for series in theirs], **accepted)
        assert [archive["name"] for archive in done["pruned"]] == [made[0] for made in theirs.values()], done
        assert going | {name for made in theirs.values() for name in made[1:]} <= set(WEB1.archives("web1"))


#: Names that begin with their time.
TIME_FIRST = "{time:%Y-%m-%d}-{series}"


def configured(name_format: str) -> list[dict[str, Any]]:
    """What each client would have, if its archives were called so."""
    config = {
        "source_directories": ["/srv/data"],
        "repositories": [{"path": "ssh://borg@backup1/./{{ inventory_hostname }}"}, {"path": "ssh://borg@backup1/./shared"}],
        "encryption_passphrase": PASSPHRASE,
        "keep_daily": 1,
        "archive_name_format": name_format,
    }
    return [{"name": "system", "config": config}]


def test_the_playbook_prunes_nothing_of_neighbours_that_no_inventory_knows(maintained: Maintained) -> None:
    with kept():
        before = WEB1.archives("shared")
        theirs = [name for series in ("web1-db", "web10-2", "web1-2026", "db-web1") for name in WEB1.make("shared", 9, 8, series=series)]
        theirs += [name for series in ("db-web1", "web1-db") for name in WEB1.make("shared", 9, 8, series=series, form=TIME_FIRST)]
        mine = WEB1.make("shared", 9, 8, 0.5, form=TIME_FIRST)
        accepted = {"fleetbackup_accept_backdated": theirs + mine}
        run = maintain(**accepted).succeeded()
        # names of another form than the configuration's are left alone, too
        assert {*WEB1.archives("shared")} == {*before, *theirs, *mine}
        assert re.search(r"/\./shared: pruned nothing; .* match no policy of this client", run.said), run.said
        maintain(**accepted, borgmatic_configs=configured("{now:%Y-%m-%d}-{hostname}")).succeeded()
        assert {*WEB1.archives("shared")} == {*before, *theirs, *mine[1:]}


def test_what_several_clients_call_alike_is_nobodys_to_prune(maintained: Maintained) -> None:
    with kept():
        made = WEB1.make("shared", 9, 8, series="backup", form="{series}-{time:%Y-%m-%d}")
        before = tree()
        run = maintain(fleetbackup_accept_backdated=made, borgmatic_configs=configured("backup-{now:%Y-%m-%d}"))
        assert tree() == before and run.failed == {"web1", "web10"}, run.said
        for host in ("web1", "web10"):
            (refused,) = run.failures(host)
            assert refused["error"] == "unsafe" and set(refused["contested_archives"]) == set(made) and "archive_name_format" in refused["msg"]


def test_only_what_is_named_is_looked_after(maintained: Maintained) -> None:
    with kept():
        run = maintain(fleetbackup_repositories="ssh://borg@backup1/./web10").succeeded()
        assert re.findall(r'"msg": "ssh://borg@backup1/\./(\w+): ', run.said) == ["web10"], run.said
        run = maintain(fleetbackup_repositories=["ssh://borg@backup1/./web10", "ssh://borg@backup1/./web"])
        assert run.rc != 0 and "no client of this run has ssh://borg@backup1/./web. Write" in " ".join(run.said.split()), run.said


def test_nobody_is_given_a_neighbours_files_where_its_own_archives_are_gone(maintained: Maintained) -> None:
    with kept():
        WEB1.hide("shared", *[name for name in WEB1.archives("shared") if name.startswith("web1-")])
        chosen = {"fleetbackup_host": "web1", "fleetbackup_repository": "shared", "fleetbackup_destination": "/srv/restored"}
        run = play("restore", **chosen)
        said = "is the repository of web10 (system), too, and no archive there is called as web1 calls its own. See"
        assert run.rc != 0 and said in " ".join(run.said.split()), run.said
        assert WEB1.host.run("test -e /srv/restored").rc == 1
        # whoever says which gets it
        (newest,) = WEB1.archives("shared")[-1:]
        play("restore", **chosen, fleetbackup_archive=newest, fleetbackup_paths=["/srv/data"]).succeeded()
        assert newest.startswith("web10-") and WEB1.output("ls /srv/restored; rm -r /srv/restored").strip() == "srv"


@pytest.mark.parametrize("host", ["web1", "backup1"])
def test_neither_a_client_nor_the_server_is_trusted(maintained: Maintained, host: str) -> None:
    before = tree(), known()
    run = play("maintain_server", fleetbackup_trusted_host=host)
    assert run.rc == 2 and run.failed == {"web1", "web10"} and f"{host} is a" in run.said, run.said
    assert (tree(), known()) == before
