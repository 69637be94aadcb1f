# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository_settings
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository_settings import (
    Settings,
    apply,
    differing,
    parse_setting,
    parse_size,
    read_id,
    read_settings,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("12000000", 12_000_000), ("10M", 10_000_000), ("1.5G", 1_500_000_000), ("2g", 2_000_000_000), ("3 T", 3 * 10**12),
     ("1P", 10**15), ("5KB", 5000), (" 7M ", 7_000_000)],
)
def test_sizes_are_decimal(text, size):
    assert parse_size(text, "x") == size


@pytest.mark.parametrize("text", ["", "abc", "-1", "1X", "1,5G", "1e9", "M", "1GiB", "²"])
def test_what_is_no_size(text):
    with pytest.raises(Failure) as caught:
        parse_size(text, "the_option")
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith("the_option: ")
    assert "'2G'" in caught.value.msg


@pytest.mark.parametrize("text", ["1", "3M", "9999999"])
def test_what_borg_takes_for_too_little(text):
    with pytest.raises(Failure, match="minimum of 10M"):
        parse_setting(text, "storage_quota")


def test_nothing_and_the_minimum_are_enough():
    assert (parse_setting("0", "x"), parse_setting("10M", "x")) == (0, 10_000_000)


@pytest.fixture(name="borg")
def fixture_borg(tmp_path):
    return Borg(Location.parse(str(tmp_path)))


@pytest.mark.parametrize(
    ("lines", "settings"),
    [
        ("append_only = 1\nstorage_quota = 12M\nadditional_free_space = 2G\n", Settings(True, 12_000_000, 2_000_000_000)),
        ("append_only = 0\nstorage_quota = 0\nadditional_free_space = 0\n", Settings(False, 0, 0)),
        ("id = abc\n", Settings(False, 0, 0)),
        ("append_only = 1\nkey = hqlhbGdvcml0aG2\n\tmore%20of it\n", Settings(True, 0, 0)),
    ],
)
def test_settings_are_read_without_borg(borg, tmp_path, lines, settings):
    (tmp_path / "config").write_text(f"[repository]\nversion = 1\n{lines}")
    assert read_settings(borg) == settings


@pytest.mark.parametrize("content", ["", "garbage", "[other]\nx = 1\n", "\x00\xff"])
def test_what_is_no_configuration(borg, tmp_path, content):
    (tmp_path / "config").write_text(content, encoding="latin-1")
    with pytest.raises(Failure) as caught:
        read_settings(borg)
    assert caught.value.error == "not_a_repository"


def test_a_configuration_that_may_not_be_read(borg, monkeypatch):
    def refuse(*arguments, **how):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(Failure) as caught:
        read_settings(borg)
    assert caught.value.error == "permission"
    assert "owner" in caught.value.msg


def test_only_what_is_given_is_compared():
    assert Settings().given() == {}
    assert Settings(False, 0, None).given() == {"append_only": 0, "storage_quota": 0}
    present = Settings(True, 0, 5)
    assert differing(present, Settings()) == {}
    assert differing(present, Settings(True, 0, 5)) == {}
    assert differing(present, Settings(False, None, 7)) == {"append_only": 0, "additional_free_space": 7}


def test_settings_are_set_one_by_one_and_nothing_by_taking_it_out(borg, monkeypatch):
    calls = []
    monkeypatch.setattr(Borg, "run", lambda self, *words, arguments: calls.append((*words, *arguments)))
    apply(borg, {"append_only": 0, "storage_quota": 0, "additional_free_space": 10**9})
    assert calls == [
        ("config", "append_only", "0"), ("config", "--delete", "storage_quota"), ("config", "additional_free_space", "1000000000"),
    ]
    assert _repository_settings.MINIMUM_SIZE == 10_000_000


def test_the_id_needs_no_key(tmp_path):
    (tmp_path / "config").write_text(f"[repository]\nversion = 1\nid = {'ab' * 32}\n")
    assert read_id(Borg(Location(str(tmp_path)))) == "ab" * 32
