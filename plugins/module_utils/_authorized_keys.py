# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account's authorized_keys: which client may reach which repositories. Text in, text out."""

from __future__ import annotations

import re
import shlex
from typing import Any, Iterable, Mapping, NamedTuple, NoReturn, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._client_keys import client_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository_settings import parse_setting
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey

HEADER = "# Managed by Ansible (fleetbackup.borg.borg_authorized_keys): changes made here will be overwritten."

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}\Z"
_MARK = "fleetbackup:"
# sshd knows one escape within quotes: \" for a quote. Any other backslash stands for itself.
# Source: OpenSSH 9.2 and 10.0, misc.c `opt_dequote` and auth2-pubkeyfile.c `auth_check_authkey_line`.
_LINE = r'command="((?:[^"\\]|\\"|\\(?!"))*)",restrict(?:,from="([^"\\]+)")? (\S+) (\S+) fleetbackup:(\S+)\Z'
_OWN = r".*[ \t]fleetbackup:(\S+)\s*\Z"
_ADDRESS = r"!?[A-Za-z0-9*?.:/_%-]+\Z"
_HOST_ID = r"[A-Za-z0-9][A-Za-z0-9.@_:-]{0,254}\Z"
_BORG = r"(/[^\x00-\x1f\x7f]+|[A-Za-z0-9][A-Za-z0-9._+-]*)\Z"
_UMASK = r"0?0[0-7]{2}\Z"
#: Borg's options that say what a session may reach.
RESTRICTIONS = ("--restrict-to-repository", "--restrict-to-path")
#: Each of these options with its path.
Reach = frozenset[tuple[str, str]]
_UNITS = (("P", 10**15), ("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3))


class Serving(NamedTuple):
    """How borg is started for every client.

    :ivar host_id: BORG_HOST_ID, by which borg knows whether the holder of a lock ran on this machine.
    """

    borg: str = "borg"
    host_id: Optional[str] = None
    umask: str = "077"

    def check(self) -> None:
        """:raises Failure: ``invalid_argument``."""
        if not re.match(_BORG, self.borg):
            _reject("borg", self.borg, "is neither a name nor an absolute path; for example /usr/local/bin/borg")
        if self.host_id is not None and not re.match(_HOST_ID, self.host_id):
            _reject(
                "host_id", self.host_id, "is more than letters, digits and . @ _ : -; for example backup1.example.org@1"
            )
        if not re.match(_UMASK, self.umask):
            _reject("umask", self.umask, "is no mask that leaves the owner everything; for example '077', in quotes")


class Access(NamedTuple):
    """What one client may do.

    :ivar repositories: absolute paths; these and nothing below.
    :ivar paths: absolute paths; everything in them.
    :ivar storage_quota: as borg reads it; None: none.
    :ivar addresses: patterns of the addresses that it may come from; none: any.
    """

    serving: Serving
    repositories: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    append_only: bool = True
    storage_quota: Optional[str] = None
    addresses: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The command that runs whatever the client asks for."""
        borg, host_id, umask = self.serving
        words = ["env", f"BORG_HOST_ID={host_id}"] if host_id is not None else []
        words += [borg, "serve", f"--umask={umask}"]
        if self.append_only:
            words.append("--append-only")
        if self.storage_quota is not None:
            words += ["--storage-quota", self.storage_quota]
        for path in self.repositories:
            words += ["--restrict-to-repository", path]
        for path in self.paths:
            words += ["--restrict-to-path", path]
        return words

    @property
    def reach(self) -> Reach:
        """What it lets a session reach."""
        return frozenset((option, path) for option, paths in zip(RESTRICTIONS, (self.repositories, self.paths)) for path in paths)

    @property
    def options(self) -> str:
        """What stands before the key in a line."""
        command = " ".join(map(shlex.quote, self.words)).replace('"', '\\"')
        addresses = f',from="{",".join(self.addresses)}"' if self.addresses else ""
        return f'command="{command}",restrict{addresses}'


class Client(NamedTuple):
    """A client, with one key or more."""

    name: str
    keys: tuple[PublicKey, ...]
    access: Access

    @property
    def lines(self) -> list[str]:
        """Its lines, one for each key."""
        options = self.access.options
        return [f"{options} {key.bare} {_MARK}{self.name}" for key in self.keys]

    def as_record(self) -> dict[str, Any]:
        """For a diff."""
        access = self.access
        return {
            "fingerprints": sorted(key.fingerprint for key in self.keys),
            "repositories": list(access.repositories),
            "paths": list(access.paths),
            "append_only": access.append_only,
            "storage_quota": access.storage_quota,
            "from": list(access.addresses),
            **access.serving._asdict(),
        }


class Present(NamedTuple):
    """What a file holds.

    :ivar lines: those of clients, by the client's name.
    :ivar clients: those whose lines are all as we write them, by name.
    :ivar numbers: line numbers, by the client's name.
    :ivar foreign: numbers of lines that are not ours.
    """

    lines: dict[str, list[str]]
    clients: dict[str, Client]
    numbers: dict[str, list[int]]
    foreign: list[int]


def parse_clients(
    given: Sequence[Mapping[str, Any]], directory: str, serving: Serving, *, keyless: bool = False
) -> list[Client]:
    """The clients that a user describes, in the order of their names.

    :param directory: the absolute path that all repositories are below.
    :param keyless: whether a client may have no key yet.
    :raises Failure: ``invalid_argument`` naming the parameter, the value, the reason and an example.
    """
    serving.check()
    base = _checked_directory(directory)
    clients: dict[str, Client] = {}
    for about in given:
        client = _client(about, base, serving, keyless)
        if client.name in clients:
            _reject("clients", client.name, "is there twice; give one entry with all of its keys and repositories")
        clients[client.name] = client
    return [clients[name] for name in sorted(clients)]


def parse_line(line: str) -> Optional[Client]:
    """The client, with one key, that a line lets in; None where the line is not exactly as we write it."""
    match = re.match(_LINE, line)
    if match is None or not re.match(_NAME, match.group(5)):
        return None
    try:
        key = client_key(f"{match.group(3)} {match.group(4)}", "key")
        access = _access(shlex.split(match.group(1).replace('\\"', '"')), match.group(2))
    except (Failure, ValueError):
        return None
    client = Client(match.group(5), (key,), access)
    # sshd reads the text, not what we made of it
    return client if client.lines == [line] else None


def read(text: str, expected: Iterable[Client] = ()) -> Present:
    """What a file holds.

    :param expected: clients whose lines need no parsing when they are there as they shall be.
    """
    known = {line: (client, key) for client in expected for line, key in zip(client.lines, client.keys)}
    present = Present({}, {}, {}, [])
    broken = set()
    for number, line in enumerate(text.split("\n"), start=1):
        if line in ("", HEADER):
            continue
        owner = re.match(_OWN, line)
        if line.startswith("#") or owner is None or not re.match(_NAME, owner.group(1)):
            present.foreign.append(number)
            continue
        name = owner.group(1)
        present.lines.setdefault(name, []).append(line)
        present.numbers.setdefault(name, []).append(number)
        client = known[line][0]._replace(keys=(known[line][1],)) if line in known else parse_line(line)
        before = present.clients.get(name)
        if client is None or (before is not None and before.access != client.access):
            broken.add(name)
        elif before is None:
            present.clients[name] = client
        else:
            present.clients[name] = before._replace(keys=(*before.keys, *client.keys))
    for name in broken:
        present.clients.pop(name, None)
    return present


def render(clients: Sequence[Client], retained: Mapping[str, Sequence[str]]) -> str:
    """The file.

    :param retained: lines that stay as they are, by the client's name.
    """
    lines = {**{client.name: client.lines for client in clients}, **retained}
    return "\n".join([HEADER, *(line for name in sorted(lines) for line in lines[name]), ""])


def check_retained(present: Present, retained: Sequence[str]) -> None:
    """Refuse lines that must not stay.

    :param retained: names of clients whose lines stay as they are.
    :raises Failure: ``unsafe``: a line that is not as we write it.
    """
    for name in retained:
        if name not in present.clients:
            numbers = ", ".join(map(str, present.numbers[name]))
            raise Failure(
                "unsafe",
                f"retain: the lines of {name} (line {numbers}) are not as this module writes them, so they may let it in"
                " without a restriction. Give the client in clients, or let it be removed.",
            )


# --- reading what a user says ------------------------------------------------------------------------------------


def _client(about: Mapping[str, Any], directory: str, serving: Serving, keyless: bool) -> Client:
    name = about["name"]
    if not re.match(_NAME, name):
        _reject(
            "clients, name",
            name,
            "is no name: 1 to 64 letters, digits and . _ : -, of which the first is a letter, a digit or _;"
            " for example client1.example.org",
        )
    where = f"clients, {name}"
    keys = tuple(dict.fromkeys(client_key(text, f"{where}, public_keys") for text in about["public_keys"]))
    if not keys and not keyless:
        raise Failure(
            "invalid_argument", f"{where}, public_keys: is empty; give the client's public key, or retain it."
        )
    repositories = _inside(about.get("repositories") or (), f"{where}, repositories", directory)
    paths = _inside(about.get("paths") or (), f"{where}, paths", directory, itself=True)
    if bool(repositories) == bool(paths):
        raise Failure(
            "invalid_argument",
            f"{where}: give either repositories, for example [{name}], or paths; without one of them nothing would"
            f" limit it,"
            " and with both borg lets it open only what both allow.",
        )
    append_only = about.get("append_only")
    return Client(
        name,
        keys,
        Access(
            serving,
            repositories,
            paths,
            append_only is None or bool(append_only),
            _quota(about.get("storage_quota"), f"{where}, storage_quota"),
            _addresses(about.get("from") or (), f"{where}, from"),
        ),
    )


def _checked_directory(directory: str) -> str:
    base = directory.rstrip("/")
    if not directory.startswith("/") or not base or any(part in ("", ".", "..") for part in base.split("/")[1:]):
        _reject("directory", directory, "is no absolute path below /, without . and ..; for example /srv/borg")
    _check_printable("directory", directory, "/srv/borg")
    return base


def _inside(given: Iterable[str], parameter: str, directory: str, *, itself: bool = False) -> tuple[str, ...]:
    """Absolute paths below the directory.

    :param itself: whether the directory itself will do.
    """
    return tuple(sorted({_absolute(path, parameter, directory, itself) for path in given}))


def _absolute(path: str, parameter: str, directory: str, itself: bool) -> str:
    example = f"for example {directory}/client1 or client1"
    _check_printable(parameter, path, example)
    if itself and path in (directory, directory + "/", "."):
        return directory
    below = path
    if path.startswith("/"):
        if not path.startswith(directory + "/"):
            _reject(parameter, path, f"is not below {directory}; {example}")
        below = path[len(directory) + 1 :]
    for part in below.split("/"):
        if not part:
            _reject(parameter, path, f"has a part without a name between two slashes or at its end; {example}")
        if part in (".", ".."):
            _reject(parameter, path, f"holds {part!r}, which may lead elsewhere; {example}")
        if part[0] in ".-":
            _reject(parameter, path, f"has the part {part!r}, which begins with {part[0]!r}; {example}")
    return f"{directory}/{below}"


def _quota(text: Optional[str], parameter: str) -> Optional[str]:
    """In the largest unit that needs no fraction, so that one size has one spelling."""
    if text is None or text == "":
        return None
    size = parse_setting(text, parameter)
    for unit, factor in _UNITS:
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size) if size else None


def _addresses(given: Iterable[str], parameter: str) -> tuple[str, ...]:
    for pattern in given:
        if not re.match(_ADDRESS, pattern):
            _reject(
                parameter,
                pattern,
                "is no address, network or pattern of sshd; for example 192.0.2.0/24 or *.example.org",
            )
    addresses = tuple(dict.fromkeys(given))
    if addresses and all(pattern.startswith("!") for pattern in addresses):
        _reject(
            parameter, ",".join(addresses), "excludes only, so it lets nobody in; for example 192.0.2.0/24, !192.0.2.7"
        )
    return addresses


def _check_printable(parameter: str, value: str, example: str) -> None:
    if not value:
        _reject(parameter, value, f"is empty; {example}")
    if not value.isprintable():
        _reject(parameter, value, f"holds a character that can't be printed, such as the end of a line; {example}")


def _reject(parameter: str, value: str, reason: str) -> NoReturn:
    raise Failure("invalid_argument", f"{parameter}: {value!r} {reason}.")


# --- reading a line ----------------------------------------------------------------------------------------------


def _access(words: list[str], addresses: Optional[str]) -> Access:
    """:raises ValueError: not as we write it."""
    host_id = None
    if words[:1] == ["env"]:
        variable, host_id = words[1].partition("=")[::2] if len(words) > 1 else ("", "")
        words = words[2:]
        if variable != "BORG_HOST_ID":
            raise ValueError(variable)
    borg, serve, umask, *rest = words
    if serve != "serve" or not umask.startswith("--umask="):
        raise ValueError(serve)
    append_only = rest[:1] == ["--append-only"]
    named: dict[str, list[str]] = {"--storage-quota": [], "--restrict-to-repository": [], "--restrict-to-path": []}
    rest = rest[append_only:]
    for option, value in zip(rest[::2], rest[1::2]):
        if option not in named:
            raise ValueError(option)
        named[option].append(value)
    quotas, repositories, paths = named.values()
    if len(rest) % 2 or len(quotas) > 1 or not (repositories or paths):
        raise ValueError(rest)
    return Access(
        Serving(borg, host_id, umask.partition("=")[2]),
        tuple(repositories),
        tuple(paths),
        append_only,
        quotas[0] if quotas else None,
        tuple(addresses.split(",")) if addresses else (),
    )
