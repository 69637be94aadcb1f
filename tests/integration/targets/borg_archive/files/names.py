# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""names.py DIRECTORY: makes eight files there whose names invite mistakes."""

from __future__ import annotations

import os
import sys

NAMES = (b" leading space", b"two\nlines", b"it's \"quoted\"", b"$HOME {now}", b"-n", "B\u00fccher".encode(), b"not utf-8 \xff\xfe", b"back\\slash")

directory = os.fsencode(sys.argv[1])
os.mkdir(directory)
for name in NAMES:
    with open(os.path.join(directory, name), "wb") as file:
        file.write(name)
