# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import os
import stat
from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _drill
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC, Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill import drill
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_pick import Pick, Request
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._interruption import NOTE
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

BORG = Borg(Location.parse("/srv/x"))
FULL = Request("x", full=True)
ARCHIVE = Archive("web1-1", "1" * 64, datetime.datetime.now(UTC))
DAMAGE = Failure("integrity", "no", stderr="Data integrity error: Segment entry checksum mismatch [segment 2, offset 8]\nmore")


class Machine:
    """Files of this machine, an archive of them, and a borg that restores it.

    :ivar damaged: paths at which it gives up.
    :ivar spoilt: paths of which it brings back something else.
    :ivar started: what each start of it was to extract.
    """

    def __init__(self, root: Path) -> None:
        self.root = root / "live"
        self.scratch = root / "scratch"
        self.scratch.mkdir()
        self.root.mkdir()
        self.entries: list[Entry] = []
        self.damaged: set[str] = set()
        self.spoilt: dict[str, bytes] = {}
        self.warnings: list[str] = []
        self.started: list[list[str]] = []
        self.contents: dict[str, bytes] = {}

    def add(self, name: str, content: bytes = b"content") -> str:
        """Make a file and archive it; its path in the archive."""
        path = self.root / name
        path.write_bytes(content)
        return self.archive(path)

    def archive(self, path: Path) -> str:
        status = os.lstat(path)
        inside = str(path).lstrip("/")
        mode, owner = stat.filemode(status.st_mode), (status.st_uid, status.st_gid, "", "")
        size = status.st_size if path.is_file() else 0
        self.entries.append(Entry(inside, mode, *owner, size, status.st_mtime_ns // 1000, "", ""))
        self.contents[inside] = path.read_bytes() if path.is_file() else b""
        return inside

    def extract(self, _borg, _archive, plan, directory, wanted, _origins):
        assert "--noflags" in wanted.manner() and "--numeric-ids" in wanted.manner()
        self.started.append([entry.path for entry in plan.outstanding])
        for entry in plan.outstanding:
            target = Path(directory, entry.path)
            if entry.kind == "d":
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if entry.path in self.damaged:
                target.touch()
                raise DAMAGE
            target.write_bytes(self.spoilt.get(entry.path, self.contents[entry.path]))
            target.chmod(stat.S_IMODE(os.lstat("/" + entry.path).st_mode))
            os.utime(target, ns=(0, entry.mtime * 1000))
        for entry in plan.outstanding:
            if entry.kind == "d":
                os.chmod(Path(directory, entry.path), stat.S_IMODE(os.lstat("/" + entry.path).st_mode))
                os.utime(Path(directory, entry.path), ns=(0, entry.mtime * 1000))
        return self.warnings

    def drill(self, request=FULL, host="web1"):
        pick = Pick("x", ARCHIVE, host, self.entries, self.entries)
        return drill(BORG, request, pick, str(self.scratch))


@pytest.fixture(name="machine")
def fixture_machine(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    monkeypatch.setattr(_drill.extraction, "extract", machine.extract)
    monkeypatch.setattr(_drill.platform, "node", lambda: "web1")
    return machine


def test_what_comes_back_as_it_was_passes(machine):
    machine.add("one")
    machine.add("two")
    report = machine.drill()
    assert (report.verdict, report.problems, report.compared) == ("passed", [], 2)
    result = report.as_result()
    assert (result["files"], result["bytes"], result["truncated"], result["seed"]) == (2, 14, False, "x")
    assert not os.listdir(machine.scratch)


def test_damage_is_named_and_what_lies_behind_it_is_tried_too(machine):
    paths = [machine.add(f"f{number}") for number in range(6)]
    machine.damaged = {paths[1], paths[4]}
    report = machine.drill()
    assert report.verdict == "failed"
    assert report.problems == [
        f"{path}: Data integrity error: Segment entry checksum mismatch [segment 2, offset 8]" for path in (paths[1], paths[4])
    ]
    assert machine.started == [paths, paths[2:], paths[5:]]
    assert report.compared == 4 and not report.cut_short


def test_directories_get_their_times_where_the_last_file_is_damaged(machine):
    machine.archive(machine.root)
    machine.damaged = {machine.add("last")}
    os.utime(machine.root, ns=(0, machine.entries[0].mtime * 1000))
    assert len(machine.drill().problems) == 1


def test_where_very_much_is_damaged_it_ends(machine):
    machine.damaged = {machine.add(f"f{number:02}") for number in range(40)}
    report = machine.drill()
    assert len(report.problems) == len(machine.started) == 20
    assert report.as_result()["truncated"]


@pytest.mark.parametrize("words", ["File has damaged (all-zero) chunks. Try running borg check --repair.", "backup error"])
def test_what_a_repair_has_filled_with_zeros_is_a_problem(machine, words):
    path = machine.add("zeros")
    machine.warnings = [f"{path}: {words}", "another warning"]
    report = machine.drill()
    assert report.problems == [f"{path}: holds zeros where a repair found no data"]
    assert report.warnings == ["another warning"]


def test_what_differs_from_the_record_is_a_problem(machine):
    path = machine.add("spoilt")
    machine.spoilt[path] = b"shorter"[:3]
    (problem,) = machine.drill().problems
    assert problem.startswith(f"{path}: type, mode, owner, size")


def test_a_file_here_that_is_another_one_with_the_same_size_and_time_is_a_problem(machine):
    path = machine.add("rotten")
    live = Path("/", path)
    before = live.stat()
    live.write_bytes(b"CONTENT")
    os.utime(live, ns=(before.st_atime_ns, before.st_mtime_ns))
    (problem,) = machine.drill().problems
    assert problem.startswith(f"{path}: its content here is another one")


def test_a_file_here_that_has_changed_is_not_compared(machine):
    path = machine.add("changed")
    Path("/", path).write_bytes(b"CONTENT")
    os.utime(Path("/", path), (1, 1))
    report = machine.drill()
    assert (report.verdict, report.compared) == ("passed", 0)


def test_a_pipe_that_takes_the_place_of_a_file_does_not_hold_the_drill_up(machine, monkeypatch):
    path = machine.add("swapped")

    def swap(_entry, _status):
        os.unlink(Path("/", path))
        os.mkfifo(Path("/", path))
        return True

    monkeypatch.setattr(_drill, "_is_unchanged", swap)
    report = machine.drill()
    assert (report.verdict, report.compared) == ("passed", 0)


def test_files_of_another_machine_are_not_compared_with_those_here(machine):
    machine.add("rotten")
    report = machine.drill(host="another")
    assert (report.verdict, report.compared) == ("passed", 0)


def test_files_are_compared_where_the_kernel_knows_the_machine_by_its_full_name(machine, monkeypatch):
    monkeypatch.setattr(_drill.platform, "node", lambda: "web1.example.org")
    machine.add("one")
    assert machine.drill().compared == 1


def test_an_archive_without_files_is_a_problem(machine):
    (problem,) = machine.drill().problems
    assert problem.startswith("the archive holds no file")


def test_a_witness_that_is_held_passes(machine):
    witness = machine.add("witness")
    os.utime(Path("/", witness), (1, 1))
    machine.entries = []
    machine.archive(Path("/", witness))
    assert machine.drill(Request("x", witness=f"/{witness}")).verdict == "passed"


@pytest.mark.parametrize("held", [True, False])
def test_a_witness_that_is_missing_or_another_one_is_a_problem(machine, held):
    witness = machine.add("witness")
    machine.add("other")
    machine.entries = machine.entries[0 if held else 1 :]
    os.utime(Path("/", witness), (1, 1))
    problems = machine.drill(Request("x", witness=f"/{witness}")).problems
    assert problems == [f"/{witness}: the archive does not hold the witness as it has stood here since before it was made"]


def test_an_archive_from_before_the_witness_need_not_hold_it(machine):
    machine.add("other")
    witness = machine.root / "witness"
    witness.touch()
    os.utime(witness, (4_000_000_000, 4_000_000_000))
    assert machine.drill(Request("x", witness=str(witness))).verdict == "passed"


def test_a_witness_that_is_gone_is_a_problem(machine):
    machine.add("other")
    assert machine.drill(Request("x", witness="/nowhere/witness")).problems == ["/nowhere/witness: the witness is gone from this machine"]


def test_what_keeps_borg_from_restoring_is_told_as_it_is(machine, monkeypatch):
    machine.add("one")

    def fail(*_words):
        raise Failure("locked", "busy")

    monkeypatch.setattr(_drill.extraction, "extract", fail)
    with pytest.raises(Failure) as caught:
        machine.drill()
    assert caught.value.error == "locked"
    assert not os.listdir(machine.scratch)


def test_the_directory_itself_may_be_in_the_archive(machine, monkeypatch):
    machine.add("one")
    mode = stat.filemode(os.lstat("/").st_mode)
    machine.entries.insert(0, Entry(".", mode, os.geteuid(), os.getegid(), "", "", 0, 0, "", ""))

    def extract(*words):
        warnings = machine.extract(*words)
        os.utime(words[3])  # a note comes and goes
        assert [stat.S_IMODE(place.stat().st_mode) for place in machine.scratch.iterdir()] == [0o700]
        return warnings

    monkeypatch.setattr(_drill.extraction, "extract", extract)
    assert machine.drill().problems == []


def test_the_note_of_a_restore_that_was_archived_is_left_out(machine):
    path = machine.add("one")
    machine.entries.append(machine.entries[0]._replace(path=NOTE))
    assert machine.drill().problems == []
    assert machine.started == [[path]]


def test_a_further_name_of_a_damaged_file_is_not_tried_by_itself(machine):
    path = machine.add("B\udce4r")
    machine.damaged = {path}
    machine.entries.append(machine.entries[0]._replace(path=f"{path}2", mode="hrw-r--r--", source=path.replace("\udce4", "?")))
    assert len(machine.drill().problems) == 1
    assert machine.started == [[path, f"{path}2"]]


def test_a_crafted_archive_is_refused(machine):
    machine.add("one")
    machine.entries.append(machine.entries[0]._replace(path="../../etc/cron.d/x"))
    with pytest.raises(Failure) as caught:
        machine.drill()
    assert caught.value.error == "unsafe" and not machine.started


def test_a_failure_says_what_was_found_and_how_to_do_it_again(machine):
    machine.damaged = {machine.add("f")}
    failure = machine.drill().failure(BORG)
    assert failure.error == "integrity" and not failure.retryable
    assert "/srv/x::web1-1: the restore drill found 1 problem:" in failure.msg
    assert failure.details["verdict"] == "failed" and failure.details["seed"] == "x"
