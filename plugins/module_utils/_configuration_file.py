# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module borgmatic_config ensures: a file holds a configuration."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic import Borgmatic
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_dialect import translate
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_diff import compare, scrub
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_yaml import render
from ansible_collections.fleetbackup.borg.plugins.module_utils._call import Call
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._files import objection_to, write_atomically
from ansible_collections.fleetbackup.borg.plugins.module_utils._ownership import (
    Ownership,
    group_id,
    secret_mode,
    user_id,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._passphrase_path import CONFIG, STORES
from ansible_collections.fleetbackup.borg.plugins.module_utils._passphrase_store import KeptFile, kept_files, place

#: Newer than any: where no borgmatic is installed, the document is written as the newest reads it.
NEWEST = "999"

ARGUMENTS: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "config": {"type": "raw", "no_log": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "raw", "default": "0600"},
    "executable": {"type": "path", "default": "borgmatic"},
    "passphrase_store": {"type": "str", "choices": list(STORES), "default": CONFIG, "no_log": False},
    "validate": {"type": "bool", "default": True},
    "allow_unknown_options": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 60},
}
REQUIRED_IF = [("state", "present", ["config"])]


def ensure(call: Call) -> dict[str, Any]:
    """Bring the file into the wanted state; the module's result."""
    parameters = call.params
    path = parameters["path"]
    _check_path(path)
    borgmatic = Borgmatic.find(parameters["executable"], timeout=parameters["timeout"])
    difference = Difference()
    outcome = _ensure_absent if parameters["state"] == "absent" else _ensure_present
    result = {
        "path": path,
        "digest": None,
        "passphrase_file": None,
        "version": borgmatic.version if borgmatic else None,
        "not_rendered": [],
        "assumed": False,
        **outcome(call, borgmatic, difference),
    }
    result["changed"] = difference.changed or result["assumed"]
    if call._diff:
        result["diff"] = {"before_header": path, "after_header": path, **difference.as_diff()}
    return result


def _check_path(path: str) -> None:
    """Refuse a path where no configuration could be, or where reading might never end.

    :raises Failure: ``invalid_argument``.
    """
    reason = objection_to(path)
    if reason:
        example = os.path.join(path, "system.yaml") if os.path.isdir(path) else "/etc/borgmatic.d/system.yaml"
        raise Failure("invalid_argument", f"path: {path!r} {reason}; for example {example}.")


def _ensure_absent(call: Call, borgmatic: Optional[Borgmatic], difference: Difference) -> dict[str, Any]:
    path = call.params["path"]
    exists = os.path.exists(path)
    if exists:
        compare(difference, _read(path).decode("utf-8", "replace"), "")
        difference.add("state", "present", "absent")
    left = _outdated(kept_files(path, CONFIG, None, Ownership(-1, -1, -1)), difference)
    if exists or left:
        _check_access(path)
    if not call.check_mode:
        if exists:
            os.unlink(path)
        for file in left:
            file.apply()
    return {}


def _ensure_present(call: Call, borgmatic: Optional[Borgmatic], difference: Difference) -> dict[str, Any]:
    parameters = call.params
    document = json.loads(parameters["config"])
    path = parameters["path"]
    exists = os.path.exists(path)
    wanted, unknown_account = _ownership(call, Ownership.of(path) if exists else Ownership(-1, -1, -1))
    unjudged = borgmatic is None and parameters["validate"]
    if unjudged and not call.check_mode:
        raise Failure(
            "borg_missing",
            f"There is no {parameters['executable']} on this machine that could judge the configuration. Install"
            " borgmatic, name its program in executable, or say validate: false.",
        )
    placement = place(document, parameters["passphrase_store"], path)
    translation = translate(placement.document, borgmatic.version if borgmatic else NEWEST)
    text = render(translation.document)
    data, old = text.encode("utf-8"), _read(path)

    if data != old:
        compare(difference, old.decode("utf-8", "replace"), text)
    if exists:
        _compare_ownership(difference, Ownership.of(path), wanted)
    else:
        difference.add("state", "absent", "present")
    files = kept_files(path, parameters["passphrase_store"], placement.passphrase, wanted)
    outdated = _outdated(files, difference)
    if data != old and borgmatic and parameters["validate"]:
        borgmatic.validate(
            text, lambda words: scrub(words, document), directory=call.tmpdir, timeout=parameters["timeout"]
        )
    if difference.changed:
        _check_access(path)
        if not call.check_mode:
            # at every moment the configuration that is there leads to a passphrase
            for file in (file for file in outdated if file.is_wanted):
                file.apply()
            _put(path, data, wanted, replace=data != old)
            for file in (file for file in outdated if not file.is_wanted):
                file.apply()
    return {
        "digest": None if unjudged else hashlib.sha256(data).hexdigest(),
        "passphrase_file": next((file.path for file in files if file.is_wanted), None),
        "not_rendered": translation.left_out,
        "assumed": unjudged or unknown_account,
    }


def _outdated(files: list[KeptFile], difference: Difference) -> list[KeptFile]:
    return [file for file in files if file.compare(difference)]


def _ownership(call: Call, present: Ownership) -> tuple[Ownership, bool]:
    """The wanted ownership, and whether an account in it does not exist yet: in check mode, an earlier task may be the
    one that makes it."""
    mode = secret_mode(call.params["mode"])
    ids, missing = {"owner": present.uid, "group": present.gid}, []
    for parameter, lookup in (("owner", user_id), ("group", group_id)):
        name = call.params[parameter]
        number = lookup(name) if name else ids[parameter]
        if number is None:
            missing.append(f"{parameter}: there is no {name!r} on this machine; create it first, or give another")
        else:
            ids[parameter] = number
    if missing and not call.check_mode:
        raise Failure("invalid_argument", f"{'; '.join(missing)}.")
    return Ownership(ids["owner"], ids["group"], mode), bool(missing)


def _compare_ownership(difference: Difference, present: Ownership, wanted: Ownership) -> None:
    before, after = present.as_names(), wanted.as_names()
    for name, value in after.items():
        difference.add(name, before[name], value)


def _check_access(path: str) -> None:
    """Fail in check mode, too, where the file's directory does not let us in."""
    directory = os.path.dirname(path)
    while not os.path.exists(directory):
        directory = os.path.dirname(directory)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise Failure("permission", f"{path}: {directory} does not let this user write. Run as its owner (become_user).")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _put(path: str, data: bytes, ownership: Ownership, replace: bool) -> None:
    if not replace and os.path.exists(path):
        ownership.apply(path)
        return
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    write_atomically(path, data, mode=ownership.mode, uid=ownership.uid, gid=ownership.gid)
