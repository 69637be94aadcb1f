# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleetbackup.borg.plugins.action import borgmatic_schedule as action
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.modules import borgmatic_schedule as module

CANARY = "canary-4711"
PATH = "/etc/borgmatic.d/system.yaml"
DOCUMENT = {
    "source_directories": ["/etc"],
    "repositories": [{"path": "/srv/backup"}, {"path": "ssh://borg@backup1/./x"}],
    "encryption_passphrase": CANARY,
    "keep_daily": 7,
}
HOOKED = {**DOCUMENT, "postgresql_databases": [{"name": "all", "password": CANARY}]}


def completed(schedule=None, *, document=None, **task):
    """The one schedule that reaches the module, and the reasons."""
    schedules = [{"name": "s", "actions": ["create"], "configs": [PATH], **(schedule or {})}]
    arguments, reasons = action.module_arguments({"schedules": schedules, "documents": {PATH: document or DOCUMENT}, **task}, "web1")
    assert CANARY not in repr((arguments, reasons))
    assert "documents" not in arguments
    return arguments["schedules"][0], reasons


def test_what_follows_from_a_document():
    schedule, reasons = completed()
    assert schedule["read_write_paths"] == ["/srv/backup"]
    assert schedule["network"] is True
    assert schedule["spread_key"] == "web1 backup1"
    assert schedule.get("profile") is None
    assert reasons == {}


def test_hooks_weaken_the_sandbox():
    schedule, reasons = completed(document=HOOKED)
    assert schedule["profile"] == "hooks"
    assert reasons == {"s": ["postgresql_databases"]}


def test_what_the_user_says_counts():
    given = {"profile": "strict", "network": False, "spread_key": "mine", "read_write_paths": ["/own"]}
    schedule, reasons = completed(given, document=HOOKED)
    assert {**schedule, **given, "read_write_paths": ["/own", "/srv/backup"]} == schedule
    assert reasons == {}


def test_one_config_may_stand_alone():
    schedule = completed({"configs": PATH})[0]
    assert schedule["read_write_paths"] == ["/srv/backup"]


def test_a_config_without_a_document_may_need_the_network():
    schedule = completed({"configs": [PATH, "/other"]}, document={**DOCUMENT, "repositories": [{"path": "/srv/backup"}]})[0]
    assert "network" not in schedule
    schedule = completed(document={**DOCUMENT, "repositories": [{"path": "/srv/backup"}]})[0]
    assert schedule["network"] is False


def test_without_documents_only_the_machine_is_known():
    arguments, reasons = action.module_arguments({"schedules": [{"name": "s", "state": "absent"}]}, "web1")
    assert arguments == {"schedules": [{"name": "s", "state": "absent", "spread_key": "web1"}]}
    assert reasons == {}


@pytest.mark.parametrize("schedules", [None, "x", ["x"], {"name": "x"}])
def test_the_module_judges_the_schedules(schedules):
    assert action.module_arguments({"schedules": schedules}, "web1") == ({"schedules": schedules}, {})


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ({"document": {PATH: DOCUMENT}}, "document: is no option of borgmatic_schedule; did you mean documents"),
        ({"schedules?": []}, "schedules?: is no option of borgmatic_schedule; did you mean schedules?"),
        ({"xyzzy": {PATH: DOCUMENT}}, "xyzzy: is no option of borgmatic_schedule; its options are backend, "),
        ({"documents": [DOCUMENT]}, "documents: is a list"),
        ({"documents": {PATH: {**DOCUMENT, "keep_daily": -1}}}, "config.keep_daily"),
        ({"documents": {PATH: {**DOCUMENT, "encryption_passphrase": f"{CANARY}\n"}}}, "config.encryption_passphrase"),
    ],
)
def test_bad_arguments_show_no_secret(task, says):
    with pytest.raises(Failure) as caught:
        action.module_arguments({"schedules": [], **task}, "web1")
    assert caught.value.error == "invalid_argument"
    assert says in caught.value.msg
    assert CANARY not in caught.value.msg


def test_both_halves_know_the_same_options(monkeypatch):
    seen = {}
    monkeypatch.setattr(module, "run_module", lambda ensure, spec: seen.update(spec))
    module.main()
    assert action.ARGUMENTS == seen.keys()


def outcome(profile="hooks", **result):
    return {"changed": True, "schedules": [{"name": "s", "profile": profile, "profile_reasons": []}], **result}


def test_a_weaker_sandbox_is_told():
    told = action.with_reasons(outcome(warnings=["other"]), {"s": ["commands"]})
    assert told["schedules"][0]["profile_reasons"] == ["commands"]
    assert told["warnings"][0] == "other"
    assert "schedule s runs in the weaker sandbox 'hooks', for its configuration has commands" in told["warnings"][1]


def test_it_is_told_once():
    told = action.with_reasons(outcome(changed=False), {"s": ["commands"]})
    assert "warnings" not in told
    assert told["schedules"][0]["profile_reasons"] == ["commands"]


def test_where_there_is_no_sandbox_nothing_is_weaker():
    assert action.with_reasons(outcome(profile="none"), {"s": ["commands"]}) == outcome(profile="none")


def test_a_failure_stays_as_it_is():
    failed = {"failed": True, "msg": "no", "error": "permission"}
    assert action.with_reasons(failed, {"s": ["commands"]}) == failed
