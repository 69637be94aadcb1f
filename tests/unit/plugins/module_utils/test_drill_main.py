# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import errno

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _drill_main
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC, Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic import Borgmatic
from ansible_collections.fleetbackup.borg.plugins.module_utils._configured import Entry
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill import Report
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_main import main
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_pick import Pick
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg
from ansible_collections.fleetbackup.borg.plugins.module_utils._scratch import Ended

NOW = datetime.datetime.now(UTC)
CONFIGS = {
    "/etc/borgmatic.d/system.yaml": [
        Entry("one", Borg(Location.parse("/srv/one")), "web1-*"),
        Entry("two", Borg(Location.parse("ssh://borg@backup1/./two"), base_directory="/srv/base")),
    ],
    "/etc/borgmatic.d/home.yaml": [Entry("three", Borg(Location.parse("/srv/three")))],
}


@pytest.fixture(name="drilled")
def fixture_drilled(monkeypatch):
    """What was drilled: borg, request, scratch directory, ledger. Those whose locations are in ``failing`` fail."""

    class Drilled(list):
        failing: set[str] = set()
        fails_of: Exception = Failure("integrity", "etc/hosts is damaged")

        def perform(self, borg, request, scratch_directory, ledger):
            self.append((borg, request, scratch_directory, ledger))
            if str(borg.repository) in self.failing:
                raise self.fails_of
            return Report(Pick("x", Archive("web1-1", "1", NOW), "web1", [], []), NOW, 0, [], False, 1.0)

    drilled = Drilled()
    monkeypatch.setattr(_drill_main, "perform", drilled.perform)
    monkeypatch.setattr(_drill_main.Borgmatic, "find", lambda program: Borgmatic(program, "2.1.10"))
    monkeypatch.setattr(_drill_main, "read_repositories", lambda _borgmatic, path, **_how: CONFIGS[path])
    return drilled


def arguments(*more):
    return [*(f"--config={path}" for path in CONFIGS), *more]


def test_every_repository_of_every_configuration_is_drilled(drilled, capsys):
    assert main(arguments("--status-directory=/srv/drills", "--scratch-directory=/srv/scratch")) == 0
    assert [(ledger.repository, ledger.config, ledger.directory) for _borg, _request, _scratch, ledger in drilled] == [
        ("/srv/one", "system", "/srv/drills"),
        ("ssh://borg@backup1/./two", "system", "/srv/drills"),
        ("/srv/three", "home", "/srv/drills"),
    ]
    assert [request.match for _borg, request, _scratch, _ledger in drilled] == ["web1-*", None, None]
    assert {scratch for _borg, _request, scratch, _ledger in drilled} == {"/srv/scratch"}
    assert capsys.readouterr().out.count("drill passed: web1-1") == 3


def test_one_that_fails_stops_no_other(drilled, capsys):
    drilled.failing = {"/srv/one"}
    assert main(arguments()) == 1
    assert len(drilled) == 3
    assert "/srv/one: drill failed (integrity): etc/hosts is damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/var/tmp/x"), "drill failed (disk_full): No space left on device on /var/tmp/x"),
        (ValueError("odd"), "drill failed (other): Unforeseen ValueError"),
    ],
)
def test_whatever_one_fails_of_the_others_are_drilled_and_it_is_told(drilled, capsys, error, told):
    drilled.failing, drilled.fails_of = {"/srv/one"}, error
    assert main(arguments()) == 1
    assert len(drilled) == 3
    assert f"/srv/one: {told}" in capsys.readouterr().out


def test_once_told_to_end_it_begins_with_no_other(drilled, capsys):
    drilled.failing, drilled.fails_of = {"/srv/one"}, Ended()
    with pytest.raises(SystemExit) as caught:
        main(arguments())
    assert caught.value.code == 1
    assert len(drilled) == 1
    assert "/srv/one: drill failed (timeout): This was told to end" in capsys.readouterr().out


@pytest.mark.parametrize("error", [Failure("invalid_argument", "no YAML"), OSError(errno.EIO, "Input/output error")])
def test_a_configuration_that_cannot_be_read_stops_no_other(drilled, monkeypatch, capsys, error):
    first, second = CONFIGS

    def read(_borgmatic, path, **_how):
        if path == first:
            raise error
        return CONFIGS[path]

    monkeypatch.setattr(_drill_main, "read_repositories", read)
    assert main(arguments()) == 1
    assert [ledger.config for *_others, ledger in drilled] == ["home"]
    assert f"{first}: drill failed (" in capsys.readouterr().out


def test_options_are_those_of_the_module(drilled):
    main(arguments("--full", "--sample=3", "--sample-bytes=9", "--within=1w", "--witness=/srv/w", "--seed=s", "--lock-wait=7"))
    borg, request, _scratch, _ledger = drilled[2]
    assert borg.lock_wait == 7
    assert (request.full, request.sample, request.sample_bytes, request.within) == (True, 3, 9, "1w")
    assert (request.witness, request.seed) == ("/srv/w", "s")


def test_borgs_directory_is_the_configurations_or_the_schedules(drilled, monkeypatch):
    monkeypatch.setenv("BORG_BASE_DIR", "/var/lib/borg")
    main(arguments())
    assert [borg.base_directory for borg, *_others in drilled] == ["/var/lib/borg", "/srv/base", "/var/lib/borg"]


def test_what_nobody_can_mean_is_refused(drilled, capsys):
    assert main(arguments("--within=x")) == 1
    assert "drill failed (invalid_argument): within: 'x' is no interval" in capsys.readouterr().out
    assert not drilled


def test_under_cron_it_reports_to_syslog(drilled, monkeypatch, capsys):
    said = []
    monkeypatch.setattr(_drill_main.syslog, "syslog", lambda priority, text: said.append((priority, text)))
    drilled.failing = {"/srv/one"}
    main(arguments("--syslog"))
    assert [priority == _drill_main.syslog.LOG_ERR for priority, _text in said] == [True, False, False]
    assert capsys.readouterr().out == ""
