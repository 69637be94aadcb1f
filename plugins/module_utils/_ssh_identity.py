# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client needs to reach its servers over SSH: a key, the servers' host keys, and a configuration that uses these."""

from __future__ import annotations

import os
import stat
from typing import Any, Callable, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._known_hosts import Server, read_pinned, render_pinned
from ansible_collections.fleetbackup.borg.plugins.module_utils._managed_files import ManagedFile
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_config import render_config
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_key_pair import (
    KeyPair,
    generate,
    require_ssh_keygen,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey

_HEADER = "# Written by fleetbackup.borg.borg_ssh_identity, which replaces the whole file.\n"


class Identity(NamedTuple):
    """What shall stand on the client.

    :ivar path: the private key.
    :ivar generate: whether it is made where there is none.
    :ivar comment: of a new key.
    :ivar private_key: the text of the key that shall stand there where there is none.
    """

    path: str
    known_hosts: str
    config: str
    generate: bool
    comment: str
    servers: list[Server]
    private_key: Optional[str] = None

    def ensure(self, *, check_mode: bool) -> dict[str, Any]:
        """Bring it about; the module's result."""
        difference = Difference()
        pinned = self._pinned()
        pairs = {path: KeyPair(path) for path in (self.path, *(server.identity_file for server in self.servers))}
        assumed = not self._compare_keys(pairs, difference, check_mode)
        for path in dict.fromkeys(map(os.path.dirname, (self.path, self.known_hosts, self.config))):
            difference.add(path, None if not os.path.isdir(path) else "a directory", "a directory")
        differing = [file for file, shown in self._files(pinned) if _compare(file, shown, difference)]
        changed = difference.changed or bool(differing) or assumed
        if changed and not check_mode:
            for path in (self.path, self.known_hosts, self.config):
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            for path, pair in pairs.items():
                if pair.exists:
                    pair.repair()
                else:
                    pairs[path] = self._made(path)
            for file in differing:
                file.apply()
        made = pairs[self.path].generated or not (pairs[self.path].exists or self.private_key)
        return {
            "changed": changed,
            "assumed": assumed,
            "diff": difference.as_diff(),
            **self.result(pairs[self.path].public, made),
            "servers": [_shown_server(server, pairs[server.identity_file].public, pinned) for server in self.servers],
            "unpinned": list(dict.fromkeys(server.host for server in self.servers if not pinned[server.known_as])),
        }

    def remove(self, *, key: bool, check_mode: bool) -> dict[str, Any]:
        """Remove the configuration and the host keys; the module's result.

        :param key: whether the key pair goes, too, where we made it.
        """
        difference = Difference()
        files = [ManagedFile(path, None) for path in (self.config, self.known_hosts)]
        differing = [
            file
            for file, shown in zip(files, (_lines, _fingerprints))
            if _our_text(file.path) and _compare(file, shown, difference)
        ]
        pair = KeyPair(self.path)
        if pair.exists:
            try:
                pair.look(may_run=False)
            except Failure:  # whatever it is, we did not make it
                pass
        # a removal that was interrupted leaves the note alone
        ours = pair.generated or (not pair.exists and os.path.lexists(pair.marker_path))
        if key and ours:
            difference.add(self.path, pair.fingerprint or "a note", None)
        if not check_mode:
            for file in differing:
                file.apply()
            if key and ours:
                pair.remove()
        gone = key and ours
        return {
            "changed": difference.changed,
            "assumed": False,
            "diff": difference.as_diff(),
            **self.result(None if gone else pair.public, ours and not gone),
            "servers": [],
            "unpinned": [],
        }

    def result(self, public: Optional[PublicKey], generated: bool) -> dict[str, Any]:
        """What is returned in every state."""
        import shlex

        return {
            "path": self.path,
            "known_hosts": self.known_hosts,
            "config": self.config,
            "ssh_command": shlex.join(["ssh", "-F", self.config]),
            "public_key": None if public is None else str(public),
            "fingerprint": None if public is None else public.fingerprint,
            "generated": generated,
        }

    def _made(self, path: str) -> KeyPair:
        if self.private_key is None:
            return generate(path, require_ssh_keygen("make a key"), self.comment)
        write_atomically(path, self.private_key.encode(), mode=0o600)
        pair = KeyPair(path)
        pair.look()
        pair.repair()
        return pair

    def _pinned(self) -> dict[str, tuple[PublicKey, ...]]:
        """By name, the host keys that shall be pinned; none where nobody knows any."""
        before = read_pinned(_our_text(self.known_hosts))
        return {server.known_as: server.host_keys or before.get(server.known_as, ()) for server in self.servers}

    def _files(
        self, pinned: dict[str, tuple[PublicKey, ...]]
    ) -> list[tuple[ManagedFile, Callable[[list[str]], list[str]]]]:
        _our_text(self.config)
        return [
            (ManagedFile(self.known_hosts, render_pinned(_HEADER, pinned)), _fingerprints),
            (ManagedFile(self.config, render_config(_HEADER, self.servers, self.known_hosts)), _lines),
        ]

    def _compare_keys(self, pairs: dict[str, KeyPair], difference: Difference, check_mode: bool) -> bool:
        """Note what is to be done about the keys; tell whether all that it takes is there."""
        certain = True
        for path, pair in pairs.items():
            if pair.exists:
                # ssh-keygen reads no key that others can read
                pair.look(may_run=not pair.must_close)
                pair.compare(difference)
                certain = certain and not (check_mode and pair.public is None)
            elif path == self.path and self.private_key is not None:
                difference.add(path, None, "the given key")
            elif path != self.path or not self.generate:
                raise Failure(
                    "key_missing",
                    f"There is no private key {path}. Put it there first, or have one made: generate: true makes the one at"
                    " the option path.",
                )
            else:
                difference.add(path, None, "a new ed25519 key")
                try:
                    require_ssh_keygen(f"make the key {path}")
                except Failure:
                    if not check_mode:
                        raise
                    certain = False
        return certain


def _our_text(path: str) -> str:
    """The text of a file of ours; empty where there is none.

    :raises Failure: ``unsafe`` for what somebody else put there.
    """
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            if text.startswith(_HEADER):
                return text
    except FileNotFoundError:
        return ""
    raise Failure(
        "unsafe",
        f"{path} was not written by this module, which would replace all of it. It is left alone; move it away, or name"
        " another path in the options config and known_hosts.",
    )


def _compare(file: ManagedFile, shown: Callable[[list[str]], list[str]], difference: Difference) -> bool:
    """Note what differs in a file, shown for humans; tell whether anything does."""
    raw = Difference()
    differs = file.compare(raw)
    diff = raw.as_diff()
    for name in raw.names:
        sides = [diff[side][name] for side in ("before", "after")]
        if name == file.path:
            sides = [None if side is None else shown(side) for side in sides]
        difference.add(name, *sides)
    return differs


def _lines(lines: list[str]) -> list[str]:
    return lines


def _fingerprints(lines: list[str]) -> list[str]:
    pinned = read_pinned("\n".join(lines))
    return [f"{name} {key.kind} {key.fingerprint}" for name in pinned for key in pinned[name]]


def _shown_server(
    server: Server, public: Optional[PublicKey], pinned: dict[str, tuple[PublicKey, ...]]
) -> dict[str, Any]:
    keys = pinned[server.known_as]
    return {
        "host": server.host,
        "port": server.port,
        "public_key": None if public is None else str(public),
        "identity_file": server.identity_file,
        "pinned": bool(keys),
        "host_keys": [key.bare for key in keys],
        "host_key_fingerprints": [f"{key.kind} {key.fingerprint}" for key in keys],
    }
