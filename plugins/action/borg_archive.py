# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module borg_archive: what the target answers makes no variables."""

from __future__ import annotations

from ansible_collections.fleetbackup.borg.plugins.plugin_utils._factless import FactlessAction


class ActionModule(FactlessAction):
    """Runs the module."""
