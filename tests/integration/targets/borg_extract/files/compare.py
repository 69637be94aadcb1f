# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""compare.py TREE OTHER [IGNORED...]: prints what differs between two trees, attribute by attribute; nothing where they are equal.

ACLs are extended attributes, too.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys


def look(root: bytes) -> dict[bytes, dict[str, object]]:
    found: dict[bytes, dict[str, object]] = {b".": describe(root)}
    inodes: dict[int, list[bytes]] = {}
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, root)
            found[relative] = describe(path)
            if stat.S_ISREG(os.lstat(path).st_mode):
                inodes.setdefault(os.lstat(path).st_ino, []).append(relative)
    for names in inodes.values():
        for name in names:
            found[name]["names"] = sorted(names)
    return found


def describe(path: bytes) -> dict[str, object]:
    status = os.lstat(path)
    entry: dict[str, object] = {
        "mode": stat.filemode(status.st_mode),
        "owner": (status.st_uid, status.st_gid),
        "modified": status.st_mtime_ns,
        "xattrs": {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(os.listxattr(path, follow_symlinks=False))},
    }
    if stat.S_ISLNK(status.st_mode):
        entry["target"] = os.readlink(path)
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            entry["content"] = hashlib.sha256(file.read()).hexdigest()
    return entry


def main() -> None:
    one, other = look(os.fsencode(sys.argv[1])), look(os.fsencode(sys.argv[2]))
    if len(one) < 2:
        print("nothing to compare")
    for path in sorted(one.keys() | other.keys()):
        if path not in one or path not in other:
            print(path, "is in", "the first" if path in one else "the second", "only")
            continue
        for key in sorted(one[path].keys() | other[path].keys()):
            if one[path].get(key) != other[path].get(key) and key not in sys.argv[3:]:
                print(path, key, one[path].get(key), other[path].get(key))


main()
