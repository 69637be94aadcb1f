# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository: whether it exists and opens, its making, its passphrase, its end."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import socket
import uuid
from typing import NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive, parse_time, read_archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._passphrase import check_passphrase
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

#: Source: `borg init --help`, 1.2.9 and 1.4.5; the mode of a repository can never be changed.
ENCRYPTION_MODES = (
    "repokey",
    "repokey-blake2",
    "keyfile",
    "keyfile-blake2",
    "authenticated",
    "authenticated-blake2",
    "none",
)

#: How every repository's README begins. Source: `borg.constants.REPOSITORY_README`, 1.2.9 and 1.4.5.
_README = b"This is a Borg Backup repository."
#: What ``borg init`` makes before it commits; the index and its companions come after that. Its temporary files are
#: ``config-*.tmp`` and the like. Source: `borg.repository.Repository.create` and `borg.platform.base.SaveFile`.
_NAME_OF_CREATION = re.compile(r"README|data|(config|nonce)(\.old|-.*\.tmp)?|lock\..*")
#: How a segment begins, and how the one that makes a transaction count ends. Source: `borg.repository.LoggedIO`.
_SEGMENT_MAGIC = b"BORG_SEG"
_COMMIT = b"\x40\xf4\x3c\x25\x09\x00\x00\x00\x02"
#: An empty manifest takes some 530 bytes; whatever is larger may be somebody's data.
_LARGEST_CREATION = 4096


class Description(NamedTuple):
    """A repository that exists and could be opened.

    :ivar archives: those that were asked for, oldest first.
    """

    id: str
    encryption: str
    location: str
    last_modified: datetime.datetime
    archives: tuple[Archive, ...]


def describe(borg: Borg, *options: str, touch: bool = False) -> Description:
    """Look a repository up: one borg command tells its id, its encryption, its archives, and that the passphrase opens
    it. It needs no lock and touches nothing.

    :param options: of ``borg list``, for example ``--last=1``.
    :param touch: let borg remember what it sees in its security directory.
    :raises Failure: ``absent`` and every other word that opening may meet.
    """
    run = borg.run if touch else borg.read
    document = run("list", "--json", *options).json()
    repository = document["repository"]
    return Description(
        repository["id"],
        document["encryption"]["mode"],
        repository["location"],
        parse_time(repository["last_modified"]),
        tuple(read_archive(entry) for entry in document["archives"]),
    )


def statistics(borg: Borg, identity: str) -> dict[str, int]:
    """The sizes of all archives in bytes. borg works on a linked copy of its cache and may take long to complete it.

    :param identity: the repository's id.
    """
    sizes = borg.read("info", "--json", cached_id=identity, timeout=borg.timeout).json()["cache"]["stats"]
    return {
        "original_size": sizes["total_size"],
        "compressed_size": sizes["total_csize"],
        "deduplicated_size": sizes["unique_csize"],
    }


def is_empty_directory(borg: Borg) -> bool:
    """Whether a local location is an existing, empty directory: perhaps a disk that is not mounted."""
    directory = borg.repository.directory if borg.repository.is_local else None
    return directory is not None and os.path.isdir(directory) and not os.listdir(directory)


def is_interrupted_creation(borg: Borg) -> bool:
    """Whether a local location holds what ``borg init`` leaves when it is killed, and not one byte of data."""
    if not borg.repository.is_local or not os.path.isdir(borg.repository.directory):
        return False
    directory = borg.repository.directory
    names = os.listdir(directory)
    if "README" not in names or not all(_NAME_OF_CREATION.fullmatch(name) for name in names):
        return False
    readme = _head(os.path.join(directory, "README"))
    if not readme:
        return names == ["README"]
    return readme.startswith(_README) and _is_uncommitted(os.path.join(directory, "data"))


def _is_uncommitted(data: str) -> bool:
    """Whether a data directory holds at most what borg itself throws away: segments without a commit."""
    contents = [_head(os.path.join(directory, name)) for directory, _directories, files in os.walk(data) for name in files]
    return sum(map(len, contents)) <= _LARGEST_CREATION and all(
        content[: len(_SEGMENT_MAGIC)] == _SEGMENT_MAGIC[: len(content)] and not content.endswith(_COMMIT)
        for content in contents
    )


def _head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_LARGEST_CREATION + 1)


def create(
    borg: Borg, encryption: str, *, append_only: bool = False, storage_quota: Optional[int] = None, parents: bool = False
) -> None:
    """Make a repository where borg says that there is none. Where that fails, nothing of it stays on this machine.

    :param encryption: one of :data:`ENCRYPTION_MODES`.
    :param storage_quota: bytes; local repositories only (borg drops it over SSH).
    :param parents: make the directories above it.
    :raises Failure: ``parent_missing``, ``permission``, ``no_passphrase`` …
    """
    options = [f"--encryption={encryption}"]
    if append_only:
        options.append("--append-only")
    if storage_quota is not None:
        options.append(f"--storage-quota={storage_quota}")
    if parents:
        options.append("--make-parent-dirs")
    existed = borg.repository.is_local and os.path.isdir(borg.repository.directory)
    try:
        borg.run("init", *options)
    except Failure as failure:
        if failure.error not in ("exists", "not_a_repository") and is_interrupted_creation(borg):
            remove_interrupted_creation(borg)
            if not existed:
                os.rmdir(borg.repository.directory)
        raise


def check_parent(borg: Borg, may_be_made: bool) -> None:
    """Refuse to create a local repository where its directory could not be made.

    :raises Failure: ``parent_missing``, ``permission``, ``not_a_repository``: a link that leads nowhere.
    """
    if os.path.islink(borg.repository.directory) and not os.path.exists(borg.repository.directory):
        raise Failure(
            "not_a_repository",
            f"{borg.repository} is a link to {os.readlink(borg.repository.directory)}, which does not exist; perhaps a"
            " disk is not mounted. Mount it, or give the repository's own path.",
        )
    parent = os.path.dirname(borg.repository.directory)
    if not os.path.isdir(parent) and not may_be_made:
        raise Failure(
            "parent_missing",
            f"{borg.repository}: the directory {parent} does not exist. Create or mount it, or say"
            " make_parent_directories: true.",
        )
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise Failure("permission", f"{borg.repository}: {parent} may not be written to by this user.")


def check_unlocked(borg: Borg) -> None:
    """Refuse a local repository that somebody may be working on.

    :raises Failure: ``locked``.
    """
    for holder in _lock_holders(borg.repository.directory):
        raise Failure("locked", f"{borg.repository}: {holder} is working on it. Try again when it has ended.")


def remove_interrupted_creation(borg: Borg) -> None:
    """Clear what :func:`is_interrupted_creation` found. The directory itself stays: it may be a mount point."""
    check_unlocked(borg)
    for entry in os.scandir(borg.repository.directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


class Found(NamedTuple):
    """A repository and what it took to open it.

    :ivar passphrase: the one in force, where it is not the wanted one.
    :ivar accepted: it was moved, or is unencrypted and was never seen here, and the user accepts that.
    """

    id: str
    encryption: str
    passphrase: Optional[str] = None
    accepted: bool = False


def find(borg: Borg, previous_passphrases: Sequence[str]) -> Optional[Found]:
    """Open a repository as cautiously as possible: one borg command where all is as wanted.

    :param previous_passphrases: tried in order when the wanted one does not open it.
    :returns: None where borg says that there is none.
    :raises Failure: for everything else that keeps it from opening.
    """
    candidates = [borg.passphrase, *previous_passphrases]
    opener = borg._replace(accept_relocated=False, allow_unencrypted=False)
    while True:
        try:
            description = describe(opener._replace(passphrase=candidates[0]), "--last=1")
        except Failure as failure:
            if failure.error == "absent":
                return None
            if failure.error == "wrong_passphrase" and len(candidates) > 1:
                del candidates[0]
            elif opener is not borg and failure.error in _acceptable(borg):
                opener = borg
            else:
                raise
        else:
            wanted = candidates[0] == borg.passphrase
            return Found(description.id, description.encryption, None if wanted else candidates[0], opener is borg)


def _acceptable(borg: Borg) -> list[str]:
    return [
        word
        for word, accepted in (("relocated", borg.accept_relocated), ("unencrypted", borg.allow_unencrypted))
        if accepted
    ]


def _lock_holders(directory: str) -> list[str]:
    """Who holds the lock and is not proven dead. A lock is ``host@number.pid-thread``; nothing is known of the
    processes of another host."""
    locks = os.path.join(directory, "lock.exclusive")
    holders = os.listdir(locks) if os.path.isdir(locks) else []
    here = tuple(f"{host}@{uuid.getnode()}." for host in (platform.node(), socket.getfqdn()))
    return [name for name in holders if not name.startswith(here) or os.path.isdir(f"/proc/{_process_of(name)}")]


def _process_of(lock: str) -> str:
    match = re.search(r"\.(\d+)-\d+\Z", lock)
    return match.group(1) if match else "self"


def change_passphrase(borg: Borg, current: str) -> Description:
    """Give the key the passphrase of ``borg``, and prove that it opens now.

    borg takes a new passphrase from its environment only; without it, it would keep the old one and report success. And it hands its
    environment to ssh, which has no business with this.
    Source: `borg.crypto.key.Passphrase.new`, `borg.remote.RemoteRepository`, 1.2.9 and 1.4.5.

    :param current: the passphrase in force.
    """
    check_passphrase(current, "previous_passphrases")
    wanted = {"BORG_NEW_PASSPHRASE": borg.passphrase or ""}
    check_passphrase(wanted["BORG_NEW_PASSPHRASE"])
    wanted["BORG_RSH"] = f"env -u BORG_NEW_PASSPHRASE {borg.rsh}"
    borg.run("key change-passphrase", passphrase=current, environment=wanted)
    return describe(borg, "--last=1")


def delete(borg: Borg, *, unopened: bool = False) -> None:
    """Remove a repository with all its archives, and what this machine remembers of it.

    :param unopened: without its passphrase. ``--force`` only leaves out that borg opens it to count its archives: it takes the
        lock, and keeps an append-only repository, all the same. Source: `borg.archiver`, 1.2.9 and 1.4.5.
    """
    options = ["--force"] if unopened else []
    borg.run("delete", *options, environment={"BORG_DELETE_I_KNOW_WHAT_I_AM_DOING": "YES"})
