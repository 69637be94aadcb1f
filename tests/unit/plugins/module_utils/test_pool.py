# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _pool
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._pool import Pooled, repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import Completed

ID = "1ca3419d47d1e873f7f0979175a74f237e324f9b9cce42f6684aefc2ad5108f5"
# as borg 1.4.0 writes it, with a key
CONFIG = f"""[repository]
version = 1
segments_per_dir = 1000
max_segment_size = 524288000
append_only = 0
storage_quota = 0
additional_free_space = 0
id = {ID}
key = hqlhbGdvcml0aG2mc2hhMjU2pGRhdGHaAZ6Zk%
\tAAAA=
"""


def make(path, config=CONFIG):
    path.mkdir(parents=True)
    (path / "config").write_text(config)
    return str(path)


def test_what_is_below(tmp_path):
    expected = [make(tmp_path / "b"), make(tmp_path / "a"), make(tmp_path / "1/2/3/4"), make(tmp_path / "1/5")]
    make(tmp_path / "1/2/3/x/5")
    make(tmp_path / "a/data/nested")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "empty").mkdir()
    (tmp_path / "config").write_text(CONFIG)
    assert [found.path for found in repositories(str(tmp_path))] == sorted(expected)


@pytest.mark.parametrize(
    "config",
    ["", "rubbish", "[repository]\n", "[repository]\nid = abc\n", "[other]\nid = " + ID, "[repository]\n[repository]\n", "\ufeff[repository]", "id"],
)
def test_what_is_no_repository(tmp_path, config):
    make(tmp_path / "a", config)
    assert repositories(str(tmp_path)) == []


def test_what_a_client_may_have_put_there(tmp_path):
    (tmp_path / "link").mkdir()
    (tmp_path / "secret").write_text(CONFIG)
    (tmp_path / "link/config").symlink_to(tmp_path / "secret")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe/config")
    (tmp_path / "directory/config").mkdir(parents=True)
    (tmp_path / "bytes").mkdir()
    (tmp_path / "bytes/config").write_bytes(b"[repository]\nid = \xff\n")
    assert repositories(str(tmp_path)) == []


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("2000000000", 2 * 10**9), ("2G", 2 * 10**9), ("much", None)])
def test_the_space(tmp_path, text, size):
    path = make(tmp_path / "a", CONFIG.replace("free_space = 0", f"free_space = {text}"))
    (found,) = repositories(str(tmp_path))
    assert found.as_result() == {"path": path, "id": ID, "additional_free_space": size}


@pytest.mark.parametrize(
    ("name", "content", "locked"),
    [
        (None, None, False),
        ("lock.exclusive", None, True),
        ("lock.roster", {"shared": [["host@1", 7, 0]]}, True),
        ("lock.roster", {"exclusive": [], "shared": []}, False),
        ("lock.roster", {}, False),
        ("lock.roster", [], False),
    ],
)
def test_locks(tmp_path, name, content, locked):
    make(tmp_path / "a")
    if content is not None:
        (tmp_path / "a" / name).write_text(json.dumps(content))
    elif name:
        (tmp_path / "a" / name).mkdir()
    (found,) = repositories(str(tmp_path))
    assert found.is_locked is locked


def answers(monkeypatch, rc=0, message=None):
    calls = []

    def run(argv, **how):
        calls.append((list(argv), how))
        stderr = "" if message is None else json.dumps({"type": "log_message", "levelname": "ERROR", "name": "borg", **message})
        return Completed(tuple(argv), rc, "", stderr)

    monkeypatch.setattr(_pool._process, "run", run)
    return calls


@pytest.mark.parametrize(("size", "words"), [(2 * 10**9, ["/p", "additional_free_space", "2000000000"]), (0, ["--delete", "/p", "additional_free_space"])])
def test_the_owner_sets_it(monkeypatch, size, words):
    calls = answers(monkeypatch)
    monkeypatch.setattr(_pool.os, "geteuid", lambda: 0)
    assert Pooled("/p", ID, 12345, 54321, 0).set_free_space("/usr/bin/borg", size)
    ((argv, how),) = calls
    assert argv == ["setpriv", "--reuid=12345", "--regid=54321", "--clear-groups", "/usr/bin/borg", "--log-json", "--lock-wait=1", "config", *words]
    assert how["environment"]["HOME"] == "/"
    assert how["cwd"] == "/"


@pytest.mark.parametrize(("host_id", "expected"), [("backup1@1", "backup1@1"), (None, None)])
def test_the_lock_is_signed_as_those_of_clients_are(monkeypatch, host_id, expected):
    calls = answers(monkeypatch)
    Pooled("/p", ID, os.geteuid(), os.getegid(), 0).set_free_space("/usr/bin/borg", 10**7, host_id)
    assert calls[0][1]["environment"].get("BORG_HOST_ID") == expected


def test_nobody_else_is_needed_for_ones_own(monkeypatch):
    calls = answers(monkeypatch)
    assert Pooled("/p", ID, os.geteuid(), os.getegid(), 0).set_free_space("/usr/bin/borg", 10**7)
    assert calls[0][0][0] == "/usr/bin/borg"


def test_somebody_was_quicker(monkeypatch):
    answers(monkeypatch, 2, {"message": "Failed to create/acquire the lock /p/lock.exclusive (timeout).", "msgid": "LockTimeout"})
    assert not Pooled("/p", ID, os.geteuid(), 0, 0).set_free_space("/usr/bin/borg", 10**7)


def test_what_else_borg_meets(monkeypatch):
    answers(monkeypatch, 2, {"message": "[Errno 28] No space left on device: '/p/config'", "msgid": "Exception"})
    with pytest.raises(Failure) as caught:
        Pooled("/p", ID, os.geteuid(), 0, 0).set_free_space("/usr/bin/borg", 10**7)
    assert caught.value.error == "disk_full"
    assert caught.value.msg.startswith("/p: ")
