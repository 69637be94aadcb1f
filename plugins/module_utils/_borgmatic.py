# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed borgmatic: where it is, which version, and its verdict on a configuration."""

from __future__ import annotations

import os
import re
import tempfile
from typing import Callable, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._packages import package_version, version_tuple
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import find_program, run

#: ``borgmatic config validate`` from here on, a program of its own before.
_CONFIG_VALIDATE_SINCE = (1, 7, 15)
#: The lines of its verdict that name a problem; the rest is a frame around them.
_PROBLEM = r"At (?:the top level|'.*'):? "
_FRAME = (
    r"summary:|.*: Error parsing configuration file|An error occurred while parsing a configuration file at .*:"
    r"|Configuration validation failed|Need some help\? .*|\s*"
)


class Borgmatic(NamedTuple):
    """An installed borgmatic.

    :ivar program: its absolute path.
    :ivar version: such as ``2.1.10``.
    """

    program: str
    version: str

    @classmethod
    def find(cls, program: str = "borgmatic", timeout: Optional[float] = None) -> Optional[Borgmatic]:
        """The installed borgmatic, or None.

        The version comes from the package's metadata. Only where there is none (a wrapper script, a single-file
        build) borgmatic is asked, which takes half a second.

        :param program: a name or a path.
        :param timeout: seconds for asking it.
        :raises Failure: ``version`` where it does not tell one; what :func:`run` raises.
        """
        path = find_program(program)
        if path is None:
            return None
        version = package_version(path, "borgmatic")
        if version is None:
            asked = run([path, "--version"], timeout=timeout)
            version = asked.stdout.strip()
            if asked.rc or not version_tuple(version):
                raise Failure(
                    "version",
                    f"{path} does not tell its version. Name borgmatic's program in the option executable.",
                    rc=asked.rc,
                    cmd=asked.argv,
                    stderr=asked.stderr,
                )
        return cls(path, version)

    def validate(
        self, text: str, scrub: Callable[[str], str], directory: Optional[str] = None, timeout: Optional[float] = None
    ) -> None:
        """Have borgmatic judge a configuration. It is read from a file of its own that is gone afterwards.

        :param text: the configuration.
        :param scrub: takes secrets out of what borgmatic prints.
        :param directory: where the file lies for that moment.
        :param timeout: seconds.
        :raises Failure: ``invalid_argument`` with borgmatic's words; what :func:`run` raises.
        """
        with tempfile.TemporaryDirectory(prefix="fleetbackup-", dir=directory) as private:
            path = os.path.join(private, "config.yaml")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            try:
                verdict = run([*self._validator(), "--config", path], timeout=timeout)
            except Failure as failure:
                failure.stderr = scrub(failure.stderr)
                raise
        if verdict.rc == 0:
            return
        output = scrub((verdict.stderr + "\n" + verdict.stdout).replace(path, "the configuration"))
        raise Failure(
            "invalid_argument",
            f"The installed borgmatic {self.version} rejects the configuration: {_problems(output)}."
            " The file was left as it is.",
            rc=verdict.rc,
            cmd=verdict.argv,
            stderr=output,
        )

    def _validator(self) -> list[str]:
        if version_tuple(self.version) >= _CONFIG_VALIDATE_SINCE:
            return [self.program, "config", "validate"]
        return [os.path.join(os.path.dirname(self.program), "validate-borgmatic-config")]


def _problems(output: str) -> str:
    lines = [line.strip() for line in output.splitlines()]
    found = [line for line in lines if re.match(_PROBLEM, line)] or [line for line in lines if not re.fullmatch(_FRAME, line)]
    return "; ".join(line.rstrip(".") for line in dict.fromkeys(found)) or "it does not say why"
