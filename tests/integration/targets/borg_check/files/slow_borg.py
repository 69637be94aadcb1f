# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A borg to whose repository each segment takes 100 seconds."""

from __future__ import annotations

import itertools

import borg.archiver
import borg.repository


class Slow:
    """Stands for the module time."""

    monotonic = staticmethod(itertools.count(0, 100).__next__)


borg.repository.time = Slow
borg.archiver.main()
