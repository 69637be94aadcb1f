# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Encryption by other programs, with programs that answer as told. The integration target has the real ones."""

from __future__ import annotations

import json
import sys

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _tool_recipients
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._tool_recipients import TOOLS, ToolRecipients, tool_recipients_of

AGE, GPG = TOOLS
CANARY = "canary-0b7d"
AGE_KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
GPG_KEY = "5A1B2C3D4E5F60718293A4B5C6D7E8F901234567"
NONE = {"age_recipients": [], "gpg_recipients": []}


@pytest.fixture(name="program")
def fixture_program(tmp_path, monkeypatch):
    """Installs a program that notes its arguments and its input, and prints what it is told."""

    def install(stdout, *, rc=0, stderr="", script=""):
        path = tmp_path / "program"
        path.write_text(
            f"#!{sys.executable}\nimport json, sys, time\n{script}\n"
            f"json.dump({{'argv': sys.argv[1:], 'input': sys.stdin.buffer.read().decode()}}, open({str(tmp_path / 'call')!r}, 'w'))\n"
            f"sys.stdout.buffer.write({stdout!r})\nsys.stderr.write({stderr!r})\nsys.exit({rc})\n",
            encoding="utf-8",
        )
        path.chmod(0o755)
        monkeypatch.setattr(_tool_recipients, "find_program", lambda name: str(path))
        return lambda: json.loads((tmp_path / "call").read_text(encoding="utf-8"))

    return install


def refused(recipients, text=CANARY):
    with pytest.raises(Failure) as caught:
        recipients.encrypt(text)
    assert CANARY not in str(caught.value.as_result())
    return caught.value


class TestEncrypt:
    @pytest.mark.parametrize("tool, key, product", [(AGE, AGE_KEY, b"age-encryption.org/v1\n\0\xff"), (GPG, GPG_KEY, b"\x84\0\xff"), (GPG, GPG_KEY, b"\xc1")])
    def test_the_text_goes_by_a_pipe_and_the_keys_by_arguments(self, program, tool, key, product):
        call = program(product)
        text = CANARY * 20_000  # more than fits into a pipe
        assert ToolRecipients(tool, (key, "x")).encrypt(text) == product
        assert call()["input"] == text
        assert call()["argv"] == [*tool.arguments, "--recipient", key, "--recipient", "x"]

    @pytest.mark.parametrize("tool, package", [(AGE, "apt install age"), (GPG, "apt install gnupg")])
    def test_without_the_program_it_says_what_to_install(self, monkeypatch, tool, package):
        monkeypatch.setattr(_tool_recipients, "find_program", lambda name: None)
        failure = refused(ToolRecipients(tool, ("x",)))
        assert failure.error == "other" and package in failure.msg and failure.msg.startswith(tool.option)

    def test_what_it_objects_to_is_handed_on(self, program):
        program(b"age-encryption.org/v1\n", rc=2, stderr="gpg: x: skipped: No public key")
        failure = refused(ToolRecipients(GPG, (GPG_KEY,)))
        assert failure.error == "invalid_argument" and failure.rc == 2
        assert "No public key" in failure.msg and GPG_KEY in failure.msg

    @pytest.mark.parametrize("tool", TOOLS)
    @pytest.mark.parametrize("product", [b"", CANARY.encode()])
    def test_what_is_not_encrypted_is_thrown_away(self, program, tool, product):
        program(product)
        assert refused(ToolRecipients(tool, ("x",))).error == "other"

    def test_nobody_waits_for_ever(self, program, monkeypatch):
        monkeypatch.setattr(_tool_recipients, "_PATIENCE", 0.2)
        program(b"", script="time.sleep(60)")
        failure = refused(ToolRecipients(AGE, (AGE_KEY,)))
        assert failure.error == "timeout" and failure.retryable


class TestToolRecipientsOf:
    def test_each_tool_and_each_key_once(self):
        assert tool_recipients_of(NONE) == []
        named = tool_recipients_of({"age_recipients": [AGE_KEY, AGE_KEY], "gpg_recipients": [GPG_KEY, GPG_KEY[-16:], f"0x{GPG_KEY.lower()}"]})
        assert named == [ToolRecipients(AGE, (AGE_KEY,)), ToolRecipients(GPG, (GPG_KEY, GPG_KEY[-16:], f"0x{GPG_KEY.lower()}"))]
        assert named[0].label == f"age: {AGE_KEY}"

    @pytest.mark.parametrize(
        "option, key",
        [("age_recipients", f"AGE-SECRET-KEY-{CANARY}"), ("age_recipients", "-o/etc/passwd"), ("age_recipients", "age1x"), ("age_recipients", ""),
         ("age_recipients", f"{AGE_KEY}\n"), ("age_recipients", AGE_KEY.upper()),
         ("gpg_recipients", "ada@example.org"), ("gpg_recipients", "01234567"), ("gpg_recipients", f"--output={CANARY}"), ("gpg_recipients", f"{GPG_KEY}!"),
         ("gpg_recipients", f"{GPG_KEY}\n"), ("gpg_recipients", "")],
    )  # fmt: skip
    def test_what_could_mean_something_else_is_refused_and_not_shown(self, option, key):
        with pytest.raises(Failure) as caught:
            tool_recipients_of({**NONE, option: [*NONE[option], {"age_recipients": AGE_KEY, "gpg_recipients": GPG_KEY}[option], key]})
        assert caught.value.error == "invalid_argument" and caught.value.msg.startswith(f"{option}: what stands at place 2")
        assert CANARY not in caught.value.msg
