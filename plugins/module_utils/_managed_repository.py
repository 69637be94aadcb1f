# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module borg_repository ensures: a repository exists with these settings and this passphrase, or does not."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional, Sequence

from ansible_collections.fleetbackup.borg.plugins.module_utils import _known_repository as known_repository
from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository as repositories
from ansible_collections.fleetbackup.borg.plugins.module_utils import _repository_settings as repository_settings
from ansible_collections.fleetbackup.borg.plugins.module_utils._call import Call
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository_request import DEFAULT_ENCRYPTION, judged
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

NEW_SETTINGS = repository_settings.Settings(False, 0, 0)

#: What borg may call a key that somebody replaced.
DESTROYED = ("wrong_passphrase", "key_missing", "key_mismatch", "integrity")

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "encryption": {"type": "str", "choices": list(repositories.ENCRYPTION_MODES)},
    "previous_passphrases": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "key_digest": {"type": "str", "no_log": False},
    "make_parent_directories": {"type": "bool", "default": False},
    "allow_empty_directory": {"type": "bool", "default": False},
    "repair_broken_init": {"type": "bool", "default": False},
    "append_only": {"type": "bool"},
    "storage_quota": {"type": "str"},
    "additional_free_space": {"type": "str"},
    "confirm_id": {"type": "str"},
}
REQUIRED_IF = [("state", "absent", ["confirm_id"])]


def ensure(call: Call) -> dict[str, Any]:
    """Bring the repository into the wanted state; the module's result."""
    parameters = call.params
    borg, settings = judged(parameters)
    if parameters["state"] == "absent":
        return _ensure_absent(call, borg)
    _check_digest(parameters)
    if borg.program is None and call.check_mode:
        return _made(borg, parameters, settings, assumed=True)
    key = None
    try:
        if parameters["key_digest"]:
            key = known_repository.read_key(borg)
        found = _recognised(borg, parameters, key) or _find(borg, parameters)
    except Failure as failure:
        if call.check_mode and _awaits_access(borg, failure):
            return _made(borg, parameters, settings, assumed=True)
        if parameters["key_digest"] and _is_destroyed(key, parameters["key_digest"], failure):
            raise _drift(borg, parameters["key_digest"], failure) from failure
        raise
    if found is None and parameters["key_digest"]:
        raise Failure(
            "drift",
            f"{borg.repository} does not exist, though its key is known: somebody removed it, or it is elsewhere (a disk that is not"
            " mounted?). Nothing was made in its place. If it is gone for good, leave key_digest out; for the role, move its"
            " recovery bundle away.",
        )
    if found is None:
        return _create(call, borg, settings)
    return _update(call, borg, settings, found, key)


def _is_destroyed(key: Optional[known_repository.Key], digest: str, failure: Failure) -> bool:
    """Whether opening the repository failed because somebody replaced its key."""
    if key is None:
        return failure.error in DESTROYED
    # Of garbage that stands in the place of a key, Borg dies with whatever exception its first bytes bring about.
    return key.digest != digest and failure.error in (*DESTROYED, "other")


def _drift(borg: Borg, digest: str, failure: Failure) -> Failure:
    return Failure(
        "drift",
        f"{borg.repository} has another key than the one with the digest {digest}, which the passphrase opens. If you did not change it,"
        " somebody tampered with it: bring the key back from its recovery bundle with borg_key and state: imported. Borg's own"
        f" words: {failure.msg}",
        **{name: value for name, value in failure.details.items() if name in ("rc", "msgid", "cmd", "stderr")},
    )


def _check_digest(parameters: dict[str, Any]) -> None:
    digest = parameters["key_digest"]
    if not digest:
        return
    if not re.match(r"[0-9a-f]{64}\Z", digest):
        raise Failure(
            "invalid_argument",
            "key_digest: that is no digest of a key; give the one that borg_key_escrow returns, of 64 digits, or leave it out.",
        )
    if parameters["passphrase"] is None:
        raise Failure("invalid_argument", "key_digest: needs passphrase, the one that is known to open that key; give it.")


def _recognised(
    borg: Borg, parameters: dict[str, Any], key: Optional[known_repository.Key]
) -> Optional[repositories.Found]:
    """The repository, where its key alone tells that all is as it was when it was opened before."""
    if key is None or key.digest != parameters["key_digest"]:
        return None
    encryption = known_repository.remembered_encryption(borg, key.id)
    if encryption is None or parameters["encryption"] not in (None, encryption):
        return None
    return repositories.Found(key.id, encryption)


def _find(borg: Borg, parameters: dict[str, Any]) -> Optional[repositories.Found]:
    try:
        found = repositories.find(borg, parameters["previous_passphrases"])
    except Failure as failure:
        if failure.error in ("locked", "permission"):
            raise
        if repositories.is_empty_directory(borg):
            if parameters["allow_empty_directory"]:
                return None
            raise Failure(
                "not_a_repository",
                f"{borg.repository} is an empty directory, perhaps a disk that is not mounted. If it shall become the"
                " repository, say allow_empty_directory: true.",
            ) from failure
        if repositories.is_interrupted_creation(borg):
            if parameters["repair_broken_init"]:
                return None
            raise Failure(
                "broken_init",
                f"{borg.repository}: its creation was interrupted and it holds no data. To create it anew, say"
                " repair_broken_init: true.",
            ) from failure
        raise
    if found is not None:
        _compare_encryption(borg, parameters, found.encryption)
    return found


def _awaits_access(borg: Borg, failure: Failure) -> bool:
    """Whether an earlier step, which check mode did not execute, may be all that is missing: a key that the server accepts, a
    pinned host key, Borg on the server."""
    if borg.repository.is_local:
        return False
    return failure.error in ("auth", "borg_missing") or failure.reason in ("unconfigured", "unpinned")


def _compare_encryption(borg: Borg, parameters: dict[str, Any], present: str) -> None:
    wanted = parameters["encryption"]
    if wanted is not None and wanted != present:
        raise Failure(
            "encryption_mismatch",
            f"{borg.repository} is encrypted with {present}, not {wanted}. The mode of a repository cannot be changed:"
            f" say encryption: {present}, or choose another location for a new one.",
        )
    if present == "none" and not parameters["allow_unencrypted"]:
        raise Failure(
            "unencrypted", f"{borg.repository} is not encrypted. If you mean that, say allow_unencrypted: true."
        )


def _encryption(parameters: dict[str, Any]) -> str:
    return parameters["encryption"] or DEFAULT_ENCRYPTION


def _create(call: Call, borg: Borg, wanted: repository_settings.Settings) -> dict[str, Any]:
    parameters = call.params
    encryption = _encryption(parameters)
    if encryption != "none" and borg.passphrase is None and borg.passcommand is None:
        raise Failure(
            "no_passphrase", f"{borg.repository} cannot be created without passphrase or passcommand; give one of them."
        )
    interrupted = repositories.is_interrupted_creation(borg)
    if interrupted:
        repositories.check_unlocked(borg)
    if borg.repository.is_local:
        repositories.check_parent(borg, parameters["make_parent_directories"])
    identity = None
    if not call.check_mode:
        if interrupted:
            repositories.remove_interrupted_creation(borg)
        repositories.create(
            borg,
            encryption,
            append_only=bool(wanted.append_only),
            storage_quota=wanted.storage_quota or None,
            parents=parameters["make_parent_directories"],
        )
        identity = repositories.describe(borg, "--last=1").id
        if wanted.additional_free_space is not None:
            repository_settings.apply(borg, {"additional_free_space": wanted.additional_free_space})
    return _made(borg, parameters, wanted, id=identity)


def _made(borg: Borg, parameters: dict[str, Any], wanted: repository_settings.Settings, **values: Any) -> dict[str, Any]:
    """The result of a creation, or of its prediction."""
    encryption = _encryption(parameters)
    difference = Difference()
    difference.add("exists", False, True)
    difference.add("encryption", None, encryption)
    for name, value in wanted.given().items():
        difference.add(name, None, value)
    settings = NEW_SETTINGS._replace(**{name: value for name, value in wanted._asdict().items() if value is not None})
    return _result(
        borg,
        difference,
        exists=True,
        created=True,
        encryption=encryption,
        settings=settings._asdict() if borg.repository.is_local else None,
        **values,
    )


def _update(
    call: Call,
    borg: Borg,
    wanted: repository_settings.Settings,
    found: repositories.Found,
    key: Optional[known_repository.Key],
) -> dict[str, Any]:
    difference = Difference()
    if found.accepted:
        difference.add("accepted", False, True)
    if found.passphrase is not None:
        difference.add("passphrase", "(hidden)", "(hidden, changed)")
    settings, missing = None, {}
    if borg.repository.is_local:
        present = repository_settings.read_settings(borg)
        missing = repository_settings.differing(present, wanted)
        for name in missing:
            difference.add(name, getattr(present, name), getattr(wanted, name))
        settings = present._replace(**{name: getattr(wanted, name) for name in missing})._asdict()
    if not call.check_mode:
        if found.accepted:
            repositories.describe(borg._replace(passphrase=found.passphrase or borg.passphrase), "--last=1", touch=True)
        if found.passphrase is not None:
            repositories.change_passphrase(borg, found.passphrase)
        repository_settings.apply(borg, missing)
    return _result(
        borg,
        difference,
        exists=True,
        id=found.id,
        encryption=found.encryption,
        key_digest=None if key is None or found.passphrase is not None else key.digest,
        passphrase_changed=found.passphrase is not None,
        settings=settings,
    )


def _ensure_absent(call: Call, borg: Borg) -> dict[str, Any]:
    difference = Difference()
    if borg.program is None and call.check_mode:
        difference.add("exists", True, False)
        return _result(borg, difference, assumed=True)
    doomed = _find_doomed(borg, call.params["previous_passphrases"])
    if doomed is not None:
        if doomed.id != call.params["confirm_id"]:
            raise Failure(
                "unsafe",
                f"{borg.repository} has the id {doomed.id}, not the confirm_id"
                f" {call.params['confirm_id']!r}; it was left alone. Make sure which one you mean.",
            )
        difference.add("exists", True, False)
        difference.add("id", doomed.id, None)
        if not call.check_mode:
            repositories.delete(borg._replace(passphrase=doomed.passphrase or borg.passphrase), unopened=doomed.unopened)
    return _result(borg, difference)


class _Doomed(NamedTuple):
    """A repository that shall go.

    :ivar passphrase: the one in force, where it is not the wanted one.
    :ivar unopened: whether it could not be opened, and need not be.
    """

    id: str
    passphrase: Optional[str] = None
    unopened: bool = False


def _find_doomed(borg: Borg, previous_passphrases: Sequence[str]) -> Optional[_Doomed]:
    try:
        found = repositories.find(borg, previous_passphrases)
    except Failure as failure:
        # a server has neither the passphrase nor the key of its clients
        if not (borg.repository.is_local and borg.passphrase is None and borg.passcommand is None):
            raise
        if failure.error not in ("no_passphrase", "key_missing"):
            raise
        return _Doomed(repository_settings.read_id(borg), unopened=True)
    return found and _Doomed(found.id, found.passphrase)


def _result(borg: Borg, difference: Difference, **values: Any) -> dict[str, Any]:
    result: dict[str, Any] = {
        "exists": False,
        "created": False,
        "passphrase_changed": False,
        "id": None,
        "encryption": None,
        "key_digest": None,
        "location": str(borg.repository),
        "settings": None,
        "assumed": False,
        **values,
    }
    return {**result, "changed": difference.changed or result["assumed"], "diff": difference.as_diff()}
