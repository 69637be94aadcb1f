# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _mount
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._mount import Mounted, look, mount, unmount
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import Completed
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

# as Linux 6 shows them
ROOT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
BORGFS = (
    "199 22 0:216 / {} ro,nosuid,nodev,relatime shared:980 - fuse borgfs ro,user_id=0,group_id=0,default_permissions\n"
)
BORG = Borg(Location.parse("ssh://borg@[::1]/./web1"))


@pytest.fixture(name="system")
def fixture_system(monkeypatch, tmp_path):
    """A list of mounts, and processes by their command lines."""
    monkeypatch.setattr(_mount, "_MOUNTS", str(tmp_path / "mountinfo"))
    monkeypatch.setattr(_mount, "_PROCESSES", str(tmp_path))

    def make(*mounts, **processes):
        (tmp_path / "mountinfo").write_text("".join((ROOT, *mounts)))
        for name in processes:
            (tmp_path / name[1:]).mkdir()
            (tmp_path / name[1:] / "cmdline").write_bytes(b"".join(os.fsencode(word) + b"\0" for word in processes[name]))

    return make


def served(*words):
    return ["/usr/bin/python3", "/usr/bin/borg", "--log-json", "mount", *words]


def test_nothing_is_mounted(system):
    system(BORGFS.format("/mnt/other"))
    assert look("/mnt/backup") is None


def test_what_borg_mounted_is_known_by_the_process_that_serves_it(system):
    target = "ssh://borg@[::1]/./web1::web1-1"
    system(BORGFS.format("/mnt/backup"), p7=served("/srv/x", "/mnt/other"), p12=served("-o", "allow_other", target, "/mnt/backup"))
    found = look("/mnt/backup")
    assert found == Mounted("borgfs", 12, target)
    assert found.is_borg
    assert found.is_of(BORG)
    assert found.shows(BORG, "web1-1")
    assert not found.shows(BORG, None)
    assert not found.shows(BORG, "web1")


def test_a_whole_repository_is_told_from_its_archives_and_from_its_neighbours():
    whole = Mounted("borgfs", 1, str(BORG.repository))
    assert whole.is_of(BORG) and whole.shows(BORG, None) and not whole.shows(BORG, "x")
    assert not Mounted("borgfs", 1, f"{BORG.repository}0").is_of(BORG)
    assert not Mounted("borgfs", 1, f"{BORG.repository}0::x").is_of(BORG)


@pytest.mark.parametrize(
    "words",
    [
        ["/srv/x", "/mnt/backup/"],
        ["/srv/x", "//mnt/./backup", "etc", "/mnt/backup2"],
        ["-o", "allow_other", "/srv/x", "/mnt/backup", "--strip-components=1"],
    ],
)
def test_a_living_borg_is_known_however_it_was_told_the_place(system, words):
    system(BORGFS.format("/mnt/backup"), p12=served(*words))
    assert look("/mnt/backup") == Mounted("borgfs", 12, "/srv/x")


@pytest.mark.parametrize(
    "processes",
    [
        {},
        {"p7": served("/srv/x", "backup")},
        {"p7": served("/srv/x", "/mnt/backup2")},
        {"p7": served("/srv/x", "/mnt/backup"), "p8": served("/srv/y", "/mnt/other", "/mnt/backup")},
    ],
)
def test_that_nobody_can_tell_which_borg_serves_it_makes_none_dead(system, processes):
    system(BORGFS.format("/mnt/backup"), **processes)
    found = look("/mnt/backup")
    assert found == Mounted("borgfs") and not found.dead and not found.is_of(BORG)


@pytest.fixture(name="statvfs")
def fixture_statvfs(monkeypatch):
    """What the kernel answers."""

    def make(number):
        def statvfs(path):
            assert path == "/mnt/backup"
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(_mount.os, "statvfs", statvfs)

    return make


@pytest.mark.parametrize(("number", "dead"), [(errno.ENOTCONN, True), (errno.EACCES, False), (errno.EIO, False), (errno.ENOENT, False)])
def test_a_dead_borg_serves_nothing(system, statvfs, number, dead):
    system(BORGFS.format("/mnt/backup"), p7=["/usr/bin/sleep", "9", "mount", "x"])
    statvfs(number)
    found = look("/mnt/backup")
    assert found == Mounted("borgfs", dead=dead)
    assert not found.is_of(BORG)


def test_what_is_served_is_not_touched(system, statvfs):
    system(BORGFS.format("/mnt/backup"), p12=served("/srv/x", "/mnt/backup"))
    statvfs(errno.ENOTCONN)
    assert look("/mnt/backup") == Mounted("borgfs", 12, "/srv/x")


def test_what_others_mounted_is_not_borgs(system):
    system("30 22 0:50 / /mnt/backup rw - tmpfs tmpfs rw\n", p7=served("/srv/x", "/mnt/backup"))
    assert look("/mnt/backup") == Mounted("tmpfs")
    assert not look("/mnt/backup").is_borg


def test_the_last_mount_is_on_top(system):
    system(BORGFS.format("/mnt/backup"), "30 22 0:50 / /mnt/backup rw - tmpfs tmpfs rw\n")
    assert look("/mnt/backup") == Mounted("tmpfs")


@pytest.mark.parametrize(
    ("path", "listed"),
    [("/mnt/two words", "/mnt/two\\040words"), ("/mnt/a\\b", "/mnt/a\\134b"), ("/mnt/t\tn\n", "/mnt/t\\011n\\012"), ("/mnt/ü", "/mnt/ü")],
)
def test_paths_are_escaped_in_the_list(system, path, listed):
    system(BORGFS.format(listed))
    assert look(path) == Mounted("borgfs")


def test_a_mount_is_proven(system, monkeypatch):
    calls = []

    def run(self, *words, **how):
        calls.append((words, how))

    monkeypatch.setattr(Borg, "run", run)
    system()
    with pytest.raises(Failure, match="nothing is mounted"):
        mount(BORG, "x", "/mnt/backup", allow_other=True)
    system(BORGFS.format("/mnt/backup"))
    mount(BORG, None, "/mnt/backup", allow_other=False)
    assert calls == [
        (("mount", "-o", "allow_other"), {"archive": "x", "arguments": ["/mnt/backup"], "cwd": "/"}),
        (("mount",), {"archive": None, "arguments": ["/mnt/backup"], "cwd": "/"}),
    ]


@pytest.mark.parametrize(("said", "told"), [("no FUSE support, BORG_FUSE_IMPL=pyfuse3", "apt install"), ("something else", "something else")])
def test_a_missing_library_is_named(monkeypatch, said, told):
    def run(self, *words, **how):
        raise Failure("other", f"/srv/x: {said}", rc=2)

    monkeypatch.setattr(Borg, "run", run)
    with pytest.raises(Failure) as caught:
        mount(BORG, None, "/mnt/backup", allow_other=False)
    assert told in caught.value.msg
    assert caught.value.rc == 2


@pytest.fixture(name="unmounting")
def fixture_unmounting(monkeypatch):
    """Let umount say something, and do something."""

    def make(do, rc=0, stderr=""):
        def run(argv, **how):
            assert argv == ["/usr/bin/borg", "umount", "/mnt/backup"]
            do()
            return Completed(tuple(argv), rc, "", stderr)

        monkeypatch.setattr(_mount._process, "run", run)

    monkeypatch.setattr(Borg, "dialect", lambda self: None)
    monkeypatch.setattr(Borg, "program", "/usr/bin/borg")
    return make


def test_somebody_who_works_there_keeps_it_mounted(system, unmounting):
    system(BORGFS.format("/mnt/backup"))
    unmounting(lambda: None, 1, "fusermount: failed to unmount\n/mnt/backup: Device or resource busy\n")
    with pytest.raises(Failure, match="could not be unmounted: fusermount: failed to unmount /mnt/backup: Device or resource busy.*lsof") as caught:
        unmount(BORG, "/mnt/backup", Mounted("borgfs"))
    assert (caught.value.error, caught.value.reason, caught.value.retryable, caught.value.rc) == ("other", "busy", True, 1)


def test_an_unmount_waits_for_the_process(system, unmounting, monkeypatch, tmp_path):
    system(BORGFS.format("/mnt/backup"), p12=served("/srv/x", "/mnt/backup"))
    unmounting(system)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            (tmp_path / "12" / "cmdline").unlink()

    monkeypatch.setattr(_mount.time, "sleep", sleep)
    unmount(BORG, "/mnt/backup", Mounted("borgfs", 12, "/srv/x"))
    assert len(waits) == 3
