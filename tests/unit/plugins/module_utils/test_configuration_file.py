# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The target's half of borgmatic_config on real files, with a borgmatic that only pretends."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import (
    _configuration_file,
    _passphrase_path,
    _passphrase_store,
    _process,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_yaml import read, render
from ansible_collections.fleetbackup.borg.plugins.module_utils._configuration_file import ensure
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

CANARY = "canary-93aa"
DOCUMENT = {
    "source_directories": ["/etc"],
    "repositories": [{"path": "/srv/backup", "encryption": "repokey"}],
    "encryption_passphrase": CANARY,
    "keep_daily": 7,
}
STORES = ("config", "file", "systemd_credential")
#: It refuses to decrypt a credential of another name, as the real one does.
SYSTEMD_CREDS = """#!{python}
import base64, os, sys
command, *options = [word for word in sys.argv[1:] if not word.startswith("--newline")]
if command == "encrypt":
    assert options[1:] == ["--tpm2-pcrs=", "-", "-"], options
    name = options[0].partition("--name=")[2].encode()
    print(base64.b64encode(name + b"\\0" + os.urandom(8).hex().encode() + b"\\0" + sys.stdin.buffer.read()).decode())
elif command == "cat":
    sys.stdout.write(open(os.path.join(os.environ["CREDENTIALS_DIRECTORY"], options[0])).read())
else:
    path = options[0]
    try:
        name, _salt, text = base64.b64decode(open(path).read()).split(b"\\0")
    except ValueError:
        sys.exit("Protocol error")
    if name.decode() != os.path.basename(path):
        sys.exit("Embedded credential name does not match filename, refusing.")
    sys.stdout.buffer.write(text)
"""
KEYS = {"changed", "path", "digest", "passphrase_file", "version", "not_rendered", "assumed", "diff"}


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
                "passphrase_store": "config",
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


@pytest.fixture
def kept(world, tmp_path, monkeypatch):
    """The same world with a systemd that keeps credentials."""
    programs = tmp_path / "bin"
    programs.mkdir()
    creds = programs / "systemd-creds"
    creds.write_text(SYSTEMD_CREDS.format(python=sys.executable))
    creds.chmod(0o755)
    monkeypatch.setattr(_process, "SEARCH_PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(_passphrase_path, "_CREDENTIALS", str(tmp_path / "credstore"))
    file = tmp_path / "borgmatic.d/system.yaml.passphrase"

    def opened(credentials=None):
        """What borg would be told, with the credentials that systemd has loaded or by hand."""
        document = read(world.file.read_text())
        assert ("encryption_passphrase" in document) != ("encryption_passcommand" in document)
        if "encryption_passphrase" in document:
            return document["encryption_passphrase"]
        environment = {"PATH": f"{programs}:/usr/bin:/bin", **({"CREDENTIALS_DIRECTORY": str(credentials)} if credentials else {})}
        command = shlex.split(document["encryption_passcommand"])
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    return SimpleNamespace(
        run=world.run,
        world=world,
        creds=creds,
        file=file,
        credential=lambda: next(iter((tmp_path / "credstore").glob("*")), None),
        secrets=lambda: [file] * file.exists() + list((tmp_path / "credstore").glob("*")),
        opened=opened,
    )


def document(passphrase=CANARY, **options):
    return {**DOCUMENT, "encryption_passphrase": passphrase, **options}


@pytest.mark.parametrize("store", STORES[1:])
class TestKeptOutside:
    def test_the_configuration_only_leads_to_it(self, kept, store):
        result = kept.run(passphrase_store=store)
        assert CANARY not in kept.world.file.read_text()
        assert kept.opened() == CANARY
        (secret,) = kept.secrets()
        assert result["passphrase_file"] == str(secret)
        assert secret.stat().st_mode & 0o7777 == 0o600
        assert (CANARY in secret.read_text()) == (store == "file")
        assert result["diff"]["after"][str(secret)] == "(hidden)"

    def test_twice(self, kept, store):
        first = kept.run(passphrase_store=store)
        content = kept.secrets()[0].read_bytes()
        second = kept.run(passphrase_store=store)
        assert (second["changed"], second["digest"], second["passphrase_file"]) == (False, first["digest"], first["passphrase_file"])
        assert kept.secrets()[0].read_bytes() == content
        assert kept.world.runs() == 1

    def test_another_passphrase(self, kept, store):
        first = kept.run(passphrase_store=store)
        second = kept.run(document("other " + CANARY), passphrase_store=store)
        assert second["digest"] == first["digest"], "the configuration itself stays"
        assert second["diff"]["before"] == {first["passphrase_file"]: "(hidden)"}
        assert second["diff"]["after"] == {first["passphrase_file"]: "(hidden, changed)"}
        assert kept.opened() == "other " + CANARY

    @pytest.mark.parametrize("passphrase", ["it's \"q\" `id` $HOME ${HOME} \\\\ {x} %i #", " ü😀", "0123", "-n", "x" * 4096])
    def test_it_arrives_verbatim(self, kept, store, passphrase):
        kept.run(document(passphrase), passphrase_store=store)
        assert kept.opened() == passphrase
        assert not kept.run(document(passphrase), passphrase_store=store)["changed"]

    def test_check_mode_predicts_and_does_nothing(self, kept, store):
        before = kept.world.everything()
        predicted = kept.run(passphrase_store=store, check=True)
        assert [path for path in kept.world.everything() if not path.endswith("runs")] == before
        assert kept.run(passphrase_store=store) == predicted
        predicted = kept.run(state="absent", config=None, check=True)
        assert kept.secrets()
        assert kept.run(state="absent", config=None) == predicted

    @pytest.mark.parametrize("damage", ["text", "mode", "nothing", "swapped"])
    def test_damage_is_repaired(self, kept, store, damage):
        kept.run(passphrase_store=store)
        secret = kept.secrets()[0]
        if damage == "text":
            secret.write_text("damaged")
        elif damage == "mode":
            secret.chmod(0o644)
        elif damage == "nothing":
            secret.unlink()
        else:
            other = kept.run(document("other"), path=str(secret.parent / "other.yaml"), passphrase_store=store)["passphrase_file"]
            secret.write_bytes(open(other, "rb").read())
            os.unlink(other)
        assert kept.run(passphrase_store=store)["changed"]
        assert kept.opened() == CANARY
        assert secret.stat().st_mode & 0o7777 == 0o600
        assert not kept.run(passphrase_store=store)["changed"]

    def test_a_link_in_its_place_is_refused(self, kept, store, tmp_path):
        kept.run(passphrase_store=store)
        secret = kept.secrets()[0]
        secret.unlink()
        secret.symlink_to(tmp_path / "elsewhere")
        for check in (True, False):
            failure = refused(kept, passphrase_store=store, check=check)
            assert failure.error == "invalid_argument"
            assert f"passphrase_store: {secret} is where it goes, and is a link to" in failure.msg
        assert not (tmp_path / "elsewhere").exists()

    def test_what_is_no_secret_is_not_kept(self, kept, store):
        without = {name: value for name, value in DOCUMENT.items() if name != "encryption_passphrase"}
        for other in ({"encryption_passphrase": "{credential file /etc/pw}"}, {"encryption_passcommand": "pass borg"}, {}):
            kept.run(passphrase_store=store)
            result = kept.run({**without, **other}, passphrase_store=store)
            assert result["passphrase_file"] is None
            assert other.items() <= read(kept.world.file.read_text()).items()
            assert not kept.secrets()

    def test_a_passphrase_of_one_repository_is_refused(self, kept, store):
        entry = {"path": "/srv/backup", "encryption_passphrase": CANARY}
        failure = refused(kept, document={**DOCUMENT, "repositories": [entry]}, passphrase_store=store)
        assert failure.msg.startswith("config.repositories[0].encryption_passphrase: passphrase_store")
        entry["encryption_passphrase"] = "{credential file /etc/pw}"
        kept.run({**DOCUMENT, "repositories": [entry]}, passphrase_store=store)

    @pytest.mark.parametrize("space", [" ", "\t", "\u2003"])
    def test_one_that_borgmatic_would_shorten_is_refused(self, kept, store, space):
        failure = refused(kept, document=document(CANARY + space), passphrase_store=store)
        assert failure.msg.startswith("config.encryption_passphrase: ends in white space")
        kept.run(document(CANARY + space))

    def test_a_rejected_configuration_changes_nothing(self, kept, store):
        kept.run(passphrase_store=store)
        before = [secret.read_bytes() for secret in kept.secrets()]
        kept.world.borgmatic(verdict="exit 1")
        refused(kept, document=document("other", keep_daily=9), passphrase_store=store)
        assert [secret.read_bytes() for secret in kept.secrets()] == before
        assert kept.opened() == CANARY

    def test_a_borgmatic_that_shows_it(self, kept, store):
        kept.world.borgmatic(verdict=f"echo \"At 'ntfy': '{CANARY}' is bad\" >&2; exit 1")
        assert "(hidden)" in refused(kept, passphrase_store=store).msg
        assert not kept.secrets()

    @pytest.mark.parametrize("after", STORES)
    def test_another_store_leaves_nothing_behind(self, kept, store, after):
        kept.run(passphrase_store=store)
        result = kept.run(passphrase_store=after)
        assert [str(secret) for secret in kept.secrets()] == [path for path in [result["passphrase_file"]] if path]
        assert kept.opened() == CANARY
        assert not kept.run(passphrase_store=after)["changed"]

    def test_absent_takes_it_along(self, kept, store):
        kept.run(passphrase_store=store)
        result = kept.run(state="absent", config=None)
        assert result["passphrase_file"] is None
        assert not kept.secrets() and not kept.world.file.exists()
        assert not kept.run(state="absent", config=None)["changed"]

    def test_even_where_the_configuration_is_gone_already(self, kept, store):
        kept.run(passphrase_store=store)
        kept.world.file.unlink()
        assert kept.run(state="absent", config=None)["changed"]
        assert not kept.secrets()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("before", STORES)
@pytest.mark.parametrize("after", STORES)
@pytest.mark.parametrize("new", [CANARY, "new " + CANARY])
def test_killed_between_any_two_steps_there_is_a_passphrase(kept, monkeypatch, before, after, new):
    """The next run ends what was begun."""
    steps = []

    def step(name, original, limit):
        def take(*arguments, **options):
            if len(steps) == limit:
                raise Killed
            steps.append(name)
            return original(*arguments, **options)

        return take

    for limit in range(9):
        kept.run(state="absent", config=None)
        kept.run(passphrase_store=before)
        steps.clear()
        with monkeypatch.context() as patched:
            patched.setattr(_configuration_file, "_put", step("configuration", _configuration_file._put, limit))
            apply = _passphrase_store.KeptFile.apply
            patched.setattr(_passphrase_store.KeptFile, "apply", step("secret", apply, limit))
            try:
                kept.run(document(new), passphrase_store=after)
            except Killed:
                assert kept.opened() in (CANARY, new)
                result = None
            else:
                result = True
        kept.run(document(new), passphrase_store=after)
        assert kept.opened() == new
        assert len(kept.secrets()) == (after != "config")
        if result:
            break
    else:
        pytest.fail("it did not end")


class TestFile:
    def test_whoever_may_read_the_configuration_may_read_it(self, kept):
        kept.run(passphrase_store="file", owner="4711", group="4712", mode="0640")
        status = kept.file.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (4711, 4712, 0o640)
        assert not kept.run(passphrase_store="file", mode="0640")["changed"]
        result = kept.run(passphrase_store="file", owner="root", mode="0640")
        assert result["diff"]["after"] == {"owner": "root", f"{kept.file}: owner": "root"}
        assert kept.file.stat().st_uid == 0

    def test_beside_a_configuration_that_is_made_afresh(self, kept):
        kept.run(passphrase_store="file", owner="4711")
        kept.world.file.unlink()
        kept.run(passphrase_store="file")
        assert kept.file.stat().st_uid == kept.world.file.stat().st_uid == 0
        assert not kept.run(passphrase_store="file")["changed"]

    @pytest.mark.parametrize("name", ["a b'c.yaml", "$HOME.yaml", "ü;`id`.yaml"])
    def test_an_odd_path(self, kept, name):
        kept.world.file = kept.world.file.parent / name
        kept.run(path=str(kept.world.file), passphrase_store="file")
        assert kept.opened() == CANARY

    @pytest.mark.parametrize("name", ["{x}.yaml", "${HOME}.yaml"])
    def test_a_path_that_borgmatic_would_change(self, kept, name):
        failure = refused(kept, path=str(kept.world.file.parent / name), passphrase_store="file")
        assert failure.error == "invalid_argument" and "holds a brace" in failure.msg
        assert not kept.world.file.parent.exists()


class TestCredential:
    def test_it_is_roots_whoever_borgmatic_runs_as(self, kept):
        kept.run(passphrase_store="systemd_credential", owner="4711", mode="0640")
        status = kept.credential().stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 0, 0o600)
        assert kept.credential().parent.stat().st_mode & 0o7777 == 0o700

    def test_what_systemd_has_loaded_comes_first(self, kept, tmp_path):
        kept.run(passphrase_store="systemd_credential")
        loaded = tmp_path / "loaded"
        loaded.mkdir()
        assert kept.opened(loaded) == CANARY, "a service with other credentials"
        (loaded / kept.credential().name).write_text("loaded")
        assert kept.opened(loaded) == "loaded"

    def test_each_configuration_has_its_own(self, kept):
        one = kept.run(passphrase_store="systemd_credential")["passphrase_file"]
        other = kept.run(path=str(kept.world.file.parent / "../other/system.yaml"), passphrase_store="systemd_credential")["passphrase_file"]
        same = kept.run(path=f"{kept.world.file.parent}//system.yaml", passphrase_store="systemd_credential")["passphrase_file"]
        assert one == same != other

    @pytest.mark.parametrize("version, says", [("systemd 247 (247.3-7)", "this machine has systemd 247 (247.3-7)."), (None, "this machine has no systemd.")])
    def test_a_systemd_that_is_too_old(self, kept, monkeypatch, version, says):
        kept.creds.unlink()
        if version:
            (kept.creds.parent / "systemctl").write_text(f"#!/bin/sh\necho '{version}'; echo +PAM\n")
            (kept.creds.parent / "systemctl").chmod(0o755)
        monkeypatch.setattr(_process, "SEARCH_PATH", str(kept.creds.parent))
        monkeypatch.setenv("PATH", "")
        for check in (True, False):
            failure = refused(kept, passphrase_store="systemd_credential", check=check)
            assert failure.error == "version"
            assert "needs systemd 250 or later" in failure.msg and says in failure.msg
            assert "passphrase_store: file, or config" in failure.msg
        assert not kept.world.file.exists()

    def test_an_ordinary_account_cannot(self, kept, monkeypatch):
        monkeypatch.setattr(_passphrase_store.os, "geteuid", lambda: 4711)
        failure = refused(kept, passphrase_store="systemd_credential")
        assert failure.error == "permission"
        assert "needs root" in failure.msg and "passphrase_store: file" in failure.msg

    def test_what_cannot_be_encrypted_changes_nothing(self, kept):
        kept.run()
        kept.creds.write_text("#!/bin/sh\necho 'No key.' >&2; exit 1\n")
        failure = refused(kept, passphrase_store="systemd_credential")
        assert failure.error == "other"
        assert "could not encrypt the passphrase: No key. Nothing was changed." in failure.msg
        assert kept.opened() == CANARY and not kept.secrets()
