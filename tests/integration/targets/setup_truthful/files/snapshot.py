# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints what stands in some directory trees, as JSON: path -> kind, mode, owner, extended attributes, bytes.

Runs on the target with its own Python, its arguments as JSON in the first one: `paths` and `ignore` (patterns).
A directory's time is left out: a transient lock or a temporary file may move it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import pwd
import stat
import sys


def main() -> None:
    arguments = json.loads(sys.argv[1])
    home = pwd.getpwuid(os.getuid()).pw_dir
    ignored = [pattern.replace("~", home, 1) for pattern in arguments["ignore"]]
    found: dict[str, dict[str, object]] = {}
    for path in arguments["paths"]:
        look(path.replace("~", home, 1) if path.startswith("~") else path, ignored, found)
    json.dump(found, sys.stdout)


def look(path: str, ignored: list[str], found: dict[str, dict[str, object]]) -> None:
    if path in found or any(fnmatch.fnmatchcase(path, pattern) for pattern in ignored):
        return
    try:
        entry = describe(path)
    except FileNotFoundError:  # gone since its directory was listed
        return
    found[path] = entry
    if entry["kind"] == "directory":
        try:
            names = sorted(os.listdir(path))
        except PermissionError:
            entry["names"] = "not readable"
            return
        for name in names:
            look(os.path.join(path, name), ignored, found)


def describe(path: str) -> dict[str, object]:
    status = os.lstat(path)
    entry: dict[str, object] = {
        "mode": oct(stat.S_IMODE(status.st_mode)),
        "owner": f"{status.st_uid}:{status.st_gid}",
        "kind": "other",
    }
    try:
        entry["xattrs"] = {
            name: os.getxattr(path, name, follow_symlinks=False).hex() for name in os.listxattr(path, follow_symlinks=False)
        }
    except OSError:
        pass  # this file system has none
    if stat.S_ISDIR(status.st_mode):
        entry["kind"] = "directory"
    elif stat.S_ISLNK(status.st_mode):
        entry.update(kind="link", target=os.readlink(path))
    elif stat.S_ISREG(status.st_mode):
        entry.update(kind="file", size=status.st_size, modified=status.st_mtime_ns, bytes=digest(path))
    return entry


def digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except PermissionError:
        return "not readable"


if __name__ == "__main__":
    main()
