# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._causes import EXIT_CODES, MESSAGES, MSGIDS, VAGUE, classify
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import WORDS

#: Every row of the table by message id.
EXPECTED_MSGIDS = {
    "Repository.DoesNotExist": "absent",
    "InvalidRepository": "not_a_repository",
    "InvalidRepositoryConfig": "not_a_repository",
    "AtticRepository": "not_a_repository",
    "Repository.AlreadyExists": "exists",
    "PathAlreadyExists": "not_a_repository",
    "ParentPathDoesNotExist": "parent_missing",
    "PathPermissionDenied": "permission",
    "NoManifestError": "broken_init",
    "UnsupportedManifestError": "version",
    "MandatoryFeatureUnsupported": "version",
    "UnsupportedPayloadError": "version",
    "UnsupportedKeyFormatError": "version",
    "UnknownKeyType": "version",
    "RPCServerOutdated": "version",
    "CheckNeeded": "integrity",
    "ObjectNotFound": "integrity",
    "IntegrityError": "integrity",
    "FileIntegrityError": "integrity",
    "DecompressionError": "integrity",
    "TAMInvalid": "integrity",
    "TAMRequiredError": "integrity",
    "ArchiveTAMInvalid": "integrity",
    "ArchiveTAMRequiredError": "integrity",
    "StorageQuotaExceeded": "quota",
    "InsufficientFreeSpaceError": "disk_full",
    "Archive.AlreadyExists": "archive_exists",
    "Archive.DoesNotExist": "archive_absent",
    "KeyfileNotFoundError": "key_missing",
    "RepoKeyNotFoundError": "key_missing",
    "KeyfileInvalidError": "key_mismatch",
    "KeyfileMismatchError": "key_mismatch",
    "NotABorgKeyFile": "key_mismatch",
    "RepoIdMismatch": "key_mismatch",
    "UnencryptedRepo": "unencrypted",
    "NoPassphraseFailure": "no_passphrase",
    "PasscommandFailure": "no_passphrase",
    "PassphraseWrong": "wrong_passphrase",
    "PasswordRetriesExceeded": "wrong_passphrase",
    "CacheInitAbortedError": "unencrypted",
    "EncryptionMethodMismatch": "encryption_mismatch",
    "RepositoryAccessAborted": "relocated",
    "RepositoryIDNotUnique": "replayed",
    "RepositoryReplay": "replayed",
    "LockTimeout": "locked",
    "LockFailed": "permission",
    "LockError": "locked",
    "LockErrorT": "locked",
    "ConnectionClosed": "unreachable",
    "ConnectionClosedWithHint": "unreachable",
    "ConnectionBrokenWithHint": "unreachable",
    "UnexpectedRPCDataFormatFromServer": "unreachable",
    "PathNotAllowed": "not_allowed",
    "BackupFileNotFoundError": "source_missing",
    "CommandError": "invalid_argument",
    "PlaceholderError": "invalid_argument",
    "InvalidPlaceholder": "invalid_argument",
}

#: Those that no recording holds: they need a damaged, foreign or future repository that cannot be made with borg itself,
#: or borg has other words for it where we could provoke it.
NOT_RECORDED = {
    "UnsupportedManifestError", "MandatoryFeatureUnsupported", "UnsupportedPayloadError", "UnsupportedKeyFormatError",
    "UnknownKeyType", "RPCServerOutdated", "FileIntegrityError", "DecompressionError", "TAMInvalid", "TAMRequiredError",
    "ArchiveTAMInvalid", "ArchiveTAMRequiredError", "PasswordRetriesExceeded", "RepositoryIDNotUnique", "LockError",
    "LockErrorT", "ConnectionClosed", "PlaceholderError", "InvalidPlaceholder",
}

#: Every row of the table by exit code. Source: the modern codes of borg 1.4.5.
EXPECTED_EXIT_CODES = {
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

#: A text for each row of the table by message, in its order.
EXPECTED_MESSAGES = [
    ("ValueError: /srv/x is in append-only mode", "append_only"),
    ("OSError: [Errno 28] No space left on device", "disk_full"),
    ("OSError: [Errno 122] Disk quota exceeded", "disk_full"),
    ("PermissionError: [Errno 13] Permission denied: '/srv/x/config'", "permission"),
    ("OSError: [Errno 30] Read-only file system: '/srv/x/lock.roster'", "permission"),
    ("BrokenPipeError: [Errno 32] Broken pipe", "unreachable"),
    ("IsADirectoryError: [Errno 21] Is a directory: '/srv/x/config'", "version"),
    ("NotADirectoryError: [Errno 20] Not a directory: '/srv/x'", "not_a_repository"),
    ("FileNotFoundError: [Errno 2] No such file or directory: '/srv/x/data'", "integrity"),
    ("configparser.MissingSectionHeaderError: File contains no section headers.", "not_a_repository"),
    ('Invalid placeholder "nope" in string: /srv/{nope}', "invalid_argument"),
    ("borg: error: unrecognized arguments: --nope", "version"),
]

#: What each recorded failure means.
EXPECTED_SITUATIONS = {
    "absent": "absent",
    "folder": "not_a_repository",
    "config_foreign": "not_a_repository",
    "config_garbage": "not_a_repository",
    "config_is_a_directory": "version",
    "below_a_file": "not_a_repository",
    "attic": "not_a_repository",
    "data_gone": "integrity",
    "data_unmounted": "integrity",
    "no_manifest": "broken_init",
    "init_exists": "exists",
    "init_in_folder": "not_a_repository",
    "init_without_parent": "parent_missing",
    "init_denied": "permission",
    "key_gone": "key_missing",
    "keyfile_gone": "key_missing",
    "keyfile_of_another": "key_mismatch",
    "keyfile_garbage": "key_mismatch",
    "import_garbage": "key_mismatch",
    "import_of_another": "key_mismatch",
    "export_unencrypted": "unencrypted",
    "passphrase_missing": "no_passphrase",
    "passcommand_fails": "no_passphrase",
    "passphrase_wrong": "wrong_passphrase",
    "unknown_unencrypted": "unencrypted",
    "relocated": "relocated",
    "replaced_by_unencrypted": "encryption_mismatch",
    "replayed": "replayed",
    "locked": "locked",
    "lock_denied": "permission",
    "config_denied": "permission",
    "directory_denied": "permission",
    "quota": "quota",
    "reserve": "disk_full",
    "disk_full": "disk_full",
    "disk_full_list": "disk_full",
    "read_only": "permission",
    "lock_on_read_only": "permission",
    "remote_absent": "absent",
    "remote_folder": "not_a_repository",
    "remote_exception": "not_a_repository",
    "not_allowed": "not_allowed",
    "connection_refused": "unreachable",
    "connection_closed": "unreachable",
    "connection_garbage": "unreachable",
    "connection_breaks": "unreachable",
    "server_without_borg": "unreachable",
    "server_crashes": "unreachable",
    "append_only": "append_only",
    "archive_exists": "archive_exists",
    "archive_absent": "archive_absent",
    "integrity": "integrity",
    "object_gone": "integrity",
    "all_damaged": "broken_init",
    "nothing_to_keep": "invalid_argument",
    "placeholder_unknown": "invalid_argument",
    "option_unknown": "version",
    "command_unknown": "version",
    "prompt": "no_passphrase",
}
#: What borg has no own failure for, or lets succeed.
EXPECTED_SUCCESSES = {
    "remote_list", "delete_missing", "list_empty", "list_archives", "list_contents", "info", "create", "create_source_missing",
    "create_unreadable", "create_changing", "prune_preview", "prune", "stale_lock", "check", "check_damaged", "check_damaged_data",
    "check_repair", "check_repaired", "check_healable", "check_part_of_the_repository", "check_remote", "compact", "compact_remote",
    "compact_append_only",
}


def judge(recording):
    log = Log(recording["stderr"])
    message = log.failure()
    return classify(recording["rc"], message.msgid if message else None, log.complaints())


def test_no_row_by_message_id_is_missing_and_none_is_new():
    assert {msgid: cause.error for msgid, cause in MSGIDS.items()} == EXPECTED_MSGIDS


def test_no_row_by_exit_code_is_missing_and_none_is_new():
    assert EXIT_CODES == EXPECTED_EXIT_CODES


def test_every_row_by_message_is_needed():
    assert len(MESSAGES) == len(EXPECTED_MESSAGES)
    for position, (text, word) in enumerate(EXPECTED_MESSAGES):
        first = next(index for index, (pattern, _cause) in enumerate(MESSAGES) if re.search(pattern, text))
        assert (first, MESSAGES[first][1].error) == (position, word)


@pytest.mark.parametrize(("msgid", "word"), EXPECTED_MSGIDS.items())
def test_a_message_id_decides(msgid, word):
    cause = classify(2, msgid, "")
    assert cause.error == word
    assert cause.error in WORDS
    assert len(cause.advice) > 10


@pytest.mark.parametrize("msgid", [msgid for msgid in EXPECTED_MSGIDS if "." not in msgid])
def test_a_prefix_before_a_message_id_does_not_matter(msgid):
    assert classify(2, f"Repository.{msgid}", "") == classify(2, msgid, "")


@pytest.mark.parametrize(("rc", "msgid"), EXPECTED_EXIT_CODES.items())
def test_an_exit_code_decides_where_there_is_no_message_id(rc, msgid):
    assert classify(rc, None, "something else") == MSGIDS[msgid]


@pytest.mark.parametrize(("text", "word"), EXPECTED_MESSAGES)
@pytest.mark.parametrize("msgid", [None, "Exception", "PermissionError"])
def test_a_message_decides_where_borg_foresaw_nothing(text, word, msgid):
    assert classify(2, msgid, f"Local Exception\n{text}").error == word


def test_a_message_id_counts_more_than_a_message_and_that_more_than_an_exit_code():
    assert classify(13, "LockTimeout", "[Errno 28]").error == "locked"
    assert classify(13, "Exception", "[Errno 28]").error == "disk_full"


def test_where_a_message_id_is_vague_the_message_decides():
    assert VAGUE == {"Exception", "LockFailed"}
    assert classify(72, "LockFailed", "[Errno 28] No space left on device").error == "disk_full"
    assert classify(72, "LockFailed", "[Errno 13] Permission denied").error == "permission"
    assert classify(2, "LockFailed", "").error == "permission"


@pytest.mark.parametrize("msgid", ["AlreadyExists", "DoesNotExist", "Other.DoesNotExist"])
def test_what_could_be_a_repository_or_an_archive_decides_nothing(msgid):
    assert classify(2, msgid, "").error == "other"


def test_a_warning_about_a_file_is_not_the_cause():
    log = Log(
        '{"type": "log_message", "message": "/etc/shadow: open: [Errno 13] Permission denied", "levelname": "WARNING"}\n'
        '{"type": "log_message", "message": "Local Exception", "levelname": "ERROR", "msgid": "Exception"}\n'
        '{"type": "log_message", "message": "BrokenPipeError: [Errno 32] Broken pipe", "levelname": "ERROR"}\n'
    )
    assert classify(2, "Exception", log.complaints()).error == "unreachable"


def test_nothing_known_is_other():
    assert classify(2, None, "who knows") == classify(99, "NeverHeardOf", "")
    assert classify(2, None, "").error == "other"


def test_only_one_message_id_means_that_there_is_none():
    assert [msgid for msgid, cause in MSGIDS.items() if cause.error == "absent"] == ["Repository.DoesNotExist"]
    assert [cause for _pattern, cause in MESSAGES if cause.error == "absent"] == []


def test_every_recorded_failure_gets_its_word(request, recorded):
    # 1.2 gives neither a message id nor an exit code for it; our modules refuse it themselves
    expected = {**EXPECTED_SITUATIONS, **({"nothing_to_keep": "other"} if "borg-1.2" in request.node.name else {})}
    assert {name: judge(recorded[name]).error for name in expected} == expected
    assert set(recorded) == set(EXPECTED_SITUATIONS) | EXPECTED_SUCCESSES


def test_no_recorded_success_ends_as_a_failure(recorded):
    assert {name: recorded[name]["rc"] for name in EXPECTED_SUCCESSES if recorded[name]["rc"] not in (0, 1, 100, 105, 107)} == {}


def test_only_absence_reads_as_absence(recorded):
    assert {name for name, recording in recorded.items() if recording["rc"] and judge(recording).error == "absent"} == {
        "absent", "remote_absent",
    }


def test_what_is_recorded_covers_the_table(situations):
    seen = set()
    for recordings in situations.values():
        for recording in recordings.values():
            for message in Log(recording["stderr"]).messages:
                seen |= {message.msgid, (message.msgid or "").rpartition(".")[2]}
    # 1.2 has no message ids for warnings and refused combinations
    missing = set(MSGIDS) - seen - {"BackupFileNotFoundError", "CommandError", "PathPermissionDenied", "ConnectionBrokenWithHint"}
    assert missing <= NOT_RECORDED


def test_what_is_not_recorded_is_really_not_there():
    assert NOT_RECORDED <= set(MSGIDS)


@pytest.mark.parametrize(
    "frame",
    [
        r'File \"/usr/lib/python3/dist-packages/borg/crypto/key.py\", line 611, in _load\n    cdata = a2b_base64(key_data)',
        'File "/usr/lib/python3/dist-packages/borg/crypto/key.py", line 632, in decrypt_key_file\n    data = unpacker.unpack()',
    ],
)
def test_where_an_exception_comes_from_decides_when_a_key_is_none(frame):
    assert classify(2, "Exception", "TypeError: internal_dict must be a dict", frame).error == "key_mismatch"
    assert classify(2, "Exception", "TypeError: internal_dict must be a dict", frame.replace("key.py", "nonces.py")).error == "other"
    assert classify(2, "PassphraseWrong", "", frame).error == "wrong_passphrase"
