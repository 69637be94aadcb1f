# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

#: A module that does what the test says, run as Ansible runs one: arguments from standard input, one object on standard output.
MODULE = """
import sys
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module

def ensure(module):
{body}

run_module(
    ensure,
    {{"name": {{"type": "str", "required": True}}, "count": {{"type": "int"}}, "secret": {{"type": "str", "no_log": True}},
      "many": {{"type": "list", "elements": "str", "no_log": True}}, "repository": {{"type": "str"}}, "rsh": {{"type": "str"}}}},
    hidden=["rsh"],
    mutually_exclusive=[("count", "secret")],
)
"""


def run(body, tmp_path, **arguments):
    script = tmp_path / "module.py"
    script.write_text(MODULE.format(body=textwrap.indent(textwrap.dedent(body), "    ")))
    launcher = (
        "import json, runpy, sys\n"
        "try:\n"
        "    from ansible.module_utils.testing import patch_module_args\n"
        "except ImportError:\n"
        "    from ansible.module_utils import basic\n"
        "    basic._ANSIBLE_ARGS = json.dumps({'ANSIBLE_MODULE_ARGS': json.loads(sys.argv[2])}).encode()\n"
        "    runpy.run_path(sys.argv[1], run_name='__main__')\n"
        "else:\n"
        "    with patch_module_args(json.loads(sys.argv[2])):\n"
        "        runpy.run_path(sys.argv[1], run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", launcher, str(script), json.dumps(arguments)], capture_output=True, text=True, check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_a_result_is_returned_as_it_is(tmp_path):
    rc, result = run("return {'changed': True, 'name': module.params['name'], 'check': module.check_mode}", tmp_path, name="x")
    assert rc == 0
    assert (result["changed"], result["name"], result["check"]) == (True, "x", False)


def test_check_mode_is_supported(tmp_path):
    assert run("return {'check': module.check_mode}", tmp_path, name="x", _ansible_check_mode=True)[1]["check"] is True


KEYS = {"msg", "error", "reason", "retryable", "rc", "msgid", "cmd", "stderr"}


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("raise Failure('locked', 'busy', rc=73, msgid='LockTimeout')", "locked", "busy"),
        ("raise PermissionError(13, 'Permission denied', '/x')", "permission", "Permission denied on /x."),
        ("raise OSError(28, 'No space left on device', '/x')", "disk_full", "No space left on device on /x."),
        ("raise OSError(122, 'Disk quota exceeded', '/x')", "disk_full", "Disk quota exceeded on /x."),
        ("raise OSError(30, 'Read-only file system', '/x')", "permission", "Read-only file system on /x."),
        ("raise OSError(5, 'Input/output error', '/x')", "other", "Input/output error on /x."),
        ("raise OSError('odd')", "other", "odd"),
        ("raise ValueError('odd')", "other", "Unforeseen ValueError in this module: odd."),
        ("return 1 / 0", "other", "Unforeseen ZeroDivisionError in this module"),
    ],
)
def test_every_failure_is_one_sentence_with_all_keys(tmp_path, body, error, message):
    rc, result = run(body, tmp_path, name="x")
    assert rc == 1
    assert result["failed"] is True
    assert result["error"] == error
    assert message in result["msg"]
    assert set(result) >= KEYS
    assert "Traceback" not in json.dumps(result)
    assert isinstance(result["retryable"], bool)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "missing required arguments: name"),
        ({}, "; give name: "),
        ({"name": "x", "count": "several"}, "argument 'count'"),
        ({"name": "x", "count": "several"}, "count: 'several' is no int, for example count: 7."),
        ({"name": "x", "nope": 1}, "nope"),
        ({"name": "x", "cuont": 1}, "cuont: did you mean count?"),
        ({"name": "x", "count": 1, "secret": "canary"}, "mutually exclusive"),
    ],
)
def test_bad_arguments_keep_the_same_promise(tmp_path, arguments, message):
    rc, result = run("return {}", tmp_path, **arguments)
    assert rc == 1
    assert (result["error"], result["retryable"]) == ("invalid_argument", False)
    assert message in result["msg"]
    assert set(result) >= KEYS
    assert "canary" not in json.dumps(result)
    assert "Traceback" not in json.dumps(result)


def test_bytes_that_are_not_utf_8_do_not_break_a_failure(tmp_path):
    _rc, result = run(r"raise Failure('other', 'file \udcff', stderr='\udcff')", tmp_path, name="x")
    assert (result["msg"], result["stderr"]) == ("file \\udcff", "\\udcff")


@pytest.mark.parametrize("body", ["return {}", "raise Failure('other', 'x')"])
def test_secrets_are_not_shown_as_arguments(tmp_path, body):
    _rc, result = run(
        body, tmp_path, name="x", secret="canary", many=["canary1", "canary2"], repository="ssh://u:canary@h/x",
    )
    assert "canary" not in json.dumps(result)
    # from core 2.21 on, arguments are shown only where Ansible's settings ask for them
    assert result.get("invocation", {}).get("module_args", {"name": "x"})["name"] == "x"


def test_a_command_line_is_not_shown_and_stays_a_word_of_other_texts(tmp_path):
    body = """
        module.log = lambda text, log_args=None: open(module.params["name"], "a").write(text)
        module._log_invocation()
        return {"rsh": module.params["rsh"].upper(), "other": "ssh://h/x"}
    """
    _rc, result = run(body, tmp_path, name=str(tmp_path / "log"), rsh="ssh canary")
    assert "canary" not in json.dumps(result)
    assert (result["rsh"], result["other"]) == ("SSH CANARY", "ssh://h/x")
    assert result.get("invocation", {"module_args": {"rsh": "(hidden)"}})["module_args"]["rsh"] == "(hidden)"
    assert "Invoked with" in (tmp_path / "log").read_text()
    assert "canary" not in (tmp_path / "log").read_text()


def test_a_misspelt_option_is_not_shown(tmp_path):
    _rc, result = run("return {}", tmp_path, name="x", secrt="canary")
    assert "canary" not in json.dumps(result)
    assert "secrt" in result["msg"]
