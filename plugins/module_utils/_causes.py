# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""borg's words for what went wrong, and ours.

borg names the cause of a failure in the ``msgid`` of its JSON log on every version, and in the exit code only on
1.4 and later (``BORG_EXIT_CODES=modern``). So the message id decides first, the exit code second, and where borg has
nothing better than ``Exception`` its message decides. Only a run that fails loads this.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional


class Cause(NamedTuple):
    """One row of the table: a word, and the advice that completes borg's own message."""

    error: str
    advice: str


#: By message id: the class of borg's exception. ``Class.Inner`` where the inner name alone is ambiguous.
#: Source: borg 1.2.9 and 1.4.5, `borg.helpers.errors`, `borg.repository`, `borg.cache`, `borg.crypto.key`, `borg.locking`.
MSGIDS: dict[str, Cause] = {
    "Repository.DoesNotExist": Cause("absent", "Create it with borg_repository, or correct the location."),
    "InvalidRepository": Cause(
        "not_a_repository", "Something else lives at this location; it is left alone. Correct the location."
    ),
    "InvalidRepositoryConfig": Cause(
        "not_a_repository", "The file 'config' in it is not one of a Borg 1 repository; it is left alone."
    ),
    "AtticRepository": Cause("not_a_repository", "Convert it with 'borg upgrade' of Borg 1.2 first."),
    "Repository.AlreadyExists": Cause("exists", "Another run created it meanwhile; run again."),
    "PathAlreadyExists": Cause(
        "not_a_repository", "The directory is not empty and no repository; it is left alone. Choose another location."
    ),
    "ParentPathDoesNotExist": Cause(
        "parent_missing", "Create the directory above it, or set make_parent_directories: true."
    ),
    "PathPermissionDenied": Cause("permission", "Run as the owner of the repository (become_user)."),
    "NoManifestError": Cause(
        "broken_init", "Its creation was interrupted, or its data is damaged. See repair_broken_init."
    ),
    "UnsupportedManifestError": Cause("version", "A newer Borg wrote it: install that version."),
    "MandatoryFeatureUnsupported": Cause("version", "A newer Borg wrote it: install that version."),
    "UnsupportedPayloadError": Cause("version", "A newer Borg wrote it: install that version."),
    "UnsupportedKeyFormatError": Cause("version", "A newer Borg wrote the key: install that version."),
    "UnknownKeyType": Cause("version", "A newer Borg wrote the key: install that version."),
    "RPCServerOutdated": Cause("version", "Borg on the server is too old: upgrade it."),
    "CheckNeeded": Cause("integrity", "Run borg_check; nothing is repaired unasked."),
    "ObjectNotFound": Cause("integrity", "Run borg_check; nothing is repaired unasked."),
    "IntegrityError": Cause("integrity", "Run borg_check; nothing is repaired unasked."),
    "FileIntegrityError": Cause("integrity", "Run borg_check; nothing is repaired unasked."),
    "DecompressionError": Cause("integrity", "Run borg_check; nothing is repaired unasked."),
    "TAMInvalid": Cause("integrity", "The manifest's signature is wrong: somebody may have tampered with it."),
    "TAMRequiredError": Cause("integrity", "The manifest is not signed: somebody may have tampered with it."),
    "ArchiveTAMInvalid": Cause("integrity", "The archive's signature is wrong: somebody may have tampered with it."),
    "ArchiveTAMRequiredError": Cause("integrity", "The archive is not signed: somebody may have tampered with it."),
    "StorageQuotaExceeded": Cause("quota", "Raise the quota on the server, or prune and compact."),
    "InsufficientFreeSpaceError": Cause(
        "disk_full",
        "Free some space where the repository is stored; or let it use what it keeps free (additional_free_space), then prune"
        " and compact it.",
    ),
    "Archive.AlreadyExists": Cause("archive_exists", "Choose another name."),
    "Archive.DoesNotExist": Cause("archive_absent", "List what there is with borg_archive_info."),
    "KeyfileNotFoundError": Cause(
        "key_missing", "The key file is not in borg's keys directory; import it, or give key_file or base_directory."
    ),
    "RepoKeyNotFoundError": Cause("key_missing", "The repository holds no key: import the exported one."),
    "KeyfileInvalidError": Cause("key_mismatch", "The key file is damaged: import the exported one."),
    "KeyfileMismatchError": Cause("key_mismatch", "The key file is another repository's: correct key_file."),
    "NotABorgKeyFile": Cause("key_mismatch", "The file is no exported key of Borg."),
    "RepoIdMismatch": Cause("key_mismatch", "The exported key is another repository's."),
    "UnencryptedRepo": Cause("unencrypted", "An unencrypted repository has no key."),
    "NoPassphraseFailure": Cause("no_passphrase", "Give passphrase or passcommand."),
    "PasscommandFailure": Cause("no_passphrase", "The passcommand failed: run it by hand as the same user."),
    "PassphraseWrong": Cause(
        "wrong_passphrase", "Give the one in force, or list it in previous_passphrases of borg_repository."
    ),
    "PasswordRetriesExceeded": Cause("wrong_passphrase", "Give the one in force."),
    "CacheInitAbortedError": Cause(
        "unencrypted", "This machine has never seen this unencrypted repository; say allow_unencrypted: true."
    ),
    "EncryptionMethodMismatch": Cause(
        "encryption_mismatch", "The repository was encrypted otherwise when last seen: it may have been replaced."
    ),
    "RepositoryAccessAborted": Cause(
        "relocated", "If it was moved on purpose, say accept_relocated: true once; otherwise find out who did."
    ),
    "RepositoryIDNotUnique": Cause("replayed", "Two repositories share one id: remove the copy."),
    "RepositoryReplay": Cause(
        "replayed",
        "It is older than when last seen. If you restored it from a copy on purpose, delete the cache and the"
        " manifest-timestamp in borg's security directory; otherwise find out who replaced it.",
    ),
    "LockTimeout": Cause("locked", "Another borg works on it. Try again later, or raise lock_wait."),
    "LockFailed": Cause("permission", "Run as the owner of the repository (become_user)."),
    "LockError": Cause("locked", "Another borg works on it. Try again later, or raise lock_wait."),
    "LockErrorT": Cause("locked", "Another borg works on it. Try again later, or raise lock_wait."),
    "ConnectionClosed": Cause("unreachable", "The connection to the server ended."),
    "ConnectionClosedWithHint": Cause("unreachable", "Borg on the server could not be reached."),
    "ConnectionBrokenWithHint": Cause("unreachable", "The connection to the server broke."),
    "UnexpectedRPCDataFormatFromServer": Cause("unreachable", "The server did not speak borg's protocol."),
    "PathNotAllowed": Cause("not_allowed", "The server serves other repositories to this key: correct the location."),
    "BackupFileNotFoundError": Cause("source_missing", "Mount or create it, or take it out of the sources."),
    "CommandError": Cause("invalid_argument", "Borg rejects this combination of options."),
    "PlaceholderError": Cause("invalid_argument", "Correct the placeholder."),
    "InvalidPlaceholder": Cause("invalid_argument", "Correct the placeholder."),
}

#: By exit code under BORG_EXIT_CODES=modern (1.4 and later) for failures that reach us without a message id.
EXIT_CODES: dict[int, str] = {
    4: "CommandError",
    5: "PlaceholderError",
    6: "InvalidPlaceholder",
    10: "Repository.AlreadyExists",
    11: "AtticRepository",
    12: "CheckNeeded",
    13: "Repository.DoesNotExist",
    14: "InsufficientFreeSpaceError",
    15: "InvalidRepository",
    16: "InvalidRepositoryConfig",
    17: "ObjectNotFound",
    18: "ParentPathDoesNotExist",
    19: "PathAlreadyExists",
    20: "StorageQuotaExceeded",
    21: "PathPermissionDenied",
    25: "MandatoryFeatureUnsupported",
    26: "NoManifestError",
    27: "UnsupportedManifestError",
    30: "Archive.AlreadyExists",
    31: "Archive.DoesNotExist",
    40: "KeyfileInvalidError",
    41: "KeyfileMismatchError",
    42: "KeyfileNotFoundError",
    43: "NotABorgKeyFile",
    44: "RepoKeyNotFoundError",
    45: "RepoIdMismatch",
    46: "UnencryptedRepo",
    47: "UnknownKeyType",
    48: "UnsupportedPayloadError",
    49: "UnsupportedKeyFormatError",
    50: "NoPassphraseFailure",
    51: "PasscommandFailure",
    52: "PassphraseWrong",
    53: "PasswordRetriesExceeded",
    60: "CacheInitAbortedError",
    61: "EncryptionMethodMismatch",
    62: "RepositoryAccessAborted",
    63: "RepositoryIDNotUnique",
    64: "RepositoryReplay",
    70: "LockError",
    71: "LockErrorT",
    72: "LockFailed",
    73: "LockTimeout",
    80: "ConnectionClosed",
    81: "ConnectionClosedWithHint",
    83: "PathNotAllowed",
    84: "RPCServerOutdated",
    86: "UnexpectedRPCDataFormatFromServer",
    87: "ConnectionBrokenWithHint",
    90: "IntegrityError",
    91: "FileIntegrityError",
    92: "DecompressionError",
    95: "ArchiveTAMInvalid",
    96: "ArchiveTAMRequiredError",
    97: "TAMInvalid",
    98: "TAMRequiredError",
    107: "BackupFileNotFoundError",
}

#: Message ids that leave the cause to the message: a lock cannot be made by the wrong user, or on a full disk, or …
VAGUE = frozenset(("Exception", "LockFailed"))

#: For what borg did not foresee (message id ``Exception`` or none): what its message says, in order. The patterns are
#: compiled when they are needed: compiling them would cost every module that succeeds.
MESSAGES: tuple[tuple[str, Cause], ...] = (
    (
        r"is in append-only mode",
        Cause("append_only", "Do this on the server, with a key that is not restricted to appending."),
    ),
    (
        r"\[Errno 28\]|No space left on device",
        Cause("disk_full", "Free some space where the repository and borg's cache are stored, or where files are restored to."),
    ),
    (r"\[Errno 122\]", Cause("disk_full", "The file system's quota is used up: raise it, or free space.")),
    (
        r"\[Errno (?:1|13)\]|Permission denied",
        Cause("permission", "Run as the owner of the repository (become_user)."),
    ),
    (r"\[Errno 30\]|Read-only file system", Cause("permission", "The file system is read-only.")),
    # 1.2 does not foresee that a connection breaks
    (r"\[Errno 32\]", Cause("unreachable", "The connection to the server broke.")),
    (
        r"\[Errno 21\].*/config'|Is a directory: '[^']*/config'",
        Cause("version", "It looks like a repository of Borg 2: open it with that version."),
    ),
    (r"\[Errno 20\]", Cause("not_a_repository", "A part of its path is no directory. Correct the location.")),
    (
        r"No such file or directory: '[^']*/data'",
        Cause("integrity", "Its data are gone: perhaps a disk is not mounted. Nothing is repaired unasked."),
    ),
    (
        r"configparser\.\w+",
        Cause("not_a_repository", "The file 'config' in it is not one of a Borg 1 repository; it is left alone."),
    ),
    (r"Invalid placeholder|Formatting Error", Cause("invalid_argument", "Correct the placeholder.")),
    (
        r"unrecognized arguments|invalid choice|the following arguments are required",
        Cause("version", "The installed Borg does not know this option: install Borg 1.2 or 1.4."),
    ),
)


#: Where in borg an exception comes from that nobody foresaw, when a key is no key. Source: tracebacks of 1.2.4 and 1.4.0.
_IN_KEY = r"/crypto/key\.py\W+line \d+, in (?:_load|decrypt_key_file)\b"
_DAMAGED_KEY = Cause("key_mismatch", "The repository's key is damaged, perhaps on purpose: import the exported one.")


def classify(rc: int, msgid: Optional[str], text: str, raw: str = "") -> Cause:
    """The row for a failed borg command.

    :param rc: its exit code.
    :param msgid: the message id of its last error line, if any. 1.2 prefixes it or not depending on whether the
        repository is local (``Repository.InvalidRepository``) or remote (``InvalidRepository``).
    :param text: its messages, for what only they tell.
    :param raw: all that it printed, with where in borg its exceptions came from.
    """
    named = [MSGIDS[name] for name in (msgid or "", (msgid or "").rpartition(".")[2]) if name in MSGIDS]
    if named and msgid not in VAGUE:
        return named[0]
    if re.search(_IN_KEY, raw):
        return _DAMAGED_KEY
    for pattern, cause in MESSAGES:
        if re.search(pattern, text):
            return cause
    if named:
        return named[0]
    if rc in EXIT_CODES:
        return MSGIDS[EXIT_CODES[rc]]
    return Cause("other", "")
