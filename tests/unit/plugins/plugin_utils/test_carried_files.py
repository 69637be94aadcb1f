# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of an escrow on another machine: judged in memory, with what to carry back."""

from __future__ import annotations

import base64
import hashlib
import os

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import File
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._carried_files import files_of

PATH = files_of(None, "~/escrow", "web1", "/srv/a").path()
OLD, NEW = b"old", b"new"


def carried(data=OLD, mode="0600"):
    return {"host": "web1", "name": os.path.basename(PATH), "data": base64.b64encode(data).decode(), "mode": mode}


def files(*found):
    return files_of(found, "~/escrow", "web1", "/srv/a")


def test_what_was_fetched_is_there_and_nothing_is_carried_back():
    fetched = files(carried())
    assert fetched.read(PATH) == File(OLD, 0o600) and fetched.changes == [] and files().read(PATH) is None


def test_what_is_written_is_read_back_and_carried():
    fetched = files(carried())
    read = []
    with fetched.locked():
        fetched.write(PATH, b"between", lambda path: read.append(fetched.read(path)))
        fetched.write(PATH, NEW, lambda path: read.append(fetched.read(path)))
    assert read == [File(b"between", 0o600), File(NEW, 0o600)]
    assert fetched.changes == [{**carried(NEW), "replaces": hashlib.sha256(OLD).hexdigest()}]


def test_a_first_one_replaces_nothing():
    fetched = files()
    fetched.write(PATH, NEW, lambda _path: None)
    assert fetched.changes == [{**carried(NEW), "replaces": None}]


def test_rights_are_mended():
    fetched = files(carried(mode="0644"))
    fetched.protect(PATH)
    assert fetched.changes == [{**carried(), "replaces": hashlib.sha256(OLD).hexdigest()}]


@pytest.mark.parametrize("found", [{}, {"name": "x"}, {**carried(), "data": "no base64!"}, {**carried(), "mode": "rw"}, {**carried(), "data": None}])
def test_what_is_no_file_is_refused(found):
    with pytest.raises(Failure) as caught:
        files(found)
    assert caught.value.error == "invalid_argument"
