# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client and its backup servers have to know of each other. Nothing secret is in it."""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Sequence

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.fleetbackup.borg.plugins.module_utils._client_keys import client_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_document import check_document
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_schema import with_constants
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest

SSH_PORT = 22
#: Defaults of the role borg_server.
SERVER_ACCOUNT = "borg"
SERVER_APPEND_ONLY = True
#: What the inventory may say of a server, as the role's option ``borgmatic_servers`` documents it.
SERVER_KEYS = ("inventory_name", "host_keys", "identity_file")

#: What a server takes from a client's record, and nothing else.
_PUBLISHED = ("public_keys", "repositories", "append_only", "storage_quota")
#: borg's placeholder -> the name that fills it, as borg_ssh_identity tells it.
_NAMES = {"hostname": "hostname", "fqdn": "fqdn", "reverse-fqdn": "fqdn"}
#: For one server: the one in use, and while it is replaced, the next one.
_MOST_KEYS = 2
_PLACEHOLDER = re.compile(r"\{([\w-]+)\}")


class Destination(NamedTuple):
    """A host that repositories are on, as the clients' ssh sees it.

    :ivar inventory_name: its name in the inventory; None for one that somebody else runs.
    :ivar host_keys: its public host keys; None where they are not known, or not known yet.
    :ivar identity_file: the private key for it; None for the client's own.
    :ivar account: the account that the inventory has on it; None for a server that somebody else runs.
    :ivar append_only: whether its clients can only add, unless their repositories say otherwise.
    :ivar met: the names of the clients that it has let in during this run.
    :ivar own_ssh: whether the user said how ssh is called, so that keys are none of our business.
    """

    host: str
    port: int
    inventory_name: Optional[str]
    host_keys: Optional[list[str]]
    identity_file: Optional[str]
    account: Optional[str]
    append_only: bool
    met: list[str]
    own_ssh: bool

    @property
    def ssh(self) -> dict[str, Any]:
        """What ssh has to know of it, as the module borg_ssh_identity takes it."""
        return {name: getattr(self, name) for name in ("host", "port", "host_keys", "identity_file")}


class Remote(NamedTuple):
    """One repository of a configuration on another host.

    :ivar options: those of the configuration, over them those of the repository's own entry.
    :ivar own_ssh: whether the user said how ssh is called.
    """

    location: Location
    options: Mapping[str, Any]
    own_ssh: bool

    @property
    def host(self) -> str:
        """Its host, an IPv6 address without brackets."""
        return str(self.location.host).strip("[]")


def destinations(
    configs: Sequence[Mapping[str, Any]],
    said: Mapping[str, Mapping[str, Any]],
    servers: Sequence[str],
    host_variables: Mapping[str, Mapping[str, Any]],
) -> list[Destination]:
    """Every server that ssh has to know, once.

    :param configs: the role's configurations; one that is wrong counts for nothing here.
    :param said: what the inventory says of servers, by the host that locations name.
    :param servers: the inventory's names of its backup servers.
    :param host_variables: the variables of every host of the inventory.
    """
    found: dict[tuple[str, int], Destination] = {}
    for remote in _remotes(configs):
        own_ssh = remote.own_ssh and remote.host not in said
        about = said.get(remote.host, {})
        about = about if isinstance(about, Mapping) else {}
        name = about.get("inventory_name") or (remote.host if remote.host in servers else None)
        if own_ssh and not name:
            continue
        variables: Mapping[str, Any] = host_variables[name] if name and name in host_variables else {}
        published = variables.get("__borg_server_published", {})
        port = remote.location.port or SSH_PORT
        known = found.get((remote.host, port))
        found[remote.host, port] = Destination(
            host=remote.host,
            port=port,
            inventory_name=name,
            host_keys=about.get("host_keys") or published.get("host_keys") or None,
            identity_file=about.get("identity_file"),
            account=variables.get("borg_server_user", SERVER_ACCOUNT) if name else None,
            append_only=bool(name) and boolean(variables.get("borg_server_append_only", SERVER_APPEND_ONLY)),
            met=list(published.get("clients", ())),
            own_ssh=own_ssh and (known is None or known.own_ssh),
        )
    return list(found.values())


def problems(
    configs: Sequence[Mapping[str, Any]],
    said: Any,
    places: Sequence[Mapping[str, Any]],
    host_variables: Mapping[str, Mapping[str, Any]],
    name: str,
    groups: Mapping[str, Sequence[str]],
    group: str,
) -> list[str]:
    """What is wrong with what the inventory says of a client and its servers, and with locations on them.

    :param places: the :func:`destinations`, as dictionaries.
    :param host_variables: the variables of every host of the inventory.
    :param name: the client's.
    :param groups: the names of the inventory's hosts by group.
    :param group: of the clients of a server that names none.
    """
    if not isinstance(said, Mapping):
        return ["borgmatic_servers: is no dictionary; for example {backup1: {inventory_name: backup1.example.org}}."]
    found = [*_said_problems(configs, said, [*groups["all"], "localhost"]), *_place_problems(configs, places)]
    return found or list(_membership_problems(places, host_variables, name, groups, group))


def connected(
    configs: Sequence[Mapping[str, Any]], places: Sequence[Mapping[str, Any]], ssh_command: str
) -> list[dict[str, Any]]:
    """The configurations with the ssh command where the user gave none, and with what their servers enforce.

    They hold secrets. What the servers enforce stands under ``enforced``: append-only or not, by location.
    """
    known = {(place["host"], place["port"]): place for place in places}
    result = []
    for entry in configs:
        document = _document(entry)
        if document is None:
            result.append(dict(entry))
            continue
        enforced = {}
        for remote in _remotes_of(document):
            place = known.get((remote.host, remote.location.port or SSH_PORT))
            if place and place["inventory_name"]:
                enforced[str(remote.location)] = bool(remote.options.get("append_only", place["append_only"]))
        derived = any(not remote.own_ssh for remote in _remotes_of(document))
        config = {**document, **({"ssh_command": ssh_command} if derived else {})} if derived else entry["config"]
        result.append({**entry, "config": config, "enforced": enforced})
    return result


def fact_needs(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of a client without which nobody else can tell what borg puts into its locations."""
    used = {name for remote in _remotes(configs) for name in _PLACEHOLDER.findall(remote.location.path)}
    return sorted({_NAMES[name] for name in used if name in _NAMES})


def pretended(facts: Mapping[str, Any], name: str) -> list[str]:
    """What is wrong with the names of a client's facts: Ansible would take these facts for variables. Our modules make no facts, but others
    do, such as those that gather them.

    :param name: the client's, in the inventory.
    """
    names = sorted(fact for fact in facts if re.match("_*(borg|fleetbackup)|inventory_|group_names$", fact))
    if not names:
        return []
    return [
        f"{name} answered with facts that bear names of variables ({', '.join(names)}), so that it could choose what it has"
        " access to. Find out who controls it."
    ]


def _placeholders(configs: Sequence[Mapping[str, Any]], said: Mapping[str, Any], name: str, user: str) -> dict[str, str]:
    """What borg puts in the places of its placeholders on a client.

    :param said: what the client calls itself.
    :param name: the client's, in the inventory.
    :raises Failure: ``unsafe`` where a name that some location needs is another than in the inventory.
    """
    told = {one: str(said.get(one, "")) for one in fact_needs(configs)}
    short = name.partition(".")[0]
    # who is known by a short name may be in any domain
    wanted = {"hostname": re.escape(short), "fqdn": re.escape(name) + (r"(\.[A-Za-z0-9_-]+)*" if name == short else "")}
    strange = [text for one, text in told.items() if not re.fullmatch(wanted[one], text)]
    if strange:
        raise Failure(
            "unsafe",
            f"{name} calls itself {', '.join(strange)}, and a location has a placeholder for that name: it could choose another"
            " client's repository. Write the path itself into the location, such as {{ inventory_hostname }}, or give the host"
            " and the inventory the same name.",
        )
    fqdn = told.get("fqdn", "")
    return {
        "hostname": told.get("hostname", ""),
        "fqdn": fqdn,
        "reverse-fqdn": ".".join(reversed(fqdn.split("."))),
        "user": user,
    }


def record(
    configs: Sequence[Mapping[str, Any]],
    places: Sequence[Mapping[str, Any]],
    identities: Sequence[Mapping[str, Any]],
    said: Mapping[str, Any],
    name: str,
    user: str,
) -> dict[str, Optional[dict[str, Any]]]:
    """What each server of the inventory may know of a client, by the server's name; None for a server whose keys are the user's.

    :param identities: what borg_ssh_identity returned as ``servers``; a server may be there more than once, with a key each time.
    :param said: what the client calls itself, as far as locations need it.
    :param name: the client's, in the inventory.
    :param user: whom its backups run as.
    :raises Failure: ``unsafe`` where the client seems to choose what it gets; ``invalid_argument`` where one server would have to
        treat one client in two ways, or what the client gives for its public key is none.
    """
    placeholders = _placeholders(configs, said, name, user)
    keys: dict[tuple[str, int], list[str]] = {}
    for identity in identities:
        if identity["public_key"]:
            client_key(identity["public_key"], "public_key")
            keys.setdefault((identity["host"], identity["port"]), []).append(identity["public_key"])
    if any(len(set(shown)) > _MOST_KEYS for shown in keys.values()):
        raise Failure("unsafe", f"{name} gives more than {_MOST_KEYS} public keys for one server. Find out who controls it.")
    result: dict[str, Optional[dict[str, Any]]] = {}
    for place in places:
        server = place["inventory_name"]
        if not server:
            continue
        if place["own_ssh"]:
            result.setdefault(server, None)
            continue
        for remote in _remotes(configs):
            if (remote.host, remote.location.port or SSH_PORT) != (place["host"], place["port"]):
                continue
            wanted = {
                "append_only": bool(remote.options.get("append_only", place["append_only"])),
                "storage_quota": remote.options.get("storage_quota"),
            }
            known = result.get(server) or {"public_keys": [], "repositories": [], **wanted}
            result[server] = known
            for name, value in wanted.items():
                if known[name] != value:
                    raise Failure(
                        "invalid_argument",
                        f"repositories: {server} cannot treat one client in two ways, with {name}: {known[name]} and with"
                        f" {name}: {value} for {remote.location}; say the same for all repositories of a client on a server.",
                    )
            path = path_on_server(_PLACEHOLDER.sub(lambda match: placeholders[match.group(1)], remote.location.path))
            known["repositories"] = sorted({*known["repositories"], path})
            known["public_keys"] = sorted({*known["public_keys"], *keys.get((place["host"], place["port"]), [])})
    return result


def authorised(
    host_variables: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    server: str,
    outside: Sequence[Mapping[str, Any]] = (),
    append_only: bool = SERVER_APPEND_ONLY,
    storage_quota: str = "",
) -> dict[str, Any]:
    """Whom a server lets in, as the module borg_authorized_keys takes them: ``clients``, and the names to ``retain`` and to ``remove``.

    :param names: of the inventory's clients. Those that this run knows nothing of are retained, and those removed that it knows to have nothing there.
    :param outside: clients that are no hosts of the inventory.
    :param append_only: for those of them that say nothing of it.
    :param storage_quota: of all that say none.
    """
    clients = [{"append_only": append_only, **client} for client in outside]
    retained, removed = [], []
    for name in names:
        published = _state(host_variables, name).get("servers")
        if published is None or published.get(server, {}) is None:
            retained.append(name)
        elif server in published:
            clients.append({**{part: published[server].get(part) for part in _PUBLISHED}, "name": name})
        else:
            removed.append(name)
    for client in clients:
        client["storage_quota"] = client.get("storage_quota") or storage_quota or None
    return {"clients": clients, "retain": retained, "remove": removed}


def published(
    configs: Sequence[Mapping[str, Any]],
    places: Sequence[Mapping[str, Any]],
    identity: Mapping[str, Any],
    name: str,
    user: str,
) -> dict[str, Any]:
    """What a client tells those that act for servers: its :func:`record` as ``servers``; those that have not heard of it in this run as
    ``unmet``, for its path, quota or rights may be others than they were, even if the key is not; those whose host keys it lacks as
    ``unpinned``.

    :param identity: what borg_ssh_identity returned.
    :raises Failure: as :func:`record` does.
    """
    return {
        "servers": record(configs, places, identity["servers"], identity["names"], name, user),
        "unmet": unmet(places, name),
        "unpinned": identity["unpinned"],
    }


def unmet(places: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """The servers of the inventory that have not heard of a client in this run.

    :param name: the client's.
    """
    return list(
        dict.fromkeys(
            place["inventory_name"]
            for place in places
            if place["inventory_name"] and not place["own_ssh"] and name not in place["met"]
        )
    )


def represented(
    host_variables: Mapping[str, Mapping[str, Any]], batch: Sequence[str], name: str
) -> list[dict[str, Any]]:
    """Of the servers that have not heard of a client, those that it tells, for itself and all others: nobody before it in the batch has
    to. With each stands whether anybody lacks host keys.

    :param batch: the names of the clients that a play is at.
    :param name: the client's.
    """
    def first(server: str) -> Optional[str]:
        return next((host for host in batch if server in _state(host_variables, host).get("unmet", ())), None)

    mine = [server for server in _state(host_variables, name).get("unmet", ()) if first(server) == name]
    lacking = bool(mine) and any(_state(host_variables, host).get("unpinned") for host in batch)
    return [{"name": server, "host_keys": lacking} for server in mine]


def _state(host_variables: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """How far a client has come in this run, and with that what it published, if anything."""
    state: Mapping[str, Any] = host_variables[name].get("__borgmatic_state") or {}
    return state


def settings(
    host_variables: Mapping[str, Mapping[str, Any]], server: str, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """A server's own options of the role borg_server, for a play of its clients, whose variables say nothing of it.

    :param defaults: the role's.
    """
    said = host_variables[server]
    return {name: said.get(name, default) for name, default in defaults.items()}


# --- what is wrong -----------------------------------------------------------------------------------------------


def _said_problems(
    configs: Sequence[Mapping[str, Any]], said: Mapping[str, Any], hosts: Sequence[str]
) -> Iterator[str]:
    known = {remote.host for remote in _remotes(configs)}
    for host, about in said.items():
        where = f"borgmatic_servers, {host}"
        if not isinstance(about, Mapping):
            yield f"{where}: is no dictionary; for example {{host_keys: [ssh-ed25519 AAAA…]}}."
            continue
        if host not in known and all(_document(entry) for entry in configs):
            hint = nearest(host, known) or "."
            yield f"{where}: no repository is on a host of this name, as its location spells it{hint}"
        for key in sorted(set(about) - set(SERVER_KEYS)):
            yield f"{where}, {key}: is not known{nearest(key, SERVER_KEYS) or '; there are ' + ', '.join(SERVER_KEYS) + '.'}"
        name = about.get("inventory_name")
        if name and name not in hosts:
            yield f"{where}, inventory_name: {name} is no host of the inventory{nearest(name, hosts) or '.'}"


def _place_problems(configs: Sequence[Mapping[str, Any]], places: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    accounts = {(place["host"], place["port"]): place["account"] for place in places}
    for remote in _remotes(configs):
        account = accounts.get((remote.host, remote.location.port or SSH_PORT))
        if account and remote.location.user != account:
            yield (
                f"repositories, {remote.location}: logs in as {remote.location.user or 'whoever runs borg'}, but the account"
                f" on {remote.host} is {account} (borg_server_user); write"
                f" {remote.location._replace(user=account)}."
            )


def _membership_problems(
    places: Sequence[Mapping[str, Any]],
    host_variables: Mapping[str, Mapping[str, Any]],
    name: str,
    groups: Mapping[str, Sequence[str]],
    group: str,
) -> Iterator[str]:
    """A server lets nobody in but the hosts of one group, and whom it names itself."""
    for server in dict.fromkeys(place["inventory_name"] for place in places if place["inventory_name"] and not place["own_ssh"]):
        variables = host_variables[server]
        wanted = variables.get("borg_server_client_group", group)
        named = [client.get("name") for client in variables.get("borg_server_clients", ()) if isinstance(client, Mapping)]
        if name not in groups.get(wanted, ()) and name not in named:
            yield (
                f"{name} is not in the group {wanted}, which is all that {server} lets in. Put it into that group, or set"
                f" borg_server_client_group for {server}."
            )


# --- configurations ----------------------------------------------------------------------------------------------


def _document(entry: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """The normal form of a configuration; None where it has none: another check says why."""
    try:
        return check_document(entry.get("config"), bool(entry.get("allow_unknown_options")))
    except Failure:
        return None


def _remotes(configs: Sequence[Mapping[str, Any]]) -> Iterator[Remote]:
    for document in filter(None, map(_document, configs)):
        yield from _remotes_of(document)


def _remotes_of(document: Mapping[str, Any]) -> Iterator[Remote]:
    for entry in document["repositories"]:
        location = Location.parse(with_constants(entry["path"], document.get("constants", {})))
        if not location.is_local:
            options = {**document, **entry}
            yield Remote(location, options, "ssh_command" in options)


def path_on_server(path: str) -> str:
    """A repository's path as the server knows it: absolute, or relative to its account's home."""
    return path[3:] if path.startswith(("/./", "/~/")) else path
