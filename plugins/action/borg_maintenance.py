# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module borg_maintenance: a maintenance may take hours, and people see that it goes on."""

from __future__ import annotations

from ansible_collections.fleetbackup.borg.plugins.plugin_utils._heartbeat import BeatingAction


class ActionModule(BeatingAction):
    """Runs the module."""
