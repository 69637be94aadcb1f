# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key of a repository: its export, and its replacement by an exported one.

borg itself proves little of what it imports. Measured with 1.2.4 and 1.4.0: garbage below the right first line becomes the
key; a passphrase is not asked for; a key file is truncated before it is written; a repository that may not be written to
gives a warning and success; an aborted import from paper gives success, too. So all of that is looked at here.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from typing import Iterator, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key as exported_key
from ansible_collections.fleetbackup.borg.plugins.module_utils import _process
from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository as repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository_settings as repository_settings
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._exported_key import ExportedKey
from ansible_collections.fleetbackup.borg.plugins.module_utils._ownership import Ownership
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import PROBE_TIMEOUT, Borg
from ansible_collections.fleetbackup.borg.plugins.module_utils._secret_file import SecretFile

#: What borg says of a key that is no text.
_NO_TEXT = "codec can't decode"


def passphrase_of(borg: Borg) -> str:
    """The passphrase that shall open the key; a passcommand is run as borg runs it.

    :raises Failure: ``no_passphrase``; the command and what it printed may hold secrets, so neither is shown.
    """
    if borg.passphrase is not None:
        return borg.passphrase
    if borg.passcommand is None:
        raise Failure(
            "no_passphrase",
            f"{borg.repository}: without passphrase or passcommand nothing proves that the key can be opened; give one of"
            " them.",
        )
    try:
        completed = _process.run(shlex.split(borg.passcommand), timeout=borg.timeout or PROBE_TIMEOUT)
    except (Failure, OSError, ValueError, IndexError) as error:
        raise Failure("no_passphrase", f"The passcommand failed: {_advice(borg)}") from error
    if completed.rc:
        raise Failure("no_passphrase", f"The passcommand failed with exit code {completed.rc}: {_advice(borg)}")
    return completed.stdout.rstrip("\n")


def _advice(borg: Borg) -> str:
    return f"run it by hand as the same user. Nothing was done with {borg.repository}."


def export(borg: Borg, form: str) -> str:
    """The key, as borg exports it. It takes neither a lock nor a passphrase and writes nothing.

    :param form: one of :data:`_exported_key.FORMATS`.
    """
    # borg refuses --bypass-lock here, where it takes no lock anyway
    return _without_secrets(borg).read("key export", *exported_key.FORMATS[form], arguments=["-"], common=()).stdout


def read(borg: Borg, form: str) -> tuple[str, ExportedKey]:
    """The key as text, and what it is.

    :raises Failure: ``key_mismatch`` where something stands in its place that is none.
    """
    try:
        text = export(borg, form)
    except Failure as failure:
        if failure.error != "other":
            raise
        if borg.key_file is not None and not os.path.exists(borg.key_file):
            raise Failure(
                "key_missing",
                f"key_file: there is no file {borg.key_file}. Bring the key back from an export, with state: imported, or name"
                " the file where it stands.",
            ) from failure
        if _NO_TEXT in failure.msg or not Held(export(borg, "keyfile")).key:
            raise _damaged(borg) from failure
        raise
    try:
        return text, exported_key.parse(text, form)
    except ValueError as error:
        raise _damaged(borg) from error


def _damaged(borg: Borg) -> Failure:
    return Failure(
        "key_mismatch",
        f"{borg.repository}: what stands in the place of its key is none, so that nobody can open it. Bring the key back from an"
        " export, with state: imported.",
    )


class Held(NamedTuple):
    """What stands in the place of a repository's key.

    :ivar text: as borg exports it; empty: nothing.
    """

    text: str

    @property
    def key(self) -> Optional[ExportedKey]:
        """The key; None where what stands there is none."""
        try:
            return exported_key.parse(self.text, "keyfile")
        except ValueError:
            return None


def held(borg: Borg) -> Held:
    """What a repository has for a key; it need not be one.

    :raises Failure: for all that is not about the key.
    """
    if borg.key_file is not None and not os.path.exists(borg.key_file):
        borg = borg._replace(key_file=os.devnull)  # borg does not foresee that it is missing
    try:
        return Held(export(borg, "keyfile"))
    except Failure as failure:
        if failure.error in ("key_missing", "key_mismatch") or _NO_TEXT in failure.msg:
            return Held("")
        raise


def check_identity(borg: Borg, key: ExportedKey, present: Held) -> None:
    """Refuse the key of another repository, as far as it is known which this one is.

    :raises Failure: ``key_mismatch``.
    """
    identity = exported_key.owner_of(present.text)
    if identity is None and borg.repository.is_local:
        identity = repository_settings.read_id(borg)
    if identity is not None and identity != key.id:
        raise _foreign(borg, key)


def _foreign(borg: Borg, key: ExportedKey) -> Failure:
    return Failure(
        "key_mismatch", f"The key is of the repository {key.id}, and not of {borg.repository}: give this one's own export."
    )


def is_keyfile(borg: Borg) -> bool:
    """Whether the key stands in a file on this machine, and not in the repository: only then borg looks at the file."""
    try:
        export(borg._replace(key_file=os.devnull), "keyfile")
    except Failure as failure:
        if failure.msgid == "KeyfileInvalidError":
            return True
        if failure.error != "key_missing" and _NO_TEXT not in failure.msg:
            raise
    return False


def file_of(borg: Borg, key: ExportedKey) -> str:
    """Where the key of a keyfile repository stands, or will stand. borg finds it by its first line, whatever its name.

    Source: `borg.crypto.key.KeyfileKey`, 1.2.9 and 1.4.5.

    :raises Failure: ``unsafe``: borg may take any of several files.
    """
    if borg.key_file is not None:
        return os.path.realpath(borg.key_file)
    directory = keys_directory(borg)
    paths = [os.path.join(directory, name) for name in os.listdir(directory)] if os.path.isdir(directory) else []
    found = [path for path in paths if os.path.isfile(path) and read_text(path).startswith(f"BORG_KEY {key.id}")]
    if len(found) > 1:
        raise Failure(
            "unsafe",
            f"{' and '.join(sorted(found))} are keys of the same repository, and Borg may take any of them. Move all but one away.",
        )
    return os.path.realpath(found[0]) if found else os.path.join(directory, key.id)


def keys_directory(borg: Borg) -> str:
    """Where borg keeps the keys of keyfile repositories."""
    return os.path.join(borg.base_directory or _process.home_directory(), ".config", "borg", "keys")


def is_borgs_own(borg: Borg, path: str) -> bool:
    """Whether borg may take a file at this path for the key of a keyfile repository."""
    place = os.path.realpath(path)
    if borg.key_file is not None and place == os.path.realpath(borg.key_file):
        return True
    return os.path.dirname(place) == os.path.realpath(keys_directory(borg))


def read_text(path: str) -> str:
    """The text of a file that may be a key; of a large one the beginning, which is none."""
    with open(path, "rb") as file:
        return file.read(exported_key.LARGEST).decode("utf-8", "replace")


def check_replaceable(path: str, key: ExportedKey, confirm_id: Optional[str]) -> None:
    """Refuse to replace a file that is no key of the same repository.

    :param confirm_id: the other repository whose key may go.
    :raises Failure: ``unsafe``.
    """
    text = read_text(path) if os.path.exists(path) else ""
    if not text:
        return
    owner = exported_key.owner_of(text)
    if owner is None:
        raise Failure(
            "unsafe", f"{path} holds something else than a key; it is left alone. Move it away, or name another file."
        )
    if not key.id.startswith(owner) and not (confirm_id or "").startswith(owner):
        raise Failure(
            "unsafe",
            f"{path} holds the key of another repository, {owner}; it is left alone. Name another file, or, if that key may go,"
            f" say confirm_id: '{owner}'.",
        )


def prove(borg: Borg) -> None:
    """Open the repository with its key.

    :raises Failure: ``integrity`` where the key bears its id and is opened by the passphrase, and yet is not its own.
    """
    try:
        repositories.describe(borg, "--last=1")
    except Failure as failure:
        # 1.2 does not foresee it
        if failure.error != "integrity" and "IntegrityError" not in failure.msg:
            raise
        raise Failure(
            "integrity",
            f"{borg.repository}: the key bears its id and opens, and does not fit its data: either is not what it was. Import"
            " another export, or have borg check the repository.",
            rc=failure.rc,
            msgid=failure.msgid,
            cmd=failure.cmd,
            stderr=failure.stderr,
        ) from failure


def prove_key_file(borg: Borg, key: ExportedKey) -> None:
    """Open a keyfile repository with a key, from a copy that nobody else sees.

    :raises Failure: ``key_mismatch``, and what opening may meet.
    """
    with _private_copy(key.text) as path:
        try:
            prove(borg._replace(key_file=path))
        except Failure as failure:
            if failure.error == "key_mismatch":
                raise _foreign(borg, key) from failure
            raise


def put_file(path: str, key: ExportedKey) -> None:
    """Make a key the one that borg finds there: the old one or this one, whole, at every moment."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    present = Ownership.of(path) if os.path.exists(path) else Ownership(-1, -1, -1)
    SecretFile(path, key.text.encode("ascii"), present._replace(mode=0o600)).apply()


def put_into_repository(borg: Borg, key: ExportedKey, present: Held) -> None:
    """Make a key the repository's own, and prove that it opens it. Where it does not, what was there is put back.

    :raises Failure: ``key_mismatch``, ``permission``, and what opening may meet.
    """
    try:
        _import(borg, key.text)
        if held(borg).key != key:
            raise Failure(
                "permission",
                f"{borg.repository} still has another key, though Borg reported success: its file 'config' may not be written"
                " to. Run as the owner of the repository (become_user).",
            )
        prove(borg)
    except Failure as failure:
        failure.msg += _put_back(borg, key, present)
        raise


def _put_back(borg: Borg, key: ExportedKey, present: Held) -> str:
    """Undo an import; what there is to say of it."""
    try:
        if held(borg) == present:
            return ""
        _import(borg, present.text or f"BORG_KEY {key.id}\n")
    except Failure as failure:
        return f" What was in its place before could not be put back: {failure.msg}"
    return " What was in its place before was put back."


def _import(borg: Borg, text: str) -> None:
    with _private_copy(text) as path:
        _without_secrets(borg).run("key import", arguments=[path], timeout=borg.timeout or PROBE_TIMEOUT)


def _without_secrets(borg: Borg) -> Borg:
    """For commands that need none."""
    return borg._replace(passphrase=None, passcommand=None)


@contextlib.contextmanager
def _private_copy(text: str) -> Iterator[str]:
    """A file with a text, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix=".fleetbackup-") as directory:
        path = os.path.join(directory, "key")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        yield path
