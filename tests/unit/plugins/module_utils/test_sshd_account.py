# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _sshd_account
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._sshd_account import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._sshd_config import parse_effective

#: What sshd -T printed under
#:   AllowUsers root borg@10.0.0.0/8 backup-?
#:   AllowUsers "x y"
#:   DenyUsers mallory nobody@* eve@10.0.0.1
#:   AllowGroups clients "domain users"
#:   DenyGroups suspended locked-*
#:   UsePAM no
RECORDED = Path(__file__).parent / "recorded_sshd"


@pytest.fixture(name="lists", params=["debian12", "debian13"])
def fixture_lists(request):
    return parse_effective((RECORDED / f"lists-{request.param}.txt").read_text())


def refusal(effective, name="borg", groups=("clients",), is_locked=False):
    """What it says, or None."""
    try:
        Account(name, groups, is_locked).check(effective)
    except Failure as failure:
        assert failure.error == "drift"
        assert failure.msg.startswith(f"{name} cannot log in")
        return failure.msg
    return None


@pytest.mark.parametrize("name", ["root", "borg", "backup-1", "x y"])
@pytest.mark.parametrize("groups", [("clients",), ("borg", "domain users"), None])
def test_who_may_log_in(lists, name, groups):
    assert refusal(lists, name, groups) is None


@pytest.mark.parametrize("version", ["debian12", "debian13"])
@pytest.mark.parametrize("is_locked", [True, False])
def test_a_debian_as_it_is_lets_all_in(version, is_locked):
    effective = parse_effective((RECORDED / f"present-{version}.txt").read_text())
    assert refusal(effective, is_locked=is_locked) is None


@pytest.mark.parametrize("name", ["borg2", "backup-", "backup-12", "x", "Borg", "10.0.0.0/8"])
def test_who_is_not_allowed(lists, name):
    assert f"AllowUsers (root borg@10.0.0.0/8 backup-? x y) leaves it out. Add {name} to it." in refusal(lists, name)


@pytest.mark.parametrize(("name", "pattern"), [("mallory", "mallory"), ("nobody", "nobody@*"), ("eve", None), ("borg", None)])
def test_who_is_denied(lists, name, pattern):
    del lists["allowusers"]
    said = refusal(lists, name)
    assert said is None if pattern is None else f"DenyUsers has {pattern}." in said


@pytest.mark.parametrize("groups", [(), ("borg",), ("domain", "users"), ("Clients",)])
def test_whose_groups_are_not_allowed(lists, groups):
    assert f"AllowGroups (clients domain users) has none of the account's groups ({' '.join(groups)})" in refusal(lists, groups=groups)


@pytest.mark.parametrize(("group", "pattern"), [("suspended", "suspended"), ("locked-out", "locked-*"), ("locked-", "locked-*")])
def test_whose_group_is_denied(lists, group, pattern):
    assert f"DenyGroups has {pattern}, and the account is in {group}." in refusal(lists, groups=("clients", group))


def test_a_pattern_is_no_more_than_sshd_takes_it_for():
    assert refusal({"usepam": ["yes"], "allowusers": ["bor[g]", "bo.g", "!x"]}) is not None


def test_an_account_that_is_locked(lists):
    assert "Run usermod -p '*' borg." in refusal(lists, is_locked=True)
    assert refusal({**lists, "usepam": ["yes"]}, is_locked=True) is None
    del lists["usepam"]  # an sshd that was built without PAM
    assert refusal(lists, is_locked=True) is not None


@pytest.fixture(name="shadow")
def fixture_shadow(tmp_path, monkeypatch):
    monkeypatch.setattr(_sshd_account, "_SHADOW", str(tmp_path / "shadow"))
    return tmp_path / "shadow"


@pytest.mark.parametrize(
    ("field", "is_locked"), [("!", True), ("!!", True), ("!$6$x", True), ("*", False), ("$6$x", False), ("", False), ("!*", True)]
)
def test_what_is_locked(shadow, field, is_locked):
    name = pwd.getpwuid(os.getuid()).pw_name
    shadow.write_text(f"{name}2:!:20778::::::\nx{name}:!:20778::::::\n{name}:{field}:20778::::::\nlast:!:20778::::::\n")
    found = Account.find(name)
    assert found.is_locked is is_locked
    assert grp.getgrgid(os.getgid()).gr_name in found.groups


def test_an_account_from_elsewhere(shadow):
    shadow.write_text("root2:!:20778::::::\n")
    assert not Account.find(pwd.getpwuid(os.getuid()).pw_name).is_locked


def test_an_account_to_come(shadow):
    assert Account.find("fleetbackup-none") == Account("fleetbackup-none", None, False)


def test_a_group_without_a_name(shadow, monkeypatch):
    shadow.write_text("")
    monkeypatch.setattr(_sshd_account.os, "getgrouplist", lambda name, gid: [gid, 4242424])
    name = pwd.getpwuid(os.getuid()).pw_name
    assert Account.find(name).groups == (grp.getgrgid(pwd.getpwnam(name).pw_gid).gr_name,)
