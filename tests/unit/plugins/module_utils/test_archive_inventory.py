# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import fcntl
import json
import os
import stat

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._archive_inventory import Inventory, InventoryFile
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

TAKEN = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.timezone.utc)
ONE, TWO, THREE = (Archive(name, f"{number:064x}", TAKEN) for number, name in enumerate(("one", "tw\u00f6", "th\udcffree"), 1))
INVENTORY = Inventory("ab" * 32, TAKEN, (ONE, TWO, THREE), (TWO.id,))


@pytest.fixture(name="file")
def fixture_file(tmp_path):
    return InventoryFile(str(tmp_path / "archives" / "web1.json"))


def test_what_was_written_is_read_again(file):
    assert file.read() is None
    file.write(INVENTORY)
    assert file.read() == INVENTORY
    assert stat.S_IMODE(os.stat(file.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(file.path)).st_mode) == 0o700
    assert os.listdir(os.path.dirname(file.path)) == ["web1.json"]


def test_what_was_about_to_be_pruned_is_not_missing():
    assert INVENTORY.missing(frozenset()) == [ONE, THREE]
    assert INVENTORY.missing(frozenset([ONE.id])) == [THREE]
    assert INVENTORY.missing(INVENTORY.ids) == []


def with_(**parts):
    return json.dumps({**json.loads(INVENTORY.render()), **parts}).encode()


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"\xff", INVENTORY.render()[:-20], with_(version=2), with_(repository="x"), with_(removing=[1]),
     with_(taken="2026-11-20T12:00:00"), with_(archives=[{"name": "x", "id": "y", "time": TAKEN.isoformat()}]), with_(archives=None)],
)
def test_what_is_no_inventory_is_not_taken_for_a_first_run(file, data):
    file.write(INVENTORY)
    with open(file.path, "wb") as stream:
        stream.write(data)
    with pytest.raises(Failure, match="move it away") as caught:
        file.read()
    assert caught.value.error == "unsafe"


def test_bad_paths_are_refused(tmp_path):
    for path in ("web1.json", str(tmp_path), "/a\nb"):
        with pytest.raises(Failure, match="inventory: ") as caught:
            InventoryFile(path).check()
        assert caught.value.error == "invalid_argument"


def test_one_at_a_time(file):
    with file.locked():
        descriptor = os.open(f"{file.path}.lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
    with file.locked():
        pass


def test_nobody_begins_anew_with_a_repository_that_is_known_by_another_name(file, tmp_path):
    other = InventoryFile(str(tmp_path / "archives" / "a_b.json"))
    other.check_first(INVENTORY.repository)
    file.write(INVENTORY)
    with pytest.raises(Failure, match="a_b.json does not exist, and .*web1.json is an inventory of the same.*rename .*web1.json to .*a_b.json") as caught:
        other.check_first(INVENTORY.repository)
    assert caught.value.error == "unsafe"
    other.check_first("cd" * 32)


def test_what_else_stands_beside_it_hinders_nobody(file):
    file.write(INVENTORY)
    directory = os.path.dirname(file.path)
    os.rename(file.path, f"{file.path}.old")
    os.mkdir(os.path.join(directory, "a.json"))
    with open(os.path.join(directory, "b.json"), "w", encoding="utf-8") as stream:
        stream.write("{")
    file.check_first(INVENTORY.repository)
