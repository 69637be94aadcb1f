# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How this machine reaches package mirrors, where that takes more than its own configuration."""

from __future__ import annotations

import os

_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def network_environment() -> dict[str, str]:
    """The variables for it that the caller was given, as by a task's ``environment``."""
    return {name: value for name, value in os.environ.items() if name.upper() in _NAMES or name.startswith("PIP_")}
