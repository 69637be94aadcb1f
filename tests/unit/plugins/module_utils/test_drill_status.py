# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import errno
import json
import re
import stat
from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _drill_status
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import UTC, Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill import Report
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_pick import Pick, Request
from ansible_collections.fleetbackup.borg.plugins.module_utils._drill_status import Ledger, perform
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

BORG = Borg(Location.parse("/srv/x"))
NOW = datetime.datetime.now(UTC)
FILE = Entry("etc/hosts", "-rw-r--r--", 0, 0, "root", "root", 42, 0, "", "")
PICK = Pick("x", Archive("web1-1", "1" * 64, NOW), "web1", [FILE], [FILE])
SAMPLE = re.compile(r'(\w+)\{repository="((?:[^"\\]|\\.)*)",config="((?:[^"\\]|\\.)*)"\} (\S+)')


def report(*problems):
    return Report(PICK, NOW, 1, problems, False, 1.25)


@pytest.fixture(name="ledger")
def fixture_ledger(tmp_path):
    (tmp_path / "textfiles").mkdir()
    return Ledger("ssh://borg@backup1/./web1", "system", str(tmp_path / "state" / "drills"), str(tmp_path / "textfiles"))


def status(ledger):
    (path,) = Path(ledger.directory).iterdir()
    return json.loads(path.read_text(encoding="utf-8"))


def metrics(ledger):
    """What Prometheus would read: name -> value, of lines that its format allows."""
    (path,) = Path(ledger.textfile_directory).iterdir()
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    lines = text.splitlines()
    samples = [SAMPLE.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(samples)
    for sample in samples:
        position = lines.index(sample.group(0))
        assert lines[position - 2].startswith(f"# HELP {sample.group(1)} ")
        assert lines[position - 1] == f"# TYPE {sample.group(1)} gauge"
    assert {sample.group(2, 3) for sample in samples} == {samples[0].group(2, 3)}
    return samples[0].group(2, 3), {sample.group(1): float(sample.group(4)) for sample in samples}


def test_a_drill_that_passed_is_noted(ledger, monkeypatch):
    monkeypatch.setattr(_drill_status, "pick", lambda *_words: PICK)
    monkeypatch.setattr(_drill_status, "drill", lambda *_words: report())
    assert perform(BORG, Request("x"), "/var/tmp", ledger) == report()
    noted = status(ledger)
    assert (noted["verdict"], noted["error"], noted["files"], noted["bytes"]) == ("passed", None, 1, 42)
    assert (noted["repository"], noted["config"], noted["archive"]["name"]) == ("ssh://borg@backup1/./web1", "system", "web1-1")
    labels, values = metrics(ledger)
    assert labels == ("ssh://borg@backup1/./web1", "system")
    assert abs(values.pop("fleetbackup_drill_timestamp_seconds") - NOW.timestamp()) < 60
    assert values.pop("fleetbackup_drill_duration_seconds") < 60
    assert values == {"fleetbackup_drill_success": 1, "fleetbackup_drill_files": 1, "fleetbackup_drill_bytes": 42}


def test_a_drill_that_found_something_is_noted_and_fails(ledger, monkeypatch):
    monkeypatch.setattr(_drill_status, "pick", lambda *_words: PICK)
    monkeypatch.setattr(_drill_status, "drill", lambda *_words: report("etc/hosts: damaged"))
    with pytest.raises(Failure) as caught:
        perform(BORG, Request("x"), "/var/tmp", ledger)
    assert caught.value.error == "integrity"
    noted = status(ledger)
    assert (noted["verdict"], noted["error"], noted["problems"]) == ("failed", "integrity", ["etc/hosts: damaged"])
    assert metrics(ledger)[1]["fleetbackup_drill_success"] == 0


@pytest.mark.parametrize(
    ("raised", "word"),
    [
        (Failure("unreachable", "no"), "unreachable"),
        (OSError(errno.EIO, "Input/output error"), "other"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (ValueError("odd"), "other"),
    ],
)
def test_a_drill_that_could_not_be_done_is_noted_as_failed(ledger, monkeypatch, raised, word):
    def fail(*_words):
        raise raised

    monkeypatch.setattr(_drill_status, "pick", fail)
    with pytest.raises(Failure) as caught:
        perform(BORG, Request("x"), "/var/tmp", ledger)
    assert caught.value.error == word
    noted = status(ledger)
    assert (noted["verdict"], noted["error"], noted["archive"], noted["files"]) == ("failed", word, None, 0)
    assert metrics(ledger)[1]["fleetbackup_drill_success"] == 0


@pytest.mark.parametrize(
    ("outcome", "word", "told"),
    [
        (report(), "other", "How the drill ended could not be noted"),
        (report("etc/hosts: damaged"), "integrity", "etc/hosts: damaged.* How the drill ended could not be noted"),
        (Failure("unreachable", "No way."), "unreachable", "No way[.] How the drill ended could not be noted"),
    ],
)
def test_a_drill_that_cannot_be_noted_fails_of_what_it_found_first(ledger, monkeypatch, outcome, word, told):
    def drilled(*_words):
        if isinstance(outcome, Failure):
            raise outcome
        return outcome

    monkeypatch.setattr(_drill_status, "pick", lambda *_words: PICK)
    monkeypatch.setattr(_drill_status, "drill", drilled)
    Path(ledger.directory).parent.write_text("no directory", encoding="utf-8")
    with pytest.raises(Failure) as caught:
        perform(BORG, Request("x"), "/var/tmp", ledger)
    assert caught.value.error == word
    assert re.search(told, caught.value.msg)


def test_the_notes_are_as_private_as_they_have_to_be(ledger):
    ledger.note(report(), 1)
    (kept,), (told,) = Path(ledger.directory).iterdir(), Path(ledger.textfile_directory).iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept.parent, kept, told)] == [0o700, 0o600, 0o644]
    assert told.name.startswith("fleetbackup_drill_ssh_borg_backup1_web1_") and told.name.endswith(".prom")


def test_repositories_that_read_alike_have_notes_of_their_own(ledger):
    for location in ("/srv/a-b", "/srv/a_b", "/srv/a/b"):
        ledger._replace(repository=location).note(report(), 1)
    assert len(list(Path(ledger.directory).iterdir())) == 3


def test_a_label_may_be_anything(ledger):
    ledger._replace(repository='/srv/a "quoted\\name"\nof two lines').note(report(), 1)
    assert metrics(ledger)[0][0] == '/srv/a \\"quoted\\\\name\\"\\nof two lines'


def test_nothing_is_noted_unasked(tmp_path):
    Ledger("/srv/x").note(report(), 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"directory": "drills"}, "status_directory: 'drills' is no absolute path"),
        ({"textfile_directory": "/nowhere/at/all"}, "textfile_directory: '/nowhere/at/all' is no directory"),
    ],
)
def test_places_where_nothing_can_be_noted_are_refused(given, message):
    with pytest.raises(Failure) as caught:
        Ledger("/srv/x", **given).check()
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith(message)
