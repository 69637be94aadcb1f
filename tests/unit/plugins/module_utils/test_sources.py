# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _sources
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome
from ansible_collections.fleetbackup.borg.plugins.module_utils._sources import Sources, check_sources, check_spelling


def test_every_source_becomes_an_option():
    sources = Sources(
        paths=["/etc"], patterns=["- /etc/x"], patterns_from=["/p"], exclude=["*.tmp"], exclude_from=["/e"], exclude_caches=True,
        exclude_if_present=[".nobackup"], keep_exclude_tags=True, one_file_system=True, numeric_ids=True,
    )
    assert sources.options() == [
        "--pattern=- /etc/x", "--patterns-from=/p", "--exclude=*.tmp", "--exclude-from=/e", "--exclude-if-present=.nobackup",
        "--exclude-caches", "--keep-exclude-tags", "--one-file-system", "--numeric-ids",
    ]
    assert Sources(paths=["/etc"]).options() == []


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (Sources(), "paths: is empty"),
        (Sources(patterns=["- *.tmp"]), "no pattern names a root"),
        (Sources(paths=["etc"]), "'etc' is no absolute path"),
        (Sources(paths=["/a\0b"]), "no absolute path"),
        (Sources(paths=["/etc"], patterns=["/home"]), "does not begin with"),
        (Sources(paths=["/etc"], patterns=[""]), "does not begin with"),
        (Sources(patterns=["R etc"]), "the root 'etc' is no absolute path"),
        (Sources(patterns=["R etc"], patterns_from=["/no/such/file"]), "the root 'etc' is no absolute path"),
    ],
)
def test_what_could_never_be_a_source_is_refused_before_anything_is_looked_at(sources, message):
    with pytest.raises(Failure) as caught:
        check_spelling(sources)
    assert caught.value.error == "invalid_argument"
    assert message in caught.value.msg


def test_the_spelling_of_sources_that_are_not_there_is_all_that_is_looked_at():
    check_spelling(Sources(paths=["/no/such/path"], patterns=["R /no/such/root"], exclude_from=["/no/such/file"]))
    check_spelling(Sources(patterns_from=["/no/such/file"]))


@pytest.mark.parametrize(
    ("sources", "error", "message"),
    [
        (Sources(paths=["/no/such/path"]), "source_missing", "/no/such/path does not exist"),
        (Sources(patterns=["R /no/such/path"]), "source_missing", "/no/such/path does not exist"),
        (Sources(paths=["/etc"], patterns=["r/no/such/path"]), "source_missing", "/no/such/path does not exist"),
        (Sources(patterns_from=["/etc"]), "invalid_argument", "patterns_from: /etc is no regular file"),
        (Sources(paths=["/etc"], exclude_from=["/etc"]), "invalid_argument", "exclude_from: /etc is no regular file"),
        (Sources(paths=["/etc"], patterns_from=["/no/such/file"]), "source_missing", "/no/such/file does not exist"),
        (Sources(paths=["/etc"], exclude_from=["/no/such/file"]), "source_missing", "/no/such/file does not exist"),
    ],
)
def test_an_archive_of_nothing_is_refused_before_borg_starts(sources, error, message):
    with pytest.raises(Failure) as caught:
        check_sources(sources)
    assert caught.value.error == error
    assert message in caught.value.msg


def test_a_disk_that_is_not_mounted_is_no_source(tmp_path):
    with pytest.raises(Failure, match="not mounted") as caught:
        check_sources(Sources(paths=[str(tmp_path)]))
    assert caught.value.error == "source_missing"
    (tmp_path / "file").touch()
    check_sources(Sources(paths=[str(tmp_path)]))


@pytest.mark.parametrize("name", ["patterns_from", "exclude_from"])
def test_a_fifo_is_no_file_of_patterns(tmp_path, name):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Failure, match=f"{name}: .*/fifo is no regular file") as caught:
        check_sources(Sources(paths=["/etc"], **{name: [str(tmp_path / "fifo")]}))
    assert caught.value.error == "invalid_argument"


@pytest.fixture(name="tables")
def fixture_tables(tmp_path, monkeypatch):
    """Tables of what shall be and what is mounted, by names below a directory."""

    def write(*, wanted, mounted):
        for name, points in (("FSTAB", wanted), ("MOUNTS", mounted)):
            rows = [f"/dev/x {tmp_path}/{point} ext4 defaults 0 0\n" for point in points]
            (tmp_path / name).write_text("# a comment /with more\n\n  # /another one\nUUID=1 none swap sw 0 0\n" + "".join(rows))
            monkeypatch.setattr(_sources, name, str(tmp_path / name))

    for name in ("disk", "two words", "other/below"):
        (tmp_path / name).mkdir(parents=True)
    return write


@pytest.mark.parametrize(
    ("root", "point"),
    [("disk", "disk"), ("disk/", "disk"), ("two words", "two\\040words"), ("other/below", "other"), ("link", "disk")],
)
def test_a_root_on_a_disk_that_is_not_mounted_is_refused_beside_others(tmp_path, tables, root, point):
    os.symlink("disk", tmp_path / "link")
    sources = Sources(paths=["/etc", f"{tmp_path}/{root}"])
    tables(wanted=[point], mounted=["elsewhere"])
    with pytest.raises(Failure, match="is a mount point of .*FSTAB, and nothing is mounted there. Mount it") as caught:
        check_sources(sources)
    assert caught.value.error == "source_missing"
    tables(wanted=[point], mounted=[point])
    check_sources(sources)


def test_a_directory_may_be_empty_on_purpose_beside_others(tmp_path, tables):
    tables(wanted=["disk", "nowhere"], mounted=["elsewhere"])
    check_sources(Sources(paths=["/etc", f"{tmp_path}/two words", f"{tmp_path}/other"]))


def test_nothing_is_said_of_mounts_where_the_kernel_has_no_table(tmp_path, tables, monkeypatch):
    tables(wanted=["disk"], mounted=[])
    monkeypatch.setattr(_sources, "MOUNTS", str(tmp_path / "none"))
    check_sources(Sources(paths=["/etc", f"{tmp_path}/disk"]))


def test_roots_in_a_file_of_patterns_are_sources_too(tmp_path):
    patterns = tmp_path / "patterns"
    patterns.write_text("# R /comment\n- *.tmp\n  R /etc \n")
    assert Sources(paths=["/srv"], patterns_from=[str(patterns)]).roots() == ["/srv", "/etc"]
    patterns.write_text("R /no/such/path\n")
    with pytest.raises(Failure, match="/no/such/path does not exist"):
        check_sources(Sources(paths=["/etc"], patterns_from=[str(patterns)]))
    patterns.write_text("- *.tmp\n")
    with pytest.raises(Failure, match="no pattern names a root"):
        check_sources(Sources(patterns_from=[str(patterns)]))


def test_what_exists_is_a_source(tmp_path):
    os.symlink("/nowhere", tmp_path / "link")
    check_sources(Sources(paths=["/etc", str(tmp_path / "link")], patterns=["R /etc", "+ /etc/x", "- /etc", "P fm", "! /proc"]))


@pytest.fixture(name="create")
def fixture_create(monkeypatch, recorded):
    """Makes an archive with a borg that prints a recording; what it was asked besides."""
    calls = []

    def make(name, *paths, **how):
        told = recorded[name]

        def run(self, command, *options, **more):
            calls.append((command, options, more))
            return Outcome(told["rc"], told["stdout"], Log(told["stderr"]))

        monkeypatch.setattr(Borg, "run", run)
        how = {"compression": None, "comment": None, **how}
        return _sources.create(Borg(Location.parse("/srv/x")), "name", Sources(paths=paths), **how)

    make.calls = calls
    return make


def test_a_recorded_archive(create):
    created = create("create", "/recording/02/files")
    assert created.archive.name == "name"
    assert len(created.archive.id) == 64
    assert created.stats["nfiles"] == 3
    assert set(created.stats) >= {"original_size", "compressed_size", "deduplicated_size", "nfiles", "duration"}
    assert (created.changed_while_read, created.unreadable, created.warnings) == ([], [], [])


def test_a_recorded_file_that_could_not_be_read(create):
    created = create("create_unreadable", "/recording/02/files")
    assert sorted(path.rpartition("/")[2] for path in created.unreadable) == ["a file", "other name"]
    assert any("Permission denied" in text for text in created.warnings)


def test_a_recorded_file_that_changed(create):
    created = create("create_changing", "/recording/02/files")
    assert [path.rpartition("/")[2] for path in created.changed_while_read] == ["changing"]


def test_a_recorded_source_that_vanished_is_a_failure_and_its_archive_goes(create, recorded):
    gone = recorded["create_source_missing"]["command"].split()[-1]
    with pytest.raises(Failure) as caught:
        create("create_source_missing", "/recording/02/files", gone)
    assert caught.value.error == "source_missing"
    assert gone in caught.value.msg
    assert [call[0] for call in create.calls] == ["create", "delete"]


def test_a_source_that_vanished_is_missed_under_any_spelling(create, recorded):
    gone = recorded["create_source_missing"]["command"].split()[-1]
    with pytest.raises(Failure) as caught:
        create("create_source_missing", f"{gone}/./")
    assert caught.value.error == "source_missing"


def test_a_comment_is_not_expanded_and_a_path_is_no_option(create):
    create("create", "/recording/02/files", compression="zstd,3", comment="at {now} {{x}}")
    command, options, more = create.calls[0]
    assert "--comment=at {{now}} {{{{x}}}}" in options
    assert "--compression=zstd,3" in options
    assert more["arguments"] == ["--", "/recording/02/files"]
