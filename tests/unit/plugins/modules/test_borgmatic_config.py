# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The target's half of borgmatic_config on real files, with a borgmatic that only pretends."""

from __future__ import annotations

import hashlib
import json
import os
from types import SimpleNamespace

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_yaml import render
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.modules.borgmatic_config import ensure

CANARY = "canary-93aa"
DOCUMENT = {
    "source_directories": ["/etc"],
    "repositories": [{"path": "/srv/backup", "encryption": "repokey"}],
    "encryption_passphrase": CANARY,
    "keep_daily": 7,
}
KEYS = {"changed", "path", "digest", "version", "not_rendered", "assumed", "diff"}


@pytest.fixture
def world(tmp_path):
    """A place for the file and a borgmatic that notes its runs."""

    def borgmatic(version="2.1.10", verdict="exit 0"):
        script = f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit\necho run >> {tmp_path}/runs\n{verdict}\n'
        (tmp_path / "borgmatic").write_text(script)
        (tmp_path / "borgmatic").chmod(0o755)

    def run(document=None, check=False, **parameters):
        module = SimpleNamespace(
            params={
                "path": str(tmp_path / "borgmatic.d/system.yaml"),
                "config": json.dumps(document or DOCUMENT),
                "state": "present",
                "owner": None,
                "group": None,
                "mode": "0600",
                "executable": str(tmp_path / "borgmatic"),
                "validate": True,
                "timeout": 10,
                **parameters,
            },
            check_mode=check,
            tmpdir=str(tmp_path),
            _diff=True,
        )
        result = ensure(module)
        assert set(result) == KEYS
        assert CANARY not in str(result)
        return result

    borgmatic()
    return SimpleNamespace(
        run=run,
        borgmatic=borgmatic,
        file=tmp_path / "borgmatic.d/system.yaml",
        runs=lambda: len((tmp_path / "runs").read_text().splitlines()) if (tmp_path / "runs").exists() else 0,
        uninstall=(tmp_path / "borgmatic").unlink,
        everything=lambda: sorted(str(path) for path in tmp_path.rglob("*")),
    )


def refused(world, **arguments):
    with pytest.raises(Failure) as caught:
        world.run(**arguments)
    assert CANARY not in str(caught.value.as_result())
    return caught.value


class TestPresent:
    def test_a_new_file(self, world):
        result = world.run()
        content = world.file.read_bytes()
        assert content.decode() == render(DOCUMENT)
        assert world.file.stat().st_mode & 0o7777 == 0o600
        assert (result["changed"], result["assumed"], result["version"]) == (True, False, "2.1.10")
        assert result["digest"] == hashlib.sha256(content).hexdigest()
        assert result["diff"]["after"]["state"] == "present"

    def test_twice(self, world):
        first = world.run()
        second = world.run()
        assert not second["changed"]
        assert second["diff"]["before"] == second["diff"]["after"] == {}
        assert second["digest"] == first["digest"]
        assert world.runs() == 1, "borgmatic judges only what would change"

    def test_check_mode_predicts_and_does_nothing(self, world):
        before = world.everything()
        predicted = world.run(check=True)
        assert [path for path in world.everything() if not path.endswith("runs")] == before
        assert world.run() == predicted
        assert world.runs() == 2, "also in check mode it is judged"

    @pytest.mark.parametrize("damage", [lambda file: file.write_text("keep_daily: 1\n"), lambda file: file.write_bytes(b"\xff\0"), lambda file: file.unlink()])
    def test_a_damaged_file_is_repaired(self, world, damage):
        digest = world.run()["digest"]
        damage(world.file)
        result = world.run()
        assert (result["changed"], result["digest"]) == (True, digest)
        assert world.file.read_text() == render(DOCUMENT)

    def test_a_mode_is_repaired_in_place(self, world):
        world.run()
        world.file.chmod(0o644)
        inode = world.file.stat().st_ino
        result = world.run()
        assert (result["diff"]["before"], result["diff"]["after"]) == ({"mode": "0644"}, {"mode": "0600"})
        assert world.file.stat().st_mode & 0o7777 == 0o600
        assert world.file.stat().st_ino == inode
        assert world.runs() == 1

    def test_an_older_borgmatic_is_told_less(self, world):
        world.borgmatic("1.9.14")
        result = world.run()
        assert result["not_rendered"] == ["repositories[0].encryption"]
        assert "encryption:" not in world.file.read_text()

    def test_the_owner(self, world):
        world.run(owner="4711", group="4712")
        assert (world.file.stat().st_uid, world.file.stat().st_gid) == (4711, 4712)
        assert not world.run()["changed"], "without a wish, the owner stays"
        result = world.run(owner="root")
        assert result["diff"]["before"] == {"owner": "4711"}
        assert (world.file.stat().st_uid, world.file.stat().st_gid) == (0, 4712)


class TestRefused:
    def test_by_borgmatic(self, world):
        world.run()
        live = world.file.read_bytes()
        world.borgmatic(verdict=f"echo \"At 'ntfy': '{CANARY}' is bad\" >&2; exit 1")
        for check in (True, False):
            failure = refused(world, document={**DOCUMENT, "keep_daily": 9}, check=check)
            assert failure.error == "invalid_argument"
            assert "rejects the configuration: At 'ntfy': '(hidden)' is bad." in failure.msg
        assert world.file.read_bytes() == live
        assert os.listdir(world.file.parent) == ["system.yaml"]

    def test_by_the_version(self, world):
        world.borgmatic("1.9.14")
        for check in (True, False):
            failure = refused(world, document={**DOCUMENT, "log_file": "/x"}, check=check)
            assert failure.error == "version"
            assert "1.9.14" in failure.msg and "log_file" in failure.msg
        assert not world.file.exists()

    @pytest.mark.parametrize(
        "parameters, says",
        [
            ({"path": "system.yaml"}, "path: 'system.yaml' is not absolute"),
            ({"path": "/etc"}, "path: '/etc' is a directory; for example /etc/system.yaml."),
            ({"path": "/etc/a\nb.yaml"}, "path: '/etc/a\\nb.yaml' holds a control character"),
            ({"path": "/etc/hostname/x.yaml"}, "path: '/etc/hostname/x.yaml' leads through a file as if it were a directory"),
            ({"path": "/dev/null"}, "path: '/dev/null' is neither a file nor absent"),
            ({"mode": "0644"}, "mode: 0644"),
            ({"owner": "nobody-here"}, "owner: there is no 'nobody-here'"),
            ({"group": "nobody-here"}, "group: there is no 'nobody-here'"),
        ],
    )
    def test_for_a_bad_option(self, world, parameters, says):
        failure = refused(world, **parameters)
        assert failure.error == "invalid_argument"
        assert failure.msg.startswith(says)
        assert not world.file.parent.exists()


@pytest.mark.parametrize("wish", [{}, {"state": "absent", "config": None}], ids=["present", "absent"])
@pytest.mark.parametrize("check", [True, False])
class TestWhatIsNoFile:
    def test_a_link(self, world, tmp_path, wish, check):
        world.file.parent.mkdir()
        (tmp_path / "real.yaml").write_text("keep_daily: 1\n")
        for target in ("real.yaml", "nowhere"):
            world.file.symlink_to(tmp_path / target)
            failure = refused(world, check=check, **wish)
            assert failure.error == "invalid_argument"
            assert f"is a link to '{tmp_path / target}': name the file itself" in failure.msg
            assert world.file.is_symlink()
            world.file.unlink()
        assert (tmp_path / "real.yaml").read_text() == "keep_daily: 1\n"

    def test_a_pipe(self, world, wish, check):
        world.file.parent.mkdir()
        os.mkfifo(world.file)
        assert "is neither a file nor absent" in refused(world, check=check, **wish).msg
        assert world.file.is_fifo()


class TestWithoutBorgmatic:
    def test_the_real_run_fails(self, world):
        world.uninstall()
        failure = refused(world)
        assert failure.error == "borg_missing"
        assert "Install" in failure.msg
        assert not world.file.exists()

    def test_check_mode_assumes(self, world):
        world.uninstall()
        result = world.run(check=True)
        assert (result["changed"], result["assumed"], result["digest"], result["version"]) == (True, True, None, None)

    def test_unless_nobody_shall_judge(self, world):
        world.uninstall()
        assert world.run(check=True, validate=False) == world.run(validate=False)
        assert not world.run(validate=False)["changed"]

    def test_an_account_that_an_earlier_task_would_make(self, world):
        result = world.run(check=True, owner="nobody-here")
        assert (result["changed"], result["assumed"]) == (True, True)


class TestAbsent:
    def test_removed_once(self, world):
        world.run()
        predicted = world.run(state="absent", config=None, check=True)
        assert world.file.exists()
        result = world.run(state="absent", config=None)
        assert result == predicted
        assert result["changed"] and result["digest"] is None
        assert result["diff"]["before"]["encryption_passphrase"] == "(hidden)"
        assert not world.file.exists()
        assert not world.run(state="absent", config=None)["changed"]

    def test_without_borgmatic(self, world):
        world.run()
        world.uninstall()
        assert world.run(state="absent", config=None)["changed"]
        assert not world.file.exists()
