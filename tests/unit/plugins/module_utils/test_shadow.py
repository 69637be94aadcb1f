# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._shadow import shadow


@pytest.fixture(name="base")
def fixture_base(tmp_path):
    """A base directory of borg's with one known repository."""
    for name, content in (
        (".config/borg/security/id/location", "/srv/x"),
        (".config/borg/keys/key", "BORG_KEY"),
        (".cache/borg/id/config", "[cache]"),
        (".cache/borg/id/chunks", "chunks"),
        (".cache/borg/id/chunks.archive.d/one", "list"),
        (".cache/borg/id/files", "files"),
        (".cache/borg/other/chunks", "other"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def tree(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_borg_remembers_what_it_has_seen_in_a_copy(base):
    with shadow(str(base)) as view:
        location = os.path.join(view["BORG_SECURITY_DIR"], "id", "location")
        assert open(location).read() == "/srv/x"
        with open(location, "w") as file:
            file.write("elsewhere")
        os.makedirs(os.path.join(view["BORG_SECURITY_DIR"], "new"))
    assert (base / ".config/borg/security/id/location").read_text() == "/srv/x"
    assert not (base / ".config/borg/security/new").exists()


def test_keys_stay_where_they_are(base):
    with shadow(str(base)) as view:
        assert view["BORG_KEYS_DIR"] == str(base / ".config/borg/keys")


def test_nothing_is_made_where_there_is_nothing(tmp_path):
    with shadow(str(tmp_path)) as view:
        for path in view.values():
            assert not path.startswith(str(tmp_path))
    assert tree(tmp_path) == []


def test_the_view_is_private_and_gone_afterwards(base):
    before = tree(base)
    with shadow(str(base)) as view:
        directory = os.path.dirname(view["BORG_CACHE_DIR"])
        assert os.stat(directory).st_mode & 0o777 == 0o700
    assert not os.path.exists(directory)
    assert tree(base) == before


def test_it_is_gone_after_a_failure_too_and_no_message_names_it(base):
    with pytest.raises(Failure) as caught, shadow(str(base)) as view:
        directory = os.path.dirname(view["BORG_CACHE_DIR"])
        raise Failure("other", f"in {directory}/security", stderr=directory)
    assert not os.path.exists(directory)
    assert (caught.value.msg, caught.value.stderr) == (f"in {base}/.config/borg/security", f"{base}/.config/borg")


def test_a_cache_is_empty_unless_it_is_needed(base):
    with shadow(str(base)) as view:
        assert not os.path.exists(view["BORG_CACHE_DIR"])


def test_a_needed_cache_is_copied_as_far_as_borg_writes_into_its_files(base):
    with shadow(str(base), "id") as view:
        for name in ("chunks", "config"):
            with open(os.path.join(view["BORG_CACHE_DIR"], "id", name), "w") as file:
                file.write("new")
        assert not os.path.exists(os.path.join(view["BORG_CACHE_DIR"], "other"))
    assert (base / ".cache/borg/id/chunks").read_text() == "chunks"
    assert (base / ".cache/borg/id/config").read_text() == "[cache]"


@pytest.mark.parametrize("name", ["files", "chunks.archive.d/one"])
def test_the_large_files_of_a_needed_cache_are_linked_and_replacing_them_changes_nothing(base, name):
    original = base / ".cache/borg/id" / name
    before = original.read_text()
    with shadow(str(base), "id") as view:
        linked = os.path.join(view["BORG_CACHE_DIR"], "id", name)
        assert os.stat(linked).st_ino == os.stat(original).st_ino
        with open(linked + ".tmp", "w") as file:
            file.write("new")
        os.replace(linked + ".tmp", linked)
    assert original.read_text() == before


def test_a_file_that_cannot_be_linked_is_copied(base, monkeypatch):
    def refuse(*arguments, **how):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with shadow(str(base), "id") as view:
        assert open(os.path.join(view["BORG_CACHE_DIR"], "id", "files")).read() == "files"


def test_a_repository_without_a_cache_gets_an_empty_one(base):
    with shadow(str(base), "unknown") as view:
        assert not os.path.exists(view["BORG_CACHE_DIR"])
    assert tree(base / ".cache/borg") == [
        "id", "id/chunks", "id/chunks.archive.d", "id/chunks.archive.d/one", "id/config", "id/files", "other", "other/chunks",
    ]
