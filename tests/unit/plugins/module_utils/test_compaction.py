# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
import shlex
import sys
from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _compaction
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._compaction import Known, compact, inventory, read_known
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import Description
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
REMOTE = Borg(Location.parse("ssh://borg@backup1/./x"))


def archive(name, number, time=NOW - DAY):
    return Archive(name, f"{number:064x}", time)


@pytest.fixture(name="repository")
def fixture_repository(monkeypatch):
    """Let the repository hold these archives."""

    def make(*archives):
        def describe(borg, *options):
            assert options == ("--consider-checkpoints",)
            return Description("id", "repokey", "/srv/x", NOW, archives)

        monkeypatch.setattr(_compaction, "describe", describe)

    return make


def known(*archives):
    return [Known(each.name, each.id) for each in archives]


ONE, TWO, THREE = archive("one", 1), archive("two", 2), archive("three", 3)


@pytest.mark.parametrize(
    ("remembered", "removed"),
    [([], []), ([ONE, TWO], []), ([ONE, THREE], [THREE]), ([ONE], [THREE])],
)
def test_what_is_there_or_was_removed_on_purpose_is_no_obstacle(repository, remembered, removed):
    repository(ONE, TWO)
    assert inventory(REMOTE, known(*remembered), known(*removed)) == (ONE, TWO)


@pytest.mark.parametrize(
    ("remembered", "removed", "names"),
    [
        ([ONE, TWO, THREE], [], ["three"]),
        ([THREE, archive("four", 4)], [THREE], ["four"]),
        # another archive of the same name
        ([archive("one", 7)], [], ["one"]),
        ([archive("one", 7)], [ONE], ["one"]),
    ],
)
def test_a_known_archive_that_is_gone_stops_everything(repository, remembered, removed, names):
    repository(ONE, TWO)
    with pytest.raises(Failure, match="nothing was changed.*removed_archives") as caught:
        inventory(REMOTE, known(*remembered), known(*removed))
    assert caught.value.error == "unsafe"
    assert caught.value.details == {"missing_archives": names}
    assert names[0] in caught.value.msg


def test_the_message_stays_short_and_the_list_whole(repository):
    repository()
    with pytest.raises(Failure, match="9 archives.*a0, a1, a2, a3, a4 …[.]") as caught:
        inventory(REMOTE, known(*(archive(f"a{number}", number) for number in range(9))), [])
    assert len(caught.value.details["missing_archives"]) == 9


def test_an_archive_in_the_future_stops_everything(repository):
    repository(ONE, archive("poison", 9, NOW + DAY))
    with pytest.raises(Failure, match="1 archives lie in the future .poison.*nothing was changed") as caught:
        inventory(REMOTE, [], [])
    assert caught.value.error == "unsafe"


def test_clocks_may_differ_a_little(repository):
    soon = archive("soon", 9, NOW + datetime.timedelta(seconds=30))
    repository(soon)
    assert inventory(REMOTE, [], []) == (soon,)


def test_a_checkpoint_counts_as_there_and_is_not_handed_on(repository):
    checkpoint = archive("two.checkpoint", 4)
    repository(ONE, checkpoint)
    assert inventory(REMOTE, known(checkpoint), []) == (ONE,)


def test_an_append_only_repository_is_left_alone(repository, tmp_path):
    repository(ONE)
    (tmp_path / "config").write_text("[repository]\nversion = 1\nappend_only = 1\n")
    with pytest.raises(Failure, match="append-only.*borg_repository") as caught:
        inventory(Borg(Location.parse(str(tmp_path))), [], [])
    assert caught.value.error == "append_only"
    (tmp_path / "config").write_text("[repository]\nversion = 1\nappend_only = 0\n")
    assert inventory(Borg(Location.parse(str(tmp_path))), [], []) == (ONE,)


@pytest.mark.parametrize(
    "entry",
    [{}, {"name": "one"}, {"id": "0" * 64}, {"name": "one", "id": "0" * 63}, {"name": "one", "id": "0" * 64 + "\n"}, {"name": 1, "id": "0" * 64},
     {"name": "one", "id": None}],
)
def test_what_is_no_archive_is_refused(entry):
    with pytest.raises(Failure, match="^known_archives: .*borg_archive_info") as caught:
        read_known([{"name": "good", "id": "a" * 64}, entry], "known_archives")
    assert caught.value.error == "invalid_argument"


def test_further_keys_of_an_archive_are_ignored():
    assert read_known([{"name": "one", "id": "a" * 64, "time": "…", "rule": "daily #1"}], "x") == [Known("one", "a" * 64)]


@pytest.fixture(name="told")
def fixture_told(monkeypatch):
    """Let borg answer with a recording or a text; it notes how it was called."""

    def tell(answer):
        tell.called = []

        def run(self, command, *options, common, environment):
            assert common == ("--info",)
            tell.called.append((command, *options))
            tell.rsh = shlex.split(environment.get("BORG_RSH", ""))
            tell.files = {path.name: path.read_bytes() for path in Path(tell.rsh[3]).iterdir()} if tell.rsh else {}
            if isinstance(answer, Exception):
                (Path(tell.rsh[3]) / answer.details.pop("leaves")).touch()
                raise answer
            if isinstance(answer, str):
                return Outcome(0, "", Log(json.dumps({"type": "log_message", "levelname": "INFO", "message": answer})))
            return Outcome(answer["rc"], answer["stdout"], Log(answer["stderr"]))

        monkeypatch.setattr(Borg, "run", run)

    return tell


def test_what_borg_freed(told, recorded):
    told(recorded["compact"])
    freed, reclaimed = compact(REMOTE, None, b"x" * 1000)
    assert 3_000_000 < freed < 3_020_000
    assert reclaimed
    assert told.called == [("compact",)]


def test_what_a_server_freed(told, recorded):
    told(recorded["compact_remote"])
    assert 500 < compact(REMOTE, 20, b"x" * 1000)[0] < 5000
    assert told.called[0] == ("compact", "--threshold=20")


def test_a_server_that_lets_nothing_be_reclaimed_does_not_say_so(told, recorded):
    told(recorded["compact_append_only"])
    with pytest.raises(Failure, match="reclaimed nothing.*only to append") as caught:
        compact(REMOTE, None, b"x" * 1000)
    assert caught.value.error == "append_only"
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("text", "freed"),
    [
        ("0 B", 0),
        ("522 B", 522),
        ("1.53 kB", 1530),
        ("3.01 MB", 3_010_000),
        ("48.30 GB", 48_300_000_000),
        ("1.00 TB", 10**12),
        ("-9 B", 0),
    ],
)
def test_sizes_are_decimal(told, text, freed):
    told(f"compaction freed about {text} repository space.")
    assert compact(REMOTE, None, b"x" * 1000)[0] == freed


@pytest.mark.parametrize(
    ("manifest", "text", "reclaimed"),
    [
        # measured, Borg 1.2.4 and 1.4.0: nothing to reclaim but what the run itself wrote
        (455, "522 B", False),
        (1463, "1.53 kB", False),
        (100_000, "100.07 kB", False),
        (100_000, "0 B", False),
        # the list of archives as it was before one more backup
        (455, "1.02 kB", True),
        (100_000, "201.10 kB", True),
        (1463, "3.01 MB", True),
    ],
)
def test_what_the_run_itself_wrote_is_no_change(told, manifest, text, reclaimed):
    told(f"compaction freed about {text} repository space.")
    assert compact(REMOTE, None, b"x" * manifest)[1] is reclaimed


def test_on_another_host_borg_meets_the_list_of_archives_that_was_judged(told):
    told("compaction freed about 5 MB repository space.")
    compact(REMOTE._replace(rsh="ssh -F '/x y'"), None, b"judged")
    python, isolated, program, directory, *ssh = told.rsh
    assert (python, isolated, ssh) == (sys.executable, "-I", ["ssh", "-F", "/x y"])
    assert told.files["manifest"] == b"judged" and set(told.files) == {"manifest", Path(program).name}
    compile(told.files[Path(program).name], program, "exec")
    assert not Path(directory).exists()


def test_of_a_local_repository_nobody_stands_between(told):
    told("compaction freed about 5 MB repository space.")
    compact(Borg(Location.parse("/srv/x")), None, b"judged")
    assert told.rsh == []


def test_another_list_of_archives_is_told(told):
    told(Failure("unreachable", "closed", leaves="refused"))
    with pytest.raises(Failure, match="nothing was compacted") as caught:
        compact(REMOTE, None, b"judged")
    assert (caught.value.error, caught.value.retryable) == ("unsafe", True)


def test_any_other_failure_is_told_as_what_it_is(told):
    told(Failure("locked", "x", leaves="other"))
    with pytest.raises(Failure) as caught:
        compact(REMOTE, None, b"judged")
    assert caught.value.error == "locked"
