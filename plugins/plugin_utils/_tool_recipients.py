# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom something is encrypted for by a program of their own, age or GnuPG. What it makes cannot be read here."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any, Mapping, NamedTuple

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import find_program

#: Both need no more than a moment; a program that asks something would wait for ever.
_PATIENCE = 60.0


class Tool(NamedTuple):
    """A program that encrypts for public keys.

    :ivar name: its own, and how the files end that it makes.
    :ivar package: what Debian calls it.
    :ivar arguments: what it is started with, before the keys.
    :ivar key_option: what stands before each key.
    :ivar key: what a key looks like.
    :ivar example: how to get one.
    :ivar product: how begins what it makes.
    :ivar opening: the words that say how to open that.
    """

    name: str
    package: str
    arguments: tuple[str, ...]
    key_option: str
    key: str
    example: str
    product: bytes
    opening: tuple[str, ...]

    @property
    def option(self) -> str:
        """The option of the module that names its keys."""
        return f"{self.name}_recipients"


TOOLS = (
    Tool(
        "age",
        package="age",
        arguments=("--encrypt",),
        key_option="--recipient",
        key=r"age1[0-9a-z]{50,}\Z",
        example="the public key that age-keygen -y prints, which begins with age1",
        product=rb"age-encryption\.org/v1\n",
        opening=(
            "In place of IDENTITY write the whole path of the file with your age key.",
            "    age --decrypt --identity IDENTITY BUNDLE > bundle",
        ),
    ),
    Tool(
        "gpg",
        package="gnupg",
        # Its own file of options could add recipients, and without one it would make its directory. A key that was named by its
        # fingerprint needs nobody else to vouch for it.
        arguments=("--batch", "--no-tty", "--quiet", "--no-random-seed-file", "--trust-model=always", "--no-options", "--encrypt"),
        key_option="--recipient",
        # by a name, or by eight digits, gpg would take whatever key claims to be it
        key=r"(?:0x)?(?:[0-9A-Fa-f]{16}|[0-9A-Fa-f]{40})\Z",
        example="its fingerprint of 40 digits without blanks, or the last 16 of them, as gpg --list-keys shows it",
        # a session key that is encrypted for a public one; RFC 9580, 4.2 and 5.1
        product=rb"[\x84\x85\xc1]",
        opening=("    gpg --decrypt BUNDLE > bundle",),
    ),
)


class ToolRecipients(NamedTuple):
    """People, each of whom can open what the tool makes for all of them."""

    tool: Tool
    keys: tuple[str, ...]

    @property
    def label(self) -> str:
        """What a result calls them."""
        return f"{self.tool.name}: {', '.join(self.keys)}"

    def encrypt(self, text: str) -> bytes:
        """What only they can read. The text reaches the program through a pipe.

        :raises Failure: ``other``: it is not installed, or does something else; ``invalid_argument``: it cannot use a key;
            ``timeout``.
        """
        tool = self.tool
        program = find_program(tool.name)
        if program is None:
            raise Failure(
                "other",
                f"{tool.option}: {tool.name} is not installed on the controller. Install it (Debian: apt install {tool.package}).",
            )
        argv = [program, *tool.arguments, *(word for key in self.keys for word in (tool.key_option, key))]
        try:
            done = subprocess.run(
                argv,
                input=text.encode(),
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        except subprocess.TimeoutExpired as error:
            raise Failure("timeout", f"{tool.name} did not end within {_PATIENCE:g} seconds. Run it by hand.", cmd=argv) from error
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode:
            raise Failure(
                "invalid_argument",
                f"{tool.option}: {tool.name} does not encrypt for {', '.join(self.keys)}: {said} No bundle was replaced. Give"
                f" {tool.example}, of a key that is valid and known to the user who runs Ansible.",
                rc=done.returncode,
                cmd=argv,
                stderr=said,
            )
        if not re.match(tool.product, done.stdout):
            raise Failure(
                "other",
                f"{program} made something else than {tool.name} does; it was thrown away, and no bundle was replaced. Install"
                f" {tool.name} (Debian: apt install {tool.package}).",
                cmd=argv,
            )
        return done.stdout


def tool_recipients_of(parameters: Mapping[str, Any]) -> list[ToolRecipients]:
    """Those that a task names, for each tool.

    :param parameters: the module's options.
    :raises Failure: ``invalid_argument``; a bad key is not shown: it may be a private one.
    """
    named = []
    for tool in TOOLS:
        keys = parameters[tool.option]
        for number, key in enumerate(keys, 1):
            if not re.match(tool.key, key):
                raise Failure("invalid_argument", f"{tool.option}: what stands at place {number} is no public key. Give {tool.example}.")
        if keys:
            named.append(ToolRecipients(tool, tuple(dict.fromkeys(keys))))
    return named
