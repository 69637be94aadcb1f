# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a host's archives are, and what opens them: from its configurations, or from its recovery bundles."""

from __future__ import annotations

import os
import re
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Sequence

import yaml

from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import OTHER_STYLE
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_files import EscrowDirectory, stem_of
from ansible_collections.fleetbackup.borg.plugins.module_utils._known_hosts import DEFAULT_PORT, Server
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_names as archive_names
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_plan as plan
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_document import check_document
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_fleet import path_on_server
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery_bundle import Bundle
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient, decrypted

#: What the first configuration is called that comes out of bundles, which do not tell its name.
_FIRST_NAME = "system"
#: What differs from one machine to the next. On another machine than the repository's own client it means nothing.
_OF_MACHINE = ("rsh", "executable", "key_file", "base_directory", "lock_wait")
#: What brings the accounts of a machine along.
_OF_ACCOUNTS = frozenset(("", "/etc", "/etc/passwd"))
_PLACEHOLDER = re.compile(r"\{([\w-]*)(?::[^{}]*)?\}")


class Source(NamedTuple):
    """One repository that holds archives of a configuration, without any secret.

    :ivar config: the name of the configuration.
    :ivar position: its position in that configuration's ``repositories``.
    :ivar location: where it is.
    :ivar label: what the configuration calls it; empty: nothing.
    :ivar match_archives: a pattern that the names of the configuration's archives match; empty: all of them are.
    :ivar own_archives: one that those of others do not match either, where the machine calls itself as the inventory does; empty: nobody can tell.
    :ivar made_archives: the same pattern in borg's words, for the machine itself, whatever it calls itself; empty: nobody can tell.
    :ivar has_accounts: whether its archives hold the accounts of the machine, so that owners are what their numbers were there.
    :ivar elsewhere: the location as other machines have to write it.
    :ivar host: the server; None for a local one.
    :ivar port: of its SSH.
    :ivar path: the path on it, absolute or below its account's home.
    :ivar key_name: what borg calls the file of its key, where it has one.
    """

    config: str
    position: int
    location: str
    label: str
    match_archives: str
    own_archives: str
    made_archives: str
    has_accounts: bool
    elsewhere: str
    host: Optional[str]
    port: int
    path: str
    key_name: str

    @property
    def record(self) -> plan.RepositoryRecord:
        """What names the repository in its configurations."""
        return plan.RepositoryRecord(self.config, self.position, self.location)


def recovered(bundles: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The configurations that stand in bundles, as the role takes them; they hold secrets.

    :param bundles: as :func:`described` gives them.
    :raises Failure: ``invalid_argument``: a bundle without a configuration, or with one that is none.
    """
    documents: list[dict[str, Any]] = []
    for bundle in bundles:
        if not bundle["configuration"]:
            raise Failure("invalid_argument", f"The bundle of {bundle['repository']} holds no configuration; write one into the inventory.")
        document = yaml.safe_load(bundle["configuration"])
        if document not in documents:
            documents.append(document)
    names = [_FIRST_NAME, *(f"{_FIRST_NAME}-{number}" for number in range(2, len(documents) + 1))]
    return [{"name": name, "config": document} for name, document in zip(names, documents)]


def bundles_in(files: EscrowDirectory, directory: str, host: str, identities: Sequence[Recipient]) -> list[Bundle]:
    """The bundles of a host, one for each of its repositories.

    :param directory: where the files are.
    :raises Failure: ``unsafe``: one that none of the identities opens, or that is no bundle; ``permission`` …
    """
    names: dict[str, list[str]] = {}
    for name in files.names(host):
        names.setdefault(stem_of(name), []).append(name)
    of_repositories = (opened(files, directory, stem, names[stem], identities) for stem in names)
    found = {bundle.locations[0]: bundle for bundle in of_repositories if bundle is not None and bundle.host == host}
    return list(found.values())


def opened(files: EscrowDirectory, directory: str, stem: str, names: Sequence[str], identities: Sequence[Recipient]) -> Optional[Bundle]:
    """The bundle of a repository, from the first of its files that any identity opens: there is one for each recipient.

    :param stem: what their names begin with.
    :returns: None: there is none.
    :raises Failure: ``unsafe``: no identity opens any, or one is no bundle; ``permission`` …
    """
    closed = []
    for name in sorted((name for name in names if name.endswith(".yml")), key=lambda name: (name != f"{stem}.yml", name)):
        path = os.path.join(directory, name)
        file = files.read(path)
        text = None if file is None else decrypted(file.data, identities)
        if text is not None:
            try:
                return Bundle.parse(text)
            except ValueError as error:
                raise Failure("unsafe", f"{path} is no recovery bundle ({error}). Move it away.") from error
        if file is not None:
            closed.append(path)
    if not closed:
        return None
    sealed = [os.path.join(directory, name) for name in names if not name.endswith(".yml")]
    by_hand = f" {' and '.join(sealed)} can be opened by hand, and the words inside followed." if sealed else ""
    raise Failure(
        "unsafe",
        f"{' and '.join(closed)}: opens with none of the vault secrets that Ansible was given, or is damaged. Give its secret"
        f" (--vault-id).{by_hand}",
    )


def described(bundle: Bundle) -> dict[str, Any]:
    """A bundle as playbooks take it; it holds secrets."""
    return {
        "repository": bundle.locations[0],
        "locations": [*bundle.locations, *([bundle.resolved] if bundle.resolved else [])],
        "resolved": bundle.resolved,
        "id": None if bundle.key is None else bundle.key.id,
        "key": None if bundle.key is None else bundle.key.text,
        "encryption": bundle.encryption,
        "passphrase": bundle.passphrase,
        "identity": bundle.identity,
        "known_hosts": list(bundle.known_hosts),
        "configuration": bundle.configuration,
    }


def sources(
    configs: Sequence[Mapping[str, Any]],
    host: str,
    repository: str = "",
    config: str = "",
    bundles: Sequence[Mapping[str, Any]] = (),
    user: str = "root",
) -> list[dict[str, Any]]:
    """Every repository of every configuration, in order.

    :param host: the inventory's name of their client.
    :param repository: only this one, by its location, path or label.
    :param config: only those of the configuration of this name.
    :param bundles: what stands in escrow: there the client itself has told its names, where locations have borg's words for them.
    :param user: whom its backups run as.
    :raises Failure: ``invalid_argument``: there is none.
    """
    found = list(_sources(configs, host, bundles, user))
    wanted = [source for source in found if config in ("", source.config) and repository in ("", *_names(source, configs))]
    if not wanted:
        there = ", ".join(f"{source.label or source.location} ({source.config})" for source in found) or "none at all"
        said = " of ".join(text for text in (repository, config) if text)
        raise Failure("invalid_argument", f"{host} has no repository {said}; it has {there}.")
    return [source._asdict() for source in wanted]


def newest_first(sources: Sequence[Mapping[str, Any]], looked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each configuration, the repository with the newest archive first; where nobody knows, in their order.

    :param sources: as :func:`sources` gives them.
    :param looked: what borg_archive_info has found for each ``__borgmatic_source``, the loop's variable.
    """
    times = {}
    for result in looked:
        source, archives = result["__borgmatic_source"], result.get("archives")
        if archives:
            times[source["config"], source["position"]] = str(archives[0]["time"])
    ordered = sorted(sources, key=lambda source: times.get((source["config"], source["position"]), ""), reverse=True)
    configs = list(dict.fromkeys(source["config"] for source in sources))
    return [dict(source) for source in sorted(ordered, key=lambda source: configs.index(source["config"]))]


def options(
    configs: Sequence[Mapping[str, Any]], source: Mapping[str, Any], bundles: Sequence[Mapping[str, Any]] = (), elsewhere: bool = False
) -> dict[str, Any]:
    """The options with which a module of ours opens a repository; they hold secrets.

    :param source: one of :func:`sources`.
    :param bundles: what stands in escrow, for what only the client knew.
    :param elsewhere: another machine than the repository's own client opens it.
    """
    said = plan.repository(configs, Source(**source).record)
    if not elsewhere:
        return said
    said = {name: value for name, value in said.items() if name not in _OF_MACHINE}
    said["repository"] = source["elsewhere"]
    escrowed = bundle_of(bundles, source)
    if "passphrase" not in said and escrowed:
        said["passphrase"] = escrowed["passphrase"]
    if "passphrase" in said:
        said.pop("passcommand", None)
    return said


def resolved(
    configs: Sequence[Mapping[str, Any]], bundles: Sequence[Mapping[str, Any]], names: Mapping[str, Any], user: str
) -> list[dict[str, Any]]:
    """The configurations with the lost machine's names in the locations for which the new one has others; they hold secrets.

    :param bundles: what stands in escrow, where the lost machine has told its names.
    :param names: what the new machine calls itself, as borg_ssh_identity tells it.
    :param user: whom its backups run as.
    """
    fqdn = str(names.get("fqdn", ""))
    words = {"hostname": str(names.get("hostname", "")), "fqdn": fqdn, "reverse-fqdn": ".".join(reversed(fqdn.split("."))), "user": user}
    result = []
    for entry in configs:
        document = check_document(entry.get("config"), bool(entry.get("allow_unknown_options")))
        repositories = []
        for position, said in enumerate(document["repositories"]):
            location = plan.location_of(document, position)
            before = _told(location, bundles)
            repositories.append(said if before in (None, _with(words, location)) else {**said, "path": before})
        result.append(dict(entry) if repositories == document["repositories"] else {**entry, "config": {**document, "repositories": repositories}})
    return result


def narrowed(configs: Sequence[Mapping[str, Any]], host: str, repository: str = "") -> list[dict[str, Any]]:
    """The configurations with one repository alone, and without those that do not have it; they hold secrets.

    :param host: the inventory's name of their client.
    :param repository: its location, path or label; empty: all of them.
    :raises Failure: ``invalid_argument``: there is none.
    """
    if not repository:
        return [dict(entry) for entry in configs]
    chosen = {(source["config"], source["position"]) for source in sources(configs, host, repository)}
    result = []
    for entry in configs:
        document = check_document(entry.get("config"), bool(entry.get("allow_unknown_options")))
        kept = [said for position, said in enumerate(document["repositories"]) if (entry["name"], position) in chosen]
        if kept:
            result.append({**entry, "config": {**document, "repositories": kept}})
    return result


def servers(places: Sequence[Mapping[str, Any]], bundles: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What ssh has to know of the servers, as borg_ssh_identity takes it: host keys that nobody says are those in escrow.

    :param places: what borgmatic_destinations found.
    """
    known: dict[str, list[str]] = {}
    for line in (line for bundle in bundles for line in bundle["known_hosts"]):
        name, _space, key = line.partition(" ")
        known.setdefault(name, []).append(key)
    result = []
    for place in places:
        name = Server(place["host"], place["port"], (), "", None).known_as
        if not place["own_ssh"]:
            result.append({**place["ssh"], "host_keys": place["host_keys"] or list(dict.fromkeys(known.get(name, ()))) or None})
    return result


def bundle_of(bundles: Sequence[Mapping[str, Any]], source: Mapping[str, Any]) -> dict[str, Any]:
    """The bundle of a source; empty: there is none."""
    return next((dict(bundle) for bundle in bundles if source["location"] in bundle["locations"]), {})


def _sources(configs: Sequence[Mapping[str, Any]], host: str, bundles: Sequence[Mapping[str, Any]], user: str) -> Iterator[Source]:
    for entry in configs:
        document = check_document(entry.get("config"), bool(entry.get("allow_unknown_options")))
        for position, said in enumerate(document["repositories"]):
            location = plan.location_of(document, position)
            written = _told(location, bundles) or _written_out(location, host, user)
            parsed = Location.parse(written)
            yield Source(
                config=entry["name"],
                position=position,
                location=location,
                label=str(said.get("label") or ""),
                match_archives=_filter(document),
                own_archives=_shell(archive_names.own({**document, **said}, host, user)),
                made_archives=_shell(archive_names.own_in_words({**document, **said})),
                has_accounts=bool(_OF_ACCOUNTS.intersection(str(path).rstrip("/") for path in document.get("source_directories", ()))),
                elsewhere=written,
                host=parsed.host.strip("[]") if parsed.host else None,
                port=parsed.port or DEFAULT_PORT,
                path=path_on_server(parsed.path),
                key_name=_key_name(parsed),
            )


def _names(source: Source, configs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What people may call a repository."""
    entry = next(entry for entry in configs if entry["name"] == source.config)
    document = check_document(entry.get("config"), bool(entry.get("allow_unknown_options")))
    return source.location, str(document["repositories"][source.position]["path"]), source.elsewhere, source.label, source.path


def _shell(pattern: str) -> str:
    """A pattern, if it has a style that Borg 1 knows."""
    return "" if re.match(OTHER_STYLE, pattern) else pattern


def _filter(document: Mapping[str, Any]) -> str:
    """What the names of a configuration's archives look like; where nothing was said about them, all are its own."""
    text = str(document.get("match_archives") or "")
    if not text and document.get("archive_name_format"):
        text = _PLACEHOLDER.sub("*", str(document["archive_name_format"]))
    text = text.partition("sh:")[2] if text.startswith("sh:") else text
    if re.match(OTHER_STYLE, text) or not re.search(r"\w", text):
        return ""
    return _PLACEHOLDER.sub("*", text)


def _key_name(location: Location) -> str:
    """Source: `borg.helpers.parseformat.Location.to_key_filename`, 1.2.9 and 1.4.5."""
    name = re.sub(r"\W", "_", location.path).strip("_")
    server = re.sub(r"\W", "_", location.host.strip("[]")) + "__" if location.host else ""
    return (server + name)[:100]


def _told(location: str, bundles: Sequence[Mapping[str, Any]]) -> Optional[str]:
    """A location without borg's words for the client, as the client itself has told it; None: it has not, or need not."""
    return next((str(bundle["resolved"]) for bundle in bundles if location == bundle["repository"] and bundle["resolved"]), None)


def _written_out(location: str, host: str, user: str) -> str:
    """The same where the client has told nothing: the roles admit nobody whose names differ from the inventory's."""
    words = {"hostname": host.partition(".")[0], "fqdn": host, "reverse-fqdn": ".".join(reversed(host.split("."))), "user": user}
    return _with(words, location)


def _with(words: Mapping[str, str], location: str) -> str:
    return _PLACEHOLDER.sub(lambda found: words.get(found.group(1), found.group()), location)
