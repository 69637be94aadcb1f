# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

#: Made by record.py in the same directory.
RECORDINGS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).resolve().parents[2] / "recordings").glob("borg-*.json"))
}


@pytest.fixture(params=RECORDINGS)
def situations(request):
    """What one version of borg printed in each situation: name -> codes (modern, legacy) -> command, rc, stdout, stderr."""
    return RECORDINGS[request.param]["situations"]


@pytest.fixture(params=["modern", "legacy"])
def recorded(request, situations):
    """What one version of borg printed, with and without modern exit codes: name -> command, rc, stdout, stderr."""
    return {name: recordings[request.param] for name, recordings in situations.items()}


@pytest.fixture
def fake_borg(tmp_path):
    """A program that answers like borg: give it the version and what it shall print, run it, look at how it was called."""

    class FakeBorg:
        def __init__(self):
            self.program = tmp_path / "fake" / "bin" / "borg"
            self.log = tmp_path / "fake" / "calls"
            self.program.parent.mkdir(parents=True)
            (self.program.parent / "python3").symlink_to(sys.executable)

        def install(self, recording, *, version="1.4.5", metadata=True):
            """Let it print a recording: stdout, stderr, rc."""
            if metadata:
                library = tmp_path / "fake" / "lib" / "python3.9" / "site-packages" / f"borgbackup-{version}.dist-info"
                library.mkdir(parents=True)
            answer = json.dumps(recording)
            self.program.write_text(
                f"#!{self.program.parent}/python3\n"
                "import json, os, sys\n"
                f"with open({str(self.log)!r}, 'a') as log:\n"
                "    number = os.environ.get('BORG_PASSPHRASE_FD')\n"
                "    secret = os.read(int(number), 9999).decode() if number else None\n"
                "    print(json.dumps({'argv': sys.argv[1:], 'environment': dict(os.environ), 'secret': secret,\n"
                "                      'cwd': os.getcwd()}), file=log)\n"
                "if sys.argv[1:] == ['--version']:\n"
                f"    print('borg {version}')\n"
                "    sys.exit(0)\n"
                f"answer = json.loads({answer!r})\n"
                "sys.stdout.write(answer['stdout'])\n"
                "sys.stderr.write(answer['stderr'])\n"
                "sys.exit(answer['rc'])\n"
            )
            self.program.chmod(0o755)
            return str(self.program)

        @property
        def calls(self):
            """How it was called: argv, environment, secret (what the descriptor held), cwd."""
            return [json.loads(text) for text in self.log.read_text().splitlines()] if self.log.exists() else []

    return FakeBorg()
