# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repositories of a borgmatic configuration, as the installed borgmatic reads it.

A target has no YAML library of ours, and includes, constants and credentials are borgmatic's own: so borgmatic's own
interpreter reads the file with borgmatic's own functions. No action of borgmatic runs, so no hook does either.
"""

from __future__ import annotations

import glob
import json
import os
import re
from typing import Any, NamedTuple, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import check_filter
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic import Borgmatic
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import home_directory, run
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import DEFAULT_RSH, Borg

#: Where borgmatic looks when it is given no configuration. Source: borgmatic 1.9.14 and 2.1.10,
#: `borgmatic.config.collect.get_default_config_paths`.
DEFAULT_PATHS = ("/etc/borgmatic/config.yaml", "/etc/borgmatic.d/*.y*ml")
DEFAULT_PATHS_AT_HOME = (".config/borgmatic/config.yaml", ".config/borgmatic.d/*.y*ml", ".config/borgmatic/*.y*ml")

#: The signature of parse_configuration gained `arguments` in 2.0; credentials are resolved from 1.9.10 on; until 1.7 the
#: document comes back in its sections.
_READ = """
import argparse, inspect, json, sys
from borgmatic.config import validate
arguments = [sys.argv[1], validate.schema_filename()]
if "arguments" in inspect.signature(validate.parse_configuration).parameters:
    arguments.append({"global": argparse.Namespace()})
document = validate.parse_configuration(*arguments)[0]
for section in ("location", "storage", "retention", "consistency", "output", "hooks"):
    if isinstance(document.get(section), dict):
        document.update(document.pop(section))
entries = [{"path": entry} if isinstance(entry, str) else dict(entry) for entry in document["repositories"]]
merged = [{**document, **entry} for entry in entries]
for entry in merged:
    if str(entry.get("encryption_passphrase", "")).startswith("{credential"):
        from borgmatic.hooks.credential import parse
        entry["encryption_passphrase"] = parse.resolve_credential(entry["encryption_passphrase"], document)
wanted = ("path", "label", "encryption_passphrase", "encryption_passcommand", "ssh_command", "remote_path", "local_path",
          "borg_base_directory", "borg_key_file", "working_directory", "match_archives", "archive_name_format",
          "archive_hostname", "archive_username")
json.dump([{name: entry.get(name) for name in wanted} for entry in merged], sys.stdout)
"""

#: What borgmatic calls its archives where nobody says otherwise: ``{hostname}-{now:%Y-%m-%dT%H:%M:%S.%f}``. Source: borgmatic 1.7.7 to
#: 2.1.10, `borgmatic/borg/create.py` and `borgmatic/config/schema.yaml`.
_OWN_NAMES = "{hostname}-????-??-??T??:??:??.??????"


class Entry(NamedTuple):
    """A repository of a configuration.

    :ivar borg: how borg reaches it.
    :ivar match_archives: a pattern that the names of the configuration's archives match; None: it is not known.
    """

    label: Optional[str]
    borg: Borg
    match_archives: Optional[str] = None


def find_configurations() -> list[str]:
    """The files that borgmatic reads by default for whoever runs this."""
    at_home = [os.path.join(home_directory(), pattern) for pattern in DEFAULT_PATHS_AT_HOME]
    patterns = [*DEFAULT_PATHS, *at_home] if os.geteuid() == 0 else at_home
    return sorted({path for pattern in patterns for path in glob.glob(pattern)})


def read_repositories(borgmatic: Borgmatic, path: str, *, executable: str, timeout: Optional[float]) -> list[Entry]:
    """The repositories of one file, with what opens them.

    :param executable: borg, where the file names no other.
    :param timeout: seconds that one command may take; None: the default of look-ups.
    :raises Failure: ``permission``, ``invalid_argument`` (borgmatic can't read it), ``other``.
    """
    if not os.access(path, os.R_OK):
        raise Failure("permission", f"{path} is missing or may not be read by this user.")
    # where systemd hands a run its credentials
    given = {name: os.environ[name] for name in ("CREDENTIALS_DIRECTORY",) if name in os.environ}
    completed = run([_interpreter(borgmatic.program), "-c", _READ, path], environment=given, timeout=timeout or 60)
    if completed.rc != 0:
        # what it says may hold values of the file
        raise Failure(
            "invalid_argument",
            f"borgmatic {borgmatic.version} cannot read {path}. See: borgmatic config validate --config {path}",
            rc=completed.rc,
        )
    return [_entry(values, executable, timeout) for values in json.loads(completed.stdout)]


def _interpreter(program: str) -> str:
    with open(program, "rb") as file:
        first = os.fsdecode(file.readline(512)).strip()
    words = first[2:].split()
    if not first.startswith("#!") or "python" not in os.path.basename(words[-1]):
        raise Failure("other", f"{program} is no script of Python: its configurations cannot be read. Say archives: false.")
    return words[0] if len(words) == 1 or not words[0].endswith("/env") else words[1]


def _entry(values: dict[str, Any], executable: str, timeout: Optional[float]) -> Entry:
    path = values["path"]
    if path.startswith("~"):  # borgmatic expands it, borg does not
        path = home_directory() + path[1:] if path[:2] in ("~", "~/") else os.path.expanduser(path)
    elif not (path.startswith("/") or ":" in path):
        path = os.path.join(values["working_directory"] or home_directory(), path)
    return Entry(
        values["label"],
        Borg(
            repository=Location.parse(path, "repositories"),
            passphrase=values["encryption_passphrase"] or None,
            passcommand=values["encryption_passcommand"] or None,
            rsh=values["ssh_command"] or DEFAULT_RSH,
            remote_path=values["remote_path"] or "borg",
            executable=values["local_path"] or executable,
            timeout=timeout,
            key_file=values["borg_key_file"],
            base_directory=values["borg_base_directory"],
        ),
        _match(values),
    )


def _match(values: dict[str, Any]) -> Optional[str]:
    """As borgmatic derives it, where its own format is more than a beginning: ``web1-*`` would be the archives of ``web1-db`` too. Source:
    ``make_match_archives_flags`` in borgmatic/borg/flags.py, 1.8.3 to 2.1.10."""
    name_format = values["archive_name_format"]
    derived = re.sub(r"\{(now|utcnow|pid)([:%\w\.-]*)\}", "*", name_format) if name_format else _OWN_NAMES
    pattern = values["match_archives"] or derived
    for word, name in (("{hostname}", values["archive_hostname"]), ("{user}", values["archive_username"])):
        # whether it counts depends on the Borg: 1.4.5 and newer
        pattern = pattern.replace(word, "*" if name else word)
    try:
        return check_filter(pattern)
    except Failure:  # a regular expression, say
        return None
