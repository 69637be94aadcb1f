# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody who misspelt a name may have meant."""

from __future__ import annotations

import difflib
from typing import Any, Iterable


def nearest(name: Any, known: Iterable[Any], likeness: float = 0.6) -> str:
    """The end of a sentence that offers the most similar known name, if there is one.

    :param likeness: how similar it has to be, from 0 to 1.
    """
    found = difflib.get_close_matches(str(name), [str(one) for one in known], 1, likeness)
    return f"; did you mean {found[0]}?" if found else ""
