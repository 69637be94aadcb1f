# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module borgmatic_role_info: it makes of the role's variables what the role's own tasks make of
them, and sends that as one secret text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional

from ansible.errors import AnsibleError

from ansible_collections.fleetbackup.borg.plugins.action import borg_key_escrow as escrow
from ansible_collections.fleetbackup.borg.plugins.action import borgmatic_config, borgmatic_schedule
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._role_state import SSH_COMMAND
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_fleet as fleet
from ansible_collections.fleetbackup.borg.plugins.plugin_utils import _borgmatic_plan as plan
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._factless import Factless
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest

Arguments = Mapping[str, Any]

_OPTIONS = ("objections", "configs", "destinations", "directory", "user", "installation", "identity", "scheduling", "escrow")
#: What the target never says: a client in the wrong hands would choose what its servers believe.
_OURS = ("servers", "unmet", "unpinned", "escrowed", "unescrowed")

#: Where a bundle stands and for whom, as borg_key_escrow takes it.
_PLACES = ("directory", "stored", "vault_id", "vault_ids", "on_missing_secret", "age_recipients", "gpg_recipients")


class ActionModule(Factless):
    """Asks the target, and looks what stands in escrow."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run the module with the requests, or fail with what is wrong with the variables."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            _check_options(self._task.args)
            result.update(self._answer(self._task.args, task_vars or {}))
            return result
        except Failure as failure:
            outcome = failure
        except AnsibleError:  # an unreachable target, for example, which is Ansible's to tell
            raise
        except Exception as error:  # the last line: whatever was not foreseen is told without what it holds
            outcome = Failure("other", f"Unforeseen {type(error).__name__} in this module. Please report it with what you ran.")
        # outside of the except blocks, where ansible-core would add the traceback
        return {**result, "failed": True, "changed": False, **outcome.as_result()}

    def _answer(self, task: Arguments, variables: Mapping[str, Any]) -> dict[str, Any]:
        name, user = variables.get("inventory_hostname", ""), task.get("user", "root")
        keeper = Keeper(task, name, self._loader, on_client=self._connection.transport == "local")
        requests = requests_of(task, name)
        for request in requests["repository"]:
            request["key_digest"] = keeper.digest(request["repository"])
        arguments = {"configs": [], "user": user, "requests": json.dumps(requests, default=str)}
        answer: dict[str, Any] = self._execute_module(
            module_name="fleetbackup.borg.borgmatic_role_info", module_args=arguments, task_vars=variables
        )
        for key in _OURS:
            answer.pop(key, None)
        if answer.get("failed") or answer.get("unreachable"):
            return answer
        done = answer["done"]
        if "repository" in done:
            place = done.index("repository") + 1
            done[place:] = ["escrow", *done[place:]] if keeper.is_done(answer) else []
        answer["escrowed"] = [record._asdict() for record in keeper.records]
        answer["unescrowed"] = keeper.unescrowed
        answer["warnings"] = [*answer.get("warnings", []), *keeper.omitted, *keeper.left_alone]
        if answer["ssh"] is not None:
            answer.update(fleet.published(task["configs"], task.get("destinations", []), answer["ssh"], name, user))
        return answer


class Keeper:
    """The recovery bundles of a client's repositories.

    :ivar records: the repositories that have one.
    :ivar unescrowed: the locations of others, which have a key, too.
    :ivar omitted: why these have none.
    """

    def __init__(self, task: Arguments, name: str, loader: Any, *, on_client: bool) -> None:
        self._task = task
        self._name = name
        self._settings: Arguments = task.get("escrow") or {}
        self.records: list[plan.RepositoryRecord] = []
        self.unescrowed: list[str] = []
        self.omitted: list[str] = []
        general = self._reason(loader, on_client)
        for record in plan.escrowed(task["configs"]):
            reason = general or self._lack(record)
            if not reason:
                self.records.append(record)
            elif self._settings.get("keep") and not Location.parse(record.location).is_local:
                raise Failure(
                    "unsafe",
                    f"There would be no recovery bundle of {record.location}: {reason}. borgmatic_escrow: false does without;"
                    " if this machine is lost then, so may be all its archives.",
                )
            else:
                self.unescrowed.append(record.location)
                self.omitted.append(f"No recovery bundle is kept of {record.location}: {reason}.")
        self._escrows = {record.location: escrow.escrow_of(self._request(record), loader) for record in self.records}

    @property
    def left_alone(self) -> list[str]:
        """Which bundles nobody looks at, for want of their secrets."""
        labels = dict.fromkeys(label for kept in self._escrows.values() for label in kept.left_alone)
        return [f"Ansible was not given the vault secret of {label}: its recovery bundles are left as they are." for label in labels]

    def _reason(self, loader: Any, on_client: bool) -> str:
        """Why there can be no bundle at all; empty: there can."""
        if not self._settings.get("keep"):
            return "borgmatic_escrow is false"
        if not loader._vault.secrets:
            return (
                "Ansible has no vault secret to encrypt it with. Give one by --vault-id NAME@FILE, --vault-password-file FILE or the"
                " environment variable ANSIBLE_VAULT_PASSWORD_FILE, and keep a copy of it where it survives the controller"
            )
        host = self._settings.get("host")
        if host and host != self._settings.get("machine"):
            return f"none was fetched from {host}. Give all clients of one run the same borgmatic_escrow_host"
        if (host == self._name if host else on_client) and not self._settings.get("on_client"):
            return (
                "it would stand on the very machine that it shall outlive. Name another one in borgmatic_escrow_host; or say"
                " borgmatic_escrow_on_client: true, and copy it elsewhere yourself"
            )
        return ""

    def _lack(self, record: plan.RepositoryRecord) -> str:
        if "passphrase" in plan.repository(self._task["configs"], record):
            return ""
        return "only the client knows its passphrase. Say encryption_passphrase in place of encryption_passcommand"

    def digest(self, location: str) -> Optional[str]:
        """The digest of the key that a repository's passphrase is known to open."""
        for record in self.records:
            if record.location == location:
                key = self._escrows[location].key_for(self._request(record).bundle)
                return None if key is None else key.digest
        return None

    def is_done(self, answer: Arguments) -> bool:
        """Whether the bundles are as they shall be."""
        digests = {found["location"]: found["key_digest"] for found in answer["repository"]}
        return all(
            escrow.is_kept(self._escrows[record.location], self._request(record, answer["ssh"], digests.get(record.location)))
            for record in self.records
        )

    def _request(
        self, record: plan.RepositoryRecord, identity: Optional[Arguments] = None, digest: Optional[str] = None
    ) -> escrow.Request:
        said = plan.escrow(self._task["configs"], record, identity, bool(self._settings.get("ssh_key")))
        places = {name: self._settings[name] for name in _PLACES if name in self._settings}
        return escrow.Request.read({**said, **places, "key_digest": digest}, self._name)


def _check_options(task: Arguments) -> None:
    """Refuse what the role objects to, and what the module would show in its own message."""
    if task.get("objections"):
        raise Failure("invalid_argument", "\n".join(task["objections"]))
    for name in task:
        if name not in _OPTIONS:
            raise Failure("invalid_argument", f"{name}: is no option of borgmatic_role_info{nearest(name, _OPTIONS) or '.'}")
    configs = task.get("configs")
    if not isinstance(configs, list) or not all(isinstance(entry, Mapping) and entry.get("name") for entry in configs):
        raise Failure(
            "invalid_argument",
            "configs: is no list of configurations with names; for example [{name: system, config: {…}}], as the variable"
            " borgmatic_configs of the role borgmatic has them.",
        )


def requests_of(task: Arguments, machine: str) -> dict[str, Any]:
    """What each phase of the role asks its module for; it holds secrets.

    :param task: the options of the task.
    :param machine: the inventory's name of the host.
    :raises Failure: ``invalid_argument`` …
    """
    place = plan.Place(task.get("directory", plan.Place().directory), "~")
    destinations = task.get("destinations", [])
    configs = fleet.connected(task["configs"], destinations, SSH_COMMAND)
    schedule, _reasons = borgmatic_schedule.module_arguments(
        {
            **task.get("scheduling", {}),
            "exclusive": [f"{entry['name']}-*" for entry in configs],
            "schedules": plan.schedules(configs, place),
            "documents": plan.documents(configs, place),
        },
        machine,
    )
    servers = [destination["ssh"] for destination in destinations if not destination["own_ssh"]]
    names = fleet.fact_needs(task["configs"])
    return {
        "install": dict(task.get("installation", {})),
        "ssh": {**task.get("identity", {}), "servers": servers, "names": names} if destinations else None,
        "repository": [plan.repository(configs, record) for record in plan.repositories(configs)],
        "config": [_config(entry, file, task) for entry, file in zip(configs, plan.files(configs, place))],
        "schedule": schedule,
    }


def _config(entry: Arguments, file: Arguments, task: Arguments) -> dict[str, Any]:
    arguments = borgmatic_config.module_arguments(
        {
            "path": file["path"],
            "config": entry["config"],
            "allow_unknown_options": file["allow_unknown_options"],
            "owner": task.get("user", "root"),
            "passphrase_store": task.get("scheduling", {}).get("passphrase_store", "config"),
        }
    )
    return {**arguments, "config": json.loads(arguments["config"])}  # for the target to complete
