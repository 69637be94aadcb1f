# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""craft.py: makes in BORG_REPO archives that borg alone would not make, whose files would land outside of a destination,
or be further names of files there."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile

CRAFTED = {
    "above": [("file", "inside"), ("file", "../../escaped")],
    "middle": [("file", "inside"), ("file", "inner/../../escaped")],
    "absolute": [("file", "inside"), ("file", "/tmp/escaped")],
    "shortened": [("file", "inside"), ("file", "inner//tmp/escaped")],
    "through": [("link", "inner"), ("file", "inner/escaped")],
    "deep": [("link", "outer/inner"), ("file", "outer/inner/below/escaped")],
    "spelt": [("link", "inner"), ("file", "./inner//escaped")],
    "name-above": [("name of ../victim", "escaped")],
    "name-middle": [("name of inner/../../victim", "escaped")],
    "name-absolute": [("name of /victim", "escaped")],
    "name-through": [("link to ..", "inner"), ("name of inner/victim", "escaped")],
    "name-link": [("link to ../victim", "inner"), ("name of inner", "escaped")],
    "name-bytes": [("link to ..", "b\udcff"), ("name of b\udcff/victim", "escaped")],
    "name-twice": [("file", "inside"), ("link to ../victim", "b\udcff"), ("name of inside", "b\udcfe"), ("name of b\udcff", "escaped")],
    # The link is at the destination already.
    "name-destination": [("name of present/victim", "escaped")],
}


def tar(members: list[tuple[str, str]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for kind, name in members:
            member = tarfile.TarInfo(name)
            if kind.startswith("link"):
                member.type, member.linkname = tarfile.SYMTYPE, kind[len("link to ") :] or "/tmp"
            elif kind.startswith("name of "):
                member.type, member.linkname = tarfile.LNKTYPE, kind[len("name of ") :]
            archive.addfile(member)
    return stream.getvalue()


if sys.argv[1:]:  # borg itself, without its care for paths
    import borg.archive
    import borg.archiver

    borg.archive.make_path_safe = lambda path: path
    borg.archiver.main()
else:
    for name, members in CRAFTED.items():
        with open(f"{name}.tar", "wb") as file:
            file.write(tar(members))
        subprocess.run([sys.executable, __file__, "import-tar", f"::{name}", f"{name}.tar"], check=True)
        os.remove(f"{name}.tar")
