# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module in check mode, then for real, then again, and fails where check mode did not tell the truth.

A task's arguments:

module          the module's name
args            its arguments; null leaves one out
watch           directories whose content it could touch, beside DEFAULT_WATCH
idempotent      false: do not run it again
changed         true or false: what the real run must report; without it, whatever check mode predicted
assumed         true: check mode cannot know, must say so and predict a change (with changed: false, none); the real run then
                meets expect_failure, or succeeds as predicted
before          arguments of the check run alone: what misses something that an earlier step would have made
expect_failure  a word: the module must fail with it, in check mode and for real, and leave everything as it was
predicted       false: check mode cannot foresee that failure
may_write       true: what failed halfway may have left something
diff            false: check mode cannot foresee the diff
seconds         how long a run may take; 60 without it

It returns the result of the real run, and those of the other two as `check` and `again`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Iterator

from ansible.errors import AnsibleActionFail
from ansible.parsing.plugin_docs import read_docstring
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader
from ansible.utils.display import Display

DEFAULT_WATCH = ("~", "/etc", "/srv", "/tmp", "/var/tmp", "/var/lib/systemd", "/var/spool/cron", "/run/systemd/system")
#: What Ansible itself leaves on a machine that it controls from the inside.
IGNORE = (
    "~/.ansible", "~/.ansible_async", "~/ansible_collections", "/tmp/ansible*", "/var/tmp/ansible*", "/tmp/systemd-private-*", "*/__pycache__",
    # when Debian's own timers ran last, which may be in the middle of a case
    *(f"/var/lib/systemd/timers/stamp-{name}.timer" for name in ("borgmatic", "dpkg-db-backup", "e2scrub_all", "fstrim")),
)
#: A run that takes longer hangs.
DEFAULT_SECONDS = 60
PREDICTED = "Predicted in check mode"
#: In the description of a part of a key: two runs differ in it.
MOMENT = "Depends on the moment."
NULL = "V(null) in check mode"
NULL_ASSUMED = "V(null) where it is RV(assumed)"
#: Keys that ansible-core adds to any result.
CORE_KEYS = {"changed", "failed", "diff", "invocation", "warnings", "deprecations", "ansible_facts", "exception"}
#: Not rc: where it is null, ansible-core 2.21 leaves it out.
FAILURE_KEYS = {"msg", "error", "reason", "retryable", "msgid", "cmd", "stderr"}
#: Options whose values may appear nowhere.
SECRETS = ("passphrase", "previous_passphrases")
SNAPSHOT = Path(__file__).resolve().parents[1] / "files" / "snapshot.py"

Snapshot = dict[str, dict[str, Any]]
Result = dict[str, Any]


class ActionModule(ActionBase):
    """Several runs of one module, compared."""

    _VALID_ARGS = frozenset(
        ("module", "args", "watch", "idempotent", "changed", "assumed", "before", "expect_failure", "predicted", "may_write", "diff", "seconds")
    )

    def run(self, tmp=None, task_vars=None):
        """Run the case; its objections make it fail."""
        super().run(tmp, task_vars)
        self._variables = task_vars
        self._case = self._task.args
        self._slow: list[str] = []
        before = self._snapshot()
        check = self._run_module(check_mode=True)
        objections = [f"check mode: {text}" for text in differences(before, self._snapshot())]
        real = self._run_module(check_mode=False)
        after = self._snapshot()
        runs = {"check": check, "real": real}
        if self._case.get("expect_failure"):
            objections += self._judge_failure(check, real)
            if not self._case.get("may_write"):
                objections += [f"failed run: {text}" for text in differences(before, after)]
        else:
            objections += self._judge_success(check, real)
            if self._case.get("idempotent", True) and not real.get("failed"):
                runs["again"] = self._run_module(check_mode=False)
                objections += judge_repetition(real, runs["again"])
                objections += [f"second run: {text}" for text in differences(after, self._snapshot())]
        objections += self._slow + [text for name, run in runs.items() for text in judge_output(name, run, self._secrets())]
        return self._outcome(runs, objections)

    def _judge_failure(self, check: Result, real: Result) -> list[str]:
        word = self._case["expect_failure"]
        objections = list(judge_failure("real", real, word))
        if self._case.get("assumed"):
            if check.get("failed") or not check.get("assumed") or check.get("changed") != self._case.get("changed", True):
                objections.append(f"check: not assumed: {check}")
        elif self._case.get("predicted", True):
            objections += judge_failure("check", check, word)
            if check.get("msg") != real.get("msg"):
                objections.append(f"check: says {check.get('msg')!r}, the real run {real.get('msg')!r}")
        elif check.get("failed"):
            objections.append(f"check: fails, though not expected: {check.get('msg')!r}")
        return objections

    def _judge_success(self, check: Result, real: Result) -> list[str]:
        for name, run in (("check", check), ("real", real)):
            if run.get("failed"):
                return [f"{name}: failed: {run.get('msg')!r} ({run.get('error')})"]
        objections = list(judge_prediction(self._documented(), check, real, assumed=self._case.get("assumed", False)))
        if self._case.get("diff", True) and check.get("diff") != real.get("diff"):
            objections.append(f"diff: predicted {check.get('diff')}, was {real.get('diff')}")
        if "changed" in self._case and self._case["changed"] != real.get("changed"):
            objections.append(f"changed: {real.get('changed')}, not {self._case['changed']}")
        return objections

    def _outcome(self, runs: dict[str, Result], objections: list[str]) -> Result:
        real = {key: value for key, value in runs["real"].items() if key not in ("failed", "exception", "invocation")}
        result = {**real, "failed": False, "check": runs["check"], "again": runs.get("again")}
        if objections:
            return {**result, "failed": True, "objections": objections, "msg": "not truthful:\n" + "\n".join(objections)}
        Display().display(f"CASE ok {self._task.get_name()}")
        return result

    def _documented(self) -> dict[str, Any]:
        """The documentation of the module's return keys."""
        context = module_loader.find_plugin_with_context(self._case["module"])
        if not context.resolved:
            raise AnsibleActionFail(f"no module {self._case['module']}")
        return read_docstring(context.plugin_resolved_path, verbose=False, ignore_errors=False)["returndocs"] or {}

    def _run_module(self, *, check_mode: bool) -> Result:
        task = self._task.copy()
        task.action = self._case["module"]
        given = {**(self._case.get("args") or {}), **((check_mode and self._case.get("before")) or {})}
        task.args = {name: value for name, value in given.items() if value is not None}
        task.check_mode = check_mode
        task.diff = True
        loader = self._shared_loader_obj.action_loader
        name = task.action if loader.has_plugin(task.action) else "ansible.legacy.normal"
        action = loader.get(
            name,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        started = time.monotonic()
        try:
            result = action.run(task_vars=self._variables)
        except AnsibleActionFail as error:
            result = {**(error.result or {}), "failed": True}
            result.setdefault("msg", error.message)
        seconds = time.monotonic() - started
        if seconds > self._case.get("seconds", DEFAULT_SECONDS):
            self._slow.append(f"a run took {seconds:.0f} seconds")
        return {key: value for key, value in result.items() if not key.startswith("_ansible")}

    def _snapshot(self) -> Snapshot:
        paths = [*DEFAULT_WATCH, *(self._case.get("watch") or [])]
        argument = json.dumps({"paths": paths, "ignore": IGNORE})
        python = self._variables.get("ansible_python_interpreter", "/usr/bin/python3")
        command = self._connection._shell.join([python, "-", argument])
        # Without become: what another user may not read is watched too.
        done = self._low_level_execute_command(command, sudoable=False, in_data=SNAPSHOT.read_bytes())
        if done["rc"]:
            raise AnsibleActionFail(f"the snapshot failed: {done['stderr']}")
        return json.loads(done["stdout"])

    def _secrets(self) -> list[str]:
        arguments = self._case.get("args") or {}
        values = [arguments[name] for name in SECRETS if arguments.get(name)]
        texts = [text for value in values for text in ([value] if isinstance(value, str) else value)]
        return [text for text in texts if len(text) > 3]


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What changed between two snapshots, one line a path."""
    lines = []
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            lines.append(f"{path} is gone")
        elif path not in before:
            lines.append(f"{path} is new: {after[path]}")
        elif before[path] != after[path]:
            old, new = before[path], after[path]
            parts = [f"{key} {old.get(key)} -> {new.get(key)}" for key in old.keys() | new.keys() if old.get(key) != new.get(key)]
            lines.append(f"{path} differs: {', '.join(sorted(parts))}")
    return lines


def judge_prediction(documented: dict[str, Any], check: Result, real: Result, *, assumed: bool) -> Iterator[str]:
    """Where check mode and the real run do not fit the documentation, or each other."""
    if check.get("changed") != real.get("changed"):
        yield f"changed: predicted {check.get('changed')}, was {real.get('changed')}"
    if bool(check.get("assumed")) != assumed:
        yield "assumed: not, though something was missing" if assumed else "assumed: though nothing was missing"
    if real.get("assumed"):
        yield "assumed: by the real run"
    for name, run in (("check", check), ("real", real)):
        for key in documented.keys() - run.keys():
            yield f"{name}: the documented key {key} is missing"
        for key in run.keys() - documented.keys() - CORE_KEYS:
            yield f"{name}: the key {key} is not documented"
    for key, returned in documented.items():
        text = description(returned)
        predicted, was = check.get(key), real.get(key)
        if key == "assumed":
            continue
        if assumed and NULL_ASSUMED in text:
            if predicted is not None:
                yield f"{key}: predicted {predicted!r} instead of null, though assumed"
        elif PREDICTED in text:
            was = without_unknown(predicted, was, returned)
            if predicted != was:
                yield f"{key}: predicted {predicted!r}, was {was!r}"
        elif NULL in text:
            if predicted is not None and predicted != was:
                yield f"{key}: predicted {predicted!r} instead of null, was {was!r}"
        else:
            yield f"{key}: its description does not say whether check mode predicts it"


def description(returned: Result) -> str:
    """The description of a return key as one text."""
    text = returned["description"]
    return text if isinstance(text, str) else " ".join(text)


def without_unknown(predicted: Any, was: Any, returned: Result) -> Any:
    """What was, with the prediction in those parts that check mode may leave open, and did, or that differ by the moment."""
    if isinstance(was, list) and isinstance(predicted, list) and len(was) == len(predicted):
        return [without_unknown(*pair, returned) for pair in zip(predicted, was)]
    if not (isinstance(was, dict) and isinstance(predicted, dict)):
        return was
    parts = returned.get("contains") or {}
    merged = {}
    for name, value in was.items():
        part = parts.get(name, {"description": ""})
        text, guess = description(part), predicted.get(name, value)
        is_open = MOMENT in text or (NULL in text and guess is None)
        merged[name] = guess if is_open else without_unknown(guess, value, part)
    return merged


def judge_repetition(real: Result, again: Result) -> list[str]:
    """Whether a second run found nothing to do."""
    if again.get("failed"):
        return [f"again: failed: {again.get('msg')!r}"]
    objections = ["again: changed once more"] if again.get("changed") else []
    if again.keys() - CORE_KEYS != real.keys() - CORE_KEYS:
        objections.append(f"again: other keys: {sorted(again.keys() ^ real.keys())}")
    return objections


def judge_failure(name: str, run: Result, word: str) -> Iterator[str]:
    """Whether a failure carries this word and what else every failure promises."""
    if not run.get("failed"):
        yield f"{name}: did not fail with {word}"
        return
    if run.get("error") != word:
        yield f"{name}: failed with {run.get('error')!r}, not {word!r}: {run.get('msg')!r}"
    for key in sorted(FAILURE_KEYS - run.keys()):
        yield f"{name}: the key {key} is missing"
    if not isinstance(run.get("retryable"), bool):
        yield f"{name}: retryable is {run.get('retryable')!r}"
    if not run.get("msg"):
        yield f"{name}: says nothing"
    if run.get("changed"):
        yield f"{name}: failed, and says changed"


def judge_output(name: str, run: Result, secrets: list[str]) -> Iterator[str]:
    """What no output may hold."""
    shown = json.dumps(run, default=str)
    if "Traceback" in shown:
        yield f"{name}: shows a traceback"
    for secret in secrets:
        if json.dumps(secret)[1:-1] in shown:
            yield f"{name}: shows a secret"
