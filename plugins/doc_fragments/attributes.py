# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What every module of the collection supports
    DOCUMENTATION = r"""
options: {}
attributes:
  action:
    description: Has a corresponding action plugin, so that some of it runs on the controller.
    support: full
    details: It takes no facts from the target.
  async:
    description: Supports being used with the C(async) keyword.
    support: full
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying the target.
    support: full
  diff_mode:
    description: Returns what has changed (or would change in check mode), without secrets.
    support: full
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run changes nothing.
    support: full
  platform:
    description: Target operating systems.
    support: full
    platforms: posix
"""

    # For modules that only look
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying the target.
    support: full
    details: This module does not change anything.
  diff_mode:
    description: Returns what has changed (or would change in check mode), without secrets.
    support: N/A
    details: This module does not change anything.
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run changes nothing.
    support: full
    details: This module does not change anything.
  platform:
    description: Target operating systems.
    support: full
    platforms: posix
"""

    ACTIONGROUP_BORG = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/fleetbackup.borg.borg) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - fleetbackup.borg.borg
"""
