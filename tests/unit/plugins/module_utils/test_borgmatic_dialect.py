# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document for one version of borgmatic."""

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_dialect import translate
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

DOCUMENT = {
    "source_directories": ["/etc"],
    "repositories": [{"path": "/srv/backup", "label": "local", "encryption": "repokey", "append_only": True}],
    "keep_daily": 7,
    "umask": 77,
    "check_repositories": ["local"],
}


def refused(document, version):
    with pytest.raises(Failure) as caught:
        translate({"repositories": [], **document}, version)
    assert caught.value.error == "version"
    assert f"The installed borgmatic {version}" in caught.value.msg
    return caught.value.msg


class TestForm:
    @pytest.mark.parametrize("version", ["2.0.0", "2.1.10", "3.0"])
    def test_all_of_it(self, version):
        assert translate(DOCUMENT, version) == (DOCUMENT, [])

    @pytest.mark.parametrize("version", ["1.8.0", "1.9.14"])
    def test_without_what_creates_a_repository(self, version):
        document = {**DOCUMENT, "repositories": [{"path": "/srv/backup", "label": "local"}]}
        assert translate(DOCUMENT, version) == (document, ["repositories[0].encryption", "repositories[0].append_only"])

    @pytest.mark.parametrize("version", ["1.7.7", "1.7.15"])
    def test_by_sections_with_paths_alone(self, version):
        assert translate(DOCUMENT, version) == (
            {
                "location": {"source_directories": ["/etc"], "repositories": ["/srv/backup"]},
                "storage": {"umask": 77},
                "retention": {"keep_daily": 7},
                "consistency": {"check_repositories": ["/srv/backup"]},
                "hooks": {"umask": 77},
            },
            [f"repositories[0].{name}" for name in ("label", "encryption", "append_only")],
        )

    def test_what_no_section_knows_stays_outside(self):
        assert translate({"repositories": [], "constants": {"a": 1}, "xyzzy": 2}, "1.7.15").document == {
            "location": {"repositories": []},
            "constants": {"a": 1},
            "xyzzy": 2,
        }

    def test_the_document_itself_is_left_alone(self):
        translate(DOCUMENT, "1.7.7")
        assert DOCUMENT["repositories"][0]["label"] == "local"


class TestVersions:
    @pytest.mark.parametrize(
        "document, version, says",
        [
            ({"log_file": "/x"}, "1.9.14", "log_file is read from borgmatic 2.0.0 on"),
            ({"commands": []}, "1.9.14", "commands is read from borgmatic 2.0.0 on"),
            ({"skip_actions": ["prune"]}, "1.7.7", "skip_actions is read from borgmatic 1.8.5 on"),
            ({"cronhub": {}}, "2.1.7", "cronhub is read up to borgmatic 2.1.6"),
            ({"repositories": [{"path": "/a", "keep_daily": 7}]}, "2.1.9", "repositories[0].keep_daily is read from borgmatic 2.1.10 on"),
            ({"repositories": [{"path": "/a", "id_hash": "x"}]}, "2.1.6", "repositories[0].id_hash is read from borgmatic 2.1.7 on"),
            (
                {"encryption_passphrase": "{credential file /x}"},
                "1.9.9",
                "encryption_passphrase: {credential ...} is read from borgmatic 1.9.10 on",
            ),
            ({"ntfy": {"a": [{"b": "{credential x y}"}]}}, "1.8.14", "ntfy: {credential ...} is read from borgmatic 1.9.10 on"),
            ({}, "1.5.12", "borgmatic before 1.7.0 is not supported"),
        ],
    )
    def test_what_it_cannot_read(self, document, version, says):
        assert says in refused(document, version)

    def test_everything_at_once_and_no_value(self):
        message = refused({"log_file": "/canary", "commands": ["canary"]}, "1.9.14")
        assert "log_file is" in message and "commands is" in message
        assert "canary" not in message

    @pytest.mark.parametrize(
        "document, version",
        [
            ({"log_file": "/x"}, "2.0.0"),
            ({"cronhub": {}}, "2.1.6"),
            ({"repositories": [{"path": "/a", "keep_daily": 7}]}, "2.1.10"),
            ({"encryption_passphrase": "{credential file /x}"}, "1.9.10"),
            ({"encryption_passphrase": "my {credential file /x}"}, "1.7.7"),
            ({"encryption_passphrase": "{credentials}"}, "1.7.7"),
            ({"xyzzy": 1}, "1.7.7"),
        ],
    )
    def test_what_it_can(self, document, version):
        translate({"repositories": [], **document}, version)
