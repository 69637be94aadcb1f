# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place where AnsibleModule meets the core: arguments in, one result or one failure out."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure, as_failure

HIDDEN = "(hidden)"


class _Module(AnsibleModule):
    params: dict[str, Any]

    def __init__(self, hidden: Sequence[str], **options: Any) -> None:
        self._hidden = frozenset(hidden)
        super().__init__(**options)

    def exit_json(self, **result: Any) -> None:
        super().exit_json(invocation=self._invocation(), **result)

    def fail_json(self, msg: str = "", **result: Any) -> None:
        if "error" not in result:
            # AnsibleModule itself fails for bad arguments: these failures keep the promise of `error` and `retryable` too.
            result["error"] = "invalid_argument"
            msg = self._advised(msg)
        for key, value in Failure(result["error"], msg).as_result().items():
            result.setdefault(key, value)
        result["msg"] = _printable(msg)
        result["stderr"] = _printable(result["stderr"])
        super().fail_json(invocation=self._invocation(), **result)

    def _invocation(self) -> dict[str, Any]:
        # Ansible shows all arguments at -vvv (from core 2.20 on where its settings ask for that). It masks the values of
        # secrets as they were given, so it misses those that it converted, and those of misspelt options altogether.
        return {"module_args": self._shown_params()}

    def _shown_params(self) -> dict[str, Any]:
        return {
            name: HIDDEN if name in self._hidden and value is not None else _shown(value, self.argument_spec.get(name))
            for name, value in self.params.items()
        }

    def _advised(self, msg: str) -> str:
        # most runs do without
        from ansible_collections.fleetbackup.borg.plugins.module_utils._argument_advice import advised

        return advised(msg, self.argument_spec, self._shown_params())

    def _log_invocation(self) -> None:
        # the same arguments go to the system's log
        given, self.params = self.params, self._shown_params()
        try:
            super()._log_invocation()
        finally:
            self.params = given

    def add_path_info(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        # AnsibleModule would add a file's owner, mode and size to every result with a `path`: keys that nobody documents
        # and check mode does not predict.
        return kwargs


def run_module(
    ensure: Callable[[AnsibleModule], dict[str, Any]],
    argument_spec: dict[str, Any],
    hidden: Sequence[str] = (),
    **options: Any,
) -> None:
    """Run a module: parse arguments, call ``ensure``, exit.

    :param ensure: brings the resource into its wanted state (or predicts it in check mode) and gives the result.
    :param argument_spec: as AnsibleModule takes it.
    :param hidden: options that are not shown as arguments, though their values are no secrets as a whole: ``no_log`` would
        take a value such as ``ssh`` out of every text.
    :param options: further arguments of AnsibleModule (``required_if`` …).
    """
    module = _Module(hidden, argument_spec=argument_spec, supports_check_mode=True, **options)
    try:
        result = ensure(module)
    except Exception as error:
        outcome = as_failure(error).as_result()
    else:
        module.exit_json(**result)
        return
    # outside of the except blocks, where ansible-core would add the traceback
    module.fail_json(**outcome)


def _shown(value: Any, specification: Optional[dict[str, Any]]) -> Any:
    """An argument as others may see it."""
    if value is None:
        return None
    if specification is None or specification.get("no_log"):
        return HIDDEN
    options = specification.get("options")
    if options is not None:
        return _shown_parts(value, options)
    if isinstance(value, list):
        return [_shown(element, specification) for element in value]
    if isinstance(value, str) and "@" in value:
        # most runs do without
        from ansible_collections.fleetbackup.borg.plugins.module_utils._location import without_password

        return without_password(value)
    return value


def _shown_parts(value: Any, options: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_shown_parts(element, options) for element in value]
    if isinstance(value, dict):
        return {name: _shown(part, options.get(name)) for name, part in value.items()}
    return HIDDEN


def _printable(text: str) -> str:
    """Bytes that are not UTF-8 (file names) shown as escapes: a result is JSON."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
