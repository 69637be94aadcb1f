# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""tomorrow.py ARGUMENT...: runs borg with the repository's clock one day ahead; archives keep the real time."""

from __future__ import annotations

import datetime

import borg.helpers.manifest
from borg.archiver import main


def tomorrow() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(days=1)


class Tomorrow(datetime.datetime):
    """A datetime whose present is tomorrow."""

    utcnow = staticmethod(tomorrow)


if hasattr(borg.helpers.manifest, "utcnow"):  # 1.4
    borg.helpers.manifest.utcnow = tomorrow
else:
    borg.helpers.manifest.datetime = Tomorrow
main()
