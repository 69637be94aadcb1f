# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import stat

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _extraction
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._extraction import Plan, make_plan
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


@pytest.fixture(name="extracted")
def fixture_extracted(monkeypatch, tmp_path):
    calls = []

    def run(self, command, *options, **how):
        calls.append((command, options, how))
        return Outcome(0, "", Log(""))

    monkeypatch.setattr(Borg, "run", run)

    def extract(plan, **how):
        destination = tmp_path / "made"
        _extraction.extract(Borg(Location.parse("/srv/x")), "a", plan, str(destination), **{"numeric_ids": False, **how})
        assert stat.S_IMODE(destination.stat().st_mode) == 0o700
        return calls[-1]

    return extract


def test_only_what_is_outstanding_is_extracted_as_exact_paths(extracted, tmp_path):
    command, options, how = extracted(Plan(ARCHIVE, ARCHIVE[:1]), exclude=["*.tmp"], numeric_ids=True)
    assert (command, options) == ("extract", ("--exclude=*.tmp", "--numeric-ids"))
    assert how["arguments"] == ["--", "pf:dir"]
    assert how["cwd"] == str(tmp_path / "made")


def test_everything_is_extracted_as_it_was_asked_for(extracted):
    assert extracted(Plan(ARCHIVE, ARCHIVE), paths=["dir", "top"])[2]["arguments"] == ["--", "dir", "top"]


def test_more_than_fits_a_command_line_is_extracted_as_it_was_asked_for(extracted, monkeypatch):
    monkeypatch.setattr(_extraction, "_ARGUMENTS_SIZE", 10)
    assert extracted(Plan(ARCHIVE, ARCHIVE[:2]), paths=[])[2]["arguments"] == ["--"]
