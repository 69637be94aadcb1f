# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records what a real borg prints: record.py --borg /usr/bin/borg --out tests/unit/recordings

Makes every situation that the parsers and the table of errors are about, in a temporary directory, and writes one file
for the version of this borg. Run it as root: a full disk and a missing permission need that. Each situation is recorded
with the exit codes of BORG_EXIT_CODES=modern and with those that a borg has without it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Optional

PASSPHRASE = "recording"
NOBODY = 65534

Recording = dict[str, Any]


class Lab:
    """A temporary directory with a base directory of borg's own, and ways to run borg in it."""

    def __init__(self, borg: str, directory: Path) -> None:
        self.borg = borg
        self.directory = directory
        self.base = directory / "base"
        self._number = 0

    def path(self, name: str = "x") -> Path:
        """A path that nothing stands at."""
        self._number += 1
        parent = self.directory / f"{self._number:02d}"
        parent.mkdir()
        return parent / name

    def run(self, *arguments: object, prefix: tuple[str, ...] = (), codes: str = "modern", user: Optional[int] = None,
            cwd: Optional[Path] = None, **variables: object) -> Recording:
        """Run borg; what it printed."""
        argv = [*prefix, self.borg, "--log-json", *map(str, arguments)]
        done = subprocess.run(
            argv, env=self._environment(codes, variables), stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
            check=False, user=user, cwd=cwd or self.directory,
        )
        return {
            "command": " ".join(map(str, arguments)),
            "rc": done.returncode,
            "stdout": done.stdout.decode("utf-8", "surrogateescape"),
            "stderr": done.stderr.decode("utf-8", "surrogateescape"),
        }

    def must(self, *arguments: object, **how: Any) -> Recording:
        """Run borg, which must not fail."""
        recording = self.run(*arguments, **how)
        if recording["rc"] not in (0, 1) and recording["rc"] < 100:
            raise SystemExit(f"cannot prepare: borg {recording['command']}: {recording['stderr']}")
        return recording

    def both(self, *arguments: object, **how: Any) -> dict[str, Recording]:
        """Run borg, which changes nothing, with modern exit codes and without."""
        return {"modern": self.run(*arguments, **how), "legacy": self.run(*arguments, codes="legacy", **how)}

    def start(self, *arguments: object, **variables: object) -> subprocess.Popen[bytes]:
        """Start borg and leave it running."""
        argv = [self.borg, *map(str, arguments)]
        return subprocess.Popen(argv, env=self._environment("modern", variables), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def repository(self, encryption: str = "repokey", **how: Any) -> Path:
        """A new repository."""
        path = self.path("repository")
        self.must("init", f"--encryption={encryption}", path, **how)
        return path

    def files(self, size: int = 1000) -> Path:
        """A folder to back up."""
        folder = self.path("files")
        (folder / "sub").mkdir(parents=True)
        (folder / "a file").write_bytes(os.urandom(size))
        (folder / "sub" / "é→\n").write_text("unicode\n", encoding="utf-8")
        os.symlink("a file", folder / "link")
        os.link(folder / "a file", folder / "sub" / "other name")
        Path(os.fsdecode(os.fsencode(folder) + b"/not utf-8 \xff")).write_text("x", encoding="utf-8")
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)
        return folder

    def _environment(self, codes: str, variables: dict[str, object]) -> dict[str, str]:
        environment = {
            "PATH": f"{os.path.dirname(self.borg)}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "BORG_BASE_DIR": str(self.base),
            "BORG_PASSPHRASE": PASSPHRASE,
            "BORG_EXIT_CODES": codes,
            "BORG_HOST_ID": "recorder@1",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "no",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no",
            "BORG_DELETE_I_KNOW_WHAT_I_AM_DOING": "NO",
            **{name: str(value) for name, value in variables.items() if value is not None},
        }
        return {name: value for name, value in environment.items() if variables.get(name, "") is not None}


Situation = Callable[[Lab], dict[str, Recording]]
SITUATIONS: dict[str, Situation] = {}


def situation(make: Situation) -> Situation:
    """Register a situation under its function's name."""
    SITUATIONS[make.__name__] = make
    return make


# What a location can hold.


@situation
def absent(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", "--json", lab.path())


@situation
def folder(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", lab.files())


@situation
def config_foreign(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    (path / "config").write_text("[other]\n")
    return lab.both("list", path)


@situation
def config_garbage(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    (path / "config").write_text("garbage\n")
    return lab.both("list", path)


@situation
def config_is_a_directory(lab: Lab) -> dict[str, Recording]:
    path = lab.path()
    (path / "config").mkdir(parents=True)
    (path / "README").write_text("This is a Borg Backup repository.\n")
    return lab.both("list", path)


@situation
def below_a_file(lab: Lab) -> dict[str, Recording]:
    path = lab.path()
    path.write_text("mine")
    return lab.both("list", path / "below")


@situation
def attic(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    for segment in (path / "data" / "0").iterdir():
        segment.write_bytes(b"ATTICSEG" + segment.read_bytes()[8:])
    for index in path.glob("index.*"):
        index.unlink()
    return lab.both("list", path)


@situation
def data_gone(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    shutil.rmtree(path / "data")
    return lab.both("list", path)


@situation
def data_unmounted(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    shutil.rmtree(path / "data" / "0")
    return lab.both("list", path)


@situation
def no_manifest(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    shutil.rmtree(path / "data" / "0")
    for name in ("index.1", "hints.1", "integrity.1"):
        (path / name).unlink()
    return lab.both("list", path)


@situation
def init_exists(lab: Lab) -> dict[str, Recording]:
    return lab.both("init", "--encryption=repokey", lab.repository())


@situation
def init_in_folder(lab: Lab) -> dict[str, Recording]:
    return lab.both("init", "--encryption=repokey", lab.files())


@situation
def init_without_parent(lab: Lab) -> dict[str, Recording]:
    return lab.both("init", "--encryption=repokey", lab.path() / "no" / "parent")


@situation
def init_denied(lab: Lab) -> dict[str, Recording]:
    private = lab.path()
    private.mkdir(mode=0o700)
    return lab.both("init", "--encryption=repokey", private / "x", user=NOBODY, BORG_BASE_DIR=open_base(lab))


# Keys and passphrases.


@situation
def key_gone(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    config = (path / "config").read_text()
    (path / "config").write_text(config[: config.index("\nkey = ")] + "\n")
    return lab.both("list", path)


@situation
def keyfile_gone(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", lab.repository("keyfile", BORG_BASE_DIR=lab.path()))


@situation
def keyfile_of_another(lab: Lab) -> dict[str, Recording]:
    other = lab.path("key")
    lab.repository("keyfile", BORG_KEY_FILE=other)
    return lab.both("list", lab.repository("keyfile"), BORG_KEY_FILE=other)


@situation
def keyfile_garbage(lab: Lab) -> dict[str, Recording]:
    path = lab.path("key")
    path.write_text("garbage\n")
    return lab.both("list", lab.repository("keyfile"), BORG_KEY_FILE=path)


@situation
def import_garbage(lab: Lab) -> dict[str, Recording]:
    path = lab.path("key")
    path.write_text("garbage\n")
    return lab.both("key", "import", lab.repository(), path)


@situation
def import_of_another(lab: Lab) -> dict[str, Recording]:
    path = lab.path("key")
    lab.must("key", "export", lab.repository(), path)
    return lab.both("key", "import", lab.repository(), path)


@situation
def export_unencrypted(lab: Lab) -> dict[str, Recording]:
    return lab.both("key", "export", lab.repository("none"), "-")


@situation
def passphrase_missing(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", lab.repository(), BORG_PASSPHRASE=None)


@situation
def passcommand_fails(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", lab.repository(), BORG_PASSPHRASE=None, BORG_PASSCOMMAND="false")


@situation
def passphrase_wrong(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", lab.repository(), BORG_PASSPHRASE="another")


# What borg remembers of a repository.


@situation
def unknown_unencrypted(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", lab.repository("none", BORG_BASE_DIR=lab.path()))


@situation
def relocated(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    return lab.both("list", path.rename(path.parent / "moved"))


@situation
def replaced_by_unencrypted(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    security = lab.base / ".config" / "borg" / "security" / identity(path)
    (security / "key-type").write_text("2")
    return lab.both("list", path)


@situation
def replayed(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    shutil.copytree(path, path.parent / "copy")
    time.sleep(1)
    lab.must("create", f"{path}::a", lab.files())
    shutil.rmtree(path)
    (path.parent / "copy").rename(path)
    return lab.both("list", path)


# Locks and permissions.


@situation
def locked(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    holder = lab.start("with-lock", path, "sleep", "60")
    wait_for(path / "lock.exclusive")
    try:
        return lab.both("list", path)
    finally:
        os.killpg(holder.pid, signal.SIGTERM)
        holder.wait()


@situation
def lock_denied(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    opened(path)
    return lab.both("list", path, user=NOBODY, BORG_BASE_DIR=open_base(lab))


@situation
def config_denied(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    opened(path)
    (path / "config").chmod(0o600)
    return lab.both("--bypass-lock", "list", path, user=NOBODY, BORG_BASE_DIR=open_base(lab))


@situation
def directory_denied(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    path.chmod(0o700)
    return lab.both("--bypass-lock", "list", path, user=NOBODY, BORG_BASE_DIR=open_base(lab))


# Space.


@situation
def quota(lab: Lab) -> dict[str, Recording]:
    path = lab.path()
    lab.must("init", "--encryption=repokey", "--storage-quota=10M", path)
    return {codes: lab.run("create", f"{path}::a", lab.files(11_000_000), codes=codes) for codes in ("modern", "legacy")}


@situation
def reserve(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    lab.must("config", path, "additional_free_space", "1000T")
    return {codes: lab.run("create", f"{path}::a", lab.files(), codes=codes) for codes in ("modern", "legacy")}


@situation
def disk_full(lab: Lab) -> dict[str, Recording]:
    with mounted(lab.path(), "size=4M") as mount:
        path = Path(mount) / "repository"
        lab.must("init", "--encryption=repokey", path)
        return {codes: lab.run("create", f"{path}::a", lab.files(9_000_000), codes=codes) for codes in ("modern", "legacy")}


@situation
def disk_full_list(lab: Lab) -> dict[str, Recording]:
    with mounted(lab.path(), "size=4M") as mount:
        path = Path(mount) / "repository"
        lab.must("init", "--encryption=repokey", path)
        try:
            (Path(mount) / "filler").write_bytes(bytes(5_000_000))
        except OSError:
            pass  # that is the aim
        return lab.both("list", path)


@situation
def read_only(lab: Lab) -> dict[str, Recording]:
    with mounted(lab.path(), "size=4M") as mount:
        path = Path(mount) / "repository"
        lab.must("init", "--encryption=repokey", path)
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        return {codes: lab.run("create", f"{path}::a", lab.files(), codes=codes) for codes in ("modern", "legacy")}


@situation
def lock_on_read_only(lab: Lab) -> dict[str, Recording]:
    with mounted(lab.path(), "size=4M") as mount:
        path = Path(mount) / "repository"
        lab.must("init", "--encryption=repokey", path)
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        return lab.both("list", path)


# Servers. The remote shell is a script, so that no sshd is needed but for the words of ssh itself.


def shell(lab: Lab, script: str) -> str:
    path = lab.path("shell")
    path.write_text(f"{script}\n")
    return f"sh {path}"


@situation
def remote_absent(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", f"ssh://server{lab.path()}", BORG_RSH=shell(lab, f"exec {lab.borg} serve"))


@situation
def remote_folder(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", f"ssh://server{lab.files()}", BORG_RSH=shell(lab, f"exec {lab.borg} serve"))


@situation
def remote_list(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", "--json", f"ssh://server{lab.repository()}", BORG_RSH=shell(lab, f"exec {lab.borg} serve"),
                    BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")


@situation
def not_allowed(lab: Lab) -> dict[str, Recording]:
    rsh = shell(lab, f"exec {lab.borg} serve --restrict-to-repository /nowhere")
    return lab.both("list", f"ssh://server{lab.repository()}", BORG_RSH=rsh)


@situation
def connection_refused(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", "ssh://server:1/./x", BORG_RSH="ssh -o BatchMode=yes -o HostName=127.0.0.1")


@situation
def connection_closed(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", "ssh://server/./x", BORG_RSH=shell(lab, "exit 255"))


@situation
def connection_garbage(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", "ssh://server/./x", BORG_RSH=shell(lab, "echo Welcome to this server, dear user; cat >/dev/null"))


@situation
def connection_breaks(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    rsh = shell(lab, f"exec 3<&0; {lab.borg} serve <&3 & sleep 5; kill -9 $!")
    fifo = lab.path("fifo")
    os.mkfifo(fifo)
    return {
        codes: lab.run("create", "--read-special", f"ssh://server{path}::{codes}", slow(fifo), BORG_RSH=rsh, codes=codes,
                       BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")
        for codes in ("modern", "legacy")
    }


@situation
def server_without_borg(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", "ssh://server/./x", BORG_RSH=shell(lab, 'shift; exec sh -c "no-such-borg serve"'))


@situation
def remote_exception(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    (path / "config").write_text("garbage\n")
    return lab.both("list", f"ssh://server{path}", BORG_RSH=shell(lab, f"exec {lab.borg} serve"))


@situation
def server_crashes(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", "ssh://server/./x", BORG_RSH=shell(lab, "python3 -c 'import nowhere'"))


@situation
def append_only(lab: Lab) -> dict[str, Recording]:
    path = lab.path()
    lab.must("init", "--encryption=repokey", "--append-only", path)
    return lab.both("delete", path, BORG_DELETE_I_KNOW_WHAT_I_AM_DOING="YES")


# Archives.


def archived(lab: Lab) -> Path:
    path = lab.repository()
    files = lab.files()
    lab.must("create", "--timestamp=2026-01-01T00:00:00", f"{path}::a-2026-01-01", files)
    lab.must("create", "--timestamp=2026-01-02T00:00:00", "--comment=é→", f"{path}::a-2026-01-02", files)
    return path


@situation
def archive_exists(lab: Lab) -> dict[str, Recording]:
    return lab.both("create", f"{archived(lab)}::a-2026-01-01", lab.files())


@situation
def archive_absent(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", f"{archived(lab)}::missing")


@situation
def delete_missing(lab: Lab) -> dict[str, Recording]:
    return lab.both("delete", f"{archived(lab)}::missing")


@situation
def integrity(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    lab.must("create", "--compression=none", f"{path}::a", lab.files(100_000))
    segment = max((path / "data" / "0").iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[50_000] ^= 0xFF
    segment.write_bytes(content)
    return lab.both("extract", f"{path}::a", cwd=lab.path().parent)


@situation
def object_gone(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    made = lab.must("create", "--json", f"{path}::a", lab.files())
    archive = json.loads(made["stdout"])["archive"]["id"]
    lab.must("debug", "delete-obj", path, archive)
    return lab.both("list", f"{path}::a")


@situation
def all_damaged(lab: Lab) -> dict[str, Recording]:
    path = archived(lab)
    for segment in (path / "data" / "0").iterdir():
        segment.write_bytes(segment.read_bytes()[:-4])
    for index in path.glob("index.*"):
        index.unlink()
    return lab.both("list", path)


# Words that borg takes amiss.


@situation
def nothing_to_keep(lab: Lab) -> dict[str, Recording]:
    return lab.both("prune", archived(lab))


@situation
def placeholder_unknown(lab: Lab) -> dict[str, Recording]:
    return lab.both("create", f"{lab.repository()}::{{nope}}", lab.files())


@situation
def option_unknown(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", "--no-such-option", lab.repository())


@situation
def command_unknown(lab: Lab) -> dict[str, Recording]:
    return lab.both("repo-list", lab.repository())


# What succeeds and is read.


@situation
def list_empty(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", "--json", lab.repository("repokey-blake2"))


@situation
def list_archives(lab: Lab) -> dict[str, Recording]:
    return lab.both("list", "--json", archived(lab))


@situation
def list_contents(lab: Lab) -> dict[str, Recording]:
    names = ("mode", "uid", "gid", "user", "group", "size", "isomtime", "source", "health", "bpath", "sha256")
    template = "".join(f"{{{name}}}{{NUL}}" for name in names)
    return lab.both("list", f"--format={template}", f"{archived(lab)}::a-2026-01-02", PYTHONIOENCODING="unicode_escape")


@situation
def info(lab: Lab) -> dict[str, Recording]:
    return lab.both("info", "--json", archived(lab))


@situation
def create(lab: Lab) -> dict[str, Recording]:
    path, files = lab.repository(), lab.files()
    return {codes: lab.run("create", "--json", "--list", "--filter=CE", f"{path}::{codes}", files, codes=codes)
            for codes in ("modern", "legacy")}


@situation
def create_source_missing(lab: Lab) -> dict[str, Recording]:
    path, files = lab.repository(), lab.files()
    return {codes: lab.run("create", "--json", "--list", "--filter=CE", f"{path}::{codes}", files, lab.path("gone"), codes=codes)
            for codes in ("modern", "legacy")}


@situation
def create_unreadable(lab: Lab) -> dict[str, Recording]:
    path, files = lab.path(), lab.files()
    opened(path.parent)
    path.parent.chmod(0o777)
    (files / "a file").chmod(0)
    base = open_base(lab)
    lab.must("init", "--encryption=repokey", path, user=NOBODY, BORG_BASE_DIR=base)
    return {codes: lab.run("create", "--json", "--list", "--filter=CE", f"{path}::{codes}", files, codes=codes, user=NOBODY,
                           BORG_BASE_DIR=base)
            for codes in ("modern", "legacy")}


@situation
def create_changing(lab: Lab) -> dict[str, Recording]:
    path, files = lab.repository(), lab.path("files")
    files.mkdir()
    return {codes: changing(lab, files, f"{path}::{codes}", codes) for codes in ("modern", "legacy")}


@situation
def prune_preview(lab: Lab) -> dict[str, Recording]:
    return lab.both("prune", "--dry-run", "--list", "--keep-daily=1", archived(lab))


@situation
def prune(lab: Lab) -> dict[str, Recording]:
    return {codes: lab.run("prune", "--list", "--keep-daily=1", archived(lab), codes=codes) for codes in ("modern", "legacy")}


# Checks and compaction.


def damaged(lab: Lab) -> Path:
    """A repository with two archives of one file, of which a part is damaged."""
    path, files = lab.repository(), lab.files(100_000)
    for name in ("one", "two"):
        lab.must("create", "--compression=none", f"{path}::{name}", files)
    segment = max((path / "data" / "0").iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[50_000] ^= 0xFF
    segment.write_bytes(content)
    return path


@situation
def check(lab: Lab) -> dict[str, Recording]:
    return lab.both("--info", "check", archived(lab))


@situation
def check_damaged(lab: Lab) -> dict[str, Recording]:
    return lab.both("--info", "check", damaged(lab))


@situation
def check_damaged_data(lab: Lab) -> dict[str, Recording]:
    return lab.both("--info", "check", "--archives-only", "--verify-data", damaged(lab))


@situation
def check_repair(lab: Lab) -> dict[str, Recording]:
    return {codes: lab.run("--info", "check", "--repair", damaged(lab), codes=codes, BORG_CHECK_I_KNOW_WHAT_I_AM_DOING="YES")
            for codes in ("modern", "legacy")}


@situation
def check_repaired(lab: Lab) -> dict[str, Recording]:
    path = damaged(lab)
    lab.must("check", "--repair", path, BORG_CHECK_I_KNOW_WHAT_I_AM_DOING="YES")
    return lab.both("--info", "check", path)


@situation
def check_healable(lab: Lab) -> dict[str, Recording]:
    path, files = lab.repository(), lab.files(100_000)
    lab.must("create", "--compression=none", f"{path}::one", files)
    segment = max((path / "data" / "0").iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[50_000] ^= 0xFF
    segment.write_bytes(content)
    lab.must("check", "--repair", path, BORG_CHECK_I_KNOW_WHAT_I_AM_DOING="YES")
    shutil.rmtree(lab.base / ".cache")  # or borg would take the lost data for there
    lab.must("create", "--compression=none", f"{path}::two", files)
    return lab.both("--info", "check", path)


@situation
def check_part_of_the_repository(lab: Lab) -> dict[str, Recording]:
    path = archived(lab)
    with open(lab.borg, encoding="utf-8") as script:
        interpreter = script.readline()
    hasty = lab.path("borg")
    hasty.write_text(
        f"{interpreter}import itertools, borg.repository, borg.archiver\n"
        "class Hasty: monotonic = staticmethod(itertools.count(0, 100).__next__)\n"
        "borg.repository.time = Hasty\n"
        "borg.archiver.main()\n"
    )
    hasty.chmod(0o755)
    return {codes: Lab(str(hasty), lab.directory).run("--info", "check", "--repository-only", "--max-duration=1", path, codes=codes)
            for codes in ("modern", "legacy")}


@situation
def check_remote(lab: Lab) -> dict[str, Recording]:
    return lab.both("--info", "check", f"ssh://server{damaged(lab)}", BORG_RSH=shell(lab, f"exec {lab.borg} serve --info"),
                    BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")


@situation
def compact(lab: Lab) -> dict[str, Recording]:
    recordings = {}
    for codes in ("modern", "legacy"):
        path = archived(lab)
        lab.must("create", "--compression=none", f"{path}::large", lab.files(3_000_000))
        lab.must("delete", f"{path}::large")
        recordings[codes] = lab.run("--info", "compact", path, codes=codes)
    return recordings


@situation
def compact_remote(lab: Lab) -> dict[str, Recording]:
    return lab.both("--info", "compact", f"ssh://server{archived(lab)}", BORG_RSH=shell(lab, f"exec {lab.borg} serve --info"),
                    BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")


@situation
def compact_append_only(lab: Lab) -> dict[str, Recording]:
    rsh = shell(lab, f"exec {lab.borg} serve --info --append-only")
    return lab.both("--info", "compact", f"ssh://server{archived(lab)}", BORG_RSH=rsh, BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")


@situation
def stale_lock(lab: Lab) -> dict[str, Recording]:
    path = lab.repository()
    recordings = {}
    for codes in ("modern", "legacy"):
        holder = lab.start("with-lock", path, "sleep", "60")
        wait_for(path / "lock.exclusive")
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
        recordings[codes] = lab.run("list", "--json", path, codes=codes)
    return recordings


@situation
def prompt(lab: Lab) -> dict[str, Recording]:
    """A question stands glued in front of the next object."""
    return {codes: lab.run("init", "--encryption=repokey", lab.path(), codes=codes, BORG_PASSPHRASE=None)
            for codes in ("modern", "legacy")}


# Helpers.


class mounted:
    """A small file system of its own."""

    def __init__(self, path: Path, options: str) -> None:
        self.path = path
        self.options = options

    def __enter__(self) -> str:
        self.path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", self.options, "tmpfs", str(self.path)], check=True)
        return str(self.path)

    def __exit__(self, *_error: object) -> None:
        subprocess.run(["umount", str(self.path)], check=True)


def identity(repository: Path) -> str:
    match = re.search(r"^id = (\w+)", (repository / "config").read_text(), re.MULTILINE)
    assert match
    return match.group(1)


def opened(path: Path) -> None:
    """Let everybody read."""
    for each in (path, *path.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)


def open_base(lab: Lab) -> Path:
    base = lab.path("base")
    base.mkdir(mode=0o777)
    base.chmod(0o777)
    for parent in (base.parent, lab.directory):
        parent.chmod(0o755)
    return base


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{path} did not appear")
        time.sleep(0.05)


def slow(fifo: Path) -> Path:
    """Feed a fifo for some seconds."""
    subprocess.Popen(
        [sys.executable, "-c", "import os, sys, time; out = open(sys.argv[1], 'wb')\n"
         "for _ in range(100): out.write(os.urandom(1 << 20)); out.flush(); time.sleep(0.1)", str(fifo)],
        stderr=subprocess.DEVNULL,
    )
    return fifo


def changing(lab: Lab, files: Path, archive: str, codes: str) -> Recording:
    """Back up a file while it is written to, until borg notices."""
    target = files / "changing"
    writer = subprocess.Popen(
        [sys.executable, "-c", "import os, sys\nwhile True:\n with open(sys.argv[1], 'ab') as out: out.write(b'x' * 100000)\n"
         " if os.path.getsize(sys.argv[1]) > 2e8: os.truncate(sys.argv[1], 0)", str(target)],
    )
    try:
        wait_for(target)
        for attempt in range(20):
            recording = lab.run("create", "--json", "--list", "--filter=CE", f"{archive}{attempt}", files, codes=codes)
            if recording["rc"]:
                return recording
    finally:
        writer.kill()
        writer.wait()
    raise SystemExit("no file changed while it was read")


def normalise(text: str, lab: Lab) -> str:
    """Without what differs from machine to machine."""
    for pattern, replacement in (
        (re.escape(str(lab.directory)), "/recording"),
        (re.escape(str(lab.directory)[1:]), "recording"),  # as it stands in archives
        (r"/[^\s\"'\\]*/(?:site|dist)-packages/", "/recording/lib/"),
        (r"/[^\s\"'\\]*/lib/python3\.\d+/", "/recording/python/"),
        (re.escape(lab.borg), "/recording/bin/borg"),
        (r"Platform: .*?(?=\\nBorg: )", "Platform: Linux"),
        (r"PID: \d+", "PID: 1"),
        (r'"time": [\d.]+', '"time": 0'),
        (r"(\"pid\": |pid )\d+", r"\g<1>1"),
    ):
        text = re.sub(pattern, replacement, text)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--borg", default="borg")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--only", nargs="*", help="situations; prints them instead of writing a file")
    arguments = parser.parse_args()
    borg = shutil.which(arguments.borg)
    if borg is None or os.geteuid() != 0:
        parser.error("no such borg" if borg is None else "only root can make all situations")
    version = subprocess.run([borg, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    recordings = {}
    for name, make in SITUATIONS.items():
        if arguments.only and name not in arguments.only:
            continue
        with tempfile.TemporaryDirectory(prefix="record-") as directory:
            os.chmod(directory, 0o755)
            lab = Lab(borg, Path(directory))
            recordings[name] = {
                codes: {key: normalise(value, lab) if isinstance(value, str) else value for key, value in recording.items()}
                for codes, recording in make(lab).items()
            }
        told = recordings[name]
        print(name, told["modern"]["rc"], told["legacy"]["rc"], *re.findall(r'"msgid": "([^"]*)"', told["modern"]["stderr"]), flush=True)
    document = json.dumps({"version": version, "situations": recordings}, indent=1, ensure_ascii=True) + "\n"
    if arguments.only:
        print(document)
    else:
        (arguments.out / f"borg-{version}.json").write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
