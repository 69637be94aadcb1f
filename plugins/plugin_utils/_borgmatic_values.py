# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values of a borgmatic configuration: one validator for each kind.

They are stricter than borgmatic's own schema, which lets ``compression: zip`` or ``keep_within: banana`` through to the
night of the first backup. A validator returns the value in its normal form, or raises Invalid with a reason and an
example; it never puts the value into the reason, since only the caller knows whether that may be shown.
"""

from __future__ import annotations

import re
from typing import Any, Callable, NoReturn, Union

try:
    from voluptuous import Invalid

    HAS_VOLUPTUOUS = True
except ImportError:
    HAS_VOLUPTUOUS = False
    Invalid = ValueError

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import (
    FLEETING_PLACEHOLDERS,
    STABLE_PLACEHOLDERS,
    Location,
    check_placeholders,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._passphrase import check_passphrase
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest

Validator = Callable[[Any], Any]

LONGEST_ARCHIVE_NAME = 200
SMALLEST_QUOTA = 10_000_000

#: borgmatic's reference to an environment variable; a backslash before it takes that meaning away.
#: Source: borgmatic/config/environment.py, 1.7.7 to 2.1.10.
_VARIABLE = re.compile(r"\$\{[A-Za-z0-9_]+(?::?-[^}]+)?\}")
#: borgmatic looks only at the beginning. Source: borgmatic/hooks/credential/parse.py.
_CREDENTIAL = re.compile(r"\{credential( +.*)?\}")
_FREQUENCY = re.compile(r"always|[1-9][0-9]* (?:second|minute|hour|day|week|month|year)s?")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}

# Source of the next four: borg 1.2.9 and 1.4.5, borg/compress.pyx and borg/helpers/parseformat.py.
_COMPRESSION = re.compile(
    r"(?:obfuscate,(?P<obfuscation>\d+),)?(?:auto,)?(?P<algorithm>none|lz4|zstd|zlib|lzma)(?:,(?P<level>\d+))?"
)
_LEVELS = {"zstd": (1, 22), "zlib": (0, 9), "lzma": (0, 9)}
_CHUNKER_PARAMS = re.compile(r"default|fixed,\d+(?:,\d+)?|(?:buzhash,)?\d+,\d+,\d+,\d+")
_CACHE_MODES = (
    *("ctime,size,inode", "mtime,size,inode", "ctime,size", "mtime,size"),
    *("rechunk,ctime", "rechunk,mtime", "size", "disabled"),
)
#: What makes an archive's name new at every run.
_UNIQUE = frozenset(("now", "utcnow", "unixtime", "uuid4"))


def reject(reason: str) -> NoReturn:
    """Refuse the value at hand."""
    raise Invalid(reason)


def flag(value: Any) -> bool:
    """A boolean."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "yes", "false", "no"):
        return value.lower() in ("true", "yes")
    reject("is no boolean; for example true")


def disabled(value: Any) -> bool:
    """A boolean that may only be false: borg would print the passphrase."""
    if flag(value):
        reject("makes borg print the passphrase, which ends up in logs; leave it out")
    return False


def count(least: int) -> Validator:
    """A whole number."""

    def check(value: Any) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value) else value
        if isinstance(number, bool) or not isinstance(number, int):
            reject("is no whole number; for example 7")
        if number < least:
            reject(f"is less than {least}; for example {max(least, 7)}")
        return number

    return check


def percentage(value: Any) -> Union[int, float]:
    """A number from 0 to 100."""
    number = float(value) if isinstance(value, str) and re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", value) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= 100:
        reject("is no number from 0 to 100; for example 0.5")
    return number


def text(value: Any) -> str:
    """One line that says something. A number is taken for its digits: templates turn '7' into 7."""
    line = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(line, str):
        reject("is no text; put it in quotes")
    if not line.strip():
        reject("is empty; give a value, or leave the option out")
    if any(ord(character) < 32 or ord(character) == 127 for character in line):
        reject("holds a control character, such as a line break; write one line")
    return line


def trimmed(value: Any) -> str:
    """A text that neither begins nor ends with white space: a path of a source, a label."""
    line = text(value)
    if line != line.strip():
        reject("begins or ends with white space; write it without")
    return line


def command(value: Any) -> str:
    """A command line; it may hold line breaks."""
    example = "for example 'systemctl stop service'"
    if not isinstance(value, str):
        reject(f"is no command; {example}")
    if not value.strip():
        reject(f"is empty; {example}")
    return value


def choice(values: tuple[Any, ...]) -> Validator:
    """One of some values; a number may come as its digits."""

    def check(value: Any) -> Any:
        wanted = int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value) else value
        for known in values:
            # in Python, True equals 1
            if known == wanted and isinstance(known, bool) == isinstance(wanted, bool):
                return known
        reject(f"is none of {', '.join(str(known) for known in values)}{nearest(value, values)}")

    return check


def umask(value: Any) -> int:
    """A mask as borgmatic wants it, which reads decimal digits as octal, while YAML turns a pasted 0077 into the number
    63. A text means its octal digits; of a number that reading counts which gives a mask somebody would want."""
    readings = [value] if isinstance(value, str) else []
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 777:
        readings = [f"{value:o}", str(value)]
    for digits in (reading.lstrip("0") for reading in readings):
        # it never takes from the owner what it leaves to the group, nor from the group what it leaves to others
        if re.fullmatch(r"[027]{0,3}", digits) and list(digits) == sorted(digits):
            return int(digits or "0")
    reject("is no mask that somebody would want; for example umask: '0077', in quotes")


def interval(value: Any) -> str:
    """How long to keep everything."""
    if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]*[Hdwmy]", value):
        reject("is no interval: a number and one of H, d, w, m, y; for example 6H or 2w")
    return value


def frequency(value: Any) -> str:
    """How often a check runs."""
    if not isinstance(value, str) or not _FREQUENCY.fullmatch(value.strip().lower()):
        reject("is no frequency: a number and days, weeks, months or years, or always; for example 2 weeks")
    return value


def quota(value: Any) -> str:
    """A size of at least what borg accepts as a quota."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGTP]?)", str(value))
    if not match or isinstance(value, bool):
        reject("is no size: a number and one of K, M, G, T; for example 500G")
    if float(match.group(1)) * _UNITS[match.group(2)] < SMALLEST_QUOTA:
        reject("is below 10M, the least that borg accepts; for example 500G")
    return str(value)


def compression(value: Any) -> str:
    """How archives are compressed."""
    match = _COMPRESSION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        reject("is no compression that borg knows: none, lz4, zstd, zlib or lzma; for example zstd,3 or auto,zstd")
    algorithm, level = match.group("algorithm"), match.group("level")
    if level is not None and algorithm not in _LEVELS:
        reject(f"gives a level, and {algorithm} has none; for example {algorithm}")
    if level is not None:
        least, most = _LEVELS[algorithm]
        if not least <= int(level) <= most:
            reject(f"has a level out of {least} to {most}; for example {algorithm},3")
    obfuscation = int(match.group("obfuscation") or 1)
    if not (1 <= obfuscation <= 6 or 110 <= obfuscation <= 123 or obfuscation == 250):
        reject("obfuscates by none of 1 to 6, 110 to 123 or 250; for example obfuscate,110,zstd,3")
    return match.group(0)


def chunker_params(value: Any) -> str:
    """How files are cut."""
    if not isinstance(value, str) or not _CHUNKER_PARAMS.fullmatch(value):
        reject("is nothing that borg's chunker knows; for example buzhash,19,23,21,4095 or fixed,4194304")
    return value


def files_cache(value: Any) -> str:
    """By what a file counts as unchanged."""
    if not isinstance(value, str) or set(value.split(",")) not in [set(mode.split(",")) for mode in _CACHE_MODES]:
        reject(f"is no mode of the files cache; for example {_CACHE_MODES[0]} or {_CACHE_MODES[1]}")
    return value


def passphrase(value: Any) -> str:
    """A passphrase as borgmatic must be told it, so that borg gets it verbatim; or a whole ``{credential …}``."""
    secret = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(secret, str):
        reject("is no text; put it in quotes")
    try:
        check_passphrase(secret, "")
    except Failure as failure:
        reject(_reason(failure))
    credential = _CREDENTIAL.match(secret)
    if credential:
        if credential.group(0) != secret or not (credential.group(1) or "").strip():
            reject("begins like borgmatic's {credential …} and is none; for example '{credential file /etc/pw}'")
        return secret
    if _VARIABLE.fullmatch(secret):
        reject(
            "is a reference to an environment variable, which a scheduled run does not have;"
            " for example '{credential file /etc/pw}', or an encryption_passcommand"
        )
    return _VARIABLE.sub(lambda match: "\\" + match.group(0), secret)


def verbatim(text: str) -> str:
    """The passphrase that :func:`passphrase` brought into this form."""
    return re.sub(rf"\\({_VARIABLE.pattern})", r"\1", text)


def location(value: Any) -> str:
    """Where a repository is, in its one spelling."""
    try:
        return str(Location.parse(text(value), ""))
    except Failure as failure:
        error = Invalid(_reason(failure))
        error.shown = True  # the reason holds the location already, without a password
        raise error from failure


def archive_name(value: Any) -> str:
    """The name of every archive to come."""
    name, example = text(value), "for example {hostname}-{now}"
    check_placeholders(name, _with_example(example), STABLE_PLACEHOLDERS | FLEETING_PLACEHOLDERS)
    if not _UNIQUE & {placeholder.partition(":")[0] for placeholder in re.findall(r"\{([^{}]*)\}", name)}:
        reject(f"lacks {{now}}, so that the second archive would have the first one's name; {example}")
    if name != name.strip() or "/" in name or "::" in name:
        reject(f"holds '/', '::' or white space at an end, which no archive's name may; {example}")
    if len(name) > LONGEST_ARCHIVE_NAME:
        reject(f"is longer than {LONGEST_ARCHIVE_NAME} characters; {example}")
    return name


def archive_prefix(value: Any) -> str:
    """The old way to filter archives; an empty one means all of them."""
    if value == "":
        return ""
    prefix, example = text(value), "for example {hostname}-"
    check_placeholders(prefix, _with_example(example))
    if re.search(r"(?:[^\W_]|\})\Z", prefix):
        reject(f"also matches the archives of every host whose name begins alike; {example}")
    return prefix


def archive_filter(value: Any) -> str:
    """Which archives are this configuration's."""
    line, example = text(value), "for example sh:{hostname}-*, or '*' for every archive"
    style, colon, pattern = line.partition(":")
    if not colon or style not in ("sh", "fm", "re", "id", "pp"):
        style, pattern = "sh", line
    if not pattern.strip():
        reject(f"is empty; {example}")
    if style == "re":
        try:
            re.compile(pattern)
        except re.error:
            reject("is no regular expression; for example re:^web-")
        return line
    check_placeholders(pattern, _with_example(example))
    if style in ("sh", "fm") and re.search(r"(?:[^\W_]|\})\*+\Z", pattern):
        reject(f"also matches the archives of every host whose name begins alike; {example}")
    return line


def objection_to_derived_filter(name_format: str) -> str:
    """What is wrong with the filter that borgmatic derives from the format of archives' names; empty: nothing is.

    Source: ``make_match_archives_flags`` in borgmatic/borg/flags.py, 1.8.3 to 2.1.10.

    :param name_format: with its constants in their places.
    """
    derived = re.sub(r"\{(now|utcnow|pid)([:%\w\.-]*)\}", "*", name_format)
    moving = [name for name in re.findall(r"\{(\w+)[^{}]*\}", derived) if name in FLEETING_PLACEHOLDERS]
    if moving:
        return f"still holds {{{moving[0]}}} and matches none of the archives that are there, so that nothing is pruned or checked"
    if not re.search(r"[^\W_]", derived):
        return "matches every archive in the repository, those of other hosts too"
    if re.match(r"[^*]*(?:[^\W_]|\})\*", derived):
        return "also matches the archives of every host whose name begins alike"
    if re.match(r"\*+(?:[^\W_]|\{)", derived):
        return "also matches the archives of every host whose name ends alike"
    return ""


def _with_example(example: str) -> Callable[[str], NoReturn]:
    """For check_placeholders, whose reasons know no example."""

    def reject_with_example(reason: str) -> NoReturn:
        reject(f"{reason}; {example}")

    return reject_with_example


def _reason(failure: Failure) -> str:
    """What a failure says after the name of its parameter."""
    return failure.msg.partition(": ")[2].rstrip(".")
