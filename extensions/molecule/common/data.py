# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a small tree with all that is easily lost: names, modes, owners, times, attributes, ACLs, holes: data.py DIRECTORY"""

import os
import struct
import sys
from pathlib import Path

NAMES = (b"plain", b"with a blank", "ünïcödé".encode(), b"with a\nnewline", b"not \xff unicode", b"-rf", b"it's \"quoted\" $HOME `id` %n")
NOBODY = 65534
LONG_AGO = 86_399_123_456_789
#: As the kernel keeps it, so that it takes no program: tag, rights, number; a named user and a mask beside what the mode says.
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in ((1, 6, -1), (2, 4, 1234), (4, 0, -1), (16, 4, -1), (32, 0, -1)))


def main() -> None:
    root = Path(sys.argv[1])
    inner = root / "a directory" / "in another"
    inner.mkdir(parents=True)
    for name in NAMES:
        (root / os.fsdecode(name)).write_bytes(os.urandom(1000))
    (inner / "large").write_bytes(os.urandom(3_000_000))
    (inner / "empty").touch()
    (root / "secret").write_bytes(b"mine alone")
    (root / "secret").chmod(0o600)
    (root / "link").symlink_to("with a blank")
    (root / "broken link").symlink_to("nowhere")
    os.link(root / "plain", root / "plain again")
    with (root / "hole").open("wb") as file:
        file.write(b"begin")
        file.seek(40_000_000)
        file.write(b"end")
    os.setxattr(root / "plain", "user.origin", b"a test \x00\xff")
    # not of what nobody may write to: there, only root can bring it back
    os.setxattr(inner.parent, "user.kind", b"directory")
    os.setxattr(root / "secret", "system.posix_acl_access", ACL)
    if os.geteuid() == 0:
        # Only root can read the first, and give away the second.
        (root / "for nobody").write_bytes(b"nobody may read it")
        (root / "for nobody").chmod(0o000)
        os.chown(root / "plain", NOBODY, NOBODY)
    os.utime(root / "secret", ns=(LONG_AGO, LONG_AGO))
    os.utime(inner, ns=(981_173_106_123_456_789, 981_173_106_123_456_789))
    inner.chmod(0o500)


if __name__ == "__main__":
    main()
