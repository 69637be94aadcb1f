# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints what comes from a server's port 22 through a forward: knock.py PORT plain|socks"""

import socket
import sys
import time

SECONDS = 10
#: SOCKS 5 without authentication, then: connect to 127.0.0.1 port 22.
GREETING, REQUEST = b"\x05\x01\x00", b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x16"


def main():
    port, way = int(sys.argv[1]), sys.argv[2]
    with connected(port) as connection:
        connection.settimeout(SECONDS)
        if way == "socks":
            connection.sendall(GREETING)
            connection.recv(2)
            connection.sendall(REQUEST)
            connection.recv(10)
        try:
            print(connection.recv(8).decode("ascii", "replace"))
        except (ConnectionResetError, TimeoutError):
            pass


def connected(port):
    end = time.monotonic() + SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    main()
