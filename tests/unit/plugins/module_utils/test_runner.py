# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shlex

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _process, _transport
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import DEFAULT_RSH, Borg

SUCCESS = {"rc": 0, "stdout": '{"archives": []}', "stderr": ""}


@pytest.fixture(name="borg")
def fixture_borg(fake_borg, tmp_path):
    """Something that makes a Borg of the fake program, which prints a recording."""

    def make(recording=None, location="/srv/x", *, version="1.4.5", metadata=True, **options):
        options.setdefault("base_directory", str(tmp_path / "base"))
        program = fake_borg.install(recording or SUCCESS, version=version, metadata=metadata)
        return Borg(Location.parse(location), executable=program, **options)

    return make


def test_a_command_is_a_list_with_the_location_last(borg, fake_borg):
    borg(lock_wait=7).run("list", "--json", "--last=1")
    assert fake_borg.calls[0]["argv"] == ["--log-json", "--lock-wait=7", "list", "--json", "--last=1", "/srv/x"]


def test_an_archive_and_arguments_follow_the_location(borg, fake_borg):
    borg().run("key change-passphrase")
    assert fake_borg.calls[0]["argv"][2:] == ["key", "change-passphrase", "/srv/x"]
    fake_borg.log.unlink()
    Borg(Location.parse("/srv/x"), executable=str(fake_borg.program)).run("extract", archive="a b", arguments=["--", "x", "-y"])
    assert fake_borg.calls[0]["argv"][2:] == ["extract", "/srv/x::a b", "--", "x", "-y"]


def test_a_remote_command_names_borg_on_the_server(borg, fake_borg):
    borg(location="ssh://h/./x", remote_path="borg-1.4").run("list")
    assert fake_borg.calls[0]["argv"][0] == "--remote-path=borg-1.4"
    assert fake_borg.calls[0]["argv"][-1] == "ssh://h/./x"
    assert fake_borg.calls[0]["environment"]["BORG_RSH"] == DEFAULT_RSH


def test_nothing_can_be_asked(borg, fake_borg):
    borg().run("list")
    environment = fake_borg.calls[0]["environment"]
    assert environment["BORG_RELOCATED_REPO_ACCESS_IS_OK"] == "no"
    assert environment["BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK"] == "no"
    assert environment["BORG_DELETE_I_KNOW_WHAT_I_AM_DOING"] == "NO"
    assert environment["BORG_CHECK_I_KNOW_WHAT_I_AM_DOING"] == "NO"
    assert environment["BORG_EXIT_CODES"] == "modern"
    assert environment["TZ"] == "UTC"
    for word in ("BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout"):
        assert word in environment["BORG_RSH"]


def test_consent_and_places_reach_borg(borg, fake_borg):
    borg(accept_relocated=True, allow_unencrypted=True, key_file="/key", base_directory="/base", rsh="ssh -p 1").run("list")
    environment = fake_borg.calls[0]["environment"]
    assert environment["BORG_RELOCATED_REPO_ACCESS_IS_OK"] == environment["BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK"] == "yes"
    assert (environment["BORG_KEY_FILE"], environment["BORG_BASE_DIR"], environment["BORG_RSH"]) == ("/key", "/base", "ssh -p 1")


def test_a_passphrase_goes_through_a_descriptor_and_nowhere_else(borg, fake_borg, monkeypatch):
    monkeypatch.setenv("BORG_PASSPHRASE", "inherited")
    monkeypatch.setenv("BORG_PASSCOMMAND", "echo inherited")
    borg(passphrase="the canary").run("list")
    call = fake_borg.calls[0]
    assert call["secret"] == "the canary"
    assert "canary" not in str(call["argv"]) + str(call["environment"])
    assert not {"BORG_PASSPHRASE", "BORG_PASSCOMMAND"} & set(call["environment"])


def test_another_passphrase_may_be_given_for_one_command(borg, fake_borg):
    borg(passphrase="one").run("list", passphrase="other", environment={"BORG_NEW_PASSPHRASE": "new"})
    assert fake_borg.calls[0]["secret"] == "other"
    assert fake_borg.calls[0]["environment"]["BORG_NEW_PASSPHRASE"] == "new"


def test_a_passcommand_is_handed_on_unless_there_is_a_passphrase(borg, fake_borg):
    borg(passcommand="cat /x").run("list")
    assert fake_borg.calls[0]["environment"]["BORG_PASSCOMMAND"] == "cat /x"
    assert fake_borg.calls[0]["secret"] is None


def test_a_look_up_takes_no_lock_and_works_on_a_view(borg, fake_borg, tmp_path):
    security = tmp_path / "base" / ".config" / "borg" / "security" / "id"
    security.mkdir(parents=True)
    borg().read("list", "--json")
    call = fake_borg.calls[0]
    assert call["argv"][2] == "--bypass-lock"
    for name in ("BORG_SECURITY_DIR", "BORG_CACHE_DIR", "BORG_CONFIG_DIR"):
        assert not call["environment"][name].startswith(str(tmp_path / "base"))
        assert not os.path.exists(call["environment"][name])


@pytest.mark.parametrize("rc", [0, 1, 100, 107])
def test_warnings_are_no_failure(borg, rc):
    outcome = borg({"rc": rc, "stdout": "[1]", "stderr": ""}).run("list")
    assert (outcome.rc, outcome.json()) == (rc, [1])


@pytest.mark.parametrize("rc", [2, 3, 13, 73, 99, 128 + 15])
def test_everything_else_is_one(borg, rc):
    with pytest.raises(Failure) as caught:
        borg({"rc": rc, "stdout": "", "stderr": ""}).run("list")
    assert caught.value.rc == rc
    assert "borg said nothing" in caught.value.msg


def test_output_that_is_not_the_json_that_was_asked_for_is_told(borg):
    with pytest.raises(Failure, match="did not print the JSON") as caught:
        borg({"rc": 0, "stdout": "Welcome", "stderr": ""}).run("list").json()
    assert caught.value.stderr == "Welcome"


@pytest.mark.parametrize(("version", "metadata", "calls"), [("1.2.4", True, 1), ("1.4.5", False, 2)])
def test_the_version_is_read_from_metadata_or_asked_for_once(borg, fake_borg, version, metadata, calls):
    made = borg(version=version, metadata=metadata)
    made.run("list")
    assert len(fake_borg.calls) == calls
    made.run("list")
    assert len(fake_borg.calls) == calls + 1


@pytest.mark.parametrize("version", ["1.1.16", "2.0.0b19"])
@pytest.mark.parametrize("metadata", [True, False])
def test_a_version_that_would_misread_a_command_never_gets_one(borg, fake_borg, version, metadata):
    with pytest.raises(Failure) as caught:
        borg(version=version, metadata=metadata).run("list")
    assert caught.value.error == "version"
    assert [call["argv"] for call in fake_borg.calls] == ([] if metadata else [["--version"]])


def test_a_missing_borg_is_told_with_what_to_install():
    borg = Borg(Location.parse("/srv/x"), executable="no-such-borg")
    assert borg.program is None
    for call in (borg.run, borg.read):
        with pytest.raises(Failure) as caught:
            call("list")
        assert caught.value.error == "borg_missing"
        assert "apt install borgbackup" in caught.value.msg


def test_every_recorded_failure_is_told_whole(recorded, monkeypatch):
    monkeypatch.setattr(_transport, "_ask_ssh", lambda *arguments: "")
    for name, recording in recorded.items():
        if recording["rc"] in (0, 1, 100, 105, 107):
            continue
        monkeypatch.setattr(
            _process, "run",
            lambda argv, told=recording, **how: _process.Completed(tuple(argv), told["rc"], told["stdout"], told["stderr"]),
        )
        monkeypatch.setattr(Borg, "dialect", lambda self: None)
        monkeypatch.setattr(Borg, "program", "/usr/bin/borg")
        location = "ssh://server/./x" if "server" in recording["command"] else "/recording/01/x"
        with pytest.raises(Failure) as caught:
            Borg(Location.parse(location), passphrase="canary").run(recording["command"].split()[0])
        result = caught.value.as_result()
        assert "Traceback" not in str(result), name
        assert "canary" not in str(result), name
        assert result["rc"] == recording["rc"], name
        assert result["cmd"][0] == "/usr/bin/borg", name
        assert "\n" not in result["msg"], name
        # a cause and an advice, unless nobody knows
        assert len(result["msg"]) > 60 or result["error"] == "other", result["msg"]


def test_the_view_that_a_look_up_works_on_shows_in_no_message(borg, monkeypatch, tmp_path):
    made = borg()

    def fail(self, command, *options, environment, **how):
        raise Failure("key_missing", f"no key in {environment['BORG_KEYS_DIR']}.", stderr=environment["BORG_KEYS_DIR"])

    monkeypatch.setattr(Borg, "run", fail)
    with pytest.raises(Failure) as caught:
        made.read("list")
    keys = str(tmp_path / "base" / ".config" / "borg" / "keys")
    assert (caught.value.msg, caught.value.stderr) == (f"no key in {keys}.", keys)


def test_a_message_names_the_repository_once(borg):
    said = '{"type": "log_message", "levelname": "ERROR", "msgid": "Repository.DoesNotExist", "message": "%s"}\n'
    with pytest.raises(Failure) as caught:
        borg({"rc": 2, "stdout": "", "stderr": said % "Repository /srv/x does not exist."}).run("list")
    assert caught.value.msg.count("/srv/x") == 1


def test_a_message_without_the_repository_gets_it(borg):
    said = '{"type": "log_message", "levelname": "ERROR", "msgid": "PassphraseWrong", "message": "passphrase is wrong."}\n'
    with pytest.raises(Failure) as caught:
        borg({"rc": 2, "stdout": "", "stderr": said}).run("list")
    assert caught.value.msg.startswith("/srv/x: passphrase is wrong. ")


@pytest.mark.parametrize("command", ["vault-get --token CANARY borg", "vault-get --token 'CANARY \\\" é' borg", "vault-get 'CANARY"])
def test_a_command_that_fails_is_not_repeated(borg, command):
    """What borg 1.2.4 and 1.4.0 print of it, as a line of its log and as plain text."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command
    said = f"passcommand supplied in BORG_PASSCOMMAND failed: Command '{words}' returned non-zero exit status 1."
    line = json.dumps({"type": "log_message", "levelname": "ERROR", "name": "borg.archiver", "msgid": "PasscommandFailure", "message": said})
    recording = {"rc": 51, "stdout": "", "stderr": f"{line}\n{said}\n"}
    with pytest.raises(Failure) as caught:
        borg(recording, passcommand=command).run("list")
    assert "vault-get (hidden)" in caught.value.msg
    assert "CANARY" not in str(caught.value.as_result())
