# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All attacks, by name, and what came of each."""

from __future__ import annotations

from typing import Any, Callable

import deletion
import impostor
import keys
import repositories
import shells
from machines import Attack

ATTACKS: dict[str, Attack] = {**shells.ATTACKS, **repositories.ATTACKS, **deletion.ATTACKS, **keys.ATTACKS, **impostor.ATTACKS}
Outcomes = dict[str, str]
Module = Callable[..., dict[str, Any]]
