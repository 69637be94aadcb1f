# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an extraction that did not end has left."""

from __future__ import annotations

import datetime
import os
import re
import stat
import time
from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._contents import Entry
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._interruption import NOTE, Begun, Note, changed_since, remains
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

NEWEST = Archive("web1", "ab" * 32, datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc))
CHOICE = {"paths": ["srv", "b\udcff"], "patterns": [], "exclude": [], "strip_components": 1}


def note(directory, archive=NEWEST, **choice):
    return Note(str(directory), archive, {**CHOICE, **choice})


class TestNote:
    def test_the_next_run_for_the_same_files_knows_it(self, tmp_path):
        assert note(tmp_path).begun() is None and not note(tmp_path).exists()
        note(tmp_path).write(Begun(1234, ("a\n", "b\udcff")), 1, 2)
        assert note(tmp_path).begun() == Begun(1234, ("a\n", "b\udcff")) and note(tmp_path).exists()
        assert stat.S_IMODE((tmp_path / NOTE).stat().st_mode) == 0o600
        note(tmp_path).remove()
        note(tmp_path).remove()
        assert note(tmp_path).begun() is None

    @pytest.mark.parametrize(
        "other",
        [
            {"archive": NEWEST._replace(id="cd" * 32)},
            {"paths": ["srv"]},
            {"patterns": ["- *.tmp"]},
            {"exclude": ["*.tmp"]},
            {"strip_components": 0},
        ],
    )
    def test_a_run_for_others_is_refused_and_told_of_which_they_are(self, tmp_path, other):
        note(tmp_path).write(Begun(1234), 1, 2)
        with pytest.raises(Failure, match=r"another restore was interrupted here, of web1 \(\{.*srv.*\}\).*othing was extracted") as caught:
            note(tmp_path, **other).check_others(replacing=False)
        assert note(tmp_path, **other).begun() is None
        assert caught.value.error == "unsafe" and str(tmp_path / NOTE) in caught.value.msg

    def test_the_same_files_of_another_archive_may_replace_them_where_that_is_said(self, tmp_path):
        note(tmp_path).write(Begun(1234), 1, 2)
        assert note(tmp_path, NEWEST._replace(id="cd" * 32)).check_others(replacing=True) == "web1"
        assert note(tmp_path).check_others(replacing=True) is None is note(tmp_path / "x").check_others(replacing=False)
        with pytest.raises(Failure, match="another restore was interrupted here"):
            note(tmp_path, NEWEST._replace(id="cd" * 32), paths=["srv"]).check_others(replacing=True)

    @pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo, lambda path: path.write_bytes(b"\xff\0")])
    def test_something_else_is_none(self, tmp_path, make):
        make(tmp_path / NOTE)
        assert note(tmp_path).begun() is None

    def test_a_link_is_none(self, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        note(tmp_path / "elsewhere").write(Begun(1234), 1, 2)
        os.symlink(f"elsewhere/{NOTE}", tmp_path / NOTE)
        assert note(tmp_path).begun() is None


def test_only_what_was_missing_is_made_by_it():
    begun = Begun(0, ("srv", "home/ada"))
    assert begun.has_made("srv") and begun.has_made("srv/data") and begun.has_made("home/ada")
    assert not begun.has_made("home") and not begun.has_made("srv2") and not begun.has_made("home/adam")


def matched(patterns, name):
    """Whether borg takes an entry."""
    lines = patterns.splitlines()
    assert lines[-1] == "- re:.*"
    return f"+ pf:{name}" in lines or any(line.startswith("+ re:") and re.search(line[5:], name) for line in lines)


def entry(path, mode="-rw-r--r--", size=8, source=""):
    return Entry(path, mode, 0, 0, "root", "root", size, 0, source, "")


class TestRemains:
    """Of what stands in the places of an archive's files, what is the beginning of one of them is nobody else's."""

    @pytest.fixture(name="archived")
    def fixture_archived(self, monkeypatch, tmp_path):
        """Contents by name; borg sends what it is asked for, in their order."""
        contents = {}

        def read(_borg, command, *options, output, **_how):
            (patterns,) = [Path(option[16:]) for option in options if option.startswith("--patterns-from=")]
            asked = {name for name in contents if matched(patterns.read_text(), name)}
            assert command == "extract" and options[0] == "--stdout"
            given = dict(contents)
            contents["asked"] = sorted(asked)
            for name, content in given.items():
                if name in asked:
                    try:
                        os.write(output, content)
                    except BrokenPipeError as error:
                        raise Failure("other", "broken pipe") from error
            return Outcome(0, "", Log(""))

        monkeypatch.setattr(Borg, "read", read)
        return contents

    def remains(self, directory, entries, origins=None, moment=0):
        displaced = [each for each in entries if os.path.lexists(directory / each.path)]
        borg = Borg(Location.parse("/srv/x"))
        return remains(borg, NEWEST, str(directory), entries, displaced, origins or {}, Begun(moment))

    def test_a_beginning_is_its_work_and_other_bytes_are_not(self, archived, tmp_path):
        archived.update(half=b"archived", foreign=b"archived", whole=b"archived", longer=b"archived")
        for name, content in (("half", b"arch"), ("foreign", b"Arch"), ("whole", b"archived"), ("longer", b"archived!")):
            (tmp_path / name).write_bytes(content)
        assert self.remains(tmp_path, list(map(entry, ("half", "foreign", "whole", "longer")))) == {"half", "whole"}
        assert "longer" not in archived["asked"]

    def test_an_empty_file_is_and_nothing_is_read_for_it(self, archived, tmp_path):
        (tmp_path / "empty").touch()
        assert self.remains(tmp_path, [entry("empty")]) == {"empty"} and "asked" not in archived

    def test_what_was_there_before_is_not(self, archived, tmp_path):
        archived["half"] = b"archived"
        (tmp_path / "half").write_bytes(b"arch")
        assert self.remains(tmp_path, [entry("half")], moment=int(time.time()) + 60) == set()

    def test_a_further_name_is_compared_with_its_file(self, archived, tmp_path):
        archived.update({"first": b"archived", "b\udcff": b"archived"})
        (tmp_path / "second").write_bytes(b"arch")
        (tmp_path / "third").write_bytes(b"other")
        (tmp_path / "alone").write_bytes(b"arch")
        entries = [entry("first"), *(entry(name, "hrw-r--r--", 0, "first") for name in ("second", "third")), entry("alone", "hrw-r--r--", 0, "gone")]
        assert self.remains(tmp_path, entries) == {"second"}

    def test_a_further_name_is_compared_with_each_file_that_borg_may_mean(self, archived, tmp_path):
        archived["B\udce4r"] = b"different"
        archived["B\udcfcr"] = b"archived"
        (tmp_path / "second").write_bytes(b"arch")
        (tmp_path / "third").write_bytes(b"other")
        entries = [*map(entry, ("B\udce4r", "B\udcfcr")), *(entry(name, "hrw-r--r--", 0, "B?r") for name in ("second", "third"))]
        entries[0] = entries[0]._replace(size=9)
        assert self.remains(tmp_path, entries) == {"second"}

    def test_names_are_the_archived_ones(self, archived, tmp_path):
        archived.update({"srv/b\udcff": b"archived"})
        (tmp_path / "b\udcff").write_bytes(b"arch")
        assert self.remains(tmp_path, [entry("b\udcff")], {"b\udcff": "srv/b\udcff"}) == {"b\udcff"}

    def test_links_and_pipes_have_no_halves(self, archived, tmp_path):
        os.symlink("there", tmp_path / "link")
        os.symlink("elsewhere", tmp_path / "other link")
        os.mkfifo(tmp_path / "pipe")
        os.mkfifo(tmp_path / "no file")
        (tmp_path / "no pipe").touch()
        entries = [entry(name, "lrwxrwxrwx", 0, "there") for name in ("link", "other link")]
        entries += [entry("pipe", "prw-r--r--", 0), entry("no file"), entry("no pipe", "prw-r--r--", 0)]
        assert self.remains(tmp_path, entries) == {"link", "pipe"}

    def test_no_more_is_read_than_it_takes(self, archived, tmp_path):
        archived.update(first=b"archived", last=b"archived" * 1_000_000)
        (tmp_path / "first").write_bytes(b"arch")
        (tmp_path / "last").write_bytes(b"archiveda")
        assert self.remains(tmp_path, [entry("first"), entry("last", size=8_000_000)]) == {"first", "last"}

    def test_borg_that_breaks_off_is_a_failure(self, archived, monkeypatch, tmp_path):
        def fail(*_arguments, **_how):
            raise Failure("unreachable", "gone")

        monkeypatch.setattr(Borg, "read", fail)
        (tmp_path / "half").write_bytes(b"arch")
        with pytest.raises(Failure, match="gone"):
            self.remains(tmp_path, [entry("half")])

    def test_what_borg_does_not_send_is_proven_by_nothing(self, archived, tmp_path):
        (tmp_path / "half").write_bytes(b"arch")
        assert self.remains(tmp_path, [entry("half")]) == set()


def test_what_was_written_since_a_moment_is_known_whatever_its_time_says(tmp_path):
    (tmp_path / "old").touch()
    os.utime(tmp_path / "old", (1, 1))
    now = int(time.time())
    entries = [entry("old"), entry("gone")]
    assert changed_since(entries, str(tmp_path), now - 60) == entries[:1]
    assert changed_since(entries, str(tmp_path), now + 60) == []
