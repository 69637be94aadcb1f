# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings in a local repository's own file ``config``: borg can neither read nor set them over SSH."""

from __future__ import annotations

import configparser
import os
import re
from typing import NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

#: borg refuses a smaller quota or reserve. Source: `borg.archiver.Archiver.do_config`, 1.2.9 and 1.4.5.
MINIMUM_SIZE = 10_000_000

_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


class Settings(NamedTuple):
    """What may be set; None: leave it as it is.

    :ivar storage_quota: bytes; 0: none.
    :ivar additional_free_space: bytes.
    """

    append_only: Optional[bool] = None
    storage_quota: Optional[int] = None
    additional_free_space: Optional[int] = None

    def given(self) -> dict[str, int]:
        """Those that are set, as borg stores them."""
        return {name: int(value) for name, value in self._asdict().items() if value is not None}


def parse_size(text: str, parameter: str) -> int:
    """Bytes of a size such as ``2G`` (decimal, as borg has it).

    :raises Failure: ``invalid_argument``.
    """
    match = re.match(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)B?\Z", text.strip().upper())
    if match is None:
        raise Failure(
            "invalid_argument", f"{parameter}: {text!r} is no size; give bytes or a number with K, M, G or T, e.g. '2G'."
        )
    return int(float(match.group(1)) * _FACTORS[match.group(2)])


def parse_setting(text: str, parameter: str) -> int:
    """Bytes of a size that borg lets set; 0 is none.

    :raises Failure: ``invalid_argument``: no size, or below borg's minimum.
    """
    size = parse_size(text, parameter)
    if 0 < size < MINIMUM_SIZE:
        raise Failure("invalid_argument", f"{parameter}: {text!r} is below borg's minimum of 10M; give '10M' or more.")
    return size


def read_settings(borg: Borg) -> Settings:
    """The settings in force, without running borg."""
    section = _section(borg)
    return Settings(
        section.get("append_only", "0").strip() not in ("0", "", "False", "false", "no"),
        parse_size(section.get("storage_quota", "0"), "storage_quota"),
        parse_size(section.get("additional_free_space", "0"), "additional_free_space"),
    )


def read_id(borg: Borg) -> str:
    """The repository's id. It stands in clear there, whatever its encryption."""
    return _section(borg).get("id", "").strip()


def _section(borg: Borg) -> configparser.SectionProxy:
    path = os.path.join(borg.repository.directory, "config")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
        return parser["repository"]
    except PermissionError as error:
        raise Failure("permission", f"{path} may not be read: run as the owner of the repository.") from error
    except (configparser.Error, KeyError, UnicodeDecodeError) as error:
        raise Failure("not_a_repository", f"{path} is not the configuration of a Borg 1 repository.") from error


def differing(present: Settings, wanted: Settings) -> dict[str, int]:
    """The wanted settings that are not in force."""
    before = present.given()
    return {name: value for name, value in wanted.given().items() if before.get(name) != value}


def apply(borg: Borg, settings: dict[str, int]) -> None:
    """Set settings, one borg command each.

    A size of 0 is set by taking it out: `borg config` of 1.2.4 and 1.4.0 says that 0 is below its minimum of 10M.
    """
    for name, value in settings.items():
        if value or name == "append_only":
            borg.run("config", arguments=[name, str(value)])
        else:
            borg.run("config", "--delete", arguments=[name])
