# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module borg_key_escrow: the target tells the key, and all else happens here, where the bundle
stands."""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import Any, Iterator, Mapping, NamedTuple, Optional

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.fleetbackup.borg.plugins.module_utils import _borgmatic_yaml as borgmatic_yaml
from ansible_collections.fleetbackup.borg.plugins.module_utils._argument_advice import advised
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import COMMON_ARGUMENTS, borg_from
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._escrow_arguments import ARGUMENTS
from ansible_collections.fleetbackup.borg.plugins.module_utils._exported_key import ExportedKey
from ansible_collections.fleetbackup.borg.plugins.module_utils._known_hosts import DEFAULT_PORT, parse_servers
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import ENCRYPTION_MODES
from ansible_collections.fleetbackup.borg.plugins.module_utils._ssh_keys import PublicKey, public_half
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._borgmatic_document import check_document
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._carried_files import files_of
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._escrow import DESTROYED, Escrow, key_of
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._factless import Factless
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._recovery_bundle import Bundle
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._spelling import nearest
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._tool_recipients import tool_recipients_of
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._vault_recipients import Recipient, recipients_of

SPECIFICATION = {**COMMON_ARGUMENTS, **ARGUMENTS}
#: What the target needs. The passphrase is not among it: an export takes none.
_OF_TARGET = ("directory", "identity_file", *(name for name in COMMON_ARGUMENTS if name not in ("passphrase", "passcommand")))
#: What borg replaces in a location.
_WORD = r"\{[^{}]*\}"

Result = dict[str, Any]


class ActionModule(Factless):
    """Compares what the target tells with what stands in escrow."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> Result:
        """Ensure the bundle, or fail with what is in the way."""
        result: Result = super().run(tmp, task_vars)
        try:
            result.update(self._ensure(task_vars or {}))
            return {**result, "files": None} if self._task.check_mode else result
        except Failure as failure:
            outcome = failure
        except AnsibleError:  # an unreachable target, for example, which is Ansible's to tell
            raise
        except Exception as error:  # the last line: whatever was not foreseen is told without what it holds
            outcome = Failure("other", f"Unforeseen {type(error).__name__} in this module. Please report it with what you ran.")
        # outside of the except blocks, where ansible-core would add the traceback
        return {**result, "failed": True, "changed": False, **outcome.as_result()}

    def _ensure(self, task_vars: Mapping[str, Any]) -> Result:
        request = Request.read(self._task.args, task_vars.get("inventory_hostname", ""))
        escrow = escrow_of(request, self._loader)
        if request.parameters["state"] == "provisional":
            return self._provisional(escrow, request)
        answer = _known_answer(escrow, request) or self._ask(escrow, task_vars)
        if answer.get("failed"):
            return _told(escrow, answer, request)
        if answer["assumed"]:
            return _result(escrow, Difference(), None, None, assumed=True)
        return self._compared(escrow, request, answer)

    def _provisional(self, escrow: Escrow, request: Request) -> Result:
        """See that there is any bundle. A full one is replaced by one with a key alone."""
        key = next(iter(escrow.keys), None)
        wanted = escrow.provisional(request.bundle, request.parameters["previous_passphrases"])
        if key is None and wanted is not None and request.parameters["identity_file"] is not None:
            wanted = wanted._replace(identity=next(iter(escrow.identities), None))
        proven = escrow.key_for(request.bundle)
        difference = Difference() if wanted is None else self._put(escrow, wanted)
        result = _result(escrow, difference, proven or key, key)
        return result if proven is not None else {**result, "digest": None}

    def _compared(self, escrow: Escrow, request: Request, answer: Result) -> Result:
        key = key_of(answer, escrow.keys)
        accept = request.parameters["on_drift"] == "accept"
        escrow.check_drift(key, request.bundle.locations[0], request.bundle.passphrase, accept=accept)
        if key is not None and not escrow.is_proven(key, request.bundle.passphrase):
            try:
                key = key.opened(request.bundle.passphrase, f"The key of {request.bundle.locations[0]}")
            except Failure:
                # key_digest is from an earlier task, which changes the passphrase, but not in check mode
                if self._task.check_mode and key in escrow.keys and request.parameters["key_digest"] is not None:
                    return _result(escrow, Difference(), None, None, assumed=True)
                raise
        wanted = request.bundle._replace(key=key, identity=_identity_of(answer, escrow), resolved=_resolved(answer, request))
        if key is None:
            wanted = escrow.provisional(wanted, request.parameters["previous_passphrases"]) or wanted
        previous = next(iter(escrow.keys), None)
        return _result(escrow, self._put(escrow, wanted), key, previous)

    def _put(self, escrow: Escrow, wanted: Bundle) -> Difference:
        """Have a bundle in escrow, but in check mode; what differed from it."""
        difference = escrow.difference(wanted)
        if difference.changed and self._task.check_mode:
            escrow.encrypt(wanted)  # which may fail
        elif difference.changed and not escrow.put(wanted):
            difference = Difference()
        return difference

    def _ask(self, escrow: Escrow, task_vars: Mapping[str, Any]) -> Result:
        """Run the module on the target. Its answer may hold the key, so it is shown nowhere."""
        arguments = {name: self._task.args[name] for name in _OF_TARGET if name in self._task.args}
        arguments["known_digests"] = [*(key.digest for key in escrow.keys), *map(_digest, escrow.identities)]
        with self._censored():
            answer: Result = self._execute_module(
                module_name="fleetbackup.borg.borg_key_escrow", module_args=arguments, task_vars=task_vars
            )
        return answer

    @contextlib.contextmanager
    def _censored(self) -> Iterator[None]:
        """Have the connection print nothing of what passes through it, whatever the verbosity."""
        contexts = [self._play_context, getattr(self._connection, "_play_context", self._play_context)]
        before = [context.no_log for context in contexts]
        for context in contexts:
            context.no_log = True
        try:
            yield
        finally:
            for context, value in zip(contexts, before):
                context.no_log = value


class Request(NamedTuple):
    """What a task asks for.

    :ivar parameters: the options with their defaults.
    :ivar bundle: what is known of the wanted bundle before the target was asked.
    :ivar public_key: of the identity that it shall hold, where that is known.
    """

    parameters: dict[str, Any]
    bundle: Bundle
    public_key: Optional[PublicKey]

    @classmethod
    def read(cls, task: Mapping[str, Any], host: str) -> Request:
        """Judge a task's arguments.

        :param host: the inventory's name of the target.
        :raises Failure: ``invalid_argument`` …; no message holds a secret.
        """
        parameters = _parameters(task)
        if parameters["passphrase"] is None:
            raise Failure(
                "no_passphrase", "passphrase: the bundle has to hold it, so give the passphrase itself, not a passcommand."
            )
        borg = borg_from(parameters)
        _check_encryption(parameters["encryption"])
        locations = [borg.repository, *(Location.parse(text, "locations") for text in parameters["locations"])]
        configuration = parameters["configuration"]
        return cls(
            parameters,
            Bundle(
                host=host,
                locations=tuple(dict.fromkeys(map(str, locations))),
                passphrase=parameters["passphrase"],
                encryption=parameters["encryption"],
                remote_path=parameters["remote_path"],
                known_hosts=_known_hosts(borg.repository, parameters["host_keys"]),
                configuration=None if configuration is None else borgmatic_yaml.render(check_document(configuration, True)),
            ),
            _public_key(parameters["identity_public_key"]),
        )


def escrow_of(request: Request, loader: Any) -> Escrow:
    """The bundles that a task is about.

    :param loader: Ansible's, which knows the vault secrets and what relative paths begin with.
    :raises Failure: ``no_passphrase``: there is no vault secret …
    """
    secrets = loader._vault.secrets
    skips = request.parameters["on_missing_secret"] == "skip"
    recipients = recipients_of(secrets, request.parameters["vault_id"], request.parameters["vault_ids"], may_lack=skips)
    directory, stored = request.parameters["directory"], request.parameters["stored"]
    files = files_of(
        stored, loader.path_dwim(directory) if stored is None else directory, request.bundle.host, request.bundle.locations[0]
    )
    files.check_directory()
    others = tool_recipients_of(request.parameters)
    # As many secrets as recipients: then a file that none opens is a damaged one.
    may_lack = skips and len(dict(secrets)) < len(recipients)
    return Escrow(files, recipients, [Recipient(*secret) for secret in secrets], others, may_lack=may_lack)


def is_kept(escrow: Escrow, request: Request) -> bool:
    """Whether nothing is left to do for a repository whose key has the digest that a task names."""
    answer = _known_answer(escrow, request)
    if answer is None:
        return False
    key = key_of(answer, escrow.keys)
    if key is None or not escrow.is_proven(key, request.bundle.passphrase):
        return False
    wanted = request.bundle._replace(key=key, identity=_identity_of(answer, escrow), resolved=_resolved(answer, request))
    return not escrow.difference(wanted).changed


def _parameters(task: Mapping[str, Any]) -> dict[str, Any]:
    for name in task:
        if name not in SPECIFICATION:
            hint = nearest(name, SPECIFICATION) or f"; its options are {', '.join(sorted(SPECIFICATION))}."
            raise Failure("invalid_argument", f"{name}: is no option of borg_key_escrow{hint}")
    # what reads inline vault values of ansible-core up to 2.18, not yet decrypted
    given = {name: str(value) if getattr(value, "__ENCRYPTED__", False) else value for name, value in task.items()}
    judged = ArgumentSpecValidator(SPECIFICATION, mutually_exclusive=[("passphrase", "passcommand")]).validate(given)
    if judged.error_messages:
        raise Failure("invalid_argument", advised(judged.error_messages[0], SPECIFICATION, {}))
    parameters: dict[str, Any] = judged.validated_parameters
    if parameters["stored"] is not None:
        parameters["directory"] = str(task["directory"])  # of that machine, so nothing that it holds means this one's home
    return parameters


def _check_encryption(mode: Optional[str]) -> None:
    if mode == "none":
        raise Failure("unencrypted", "encryption: an unencrypted repository has no key that could get lost. Leave the task out.")
    if mode is not None and mode not in ENCRYPTION_MODES:
        hint = nearest(mode, ENCRYPTION_MODES) or f"; it has {', '.join(ENCRYPTION_MODES)}."
        raise Failure("invalid_argument", f"encryption: {mode!r} is no mode of Borg 1{hint}")


def _known_hosts(location: Location, host_keys: list[str]) -> tuple[str, ...]:
    if location.host is None or not host_keys:
        return ()
    server = {"host": location.host.strip("[]"), "port": location.port or DEFAULT_PORT, "host_keys": host_keys}
    (parsed,) = parse_servers([server], "")
    return tuple(f"{parsed.known_as} {key.bare}" for key in parsed.host_keys)


def _public_key(text: Optional[str]) -> Optional[PublicKey]:
    if text is None:
        return None
    try:
        return PublicKey.parse(text)
    except ValueError as error:
        raise Failure(
            "invalid_argument",
            f"identity_public_key: {error}. Give the whole line of the file .pub, as borg_ssh_identity returns it.",
        ) from error


def _known_answer(escrow: Escrow, request: Request) -> Optional[Result]:
    """The target's answer where it is known; None: it has to be asked."""
    digest, identity = request.parameters["key_digest"], None
    if digest not in [key.digest for key in escrow.keys]:
        return None
    has_words = "{" in request.bundle.locations[0]
    if has_words and escrow.resolved is None:
        return None
    if request.parameters["identity_file"] is not None:
        identity = next((text for text in escrow.identities if _has_public_key(text, request.public_key)), None)
        if identity is None:
            return None
    told = None if identity is None else {"digest": _digest(identity), "text": None}
    resolved = escrow.resolved if has_words else None
    return {"digest": digest, "key": None, "identity": told, "resolved": resolved, "assumed": False}


def _resolved(answer: Result, request: Request) -> Optional[str]:
    """The location with the target's names in it, and with nothing else: whoever restores will go there.

    :raises Failure: ``unsafe``.
    """
    resolved, location = answer["resolved"], request.bundle.locations[0]
    if resolved is not None and not re.fullmatch(r"\w[\w.-]*".join(map(re.escape, re.split(_WORD, location))), resolved):
        raise Failure("unsafe", f"The target says that {location} is {resolved!r} there, which it cannot be. Look at that machine.")
    return None if resolved is None else str(resolved)


def _has_public_key(identity: str, wanted: Optional[PublicKey]) -> bool:
    """Whether a private key belongs to a public one; where that is not known, it is taken to."""
    if wanted is None:
        return True
    try:
        public = public_half(identity.encode())
    except ValueError:
        return False
    return public is not None and public.blob == wanted.blob


def _identity_of(answer: Result, escrow: Escrow) -> Optional[str]:
    told = answer["identity"]
    if told is None:
        return None
    return str(told["text"]) if told["text"] is not None else {_digest(text): text for text in escrow.identities}[told["digest"]]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _told(escrow: Escrow, answer: Result, request: Request) -> Result:
    """The target's failure; where a key is in escrow, it may mean that somebody destroyed the repository's own."""
    if answer.get("error") in DESTROYED and escrow.keys:
        raise Failure(
            "drift",
            f"{request.bundle.locations[0]} has lost its key, which {escrow.paths[0]} still holds. Bring it back with borg_key and"
            f" state: imported. Borg's own words: {answer['msg']}",
            **{name: answer[name] for name in ("rc", "msgid", "cmd", "stderr") if name in answer},
        )
    return answer


def _result(
    escrow: Escrow,
    difference: Difference,
    key: Optional[ExportedKey],
    previous: Optional[ExportedKey],
    *,
    assumed: bool = False,
) -> Result:
    return {
        "changed": difference.changed or assumed,
        "path": escrow.paths[0],
        "paths": escrow.paths,
        "recipients": escrow.labels,
        "left_alone": escrow.left_alone,
        "repository_id": None if key is None else key.id,
        "digest": None if key is None else key.digest,
        "previous_digest": None if previous is None else previous.digest,
        "provisional": None if assumed else key is None,
        "assumed": assumed,
        "files": escrow.changes,
        "diff": difference.as_diff(),
    }
