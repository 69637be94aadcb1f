# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import time

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _contents
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

MTIME = 1_700_000_000_000_000


@pytest.fixture(name="entries")
def fixture_entries(recorded, monkeypatch):
    told = recorded["list_contents"]
    stdout = os.fsencode(told["stdout"]).decode("unicode_escape")  # as the process helper does for escaped output
    monkeypatch.setattr(Borg, "read", lambda self, *words, **how: Outcome(told["rc"], stdout, Log(told["stderr"])))

    def read(*paths, **how):
        return _contents.read_contents(Borg(Location.parse("/srv/x")), "a", paths, **how)

    return read


def by_name(entries):
    return {entry.path.rpartition("/")[2]: entry for entry in entries}


def test_recorded_contents_are_read_whole(entries):
    found = by_name(entries(hashes=True))
    assert set(found) == {"files", "sub", "a file", "link", "other name", "é→\n", "not utf-8 \udcff"}
    assert {entry.mtime for entry in found.values()} == {MTIME}
    # which of the two names of one file comes first depends on the file system
    plain, linked = sorted((found["a file"], found["other name"]), key=lambda entry: "-h".index(entry.kind))
    assert (plain.kind, plain.mode, plain.size, plain.uid, plain.user, plain.source) == ("-", "-rw-r--r--", 1000, 0, "root", "")
    assert len(plain.sha256) == 64
    assert (linked.kind, linked.source) == ("h", plain.path)
    assert (found["link"].kind, found["link"].source) == ("l", "a file")
    assert found["sub"].kind == "d"


def test_names_keep_their_bytes(entries):
    names = {os.fsencode(entry.path).rpartition(b"/")[2] for entry in entries(hashes=True)}
    assert b"not utf-8 \xff" in names
    assert "é→\n".encode() in names


def test_for_a_result_bytes_become_escapes(entries):
    results = {entry.as_result()["path"].rpartition("/")[2]: entry.as_result() for entry in entries(hashes=True)}
    assert "not utf-8 \\xff" in results
    assert results["link"]["target"] == "a file"
    assert results["é→\n"]["target"] is None
    assert results["a file"]["mtime"] == "2023-11-14T22:13:20+00:00"


def test_a_path_that_is_in_the_archive_is_content(entries):
    whole = entries(hashes=True)[0].path
    assert entries(f"/{whole}/sub/", hashes=True)


def test_a_path_that_is_not_in_the_archive_is_told(entries):
    with pytest.raises(Failure) as caught:
        entries("recordin", hashes=True)
    assert caught.value.error == "source_missing"
    assert "holds no path 'recordin'" in caught.value.msg


def test_an_empty_archive_has_no_contents(monkeypatch):
    monkeypatch.setattr(Borg, "read", lambda self, *words, **how: Outcome(0, "", Log("")))
    assert _contents.read_contents(Borg(Location.parse("/srv/x")), "a") == []


@pytest.mark.parametrize("size", [1, 7, 100])
def test_it_does_not_matter_where_a_listing_is_cut(entries, monkeypatch, size):
    whole = entries(hashes=True)
    monkeypatch.setattr(_contents, "_PIECE", size)
    assert entries(hashes=True) == whole


class TestExactly:
    """borg is told any number of names, whatever they hold."""

    @pytest.fixture(name="patterns")
    def fixture_patterns(self, tmp_path):
        def patterns(names):
            assert _contents.exactly(names, str(tmp_path / "patterns")) == f"--patterns-from={tmp_path}/patterns"
            return (tmp_path / "patterns").read_text(encoding="utf-8").splitlines()

        return patterns

    def test_names_of_one_line_are_told_as_they_are(self, patterns):
        names = ["plain", "#odd", "-n", "B\u00fccher/\u65e5\u672c", "a b", "."]
        assert patterns(names) == [*(f"+ pf:{name}" for name in names), "- re:.*"]

    @pytest.mark.parametrize("name", ["two\nlines", "a\rb", " before", "after ", "after\u3000", "bytes\udcff", "./x", "a//b", "st[ar]*\udcff"])
    def test_others_are_told_too_and_nothing_else_is(self, patterns, name):
        plain, others, rest = patterns([name, "plain"])
        assert (plain, others[:5], rest, others.isascii()) == ("+ pf:plain", "+ re:", "- re:.*", True)
        assert re.search(others[5:], name)
        for other in (f"{name}x", f"x{name}", name[:-1], f"{name}\n", f"x/{name}", f"{name}/x", name.replace("\udcff", "\udcfe") + "x"):
            assert not re.search(others[5:], other)

    def test_names_that_begin_alike_are_told_apart(self, patterns):
        names = ["\udcff", "\udcffa", "\udcffab", "\udcffac", "b\udcff/c", "b\udcff/d", "b\udcfe"]
        others = patterns(names)[0][5:]
        assert all(re.search(others, name) for name in names)
        assert not any(re.search(others, name) for name in ("b\udcff", "b\udcff/", "b\udcff/cd", "", "a", "\udcffabc", "c"))

    def test_thousands_are_found_at_once(self, patterns):
        names = [f"B\udce4r/{number}" for number in range(30_000)]
        others = re.compile(patterns(names)[0][5:])
        began = time.process_time()
        assert all(map(others.search, names)) and not others.search("B\udce4r/30000")
        assert time.process_time() - began < 5

    def test_however_deep_they_are_they_are_found(self, patterns):
        names = ["\udcff" + "a" * number for number in range(2000)]
        assert all(map(re.compile(patterns(names)[0][5:]).search, names))
