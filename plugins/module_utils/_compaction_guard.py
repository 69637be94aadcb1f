# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that stands between borg and ssh while a repository is compacted.

Who waits for the lock gets it between the look at the archives and the compaction, which then makes final what he deleted. No option of
borg ties the one to the other. But under its lock `borg compact` first gets the list of archives (the manifest), and later says
``commit``: this lets that pass only where the list is, byte for byte, the one that was judged. Until then nothing is changed.

And borg stops listening as soon as the server has answered, though the server's log comes another way and may come later: what it freed would
be lost at random. So all that the server says is noted here as well.

Source: `borg.archiver.Archiver.do_compact`, `borg.remote.RemoteRepository.call_many` and `close`, 1.2.4, 1.2.9, 1.4.0 and 1.4.5.

It runs on its own, so it takes nothing but the standard library.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Sequence

#: In its directory: what the list of archives shall be, that it was another one, and what the server said.
MANIFEST, REFUSED, SAID = "manifest", "refused", "said"

#: The name of the method in a call of borg's protocol.
_COMMIT = b"m\xa6commit"
_CHUNK = 65536
#: Seconds to wait for more words when ssh is gone: a master of its own that stays behind would never close them.
_PATIENCE = 2.0


def main(arguments: Sequence[str]) -> int:
    """Run ssh.

    :param arguments: the directory, and ssh with all that borg says to it.
    :returns: its exit code; 1 where nothing was committed.
    """
    directory, *command = arguments
    with open(os.path.join(directory, MANIFEST), "rb") as file:
        manifest = file.read()
    (reading, asking), (answering, writing), (hearing, telling) = os.pipe(), os.pipe(), os.pipe()
    process = subprocess.Popen(command, stdin=reading, stdout=writing, stderr=telling)  # pylint: disable=ansible-bad-function
    for theirs in (reading, writing, telling):
        os.close(theirs)
    met = threading.Event()
    answers = threading.Thread(target=_answer, args=(answering, manifest, met))
    words = threading.Thread(target=_note, args=(hearing, os.path.join(directory, SAID)), daemon=True)
    answers.start()
    words.start()
    judged = _ask(asking, met)
    if not judged:
        with open(os.path.join(directory, REFUSED), "wb"):
            pass
        process.terminate()
    os.close(asking)
    answers.join()
    code = process.wait()
    words.join(_PATIENCE)
    return code if judged else 1


def _ask(server: int, met: threading.Event) -> bool:
    """Pass on what borg says; whether all of it was passed on."""
    before = b""
    while True:
        data = os.read(0, _CHUNK)
        said = before + data
        if _COMMIT in said and not met.is_set():
            return False
        if not data or not _write(server, data):
            return True
        before = said[1 - len(_COMMIT) :]


def _answer(server: int, manifest: bytes, met: threading.Event) -> None:
    """Pass on what the server answers. What borg says about it comes later."""
    before = b""
    while True:
        data = os.read(server, _CHUNK)
        if not met.is_set():
            said = before + data
            if manifest in said:
                met.set()
            before = said[1 - len(manifest) :]
        if not data or not _write(1, data):
            os.close(1)
            return


def _note(server: int, path: str) -> None:
    """Write down what the server's log says, and pass it on for as long as somebody listens."""
    heard = True
    with open(path, "wb", buffering=0) as file:
        while True:
            data = os.read(server, _CHUNK)
            if not data:
                return
            file.write(data)
            heard = heard and _write(2, data)


def _write(descriptor: int, data: bytes) -> bool:
    """Whether somebody still reads."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except BrokenPipeError:
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
