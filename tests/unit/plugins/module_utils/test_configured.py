# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _configured
from ansible_collections.fleetbackup.borg.plugins.module_utils._configured import _entry
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import Completed

NAMES = ("label", "encryption_passphrase", "encryption_passcommand", "ssh_command", "remote_path", "local_path", "borg_base_directory")
VALUES = dict.fromkeys((*NAMES, "borg_key_file", "working_directory", "match_archives", "archive_name_format", "archive_hostname",
                        "archive_username"))


@pytest.mark.parametrize(
    ("said", "pattern"),
    [
        ({}, "{hostname}-????-??-??T??:??:??.??????"),
        ({"archive_hostname": "cluster"}, "*-????-??-??T??:??:??.??????"),
        ({"archive_name_format": "{user}-{now}", "archive_username": "me"}, "*-*"),
        ({"archive_name_format": "{hostname}-{now:%Y-%m-%dT%H:%M:%S.%f}"}, "{hostname}-*"),
        ({"archive_name_format": "web1-{utcnow}-{pid}"}, "web1-*-*"),
        ({"archive_name_format": "x-{now}", "match_archives": "sh:web1-*"}, "web1-*"),
        ({"match_archives": "re:^web1-"}, None),
    ],
)
def test_a_configurations_archives_are_known_by_their_names(said, pattern):
    entry = _entry({**VALUES, "path": "/srv/backup", **said}, "borg", None)
    assert entry.match_archives == pattern
    assert str(entry.borg.repository) == "/srv/backup"


def test_borgmatic_finds_its_credentials(monkeypatch, tmp_path):
    seen = {}

    def run(argv, **how):
        seen.update(how)
        return Completed((), 0, "[]", "")

    monkeypatch.setattr(_configured, "run", run)
    monkeypatch.setattr(_configured, "_interpreter", lambda program: program)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    path = tmp_path / "system.yaml"
    path.touch()
    _configured.read_repositories(_configured.Borgmatic("/usr/bin/borgmatic", "2"), str(path), executable="borg", timeout=None)
    assert seen["environment"] == {"CREDENTIALS_DIRECTORY": "/run/credentials/x"}
