# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints what a tree holds: manifest.py DIRECTORY [holes]"""

import hashlib
import json
import os
import stat
import sys


def main() -> None:
    root = sys.argv[1]
    paths = sorted([root] + [os.path.join(directory, name) for directory, *names in os.walk(root) for name in sum(names, [])])
    first = {}
    print(json.dumps({os.path.relpath(path, root): described(path, os.path.relpath(path, root), first) for path in paths}))


def described(path: str, name: str, first: dict) -> list:
    """What a restore has to bring back of a file: mode, owner, time, content, extended attributes (ACLs among them), hard links, and holes,
    where they count.

    :param first: the first name of each file so far.
    """
    found = os.lstat(path)
    attributes = {key: os.getxattr(path, key, follow_symlinks=False).hex() for key in sorted(os.listxattr(path, follow_symlinks=False))}
    same = name if stat.S_ISDIR(found.st_mode) else first.setdefault(found.st_ino, name)
    sparse = "holes" in sys.argv[2:] and found.st_size > 1_000_000 and found.st_blocks * 512 < found.st_size // 2
    return [stat.filemode(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns, contents(path, found.st_mode), attributes, same, sparse]


def contents(path: str, mode: int) -> "str | None":
    if stat.S_ISLNK(mode):
        return os.readlink(path)
    if not stat.S_ISREG(mode):
        return None
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


if __name__ == "__main__":
    main()
