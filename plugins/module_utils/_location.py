# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a repository is: a local path or one on a host over SSH.

borg takes ``http://h/x``, ``sftp://h/x`` and ``~/x`` for local directories, and hands a host that begins with ``-`` to
ssh as an option. So only what it reads as the user means it passes here.
"""

from __future__ import annotations

import os
import posixpath
import pwd
import re
from typing import Callable, NamedTuple, NoReturn, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

EXAMPLES = "for example /srv/backup/host, ssh://borg@backup.example.org:22/./host or borg@backup.example.org:host"

#: Placeholders that borg expands in a location and that stay the same from run to run.
#: Source: `borg help placeholders`, 1.2.9 and 1.4.5.
STABLE_PLACEHOLDERS = frozenset(("hostname", "fqdn", "reverse-fqdn", "user"))
#: Those that differ from run to run: a name made of them is never found again.
FLEETING_PLACEHOLDERS = frozenset(
    ("now", "utcnow", "unixtime", "pid", "uuid4", "borgversion", "borgmajor", "borgminor", "borgpatch")
)

#: Called with the reason why an input is bad; raises.
Reject = Callable[[str], NoReturn]

# Not compiled here: most runs use few of them, and compiling costs every launch of a module.
_PLACEHOLDER = r"\{\{|\}\}|\{([^{}]*)\}|[{}]"
_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]*)://"
_SSH = r"ssh://(?:(?P<user>[^@/]*)@)?(?P<host>\[[^\]/]*\]|[^:/\[\]]*)(?::(?P<port>[^/]*))?(?P<path>/.*)?\Z"
_SCP = r"(?:(?P<user>[^@/:]*)@)?(?P<host>\[[^\]/]*\]|[^:/@\[\]]*):(?P<path>.*)\Z"
_USER = r"[A-Za-z0-9_.{][A-Za-z0-9_.+{}$-]*\Z"
_HOST = r"[A-Za-z0-9{][A-Za-z0-9_.{}-]*\Z"
_ADDRESS_PART = r"\[[^\]]*\]"
# Generous: a password may hold anything, and most of it is where a port or a path would be.
_PASSWORD = r"((?:\A|://)[^/@:]*):(?!//).*@"
_ADDRESS = r"\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?\]\Z"


class Location(NamedTuple):
    """A repository's location.

    :ivar path: absolute for local ones; as borg's ``canonical_path`` has it (``/./x``, ``/~/x``, ``/abs``) for remote ones.
    :ivar host: None for local ones; IPv6 addresses in brackets.
    """

    path: str
    host: Optional[str] = None
    user: Optional[str] = None
    port: Optional[int] = None

    @property
    def is_local(self) -> bool:
        """Whether the repository is a directory of this machine."""
        return self.host is None

    def __str__(self) -> str:
        if self.host is None:
            return self.path
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"ssh://{user}{self.host}{port}{self.path}"

    @property
    def directory(self) -> str:
        """The directory of a local repository."""
        return self.canonical

    @property
    def canonical(self) -> str:
        """As borg remembers it, with its placeholders expanded as borg does.

        Source: `borg.platform.base`, `borg.helpers.parseformat.replace_placeholders` and `Location.canonical_path`, 1.2.9 and
        1.4.5.
        """
        text = str(self)
        if "{" not in text:
            return text
        import platform
        import socket

        hostname = platform.node().partition(".")[0]
        values = {"hostname": hostname, "fqdn": socket.getfqdn(hostname), "user": pwd.getpwuid(os.getuid()).pw_name}
        values["reverse-fqdn"] = ".".join(reversed(values["fqdn"].split(".")))
        return re.sub(_PLACEHOLDER, lambda match: values[match.group(1)], text)

    @classmethod
    def parse(cls, text: str, parameter: str = "repository") -> Location:
        """Read a location, local or remote, in any of borg's spellings; two spellings of one place come out alike.

        :param text: the location.
        :param parameter: its name in messages.
        :raises Failure: ``invalid_argument`` with the reason and an example.
        """

        shown = repr(without_password(text))

        def reject(reason: str) -> NoReturn:
            raise Failure("invalid_argument", f"{parameter}: {shown} {reason}; {EXAMPLES}.")

        if not text.strip():
            reject("is empty")
        if text != text.strip():
            reject("begins or ends with white space")
        if any(ord(character) < 32 or ord(character) == 127 for character in text):
            reject("holds a control character")
        if "::" in re.sub(_ADDRESS_PART, "", text, count=1):
            reject("holds '::', which separates a repository from an archive")
        check_placeholders(text, reject)
        scheme = re.match(_SCHEME, text)
        if scheme is None:
            return cls._parse_plain(text, reject)
        if scheme.group(1) == "file":
            return cls(_local_path(text[len("file://") :], reject))
        if scheme.group(1) != "ssh":
            reject(f"has the scheme {scheme.group(1)}://, which borg takes for a local directory of that name")
        match = re.match(_SSH, text)
        if match is None or not match.group("path"):
            reject("names no path after the host")
        return _remote(match, match.group("path"), reject)

    @classmethod
    def _parse_plain(cls, text: str, reject: Reject) -> Location:
        if text.startswith("~"):
            reject("begins with '~', which borg does not expand: write the absolute path")
        if text.startswith("/"):
            return cls(_local_path(text, reject))
        if text.startswith("file:/"):
            reject("lacks two slashes: borg would take 'file' for a host; write file:///path, or the path alone")
        match = re.match(_SCP, text)
        if match is None:
            reject("is a relative path, which depends on the directory of whoever runs borg: write the absolute path")
        if match.group("host") == "rclone" or ":" in match.group("path"):
            reject("has more than one colon: borg would read it otherwise than it looks")
        path = match.group("path")
        if not path:
            reject("names no path after the host")
        if path.startswith("~"):
            path = "/" + path
        elif not path.startswith("/"):
            path = "/./" + path
        return _remote(match, path, reject)


def without_password(text: str) -> str:
    """A location, good or bad, or what holds one, without what may be a password in it."""
    return re.sub(_PASSWORD, r"\1:(hidden)@", text)


def check_placeholders(text: str, reject: Reject, allowed: frozenset[str] = STABLE_PLACEHOLDERS) -> None:
    """Refuse what borg's placeholder expansion would refuse or make different at every run.

    :param reject: called with the reason.
    :param allowed: names of placeholders that may stand there.
    """
    for match in re.finditer(_PLACEHOLDER, text):
        if match.group(0) in ("{{", "}}"):
            reject(f"holds {match.group(0)!r}, a left-over of a template")
        if match.group(1) is None:
            reject(f"holds a lone {match.group(0)!r}")
        name = match.group(1).partition(":")[0]
        if name in allowed:
            continue
        if name in FLEETING_PLACEHOLDERS:
            reject(f"holds {{{name}}}, which differs from run to run")
        reject(f"holds the unknown placeholder {{{name}}} (known here: {', '.join(sorted(allowed))})")


def _local_path(path: str, reject: Reject) -> str:
    if not path.startswith("/"):
        reject("is no absolute path")
    normal = posixpath.normpath(path)
    normal = "/" + normal.lstrip("/")
    if normal == "/":
        reject("is the root directory")
    return normal


def _remote(match: re.Match[str], path: str, reject: Reject) -> Location:
    user, host = match.group("user"), match.group("host")
    if not host:
        reject("names no host")
    if user is not None and ":" in user:
        reject("holds a password; use SSH keys and take it out")
    if not (re.match(_HOST, host) or re.match(_ADDRESS, host)):
        reject(f"names the host {host!r}, which ssh could take for something else")
    if user is not None and not re.match(_USER, user):
        reject(f"names the user {user!r}, which ssh could take for something else")
    if path.startswith(("/./", "/~/")) and ".." in path.split("/"):
        reject("leaves the directory that it begins in with '..'")
    normal = _remote_path(path)
    if normal in ("/", "/./.", "/~/.") or re.match(r"/~[^/]*\Z", normal):
        reject("names no path after the host, but its root or the home of its account")
    return Location(normal, host, user, _port(match.groupdict().get("port"), reject))


def _remote_path(path: str) -> str:
    """One spelling for one place, as borg's own normalisation has it: ``/./a``, ``/~/a`` and ``/a`` stay three."""
    prefix = ""
    for relative in ("/./", "/~/"):
        if path.startswith(relative):
            prefix, path = relative, path[len(relative) :].lstrip("/")
            break
    normal = posixpath.normpath(path)
    return prefix + normal if prefix else "/" + normal.lstrip("/")


def _port(text: Optional[str], reject: Reject) -> Optional[int]:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        reject("has a port that is no number from 1 to 65535")
    return int(text)
