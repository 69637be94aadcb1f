# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of bundles: whole files only, whatever fails or is killed, and one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import threading

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _escrow_files
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import EscrowFiles

OLD, NEW = b"old" * 1000, b"new" * 2000
#: All of the system that a write goes through.
CALLS = ("open", "fdopen", "fsync", "chown", "chmod", "replace", "listdir", "unlink", "makedirs")


@pytest.fixture(name="files")
def fixture_files(tmp_path):
    return EscrowFiles(str(tmp_path / "escrow"), "web1", "ssh://borg@backup1/./web1")


def put(files, data=NEW, validate=lambda path: None):
    with files.locked():
        files.write(files.path(), data, validate)


def names(files):
    return sorted(os.listdir(os.path.dirname(files.path())))


def complete(files):
    return [_escrow_files.LOCK, os.path.basename(files.path())]


def failing_at(monkeypatch, number, how):
    """Let something happen at the n-th call; returns how many there were so far."""
    made = []

    def wrap(name, original):
        def call(*arguments, **keywords):
            made.append(name)
            if len(made) == number:
                how()
            return original(*arguments, **keywords)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, wrap(name, getattr(os, name)))
    return made


class TestNames:
    @pytest.mark.parametrize("host, location", [("../b", "/x"), ("web1", "ssh://borg@[::1]:22/./../x"), ("/", "/\n"), ("-rf", "/é/x y")])
    def test_nothing_leads_elsewhere(self, host, location):
        path = EscrowFiles("/escrow", host, location).path("ada")
        assert os.path.dirname(os.path.normpath(path)) == "/escrow"
        assert not set(os.path.basename(path)) & set("/\n -\t") - {"-"} and not os.path.basename(path).startswith(("-", "."))

    def test_a_human_knows_which_it_is(self):
        path = EscrowFiles("/escrow", "web1.example.org", "ssh://borg@backup1/./web1").path()
        assert path.startswith("/escrow/web1.example.org_ssh-borg-backup1-.-web1_") and path.endswith(".yml")

    def test_no_two_are_alike(self):
        pairs = [("a", "/b"), ("a", "/b/"), ("a", "/b."), ("a_b", "/"), ("a-b", "/"), ("a", "/" + "x" * 300), ("a", "/" + "x" * 301)]
        assert len({EscrowFiles("/escrow", *pair).path() for pair in pairs}) == len(pairs)
        assert all(len(os.path.basename(EscrowFiles("/escrow", *pair).path())) < 150 for pair in pairs)


class TestWrite:
    def test_a_new_directory_and_file_are_their_owners(self, files):
        put(files)
        assert files.read(files.path()) == (NEW, 0o600)
        assert stat.S_IMODE(os.stat(os.path.dirname(files.path())).st_mode) == 0o700
        assert names(files) == complete(files)

    def test_whatever_the_umask(self, files):
        before = os.umask(0)
        try:
            put(files)
        finally:
            os.umask(before)
        assert files.read(files.path()).mode == 0o600
        assert stat.S_IMODE(os.stat(os.path.dirname(files.path())).st_mode) == 0o700

    def test_the_one_before_stays_until_the_new_one_is_valid(self, files):
        put(files, OLD)
        seen = []

        def validate(path):
            seen.append((files.read(files.path()).data, files.read(path)))
            raise Failure("other", "no")

        with pytest.raises(Failure, match="no"):
            put(files, NEW, validate)
        assert seen == [(OLD, (NEW, 0o600))]
        assert files.read(files.path()).data == OLD and names(files) == complete(files)

    def test_what_a_killed_run_left_is_removed(self, files):
        put(files, OLD)
        with open(os.path.join(os.path.dirname(files.path()), f"{_escrow_files.TEMPORARY}x"), "wb") as file:
            file.write(b"half")
        put(files)
        assert names(files) == complete(files)

    @pytest.mark.parametrize(
        "number, word",
        [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EACCES, "permission"), (errno.EROFS, "permission"), (errno.EIO, "other")],
    )
    def test_an_error_at_any_call(self, files, number, word, monkeypatch):
        def fail():
            raise OSError(number, os.strerror(number))

        put(files, OLD)
        for call in range(1, 100):
            with monkeypatch.context() as patch:
                failing_at(patch, call, fail)
                try:
                    put(files)
                except Failure as failure:
                    assert failure.error == word and os.strerror(number) in failure.msg
                else:
                    break
            assert files.read(files.path()) in ((OLD, 0o600), (NEW, 0o600))
            put(files, OLD)
            assert names(files) == complete(files)
        assert call > 8

    def test_a_disk_that_gets_full_in_the_middle(self, files):
        put(files, OLD)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1][1]))
        try:
            with pytest.raises(Failure):
                put(files)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before[1])
            signal.signal(signal.SIGXFSZ, before[0])
        assert files.read(files.path()) == (OLD, 0o600) and names(files) == complete(files)

    @pytest.mark.parametrize("first", [False, True])
    def test_killed_at_any_call(self, files, first, monkeypatch):
        for call in range(1, 100):
            if not first:
                put(files, OLD)
            child = os.fork()
            if child == 0:
                failing_at(monkeypatch, call, lambda: os.kill(os.getpid(), signal.SIGKILL))
                put(files)
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            present = files.read(files.path())
            assert present in ((OLD, 0o600), (NEW, 0o600)) or (first and present is None)
            put(files)
            assert names(files) == complete(files)
            if first:
                os.unlink(files.path())
            if status == 0:
                break
        assert call > 8


class TestLock:
    def test_the_second_one_gives_up_and_may_come_again(self, files):
        with files.locked(), pytest.raises(Failure) as caught, files.locked(0.1):
            pass
        assert caught.value.error == "locked" and caught.value.retryable
        with files.locked(0.1):
            pass

    def test_it_waits(self, files):
        put(files)
        descriptor = os.open(os.path.join(os.path.dirname(files.path()), _escrow_files.LOCK), os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        threading.Timer(0.3, os.close, [descriptor]).start()
        put(files, OLD)
        assert files.read(files.path()).data == OLD

    def test_a_file_system_without_locks(self, files, monkeypatch):
        def fail(*_arguments):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", fail)
        with pytest.raises(Failure, match="No locks available"), files.locked():
            pass


class TestRead:
    def test_nothing(self, files):
        assert files.read(files.path()) is None

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/passwd", path)])
    def test_something_else(self, files, make):
        os.mkdir(os.path.dirname(files.path()))
        make(files.path())
        with pytest.raises(Failure) as caught:
            files.read(files.path())
        assert caught.value.error == "unsafe"


class TestDirectory:
    def test_one_that_can_be_made(self, files, tmp_path):
        files.check_directory()
        EscrowFiles(str(tmp_path / "a" / "b"), "web1", "/x").check_directory()
        assert os.listdir(tmp_path) == []

    def test_one_below_a_file(self, tmp_path):
        (tmp_path / "file").touch()
        for path in (tmp_path / "file", tmp_path / "file" / "x"):
            with pytest.raises(Failure) as caught:
                EscrowFiles(str(path), "web1", "/x").check_directory()
            assert caught.value.error == "invalid_argument"

    def test_one_of_everybody(self, files, tmp_path):
        (tmp_path / "escrow").mkdir()
        (tmp_path / "escrow").chmod(0o777)
        with pytest.raises(Failure, match="everybody") as caught:
            files.check_directory()
        assert caught.value.error == "unsafe"

    @pytest.mark.parametrize("exists", [True, False])
    def test_one_without_rights(self, files, tmp_path, exists, monkeypatch):
        if exists:
            (tmp_path / "escrow").mkdir()
        monkeypatch.setattr(os, "access", lambda *_arguments: False)
        with pytest.raises(Failure) as caught:
            files.check_directory()
        assert caught.value.error == "permission"
