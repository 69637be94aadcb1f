# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _extraction
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._comparison import Comparison
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._extraction import Plan, Wanted, completing, left_over, make_plan, strip
from ansible_collections.fleetbackup.borg.plugins.module_utils._interruption import NOTE, Begun, Note
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

MTIME = 1_700_000_000_000_000


def entry(path, mode="-rw-r--r--", **given):
    values = {"uid": os.getuid(), "gid": os.getgid(), "user": "nobody-knows", "group": "nobody-knows", "size": 4, "mtime": MTIME,
              "source": "", "sha256": "", **given}
    return Entry(path=path, mode=mode, **values)


@pytest.fixture(name="destination")
def fixture_destination(tmp_path):
    """A destination at which the entries of ARCHIVE stand."""
    root = tmp_path / "destination"
    (root / "dir").mkdir(parents=True)
    (root / "dir" / "file").write_text("data")
    os.link(root / "dir" / "file", root / "dir" / "other")
    os.symlink("file", root / "dir" / "link")
    (root / "top").write_text("data")
    for path in (root / "dir" / "file", root / "top"):
        path.chmod(0o644)
    (root / "dir").chmod(0o755)
    for path in (root / "dir" / "file", root / "dir" / "link", root / "top", root / "dir"):
        os.utime(path, (MTIME // 10**6, MTIME // 10**6), follow_symlinks=False)
    return root


ARCHIVE = [
    entry("dir", "drwxr-xr-x", size=0),
    entry("dir/file", sha256=hashlib.sha256(b"data").hexdigest()),
    entry("dir/other", "hrw-r--r--", source="dir/file"),
    entry("dir/link", "lrwxrwxrwx", source="file", size=0),
    entry("top"),
]


def outstanding(destination, entries=None, **how):
    plan = make_plan(ARCHIVE if entries is None else entries, str(destination), **{"numeric_ids": True, **how})
    return [each.path for each in plan.outstanding]


def touched(path):
    os.utime(path, (MTIME // 10**6, MTIME // 10**6))


def test_what_stands_there_is_not_written_again(destination):
    assert outstanding(destination) == []


def test_everything_is_missing_where_there_is_nothing(tmp_path):
    assert outstanding(tmp_path / "nowhere") == [each.path for each in ARCHIVE]


@pytest.mark.parametrize("overwrite", _extraction.OVERWRITE)
def test_an_empty_place_is_not_searched_for_each_entry(monkeypatch, tmp_path, overwrite):
    monkeypatch.setattr(os, "lstat", lambda path: pytest.fail(f"looked at {path}"))
    assert make_plan(ARCHIVE, str(tmp_path), numeric_ids=True, overwrite=overwrite) == Plan(ARCHIVE, ARCHIVE)


def test_a_place_that_may_be_entered_but_not_listed_is_searched(monkeypatch, destination):
    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert outstanding(destination) == []


def test_a_missing_file_is_written_and_its_directory_gets_its_time_back(destination):
    (destination / "dir" / "link").unlink()
    assert outstanding(destination) == ["dir", "dir/link"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.chmod(0o600),
        lambda path: os.utime(path, (1, 1)),
        lambda path: (path.write_text("longer"), touched(path)),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.symlink("x", path)),
    ],
)
def test_every_difference_of_a_file_is_seen(destination, damage):
    damage(destination / "top")
    assert outstanding(destination) == ["top"]


def test_other_bytes_of_the_same_size_and_time_are_seen_with_hashes_only(destination):
    for name in ("dir/file", "top"):
        (destination / name).write_text("DATA")
        touched(destination / name)
    touched(destination / "dir")
    assert outstanding(destination) == ["dir", "dir/file", "dir/other"]


def test_a_link_that_leads_elsewhere_is_seen(destination):
    (destination / "dir" / "link").unlink()
    os.symlink("other", destination / "dir" / "link")
    os.utime(destination / "dir" / "link", (MTIME // 10**6, MTIME // 10**6), follow_symlinks=False)
    touched(destination / "dir")
    assert outstanding(destination) == ["dir", "dir/link"]


def test_the_names_of_one_file_are_written_together(destination):
    (destination / "dir" / "other").unlink()
    (destination / "dir" / "other").write_text("data")
    touched(destination / "dir")
    assert outstanding(destination) == ["dir", "dir/file", "dir/other"]


BYTES = [entry("B\udce4r"), entry("Bar", "hrw-r--r--", source="B?r")]


@pytest.mark.parametrize("others", [[], [entry("B\udcfcr")]])
def test_the_names_of_one_file_are_written_together_though_borg_spells_the_first_one_otherwise(tmp_path, others):
    entries = [*others, *BYTES]
    for each in (*others, BYTES[0]):
        (tmp_path / each.path).write_text("data")
    os.link(tmp_path / "B\udce4r", tmp_path / "Bar")
    for each in entries:
        (tmp_path / each.path).chmod(0o644)
        touched(tmp_path / each.path)
    assert outstanding(tmp_path, entries) == []
    (tmp_path / "Bar").unlink()
    assert outstanding(tmp_path, entries) == paths_of(entries)
    assert outstanding(tmp_path, entries, overwrite="never") == paths_of(entries)
    (tmp_path / "Bar").write_text("data")
    (tmp_path / "Bar").chmod(0o644)
    touched(tmp_path / "Bar")
    assert outstanding(tmp_path, entries) == paths_of(entries)
    assert paths_of(left_over(Plan(entries, entries), str(tmp_path), numeric_ids=True)) == ["Bar"]


class TestTheDestinationItself:
    """An archive may hold it, as one of a whole machine does."""

    ARCHIVE = [entry(".", "drwxr-x---", size=0), entry("top")]

    @pytest.fixture(autouse=True)
    def fixture_restored(self, tmp_path):
        (tmp_path / "top").write_text("data")
        (tmp_path / "top").chmod(0o644)
        touched(tmp_path / "top")
        tmp_path.chmod(0o750)

    def test_its_time_is_no_difference(self, tmp_path):
        assert outstanding(tmp_path, self.ARCHIVE) == []
        assert left_over(Plan(self.ARCHIVE, self.ARCHIVE), str(tmp_path), numeric_ids=True) == []

    def test_its_mode_is_one(self, tmp_path):
        tmp_path.chmod(0o700)
        assert outstanding(tmp_path, self.ARCHIVE) == ["."]


class TestAnArchivedNote:
    """A backup may have been made while a restore was interrupted."""

    ARCHIVE = [entry("top"), entry(NOTE), entry(f"./{NOTE}/below"), entry(f"dir/{NOTE}"), entry(f"{NOTE}s")]

    @pytest.mark.parametrize("overwrite", _extraction.OVERWRITE)
    def test_it_is_not_wanted(self, tmp_path, overwrite):
        assert outstanding(tmp_path / "new", self.ARCHIVE, overwrite=overwrite) == ["top", f"dir/{NOTE}", f"{NOTE}s"]
        (tmp_path / "somebody's").touch()
        plan = make_plan(self.ARCHIVE, str(tmp_path), numeric_ids=True, overwrite=overwrite)
        assert paths_of(plan.entries) == paths_of(plan.outstanding) == ["top", f"dir/{NOTE}", f"{NOTE}s"]

    def test_borg_leaves_it_out(self, extracted, tmp_path):
        done = extracted(make_plan(self.ARCHIVE, str(tmp_path / "made"), numeric_ids=True))
        assert done.patterns == ["+ pf:top", f"+ pf:dir/{NOTE}", f"+ pf:{NOTE}s", "- re:.*"]


def test_a_further_name_that_is_wanted_alone_is_a_file_of_its_own(destination):
    alone = [entry("dir/other", "hrw-r--r--", source="dir/file")]
    (destination / "dir" / "other").unlink()
    assert outstanding(destination, alone) == ["dir/other"]
    (destination / "dir" / "other").write_text("data")
    (destination / "dir" / "other").chmod(0o644)
    assert outstanding(destination, alone) == ["dir/other"]
    touched(destination / "dir" / "other")
    assert outstanding(destination, alone) == []


def test_what_may_not_be_looked_at_is_no_proof(destination, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "lstat", refuse)
    with pytest.raises(Failure, match="dir/file may not be looked at.*Restore as root") as caught:
        make_plan(ARCHIVE[1:2], str(destination), numeric_ids=True)
    assert caught.value.error == "permission"


def test_owners_count_for_root_only(destination, monkeypatch):
    others = [each._replace(uid=54321) for each in ARCHIVE if each.path == "top"]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert outstanding(destination, others) == ["top"]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert outstanding(destination, others) == []


def test_names_of_owners_count_unless_numbers_are_wanted(destination, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    others = [entry("top", user="daemon")]
    assert outstanding(destination, others, numeric_ids=False) == ["top"]
    assert outstanding(destination, others, numeric_ids=True) == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ".."])
def test_a_path_that_leads_out_of_the_destination_stops_everything(tmp_path, path):
    with pytest.raises(Failure) as caught:
        make_plan([entry("fine"), entry(path)], str(tmp_path), numeric_ids=False)
    assert caught.value.error == "unsafe"
    assert "nothing was extracted" in caught.value.msg.lower()


def test_a_path_below_an_archived_link_stops_everything(tmp_path):
    with pytest.raises(Failure) as caught:
        make_plan([entry("a", "lrwxrwxrwx", source="/etc"), entry("a/passwd")], str(tmp_path), numeric_ids=False)
    assert caught.value.error == "unsafe"


@pytest.mark.parametrize(("link", "path"), [("a", "./a/passwd"), ("a", "a//passwd"), ("./a", "a/passwd"), ("b/a", "b/./a/passwd")])
def test_another_spelling_of_an_archived_link_stops_everything_too(tmp_path, link, path):
    with pytest.raises(Failure, match="below the link") as caught:
        make_plan([entry(link, "lrwxrwxrwx", source="/etc"), entry(path)], str(tmp_path), numeric_ids=False)
    assert caught.value.error == "unsafe"


@pytest.mark.parametrize(
    "source", ["../victim", "/etc/passwd", "inside/../../victim", "link/passwd", "./link/passwd", "link", "bytes?", "bytes?/passwd"]
)
def test_a_hard_link_to_what_the_archive_leads_to_outside_stops_everything(tmp_path, source):
    archive = [
        entry("link", "lrwxrwxrwx", source="/etc"),
        entry("bytes\udcff", "lrwxrwxrwx", source="/etc"),
        entry("name", "hrw-r--r--", source=source),
    ]
    with pytest.raises(Failure, match="further name of.*othing was extracted") as caught:
        make_plan(archive, str(tmp_path), numeric_ids=False)
    assert caught.value.error == "unsafe"
    assert repr(source) in caught.value.msg
    assert ("differ only in bytes that are not UTF-8" in caught.value.msg) == ("?" in source)


@pytest.mark.parametrize(
    "beside", [entry("B\udcfcr", "lrwxrwxrwx", source="/etc"), entry("B\udcfcr", "hrw-r--r--", source="first"), entry("B?r", "lrwxrwxrwx")]
)
def test_a_name_that_is_spelt_like_a_link_is_none(tmp_path, beside):
    entries = [entry("B\udce4r", "drwxr-xr-x"), entry("B\udce4r/file"), beside]
    assert outstanding(tmp_path, entries) == paths_of(entries)


def test_a_link_that_is_spelt_like_something_else_stops_everything(tmp_path):
    archive = [entry("b\udcff", "lrwxrwxrwx", source="/etc"), entry("b\udcfe", "hrw-r--r--", source="first"), entry("name", "hrw-r--r--", source="b?")]
    with pytest.raises(Failure, match="which is a symbolic link") as caught:
        make_plan(archive, str(tmp_path), numeric_ids=False)
    assert caught.value.error == "unsafe"


def test_where_a_directory_may_not_be_listed_nothing_proves_that_no_link_is_there(monkeypatch, tmp_path):
    (tmp_path / "dir").mkdir()

    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(Failure, match="dir may not be listed") as caught:
        make_plan([entry("name", "hrw-r--r--", source="dir/B?r")], str(tmp_path), numeric_ids=False)
    assert caught.value.error == "permission"


def test_a_path_below_a_further_name_of_a_file_stops_everything(tmp_path):
    archive = [entry("name", "hrw-r--r--", source="first"), entry("name/passwd"), entry("first")]
    with pytest.raises(Failure, match="below the link 'name'") as caught:
        make_plan(archive, str(tmp_path), numeric_ids=False)
    assert caught.value.error == "unsafe"


@pytest.mark.parametrize("source", ["link/passwd", "below/../link/passwd", "./link", "link", "dir/bytes?/passwd", "dir/bytes?", "dir?/link/x"])
def test_a_hard_link_through_a_link_at_the_destination_stops_everything(tmp_path, source):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir\udcfe").mkdir()
    for link in ("link", "dir/bytes\udcff", "dir\udcfe/link"):
        os.symlink("/etc", tmp_path / link)
    with pytest.raises(Failure) as caught:
        make_plan([entry("name", "hrw-r--r--", source=source)], str(tmp_path), numeric_ids=False)
    assert caught.value.error == "unsafe"


def test_a_hard_link_to_a_file_that_is_not_selected_is_no_danger(tmp_path):
    entries = [entry("name", "hrw-r--r--", source="nowhere/bytes?"), entry("other", "hrw-r--r--", source="./first")]
    assert outstanding(tmp_path, entries) == ["name", "other"]


def test_a_link_in_the_place_of_the_first_name_is_replaced(destination):
    (destination / "dir" / "file").unlink()
    os.symlink("/etc/passwd", destination / "dir" / "file")
    touched(destination / "dir")
    assert outstanding(destination) == ["dir", "dir/file", "dir/other"]


@pytest.mark.parametrize("entries", [[entry("a", "drwxr-xr-x")], [entry("a/file")], [entry("a/b/file")]])
def test_a_link_at_the_destination_stops_everything(tmp_path, entries):
    os.symlink("/etc", tmp_path / "a")
    with pytest.raises(Failure) as caught:
        make_plan(entries, str(tmp_path), numeric_ids=False)
    assert caught.value.error == "unsafe"
    assert str(tmp_path / "a") in caught.value.msg


def paths_of(entries):
    return [each.path for each in entries]


@pytest.fixture(name="occupied")
def fixture_occupied(destination):
    """The destination with one file that is another one, one that is missing, and a directory of another mode."""
    (destination / "top").write_text("somebody's")
    (destination / "dir" / "link").unlink()
    (destination / "dir").chmod(0o700)
    return str(destination)


def test_what_would_be_lost_is_told(occupied):
    plan = make_plan(ARCHIVE, occupied, numeric_ids=True)
    assert paths_of(plan.outstanding) == ["dir", "dir/link", "top"]
    assert paths_of(plan.overwritten) == ["top"]
    assert plan.kept == ()


def test_never_overwriting_extracts_only_what_is_missing(occupied):
    plan = make_plan(ARCHIVE, occupied, numeric_ids=True, overwrite="never")
    assert paths_of(plan.outstanding) == ["dir/link"]
    assert plan.overwritten == ()
    assert paths_of(plan.kept) == ["top"]


def test_never_overwriting_leaves_a_second_name_alone_though_the_first_is_missing(destination):
    (destination / "dir" / "file").unlink()
    plan = make_plan(ARCHIVE, str(destination), numeric_ids=True, overwrite="never")
    assert paths_of(plan.outstanding) == ["dir/file"]
    assert paths_of(plan.kept) == ["dir/other"]


def test_never_overwriting_extracts_a_missing_name_together_with_its_file(destination):
    os.link(destination / "dir" / "file", destination / "third")
    archive = [*ARCHIVE, entry("third", "hrw-r--r--", source="dir/file")]
    (destination / "dir" / "other").unlink()
    plan = make_plan(archive, str(destination), numeric_ids=True, overwrite="never")
    assert paths_of(plan.outstanding) == ["dir/file", "dir/other", "third"]
    assert plan.overwritten == () and plan.kept == []


def test_never_overwriting_leaves_a_file_alone_of_which_a_name_is_missing(destination):
    os.link(destination / "dir" / "file", destination / "third")
    archive = [*ARCHIVE, entry("third", "hrw-r--r--", source="dir/file")]
    (destination / "dir" / "other").unlink()
    (destination / "dir" / "file").write_text("somebody's")
    plan = make_plan(archive, str(destination), numeric_ids=True, overwrite="never")
    assert paths_of(plan.outstanding) == ["dir/other"]
    assert paths_of(plan.kept) == ["dir/file"]


def test_always_overwriting_extracts_everything(destination):
    plan = make_plan(ARCHIVE, str(destination), numeric_ids=True, overwrite="always")
    assert paths_of(plan.outstanding) == paths_of(ARCHIVE)
    assert paths_of(plan.overwritten) == ["dir/file", "dir/other", "dir/link", "top"]


def test_a_file_in_the_place_of_a_directory_would_be_lost_and_a_directory_would_not(tmp_path):
    (tmp_path / "dir").write_text("somebody's")
    assert paths_of(make_plan(ARCHIVE[:1], str(tmp_path), numeric_ids=True).overwritten) == ["dir"]
    (tmp_path / "dir").unlink()
    (tmp_path / "dir").mkdir(mode=0o700)
    assert paths_of(make_plan(ARCHIVE[:1], str(tmp_path), numeric_ids=True).overwritten) == []
    (tmp_path / "top").mkdir()
    assert paths_of(make_plan(ARCHIVE[4:], str(tmp_path), numeric_ids=True).overwritten) == ["top"]


class TestCompleting:
    """An interrupted run that overwrites nothing is completed."""

    def completed(self, destination, own=(), made=("dir",)):
        plan = make_plan(ARCHIVE, str(destination), numeric_ids=True, overwrite="never")
        return completing(plan, str(destination), set(own), Begun(0, made), numeric_ids=True)

    def test_its_half_file_is_rewritten_and_others_are_kept(self, destination):
        (destination / "top").write_text("somebody's")
        (destination / "dir" / "link").unlink()
        os.symlink("other", destination / "dir" / "link")
        plan = self.completed(destination, ["dir/link"])
        assert (paths_of(plan.outstanding), paths_of(plan.overwritten), paths_of(plan.kept)) == (["dir", "dir/link"], ["dir/link"], ["top"])

    def test_a_further_name_of_its_half_file_is_rewritten_too(self, destination):
        assert paths_of(self.completed(destination, ["dir/file"]).outstanding) == ["dir", "dir/file", "dir/other"]

    def test_a_further_name_that_is_missing_is_written_together_with_its_file(self, destination):
        (destination / "dir" / "other").unlink()
        assert paths_of(self.completed(destination).outstanding) == ["dir", "dir/file", "dir/other"]

    def test_a_directory_that_it_made_gets_its_mode_and_one_that_was_there_does_not(self, destination):
        (destination / "dir").chmod(0o700)
        assert paths_of(self.completed(destination).outstanding) == ["dir"]
        assert paths_of(self.completed(destination, made=("directory", "top")).outstanding) == []

    def test_of_the_directories_that_are_missing_the_uppermost_are_noted(self, extracted, tmp_path):
        archive = [entry(path, "drwxr-xr-x") for path in ("here", "here/missing", "here/missing/below", "herebeside", "missing/top")]
        (tmp_path / "made" / "here").mkdir(parents=True)
        (tmp_path / "made").chmod(0o700)
        assert '\nmade: ["here/missing", "herebeside", "missing/top"]\n' in extracted(Plan(archive, archive)).note


def test_what_was_not_restored_as_it_should_be_is_left_over(destination):
    plan = Plan(ARCHIVE, ARCHIVE)
    assert left_over(plan, str(destination), numeric_ids=True) == []
    (destination / "top").write_text("short")
    assert paths_of(left_over(plan, str(destination), numeric_ids=True)) == ["top"]


def test_a_further_name_of_a_file_that_was_left_alone_is_a_file_of_its_own(destination):
    (destination / "dir" / "other").unlink()
    (destination / "dir" / "other").write_text("data")
    (destination / "dir" / "other").chmod(0o644)
    touched(destination / "dir" / "other")
    assert left_over(Plan(ARCHIVE, ARCHIVE[2:3]), str(destination), numeric_ids=True) == []


def test_leading_parts_of_paths_are_left_out():
    entries, origins = strip(ARCHIVE, 1)
    assert [(each.path, each.source) for each in entries] == [("file", ""), ("other", "file"), ("link", "file")]
    assert origins == {"file": "dir/file", "other": "dir/other", "link": "dir/link"}
    assert strip(ARCHIVE, 0) == (ARCHIVE, {})
    assert strip(ARCHIVE, 2) == ([], {})


def test_a_hard_link_whose_first_name_is_left_out_is_a_file_of_its_own(tmp_path):
    entries, _origins = strip([entry("first"), entry("a/other", "hrw-r--r--", source="first")], 1)
    assert entries[0].source == ""
    (tmp_path / "other").write_text("data")
    (tmp_path / "other").chmod(0o644)
    touched(tmp_path / "other")
    assert outstanding(tmp_path, entries) == []


def test_two_files_never_come_to_the_same_place():
    with pytest.raises(Failure, match="strip_components: with 1, 'a/x' and 'b/x' would come to the same place") as caught:
        strip([entry("a/x"), entry("b/x")], 1)
    assert caught.value.error == "invalid_argument"


@pytest.mark.parametrize("path", ["x//etc/passwd", "x/../etc/passwd"])
def test_a_path_that_leads_out_once_it_is_shortened_stops_everything(tmp_path, path):
    entries, _origins = strip([entry(path)], 1)
    with pytest.raises(Failure, match="leads out of the destination") as caught:
        make_plan(entries, str(tmp_path), numeric_ids=True)
    assert caught.value.error == "unsafe"


NEWEST = Archive("web1", "ab" * 32, datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc))


@pytest.fixture(name="extracted")
def fixture_extracted(monkeypatch, tmp_path):
    """Extract a plan with a borg that notes how it was called, and what it was given in a file."""

    def run(self, command, *options, **how):
        extract.options, extract.how = (command, *options), how
        extract.patterns = [
            line for option in options if option.startswith("--patterns-from=") for line in Path(option[16:]).read_text().splitlines()
        ]
        extract.note = (tmp_path / "made" / NOTE).read_text()
        extract.work()
        return Outcome(0, "", Log(""))

    def extract(plan, **wanted):
        destination = tmp_path / "made"
        origins = {each.path: each.path for each in plan.entries}
        borg = Borg(Location.parse("/srv/x"))
        with _extraction.alone(str(destination)) as lock:
            _extraction.extract(borg, NEWEST, plan, str(destination), Wanted(**wanted), origins, lock)
        assert stat.S_IMODE(destination.stat().st_mode) == 0o700
        return extract

    extract.work = lambda: None
    monkeypatch.setattr(Borg, "run", run)
    return extract


def test_only_what_is_outstanding_is_extracted_as_exact_paths(extracted, tmp_path):
    done = extracted(Plan(ARCHIVE, ARCHIVE[:2]), exclude=["*.tmp"], numeric_ids=True, sparse=True)
    assert done.options[0] == "extract"
    assert done.options[2:] == ("--numeric-ids", "--sparse")
    assert done.patterns == ["+ pf:dir", "+ pf:dir/file", "- re:.*"]
    assert {**done.how, "shared": len(done.how["shared"])} == {"archive": "web1", "arguments": ["--"], "cwd": str(tmp_path / "made"), "shared": 1}


def test_everything_is_extracted_as_it_was_asked_for(extracted):
    done = extracted(Plan(ARCHIVE, ARCHIVE), paths=["dir", "top"], patterns=["- dir/x"], exclude=["*.tmp"], strip_components=1)
    assert done.options == ("extract", "--pattern=- dir/x", "--exclude=*.tmp", "--strip-components=1")
    assert done.how["arguments"] == ["--", "dir", "top"]


def test_what_was_shortened_is_asked_for_by_its_archived_path(tmp_path, extracted):
    entries, origins = strip(ARCHIVE, 1)
    borg = Borg(Location.parse("/srv/x"))
    wanted = Wanted(strip_components=1)
    with _extraction.alone(str(tmp_path / "made")):
        _extraction.extract(borg, NEWEST, Plan(entries, entries[:1]), str(tmp_path / "made"), wanted, origins)
    assert extracted.patterns == ["+ pf:dir/file", "- re:.*"]


def test_a_note_stands_there_as_long_as_it_lasts(extracted, tmp_path):
    done = extracted(Plan(ARCHIVE, ARCHIVE), paths=["dir", "top"])
    assert re.search(rf"\narchive: web1 {'ab' * 32}\nselection: .*\nbegun: \d+\nmade: \[\"dir\"\]\nprogress: 0 of 5 entries\n", done.note)
    assert "run the same task again" in done.note
    note = Note(str(tmp_path / "made"), NEWEST, Wanted(paths=["dir", "top"]).choice)
    assert abs(note.begun().moment - time.time()) < 60
    note.write(Begun(1234, ("x",)), 1, 2)
    extracted(Plan(ARCHIVE, ARCHIVE), paths=["dir", "top"])
    assert note.begun() == Begun(1234, ("x",))  # it goes on


@pytest.mark.parametrize(("begins", "before", "stays"), [(False, False, False), (True, False, True), (False, True, True)])
def test_a_note_goes_where_nothing_was_extracted_and_nothing_else_was_interrupted(extracted, tmp_path, begins, before, stays):
    note = Note(str(tmp_path / "made"), NEWEST, Wanted().choice)

    def work():
        if begins:
            (tmp_path / "made" / "top").write_text("da")
        raise Failure("locked", "Another borg works on it.")

    if before:
        (tmp_path / "made").mkdir(mode=0o700)
        note.write(Begun(1234), 1, 2)
    extracted.work = work
    with pytest.raises(Failure, match="Another borg"):
        extracted(Plan(ARCHIVE, ARCHIVE))
    assert note.exists() == stays


def test_further_names_of_damaged_files_are_damaged(monkeypatch):
    first, second, other = (ARCHIVE[1]._replace(path=path, damaged=path == "first") for path in ("first", "second", "other"))
    second, other = second._replace(mode="hrw-r--r--", source="first"), other._replace(mode="hrw-r--r--", source="whole")
    monkeypatch.setattr(_extraction, "read_contents", lambda *_: [first, first._replace(path="whole", damaged=False)])
    borg = Borg(Location.parse("/srv/x"))
    assert [entry.damaged for entry in _extraction.mark_damaged(borg, NEWEST, [first, second])] == [True, True]
    assert [entry.damaged for entry in _extraction.mark_damaged(borg, NEWEST, [second, other])] == [True, False]
    assert _extraction.mark_damaged(None, NEWEST, [first]) == [first]


@pytest.mark.parametrize("error", [Failure("locked", "Another borg works on it."), OSError("no space")])
def test_a_note_goes_too_where_it_has_itself_changed_what_is_restored(extracted, tmp_path, error):
    def work():
        raise error

    entries = [ARCHIVE[0]._replace(path="."), *ARCHIVE]
    extracted.work = work
    with pytest.raises(type(error)):
        extracted(Plan(entries, entries))
    assert not Note(str(tmp_path / "made"), NEWEST, Wanted().choice).exists()


def test_the_note_tells_how_far_it_is(extracted, monkeypatch, tmp_path):
    def work():
        path = tmp_path / "made" / NOTE
        deadline = time.monotonic() + 20
        (tmp_path / "made" / "dir").mkdir()
        (tmp_path / "made" / "dir" / "file").write_text("data")
        (tmp_path / "made" / "dir" / "file").chmod(0o644)
        touched(tmp_path / "made" / "dir" / "file")
        while "progress: 2 of 5" not in path.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        extracted.told = path.read_text()

    monkeypatch.setattr(_extraction, "PROGRESS_SECONDS", 0.01)
    extracted.work = work
    extracted(Plan(ARCHIVE, ARCHIVE), numeric_ids=True)
    assert "progress: 2 of 5 entries" in extracted.told


def test_a_link_that_somebody_puts_in_the_way_meanwhile_is_told(extracted, tmp_path):
    extracted.work = lambda: os.symlink("/nowhere", tmp_path / "made" / "dir")
    with pytest.raises(Failure, match="made/dir is a symbolic link.*It was not there when this began, so see what was written") as caught:
        extracted(Plan(ARCHIVE, ARCHIVE))
    assert caught.value.error == "unsafe"
    assert (tmp_path / "made" / NOTE).exists()


def test_how_far_a_large_one_is_costs_few_looks(monkeypatch, tmp_path):
    looks = []

    def is_done(_self, each):
        looks.append(each)
        return int(each.path) < 4321

    class Ended:
        waits = iter([False, True])

        def wait(self, _seconds):
            return next(self.waits)

    monkeypatch.setattr(Comparison, "is_done", is_done)
    entries = [entry(str(number)) for number in range(10_000)]
    _extraction._follow(entries, Comparison(str(tmp_path), entries, True), Note(str(tmp_path), NEWEST, {}), Begun(0), Ended())
    assert "progress: 4321 of 10000 entries" in (tmp_path / NOTE).read_text()
    assert len(looks) < 20


def test_two_runs_never_restore_to_one_place(tmp_path):
    with _extraction.alone(str(tmp_path / "made")):
        with pytest.raises(Failure) as caught, _extraction.alone(str(tmp_path / "made")):
            pytest.fail("it was let in")
    assert (caught.value.error, caught.value.reason, caught.value.retryable) == ("locked", "restoring", True)
    with _extraction.alone(str(tmp_path / "made")):
        pass


def test_what_a_killed_run_has_left_at_work_keeps_others_away(tmp_path):
    code = (
        "import sys\n"
        "from ansible_collections.fleetbackup.borg.plugins.module_utils import _extraction, _process\n"
        "with _extraction.alone(sys.argv[1]) as lock:\n"
        "    _process.run(['sh', '-c', 'echo $$ > borg; exec sleep 300'], cwd=sys.argv[1], shared=[lock])\n"
    )
    place = tmp_path / "made"
    with subprocess.Popen([sys.executable, "-c", code, str(place)], env=os.environ) as process:
        deadline = time.monotonic() + 20
        while not ((place / "borg").exists() and (place / "borg").read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    left = int((place / "borg").read_text())
    try:
        with pytest.raises(Failure, match="or the Borg of one that was killed still is") as caught:
            _extraction.check_idle(str(place))
        assert (caught.value.error, caught.value.reason) == ("locked", "restoring")
    finally:
        os.kill(left, signal.SIGKILL)
    while time.monotonic() < deadline:
        with contextlib.suppress(Failure):
            return _extraction.check_idle(str(place))
        time.sleep(0.01)
    pytest.fail("it stays locked")
