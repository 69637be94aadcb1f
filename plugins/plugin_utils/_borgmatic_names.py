# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose archives these are, in a repository that several clients or configurations share: nothing but their names tells."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Mapping, NamedTuple, Sequence

from ansible.errors import AnsibleError

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import escape_pattern, matches
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_plan as plan
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_document import check_document
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_fleet import path_on_server
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_schema import with_constants

#: borgmatic's own. Source: borgmatic/borg/create.py and config/schema.yaml, 1.7.7 to 2.1.10.
_NAME_FORMAT = "{hostname}-{now:%Y-%m-%dT%H:%M:%S.%f}"
#: borg's, where a time has none. Source: `borg.helpers.parseformat.DatetimeWrapper`, 1.2.4 and 1.4.0.
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"
_PLACEHOLDER = r"\{([\w-]+)(?::([^{}]*))?\}"
_DIGIT = "[0-9]"
_YEAR, _MONTH, _DAY, _HOUR = f"[12]{_DIGIT * 3}", f"[01]{_DIGIT}", f"[0-3]{_DIGIT}", f"[0-2]{_DIGIT}"
_SIXTIETH = f"[0-6]{_DIGIT}"
#: What Python makes of a time, wherever that is as long each time: some directives each, and their pattern.
_TIMES = (
    ("YG", _YEAR),
    ("mI", _MONTH),
    ("d", _DAY),
    ("H", _HOUR),
    ("MSUVW", _SIXTIETH),
    ("y", _DIGIT * 2),
    ("j", f"[0-3]{_DIGIT * 2}"),
    ("f", _DIGIT * 6),
    ("s", _DIGIT * 10),
    ("uw", "[0-7]"),
    ("z", f"[+-]{_DIGIT * 4}"),
    ("F", f"{_YEAR}-{_MONTH}-{_DAY}"),
    ("T", f"{_HOUR}:{_SIXTIETH}:{_SIXTIETH}"),
    ("R", f"{_HOUR}:{_SIXTIETH}"),
    ("%", "%"),
)


class Claim(NamedTuple):
    """What one configuration of one client calls its archives in one repository.

    :ivar location: as the configuration has it.
    :ivar server: the repository's host, by its name in the inventory where it has one; for a local repository the client itself.
    :ivar account: whom it is on that host; empty: not said.
    :ivar path: where the repository is on it: absolute, or relative to an account's home.
    :ivar match_archives: the pattern.
    """

    client: str
    config: str
    location: str
    server: str
    account: str
    path: str
    match_archives: str

    def shares(self, other: Claim) -> bool:
        """Whether it is about the same repository, as far as anybody can tell from here."""
        one, two = sorted((self.path, other.path), key=len)
        return self.server == other.server and (one == two or (two.startswith("/") and two.endswith(f"/{one}")))


def claims(names: Sequence[str], host_variables: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every :class:`Claim` of some hosts. Nothing secret is in it.

    :param names: of the hosts; those without configurations claim nothing.
    :param host_variables: the variables of every host of the inventory.
    :raises Failure: ``invalid_argument``: nobody can tell which archives are a client's.
    """
    found = []
    for name in dict.fromkeys(names):
        variables = host_variables[name]
        subject = "its variables"
        try:
            leaves = variables.get("borgmatic_state") == "absent"
            for entry in variables.get("borgmatic_configs") or ():
                subject = f"borgmatic_configs, {entry.get('name', '?')}"
                if entry.get("config") or not leaves:
                    found += _claims(entry, name, variables.get("borgmatic_user") or "root", variables.get("borgmatic_servers") or {})
        except (Failure, AnsibleError, AttributeError, TypeError, ValueError) as error:
            reason = error.msg if isinstance(error, Failure) else str(getattr(error, "message", error)).strip().partition("\n")[0]
            raise Failure(
                "invalid_argument", f"{name}: nobody can tell which archives are its own, so that none is pruned anywhere. {subject}: {reason}"
            ) from error
    return [claim._asdict() for claim in found]


def locations(names: Sequence[str], host_variables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where the repositories of some hosts are, as their configurations have them. What nobody can read of a host tells nothing.

    :param host_variables: the variables of every host of the inventory.
    """
    found: list[str] = []
    for name in names:
        with contextlib.suppress(Failure, AnsibleError, AttributeError, TypeError, ValueError):
            configs = [entry for entry in host_variables[name].get("borgmatic_configs") or () if entry.get("config")]
            found += [record.location for record in plan.repositories(configs)]
    return list(dict.fromkeys(found))


def foreign(all_claims: Sequence[Mapping[str, Any]], client: str, config: str, location: str) -> list[str]:
    """The patterns of the archives in a repository that are not this configuration's, but another's or another client's."""
    known = [Claim(**claim) for claim in all_claims]
    mine = [claim for claim in known if (claim.client, claim.config, claim.location) == (client, config, location)]
    return sorted(
        {
            claim.match_archives
            for claim in known
            for own in mine
            if claim.shares(own) and (claim.client, claim.config) != (client, config)
        }
    )


def made_by(said: Mapping[str, Any], name: str, user: str) -> str:
    """A pattern of the names that a configuration gives its archives. In the place of a time it takes nothing but what that time can be:
    ``web1-*`` would be the archives of ``web1-db``, too.

    :param said: a normal document.
    :param name: the client's, in the inventory.
    :param user: whom its backups run as.
    """
    return _made_by(said, _values(name, user))


def own(said: Mapping[str, Any], name: str, user: str) -> str:
    """A pattern of the names of a configuration's archives: what somebody says of it counts, as for ``borgmatic prune``; else what it makes.

    :param said: a normal document.
    :param name: the client's, in the inventory.
    :param user: whom its backups run as.
    """
    return _own(said, _values(name, user))


def own_in_words(said: Mapping[str, Any]) -> str:
    """The same for the client itself: with borg's words for its names, whatever it calls itself.

    Whether `archive_hostname` counts depends on its borg. Source: borgmatic 2.1.10, `borgmatic/config/schema.yaml`: 1.4.5 and newer.
    """
    words = {word: f"{{{word}}}" for word in _values("", "")}
    unsure = {"hostname": "archive_hostname", "user": "archive_username"}
    return _own(said, {**words, **{word: "*" for word, option in unsure.items() if said.get(option)}})


def claimants(
    source: Mapping[str, Any],
    configs: Sequence[Mapping[str, Any]],
    host: str,
    host_variables: Mapping[str, Mapping[str, Any]],
    others: Sequence[str] = (),
    archive: str = "",
) -> list[str]:
    """Who else has archives in a repository: other configurations of its client, and other clients. Configurations of the same data are one, as
    where bundles of different times hold it.

    :param source: the repository, as :func:`_recovery.sources` gives it.
    :param configs: those of its client.
    :param host: the client's name in the inventory.
    :param host_variables: the variables of every host of the inventory.
    :param others: the other clients; what nobody can read of them tells nothing.
    :param archive: only those who would give an archive this name; empty: whatever they call theirs.
    """
    variables: Mapping[str, Any] = host_variables[host] if host in host_variables else {}
    user, known = variables.get("borgmatic_user") or "root", variables.get("borgmatic_servers") or {}
    data = {entry["name"]: entry["config"].get("source_directories") for entry in configs}
    same = {name for name, paths in data.items() if paths and paths == data[source["config"]]} - {source["config"]}
    alone = [entry for entry in configs if entry["name"] not in same]
    found = [claim for entry in alone for claim in _claims(entry, host, user, known)]
    mine = [claim for claim in found if (claim.config, claim.location) == (source["config"], source["location"])]
    if archive and is_certain(source["own_archives"], host):
        # to look at each host of a large fleet takes its time
        others = [name for name in others if name.partition(".")[0] == host.partition(".")[0]]
    for name in others:
        if name != host:
            with contextlib.suppress(Failure):
                found += [Claim(**claim) for claim in claims([name], host_variables)]
    return sorted(
        {
            f"{claim.client} ({claim.config})"
            for claim in found
            for own_claim in mine
            if claim.shares(own_claim) and (claim.account == own_claim.account or claim.path.startswith("/"))
            and (claim.client, claim.config) != (host, source["config"])
            and (not archive or matches(archive, claim.match_archives))
        }
    )


def is_certain(pattern: str, name: str) -> bool:
    """Whether a pattern of :func:`made_by` takes in no neighbour's archives: the client's name is in it, and no part of it stands for any text.

    :param name: the client's, in the inventory.
    """
    return escape_pattern(name.partition(".")[0]) in pattern and "*" not in re.sub(r"\[[^]]+\]", "", pattern)


def fixed(text: str, name: str, user: str) -> str:
    """A location of a client with borg's placeholders as they are on that client, if it is who it shall be."""
    return _fixed(text, _values(name, user))


def _own(said: Mapping[str, Any], values: Mapping[str, str]) -> str:
    constants = said.get("constants", {})
    if said.get("match_archives"):
        return _fixed(with_constants(said["match_archives"], constants), values)
    if said.get("prefix"):
        return _fixed(f"{with_constants(said['prefix'], constants)}*", values)
    return _made_by(said, values)


def _made_by(said: Mapping[str, Any], values: Mapping[str, str]) -> str:
    return _pattern(with_constants(said.get("archive_name_format") or _NAME_FORMAT, said.get("constants", {})), values)


def _fixed(text: str, values: Mapping[str, str]) -> str:
    return re.sub(rf"\{{({'|'.join(values)})\}}", lambda match: values[match.group(1)], text)


def _claims(entry: Mapping[str, Any], name: str, user: str, servers: Mapping[str, Any]) -> list[Claim]:
    document = check_document(entry.get("config"), bool(entry.get("allow_unknown_options")))
    found = []
    for position, repository in enumerate(document["repositories"]):
        said = {**document, **repository}
        if "create" in said.get("skip_actions", ()):
            continue
        location = plan.location_of(document, position)
        address = Location.parse(fixed(location, name, user))
        host = str(address.host or name).strip("[]")
        server = (servers.get(host) or {}).get("inventory_name") or host
        place = (location, server, address.user or "", path_on_server(address.path))
        found.append(Claim(name, str(entry.get("name")), *place, made_by(said, name, user)))
    return found


def _values(name: str, user: str) -> dict[str, str]:
    """Patterns for what borg's words stand for."""
    values = {
        "hostname": name.partition(".")[0],
        "fqdn": name,
        "reverse-fqdn": ".".join(reversed(name.split("."))),
        "user": user,
    }
    return {word: escape_pattern(value) for word, value in values.items()}


def _pattern(name_format: str, values: Mapping[str, str]) -> str:
    parts, end = [], 0
    for match in re.finditer(_PLACEHOLDER, name_format):
        placeholder, time = match.groups()
        parts.append(escape_pattern(name_format[end : match.start()]))
        end = match.end()
        if placeholder in ("now", "utcnow"):
            parts.append(_time_pattern(time or _TIME_FORMAT))
        else:
            parts.append(values.get(placeholder, "*"))
    return "".join([*parts, escape_pattern(name_format[end:])])


def _time_pattern(time_format: str) -> str:
    known = {directive: pattern for directives, pattern in _TIMES for directive in directives}
    parts = re.findall(r"%([-_0^#]?.)|([^%]+)", time_format)
    return "".join(escape_pattern(text) if text else known.get(directive, "*") for directive, text in parts)
