# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody asks of a repository, judged before anything is touched: by the module, and by the role on the controller."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import COMMON_ARGUMENTS, borg_from
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._passphrase import check_passphrase
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import ENCRYPTION_MODES
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository_settings import Settings, parse_setting
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

DEFAULT_ENCRYPTION = "repokey-blake2"
#: What a request says by saying nothing.
DEFAULTS: dict[str, Any] = {
    **{name: specification.get("default") for name, specification in COMMON_ARGUMENTS.items()},
    **dict.fromkeys(("encryption", "append_only", "storage_quota", "additional_free_space")),
    "previous_passphrases": [],
}


def judged(parameters: Mapping[str, Any]) -> tuple[Borg, Settings]:
    """The borg and the settings that a request is about.

    :param parameters: those of borg_repository, all of them.
    :raises Failure: ``invalid_argument``, ``unencrypted``; no text holds a secret.
    """
    borg = borg_from(dict(parameters))
    settings = _settings(parameters, borg)
    _check_encryption(parameters)
    if parameters["previous_passphrases"] and parameters["passphrase"] is None:
        raise Failure(
            "invalid_argument", "previous_passphrases: need passphrase, the one that shall be in force; give it."
        )
    for passphrase in parameters["previous_passphrases"]:
        check_passphrase(passphrase, "previous_passphrases")
    return borg, settings


def _check_encryption(parameters: Mapping[str, Any]) -> None:
    mode = parameters["encryption"]
    if mode is not None and mode not in ENCRYPTION_MODES:
        import difflib  # most runs do without

        near = difflib.get_close_matches(mode, ENCRYPTION_MODES, 1) or [DEFAULT_ENCRYPTION]
        raise Failure(
            "invalid_argument",
            f"encryption: {mode!r} is no mode of Borg 1, which has {', '.join(ENCRYPTION_MODES)}; for example {near[0]}.",
        )
    if mode == "none" and not parameters["allow_unencrypted"]:
        raise Failure(
            "unencrypted", "encryption: 'none' stores everything in clear; if you mean that, say allow_unencrypted: true."
        )


def _settings(parameters: Mapping[str, Any], borg: Borg) -> Settings:
    if not borg.repository.is_local:
        for name in ("storage_quota", "additional_free_space"):
            if parameters[name] is not None:
                raise Failure(
                    "invalid_argument",
                    f"{name}: {parameters[name]!r} cannot be set on the remote repository {borg.repository}: Borg drops"
                    " it over SSH. The server enforces it: see the role borg_server.",
                )
    quota, reserve = parameters["storage_quota"], parameters["additional_free_space"]
    return Settings(
        parameters["append_only"],
        None if quota is None else parse_setting(quota, "storage_quota"),
        None if reserve is None else parse_setting(reserve, "additional_free_space"),
    )
