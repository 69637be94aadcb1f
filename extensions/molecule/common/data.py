# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a small tree with names, modes, owners and times that are easily lost: data.py DIRECTORY"""

import os
import sys
from pathlib import Path

NAMES = (b"plain", b"with a blank", "ünïcödé".encode(), b"with a\nnewline", b"not \xff unicode", b"-rf", b"it's \"quoted\" $HOME `id` %n")
NOBODY = 65534
LONG_AGO = 86_399_123_456_789


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
