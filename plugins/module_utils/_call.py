# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ensures a resource has to know of who asks for it: AnsibleModule, or one module that asks in the name of several."""

from __future__ import annotations

from typing import Any, Protocol


class Call(Protocol):
    """One call of a module, its arguments judged already.

    :ivar params: the arguments with their defaults.
    :ivar check_mode: predict, and change nothing.
    :ivar tmpdir: where temporary files may be.
    """

    params: dict[str, Any]
    check_mode: bool
    _diff: bool
    tmpdir: str
