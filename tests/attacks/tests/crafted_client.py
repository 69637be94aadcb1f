# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client of borg serve that keeps to none of Borg's manners: crafted_client.py COMMAND CALLS

COMMAND is what it asks sshd for. CALLS is a JSON list of [method, arguments]; bytes in arguments are {"hex": DIGITS},
or so many zeros, {"zeros": COUNT}. Prints a JSON list of what came back: the exception's name, or null and what was returned.
"""

import json
import os
import subprocess
import sys

import msgpack

SSH = ["ssh", "-F", "/root/.ssh/fleetbackup_config", "borg@backup1"]


class Session:
    def __init__(self, command):
        self.process = subprocess.Popen([*SSH, command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.unpacker = msgpack.Unpacker(raw=True, strict_map_key=False)
        self.number = 0

    def call(self, method, arguments):
        self.number += 1
        request = {b"i": self.number, b"m": method.encode(), b"a": arguments}
        self.process.stdin.write(msgpack.packb(request, use_bin_type=False))
        self.process.stdin.flush()
        while True:
            for answer in self.unpacker:
                return [answer.get(b"exception_class", b"").decode() or None, shown(answer.get(b"r"))]
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise EOFError
            self.unpacker.feed(data)


def shown(value):
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    return [shown(part) for part in value] if isinstance(value, (list, tuple)) else str(value)


def argument(value):
    if not isinstance(value, dict):
        return value
    return bytes(value["zeros"]) if "zeros" in value else bytes.fromhex(value["hex"])


def main():
    session = Session(sys.argv[1])
    answers = []
    try:
        session.call("negotiate", {b"client_data": {b"client_version": [1, 4, 0]}})
        for method, arguments in json.loads(sys.argv[2]):
            answers.append(session.call(method, {name: argument(value) for name, value in arguments.items()}))
    except (EOFError, BrokenPipeError):
        answers.append(["the server hung up", None])
    session.process.stdin.close()
    session.process.wait(timeout=10)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
