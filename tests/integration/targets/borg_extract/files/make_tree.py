# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make_tree.py DIRECTORY: makes a tree there with everything that a file system can hold and borg can bring back."""

from __future__ import annotations

import os
import subprocess
import sys

NAMES = (
    b" leading space", b"trailing space ", b"two\nlines", b"it's \"quoted\"", b"$HOME {now}", b"-n", "B\u00fccher \u65e5\u672c".encode(),
    b"not utf-8 \xff\xfe", b"back\\slash", b"star*", b"st[ar]", b"question?",
)
TIME = 1_600_000_000_123_456_789


def write(path: str | bytes, content: bytes = b"content\n", mode: int = 0o644) -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def main() -> None:
    os.mkdir(sys.argv[1])
    os.chdir(sys.argv[1])
    for directory in ("names", "modes", "modes/sticky", "links", "links/below", "owners", "extended", "empty", "empty/empty", "closed"):
        os.mkdir(directory)
    write("plain")
    write("nothing", b"")
    for name in NAMES:
        write(b"names/" + name, name)
    for mode in (0o000, 0o400, 0o644, 0o4755, 0o2755, 0o1777):
        write(f"modes/{mode:04o}", b"%o" % mode, mode)
    os.chmod("modes/sticky", 0o1777)
    write("closed/file")
    os.chmod("closed", 0o000)
    write("owners/daemon")
    os.chown("owners/daemon", 1, 12345)
    write("owners/nobody knows")
    os.chown("owners/nobody knows", 54321, 54321)
    make_links()
    with open("sparse", "wb") as file:
        file.seek(3_000_000)
        file.write(b"end")
    write("extended/file")
    os.setxattr("extended/file", "user.origin", b"elsewhere \xff")
    os.setxattr("extended", "user.kind", b"directory")
    subprocess.run(["setfacl", "--modify", "user:daemon:r,user:54321:rw", "extended/file"], check=True)
    subprocess.run(["setfacl", "--modify", "default:group:daemon:rx", "extended"], check=True)
    number = 0
    for directory, directories, files in os.walk(".", topdown=False):
        for name in sorted(files + directories):
            number += 1
            os.utime(os.path.join(directory, name), ns=(TIME, TIME + number * 10**9 + number * 1_000_003), follow_symlinks=False)
    write("future")
    os.utime("future", ns=(TIME, 2_100_000_000_999_999_999))
    os.utime(".", ns=(TIME, TIME + 999))


def make_links() -> None:
    write("links/first", b"one file, four names\n")
    os.link("links/first", "links/second")
    os.link("links/first", "links/below/third")
    os.link("links/first", "another name")
    os.symlink("nowhere", "links/dangling")
    os.symlink("/etc/hostname", "links/absolute")
    os.symlink("below", "links/directory")
    os.symlink("../modes/sticky", "links/above")
    os.symlink(b"not utf-8 \xff", "links/bytes")
    os.lchown("links/dangling", 1, 1)
    os.mkfifo("fifo", 0o640)


main()
