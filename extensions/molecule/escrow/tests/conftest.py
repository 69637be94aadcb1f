# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of the rotations that were killed, at the end."""

from __future__ import annotations

import pytest

Rows = list[tuple[str, ...]]
ROWS: Rows = [("killed at", "opened by", "bundles hold", "client has", "timers", "then")]


@pytest.fixture(scope="session")
def rows() -> Rows:
    return ROWS


def pytest_terminal_summary(terminalreporter) -> None:
    if ROWS[1:]:
        terminalreporter.section("killed rotations, and what the next run made of them")
        widths = [max(map(len, column)) for column in zip(*ROWS)]
        for row in ROWS:
            terminalreporter.write_line(" | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip())
