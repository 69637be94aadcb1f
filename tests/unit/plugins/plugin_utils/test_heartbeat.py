# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

from ansible_collections.fleetbackup.borg.plugins.plugin_utils._heartbeat import heartbeat


def test_it_speaks_while_the_work_goes_on_and_not_afterwards():
    said = []
    with heartbeat("web1", "ssh://borg@backup1/./web1", said.append, every=0.05):
        time.sleep(0.3)
    assert 2 <= len(said) <= 6 and all(line.startswith("[web1] ssh://borg@backup1/./web1: running for ") for line in said)
    before = len(said)
    time.sleep(0.15)
    assert len(said) == before


def test_short_work_is_silent():
    said = []
    with heartbeat("web1", "x", said.append):
        pass
    assert said == []
