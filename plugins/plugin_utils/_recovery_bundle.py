# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recovery bundle in clear: all that it takes to get a repository's data back, and the words that say how.

It is YAML, so that programs read it, and of so plain a kind that `sed` alone takes it apart, for whoever has nothing else.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shlex
from typing import Any, Iterator, NamedTuple, Optional, Sequence

import yaml

from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key as exported_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._exported_key import ExportedKey
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location

#: Counts up when older releases of this collection could misread what this one writes.
FORMAT = 1
HIDDEN = "(hidden)"
HIDDEN_CHANGED = "(hidden, changed)"
#: How to open a bundle that Ansible Vault encrypted.
VAULT_OPENING = ("    ansible-vault view BUNDLE > bundle",)

#: What YAML does not leave as it is in a block of text. (A passphrase may hold it.)
_NOT_PLAIN = r"[^\t\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_DEFAULT_REMOTE_PATH = "borg"


class Seal(NamedTuple):
    """What is known of a bundle that only others can open.

    :ivar tool: what encrypted it.
    :ivar recipients: for which public keys.
    :ivar content: of the bundle from which it was made, see :attr:`Bundle.content`.
    :ivar ciphertext: the SHA-256 of the file.
    """

    tool: str
    recipients: tuple[str, ...]
    content: str
    ciphertext: str


class Bundle(NamedTuple):
    """What a bundle holds.

    :ivar host: the inventory's name of the client.
    :ivar locations: of the repository; the first is the one to use.
    :ivar key: None: the repository did not exist yet, so the bundle is provisional.
    :ivar identity: a private SSH key.
    :ivar known_hosts: lines for ssh.
    :ivar configuration: borgmatic's file.
    :ivar other_passphrases: those that may be in force, too, for the passphrase was being changed.
    :ivar resolved: the first location with the client's own names in the place of borg's words for them, if it has any.
    :ivar seals: what is known of the files beside it. They are no part of its content.
    """

    host: str
    locations: tuple[str, ...]
    passphrase: str
    key: Optional[ExportedKey] = None
    encryption: Optional[str] = None
    remote_path: str = _DEFAULT_REMOTE_PATH
    identity: Optional[str] = None
    known_hosts: tuple[str, ...] = ()
    configuration: Optional[str] = None
    other_passphrases: tuple[str, ...] = ()
    resolved: Optional[str] = None
    seals: tuple[Seal, ...] = ()

    def render(self, opening: Sequence[str] = VAULT_OPENING) -> str:
        """The text: words on top, data below.

        :param opening: the words that say how to open it.
        """
        return "".join(f"# {line}".rstrip() + "\n" for line in self._words(opening)) + "".join(self._data())

    @property
    def content(self) -> str:
        """The SHA-256 of the data."""
        return hashlib.sha256("".join(self._replace(seals=())._data()).encode()).hexdigest()

    @classmethod
    def parse(cls, text: str) -> Bundle:
        """Read a text of this release or an older one.

        :raises ValueError: nothing of the text is shown.
        :raises Failure: ``version``.
        """
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ValueError("it is no YAML") from None
        if not isinstance(data, dict) or not isinstance(data.get("format"), int):
            raise ValueError("it does not say its format")
        if data["format"] > FORMAT:
            raise Failure(
                "version",
                f"It has the format {data['format']}, and this release of fleetbackup.borg knows up to {FORMAT}: a newer one wrote"
                " it. Upgrade the collection.",
            )
        return cls(
            host=_text(data, "host"),
            locations=_texts(data, "locations"),
            passphrase=_text(data, "passphrase"),
            key=exported_key.parse(_text(data, "key"), "keyfile") if "key" in data else None,
            encryption=_text(data, "encryption") if "encryption" in data else None,
            remote_path=_text(data, "remote_path") if "remote_path" in data else _DEFAULT_REMOTE_PATH,
            identity=_text(data, "identity") if "identity" in data else None,
            known_hosts=tuple(_text(data, "known_hosts").splitlines()) if "known_hosts" in data else (),
            configuration=_text(data, "configuration") if "configuration" in data else None,
            other_passphrases=tuple(_text(data, name) for name in itertools.takewhile(data.__contains__, _other_names())),
            resolved=_text(data, "resolved") if "resolved" in data else None,
            seals=_seals(data.get("seals", [])),
        )

    def compare(self, difference: Difference, before: Optional[Bundle]) -> None:
        """Note what differs from another bundle, without secrets."""
        for name, after in self._asdict().items():
            if name == "seals":
                continue
            present = None if before is None else getattr(before, name)
            if present != after and (before is not None or after != self._field_defaults.get(name)):
                difference.add(name, _shown(name, present), _shown(name, after, changed=bool(present)))

    def _data(self) -> Iterator[str]:
        yield f"format: {FORMAT}\n"
        yield f"provisional: {json.dumps(self.key is None)}\n"
        yield f"host: {_quoted(self.host)}\n"
        if self.key is not None:
            yield f"repository_id: {_quoted(self.key.id)}\n"
        yield "locations:\n" + "".join(f"  - {_quoted(location)}\n" for location in self.locations)
        if self.resolved is not None:
            yield f"resolved: {_quoted(self.resolved)}\n"
        if self.encryption is not None:
            yield f"encryption: {_quoted(self.encryption)}\n"
        if self.remote_path != _DEFAULT_REMOTE_PATH:
            yield f"remote_path: {_quoted(self.remote_path)}\n"
        yield _block("passphrase", self.passphrase)
        yield from map(_block, _other_names(), self.other_passphrases)
        if self.key is not None:
            yield _block("key", self.key.text)
        if self.identity is not None:
            yield _block("identity", self.identity)
        if self.known_hosts:
            yield _block("known_hosts", "".join(f"{line}\n" for line in self.known_hosts))
        if self.configuration is not None:
            yield _block("configuration", self.configuration)
        if self.seals:
            yield "seals:\n" + "".join(f"  - {json.dumps(seal._asdict())}\n" for seal in self.seals)

    def _words(self, opening: Sequence[str]) -> Iterator[str]:
        location = shlex.quote(self.resolved or self.locations[0])
        yield "Recovery bundle of a Borg repository: what it takes to get its data back. Whoever reads this can read the backups."
        yield ""
        if self.key is None:
            yield "PROVISIONAL: the repository did not exist yet when this was written. The passphrase below is the one it was to"
            yield "get. If it exists by now, run the playbook again, and this becomes a full bundle."
            yield ""
        yield "How to restore by hand, on any machine with Borg 1.2 or 1.4. Type the lines that begin further right into bash."
        yield "In place of BUNDLE write the whole path of this file (the encrypted one)."
        yield ""
        yield "Open it where no disk will remember it:"
        yield '    umask 077; cd "$(mktemp --directory --tmpdir=/dev/shm)"'
        yield from opening
        yield '    part() { sed -n "/^$1: /,/^[^ ]/s/^  //p" bundle; }'
        if self._is_plain("passphrase"):
            yield '    export BORG_PASSPHRASE="$(part passphrase)"'
        else:
            yield "Set BORG_PASSPHRASE to the passphrase; it holds unusual signs, so below it stands in quotes, as JSON has them."
        if self.other_passphrases:
            yield from self._words_on_others()
        if self.remote_path != _DEFAULT_REMOTE_PATH:
            yield f"    export BORG_REMOTE_PATH={shlex.quote(self.remote_path)}"
        if not Location.parse(self.locations[0]).is_local:
            yield ""
            yield from self._words_on_ssh()
        if self.key is not None:
            yield ""
            yield "Give the repository its key back. That does no harm where it still has it:"
            yield f"    part key > key; borg key import {location} key"
        yield ""
        yield "Look what there is, and restore an archive, with its name in place of ARCHIVE, into an empty directory:"
        yield f"    borg list {location}"
        yield f"    mkdir ~/restored && (cd ~/restored && borg extract {location}::ARCHIVE)"
        if "{" in location:
            yield f"Words in braces stand for names of the lost machine, {self.host}: write them out."
        if self.configuration is not None:
            yield ""
            yield "The borgmatic configuration, to go on with backups on the new machine:"
            yield "    part configuration > borgmatic.yaml"
        yield ""
        yield "When all is done, remove the directory in /dev/shm."
        yield ""

    def _words_on_others(self) -> Iterator[str]:
        names = list(itertools.islice(_other_names(), len(self.other_passphrases)))
        yield "The passphrase was being changed when this was written. Where borg refuses it below, try each of the others in its place:"
        yield f"{', '.join(names)}. That is, for the first of them:"
        yield f'export BORG_PASSPHRASE="$(part {names[0]})", and where that prints nothing, it stands below in quotes, as JSON has them.'

    def _words_on_ssh(self) -> Iterator[str]:
        options = ["ssh"]
        parts = []
        if self.identity is not None:
            parts.append("part identity > identity")
            options.append("-o IdentitiesOnly=yes -i $PWD/identity")
        else:
            yield "This bundle holds no SSH key. Write the whole path of one that the server accepts in place of IDENTITY."
            options.append("-o IdentitiesOnly=yes -i IDENTITY")
        if self.known_hosts:
            parts.append("part known_hosts > known_hosts")
            options.append("-o UserKnownHostsFile=$PWD/known_hosts")
        yield "Reach the server as the lost machine did:"
        if parts:
            yield f"    {'; '.join(parts)}"
        yield f'    export BORG_RSH="{" ".join(options)}"'

    def _is_plain(self, name: str) -> bool:
        return re.search(_NOT_PLAIN, getattr(self, name)) is None


def _other_names() -> Iterator[str]:
    return map("other_passphrase_{}".format, itertools.count(1))


def _shown(name: str, value: Any, *, changed: bool = False) -> Any:
    if name == "other_passphrases" and not value:
        return None
    if value is None or name in ("host", "locations", "resolved", "encryption", "remote_path", "known_hosts"):
        return list(value) if isinstance(value, tuple) else value
    if name == "key":
        return f"sha256:{value.digest}"
    return HIDDEN_CHANGED if changed else HIDDEN


def _block(name: str, text: str) -> str:
    """A text as it is, two spaces in front of each line; only what YAML would alter is quoted."""
    if re.search(_NOT_PLAIN, text) or text.endswith("\n\n") or not text.strip("\n"):
        return f"{name}: {_quoted(text)}\n"
    lines = "".join(f"  {line}\n" for line in text.rstrip("\n").split("\n"))
    return f"{name}: |2{'' if text.endswith(chr(10)) else '-'}\n{lines}"


def _quoted(text: str) -> str:
    return re.sub(_NOT_PLAIN, lambda match: _escape(match.group()), json.dumps(text, ensure_ascii=False))


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}"


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise ValueError(f"its {name} is missing or no text")
    return value


def _texts(data: dict[str, Any], name: str) -> tuple[str, ...]:
    values = data.get(name)
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise ValueError(f"its {name} are missing or no list of texts")
    return tuple(values)


def _seals(data: Any) -> tuple[Seal, ...]:
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise ValueError("its seals are no list of dictionaries")
    return tuple(
        Seal(_text(entry, "tool"), _texts(entry, "recipients"), _text(entry, "content"), _text(entry, "ciphertext")) for entry in data
    )
