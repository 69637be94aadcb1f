# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the role borgmatic has come on this machine: its modules are asked what they would change, all in one launch.

Launching a module costs more than what most of them do. Where one has something to change, cannot tell, or fails, the role
launches it by itself: so nothing here has to say why.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, Callable, Iterator, Mapping, Optional

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.fleetbackup.borg.plugins.module_utils import _client_identity as client_identity
from ansible_collections.fleetbackup.borg.plugins.module_utils import _configuration_file as configuration_file
from ansible_collections.fleetbackup.borg.plugins.module_utils import _installation as installation
from ansible_collections.fleetbackup.borg.plugins.module_utils import _managed_repository as managed_repository
from ansible_collections.fleetbackup.borg.plugins.module_utils import _wanted_schedules as wanted_schedules
from ansible_collections.fleetbackup.borg.plugins.module_utils._arguments import COMMON_ARGUMENTS
from ansible_collections.fleetbackup.borg.plugins.module_utils._call import Call
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account

Result = dict[str, Any]
Arguments = Mapping[str, Any]

#: Stands for the ssh command, which only the target knows, in what the controller sends.
SSH_COMMAND = "{ssh_command of this client}"


class _Question:
    """A call in check mode."""

    check_mode = True
    _diff = False

    def __init__(self, params: dict[str, Any], tmpdir: str) -> None:
        self.params = params
        self.tmpdir = tmpdir


class Examination:
    """What the phases of the role say, in their order, up to the first that is not done.

    :param requests: the arguments of the modules by phase, as JSON.
    :param user: whom the backups run as. Root asks in that account's name where the role would.
    :param tmpdir: where temporary files may be.
    """

    def __init__(self, requests: str, user: str, tmpdir: str) -> None:
        self._requests = requests
        self._user = user
        self._tmpdir = tmpdir
        self.done: list[str] = []
        self.answers: dict[str, Any] = {"install": None, "ssh": None, "repository": [], "config": [], "schedule": None}

    def run(self) -> None:
        """Ask one phase after the other."""
        with contextlib.suppress(_NotDone):
            for phase, answer in self._phases():
                self.answers[phase] = answer
                self.done.append(phase)

    def _phases(self) -> Iterator[tuple[str, Any]]:
        requests = json.loads(self._requests)
        installed = self._ask(installation.ensure, installation.ARGUMENTS, requests["install"])
        yield "install", installed
        identity = None
        if requests["ssh"] is not None:
            identity = self._ask_as_user(client_identity.ensure, client_identity.ARGUMENTS, requests["ssh"])
            if identity["unpinned"]:
                raise _NotDone
            requests = json.loads(self._requests.replace(json.dumps(SSH_COMMAND), json.dumps(identity["ssh_command"])))
        yield "ssh", identity
        specification = {**COMMON_ARGUMENTS, **managed_repository.ARGUMENTS}
        yield "repository", [
            self._ask_as_user(managed_repository.ensure, specification, request) for request in requests["repository"]
        ]
        program = {"executable": installed["borgmatic"]}
        yield "config", [
            self._ask(
                configuration_file.ensure,
                configuration_file.ARGUMENTS,
                {**request, "config": json.dumps(request["config"]), **program},
            )
            for request in requests["config"]
        ]
        yield "schedule", self._ask(
            wanted_schedules.ensure, wanted_schedules.ARGUMENTS, {**requests["schedule"], **program}
        )

    def _ask(self, ensure: Callable[[Call], Result], specification: Arguments, request: Arguments) -> Result:
        judged = ArgumentSpecValidator(specification).validate(request)
        if judged.error_messages:
            raise _NotDone
        try:
            answer = ensure(_Question(judged.validated_parameters, self._tmpdir))
        except Exception as error:  # whatever it is, the module that the role launches then says it
            raise _NotDone from error
        if answer["changed"]:
            raise _NotDone
        answer.pop("diff", None)
        return answer

    def _ask_as_user(self, ensure: Callable[[Call], Result], specification: Arguments, request: Arguments) -> Result:
        account = Account.named(self._user)
        if account.uid == os.geteuid():
            return self._ask(ensure, specification, request)
        answer = _as(account, lambda: self._ask(ensure, specification, request))
        if answer is None:
            raise _NotDone
        return answer


class _NotDone(Exception):
    """A phase has something to change, cannot tell, or fails."""


def _as(account: Account, ask: Callable[[], Result]) -> Optional[Result]:
    """What a process of another account answers; None: nothing."""
    if account.uid is None or account.gid is None:
        return None
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.initgroups(account.name, account.gid)
            os.setgid(account.gid)
            os.setuid(account.uid)
            os.environ.update(HOME=account.home, USER=account.name, LOGNAME=account.name)
            with open(writer, "w", encoding="utf-8") as pipe:
                json.dump(ask(), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    _child, status = os.waitpid(child, 0)
    answer: Optional[Result] = json.loads(text) if status == 0 else None
    return answer
