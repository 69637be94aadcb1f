# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _sshd, _sshd_config
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import Completed
from ansible_collections.fleetbackup.borg.plugins.module_utils._sshd import Service, Sshd, host_keys, ports
from ansible_collections.fleetbackup.borg.plugins.module_utils._sshd_config import (
    Setting,
    Treatment,
    files,
    overriding,
    parse_effective,
    replace_drop_in,
)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGqXfCZDnAcrmtPRmNXxdCVPuz4GvfMsh0S8uPp8ntKj"


RECORDED = Path(__file__).parent / "recorded_sshd"


@pytest.fixture(name="etc")
def fixture_etc(tmp_path, monkeypatch):
    """A configuration directory of sshd."""
    (tmp_path / "d").mkdir()
    monkeypatch.setattr(_sshd_config, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(_sshd_config, "MAIN", str(tmp_path / "sshd_config"))
    monkeypatch.setattr(_sshd, "MAIN", str(tmp_path / "sshd_config"))
    (tmp_path / "sshd_config").write_text("# comment\nInclude d/*.conf\nUsePAM yes\n")
    return tmp_path


def treatment(user="borg", interval=30, attempts=10):
    return Treatment(user, interval, attempts)


def test_the_drop_in():
    lines = treatment().text.split("\n")
    assert lines[1] == "Match User borg"
    assert lines[-2:] == ["Match all", ""]
    for line in ("AuthenticationMethods publickey", "DisableForwarding yes", "PermitTTY no", "PermitUserRC no", "X11Forwarding no",
                 "AuthorizedKeysFile .ssh/authorized_keys", "AuthorizedKeysCommand none", "TrustedUserCAKeys none", "AcceptEnv LANG LC_*",
                 "ClientAliveInterval 30", "ClientAliveCountMax 10"):
        assert f"    {line}" in lines


@pytest.mark.parametrize("user", ["", "*", "a,b", "!a", "a b", "a\nMatch all", "-a", "a?", "borg\n"])
def test_what_is_no_account(user):
    with pytest.raises(Failure) as caught:
        treatment(user).check()
    assert caught.value.msg.startswith("user: ")


@pytest.mark.parametrize(("interval", "count", "name"), [(-1, 10, "keepalive_interval"), (30, 0, "keepalive_count")])
def test_what_is_no_time(interval, count, name):
    with pytest.raises(Failure) as caught:
        treatment("borg", interval, count).check()
    assert caught.value.msg.startswith(name)


def test_what_is_in_force():
    effective = {keyword.lower(): [value] for keyword, value in treatment().settings.items()}
    assert treatment().ineffective(effective) == {}
    assert treatment().ineffective({**effective, "permittty": ["yes"]}) == {"PermitTTY": "yes"}
    assert treatment(attempts=3).ineffective(effective) == {"ClientAliveCountMax": "10"}
    assert treatment().ineffective({**effective, "authorizedkeysfile": [".ssh/authorized_keys .ssh/authorized_keys2"]})
    del effective["forcecommand"]
    assert treatment().ineffective(effective) == {"ForceCommand": "not known"}


@pytest.mark.parametrize("name", ["present-debian12", "present-debian13", "lists-debian12", "lists-debian13"])
def test_what_real_ones_print(name):
    effective = parse_effective((RECORDED / f"{name}.txt").read_text())
    assert treatment().ineffective(effective) == {}
    assert treatment(interval=31).ineffective(effective) == {"ClientAliveInterval": "30"}


def test_what_clients_say_of_their_environment():
    effective = parse_effective((RECORDED / "present-debian13.txt").read_text())
    assert treatment().ineffective({**effective, "acceptenv": ["LC_*", "LANG", "LC_*"]}) == {}
    assert treatment().ineffective({**effective, "acceptenv": ["LD_*", "LANG", "LC_*"]}) == {"AcceptEnv": "LANG LC_* LD_*"}
    assert treatment().ineffective({**effective, "acceptenv": ["*"]}) == {"AcceptEnv": "*"}


def test_what_sshd_prints():
    effective = parse_effective("port 22\nport 2222\nlistenaddress 0.0.0.0:22\nlistenaddress [::]:2222\nbanner none\n")
    assert effective["banner"] == ["none"]
    assert ports(effective) == [22, 2222]
    assert ports({"port": ["2022"]}) == [2022]
    assert ports({}) == []


@pytest.mark.parametrize("line", ["Include {d}/*.conf", "include d/*.conf", "Include=d/*.conf", "  Include  x.conf {d}/*.conf", 'Include "{d}/*.conf"'])
def test_a_drop_in_is_replaced(etc, line):
    (etc / "d/50-other.conf").write_text("")
    main = f"# top\n{line.format(d=etc / 'd')}\nUsePAM yes\n"
    path = f"{etc}/d/fleetbackup-borg.conf"
    assert replace_drop_in(main, path, "/trial") == f"# top\nInclude {etc}/d/50-other.conf /trial\nUsePAM yes\n"
    assert replace_drop_in(main, path, None) == f"# top\nInclude {etc}/d/50-other.conf\nUsePAM yes\n"


@pytest.mark.parametrize(
    "main",
    ["", "UsePAM yes", "#Include d/*.conf", "Include e/*.conf", "Include d/*.other", "Match User x\nInclude d/*.conf", "Include d"],
)
def test_a_drop_in_that_nothing_includes(etc, main):
    assert replace_drop_in(main, f"{etc}/d/fleetbackup-borg.conf", "/trial") is None


def test_an_include_behind_the_end_of_a_match(etc):
    assert replace_drop_in("Match User x\nX11Forwarding no\nMatch all\nInclude d/*.conf", f"{etc}/d/a.conf", "/trial").endswith("\nInclude /trial")


def test_the_last_drop_in_goes(etc):
    assert replace_drop_in("Include d/*.conf\n", f"{etc}/d/a.conf", None) == "#\n"


def test_what_overrides(etc):
    (etc / "d/10-a.conf").write_text("PermitTTY yes\nMatch Group staff\n  PermitTTY yes\n  Banner none\nMatch all\nPermitTTY no\n")
    (etc / "d/zz.conf").write_text("Match User borg\nPermitTTY yes\n")
    (found,) = overriding(f"{etc}/d/fleetbackup-borg.conf", ["PermitTTY", "ForceCommand"])
    assert (found.path, found.number, found.condition) == (f"{etc}/d/10-a.conf", 3, "Group staff")


def test_what_counts_wherever_it_stands(etc):
    (etc / "d/zz.conf").write_text("Match Address 10.0.0.0/8\nPermitTTY yes\nAcceptEnv LD_*\n")
    (found,) = overriding(f"{etc}/d/fleetbackup-borg.conf", ["PermitTTY", "AcceptEnv"])
    assert (found.path, found.number, found.value) == (f"{etc}/d/zz.conf", 3, "LD_*")


def test_what_is_included_under_a_condition(etc):
    (etc / "sshd_config").write_text("Match Address 10.0.0.0/8\nInclude e.conf d/*.conf\nMatch all\nInclude d/*.conf\n")
    (etc / "e.conf").write_text('PermitTTY yes\nMatch Group "domain users"  # some\nPermitTTY yes\nMatch all\nPermitTTY yes\n')
    (etc / "d/zz.conf").write_text("PermitTTY yes\n")
    found = overriding(f"{etc}/d/fleetbackup-borg.conf", ["PermitTTY"])
    outer = "Address 10.0.0.0/8"
    assert [(setting.path, setting.number, setting.condition) for setting in found] == [
        (f"{etc}/e.conf", 1, outer),
        (f"{etc}/e.conf", 3, f'{outer} Group "domain users"'),
        (f"{etc}/e.conf", 5, outer),
        (f"{etc}/d/zz.conf", 1, outer),
    ]


@pytest.mark.parametrize(
    ("condition", "account"),
    [
        (None, None),
        ("User borg", None),
        ("user=!borg,* Group staff", None),
        ("invalid-user", None),
        ("Version OpenSSH_10*", None),
        ("Address 10.0.0.0/8", "all"),
        ("RDomain *", "all"),
        ("Host *.example LocalPort 22", "all"),
        ("User !borg,* Address 10.0.0.0/8", "User !borg,*"),
        ("LocalAddress=10.0.0.1 User=borg", "User borg"),
        ('Address "10.0.0.1" Group "domain users",x User borg', 'Group "domain users",x User borg'),
        ("invalid-user Host x", "invalid-user"),
    ],
)
def test_what_a_condition_asks_of_the_account(condition, account):
    assert Setting("x", 1, "permittty", "yes", condition).asked_of_account == account


def test_the_files(etc):
    (etc / "d/a.conf").write_text("Include e/*.conf\n")
    (etc / "e").mkdir()
    (etc / "e/b.conf").write_text("")
    assert sorted(files()) == sorted(str(etc / name) for name in ("sshd_config", "d", "d/a.conf", "e", "e/b.conf"))


def test_a_file_that_includes_itself(etc):
    (etc / "d/a.conf").write_text("Include d/*.conf\n")
    assert f"{etc}/d/a.conf" in files()


def test_a_configuration_that_includes_nothing(etc):
    (etc / "sshd_config").write_text("UsePAM yes\n")
    with pytest.raises(Failure) as caught:
        Sshd("/usr/sbin/sshd").judge(f"{etc}/d/a.conf", "x", treatment())
    assert caught.value.error == "drift"
    assert f"Include {etc}/d/*.conf" in caught.value.msg


def answers(monkeypatch, *, rc=0, effective=None, stderr=""):
    def run(argv, **_how):
        lines = "".join(f"{keyword.lower()} {value}\n" for keyword, value in (effective or treatment().settings).items())
        return Completed(tuple(argv), rc, lines if "-T" in argv else "", stderr.replace("MAIN", argv[argv.index("-f") + 1]))

    monkeypatch.setattr(_sshd, "run", run)


def test_a_drop_in_that_works(etc, monkeypatch):
    answers(monkeypatch)
    assert Sshd("/usr/sbin/sshd").judge(f"{etc}/d/a.conf", "x", treatment())["permittty"] == ["no"]
    assert not (etc / "d/a.conf").exists()


def test_a_drop_in_that_something_overrides(etc, monkeypatch):
    (etc / "d/10-a.conf").write_text("Match Group staff\nPermitTTY yes\n")
    answers(monkeypatch, effective={**treatment().settings, "PermitTTY": "yes"})
    with pytest.raises(Failure) as caught:
        Sshd("/usr/sbin/sshd").judge(f"{etc}/d/a.conf", "x", treatment())
    assert caught.value.error == "unsafe"
    assert "PermitTTY would be 'yes', not 'no'" in caught.value.msg
    assert f"{etc}/d/10-a.conf line 2 (Match Group staff) sets permittty yes" in caught.value.msg


class Recorded:
    """An sshd that answers what a real one has, with what the first file it is given says for Match all or User borg."""

    def __init__(self, monkeypatch):
        self.asked = []
        monkeypatch.setattr(_sshd, "run", self.run)

    def run(self, argv, **_how):
        printed = (RECORDED / "present-debian13.txt").read_text() if "-T" in argv else ""
        text = Path(argv[argv.index("-f") + 1]).read_text()
        if text.startswith("Include /") and "/block\n" in text:
            condition, line = Path(text.split()[1]).read_text().splitlines()
            self.asked.append((condition, line))
            keyword, _blank, value = line.partition(" ")
            if condition in ("Match all", "Match User borg"):
                kept = [known for known in printed.splitlines() if keyword == "acceptenv" or not known.startswith(f"{keyword} ")]
                printed = "\n".join([f"{keyword} {value.lower() if keyword != 'acceptenv' else value}", *kept])
        return Completed(tuple(argv), 0, printed, "")


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("Match Address 10.0.0.0/8\nPermitTTY yes", "10-a.conf line 2 (Match Address 10.0.0.0/8) sets permittty yes"),
        ("Match LocalPort 2222 User borg\n\nForceCommand /bin/sh", "line 3 (Match LocalPort 2222 User borg) sets forcecommand /bin/sh"),
        ("Match RDomain x\nAcceptEnv LD_*", "AcceptEnv would be 'LANG LC_* LD_*', not 'LANG LC_*'"),
        ("Match Host x\nPermitTTY NO\nAcceptEnv LANG\nBanner x", None),
        ("Match Host x User !borg,*\nPermitTTY yes", None),
        ("Match User other\nPermitTTY yes", None),
    ],
)
def test_a_block_for_some_connections(etc, monkeypatch, block, says):
    (etc / "d/10-a.conf").write_text(f"{block}\n")
    recorded = Recorded(monkeypatch)
    try:
        Sshd("/usr/sbin/sshd").judge(f"{etc}/d/a.conf", "x", treatment())
    except Failure as failure:
        assert failure.error == "unsafe"
        assert says is not None
        assert says in failure.msg
        assert "Match User !borg,*" in failure.msg
    else:
        assert says is None
    assert bool(recorded.asked) == ("User other" not in block)


def test_all_such_blocks_are_named(etc, monkeypatch):
    (etc / "d/10-a.conf").write_text("Match Host x\nPermitTTY yes\nMatch Address 10.0.0.0/8\nX11Forwarding yes\n")
    Recorded(monkeypatch)
    with pytest.raises(Failure) as caught:
        Sshd("/usr/sbin/sshd").judge(f"{etc}/d/a.conf", "x", treatment())
    for part in ("PermitTTY would be 'yes'", "X11Forwarding would be 'yes'", "line 2 (Match Host x)", "line 4 (Match Address 10.0.0.0/8)"):
        assert part in caught.value.msg


def test_what_goes_is_not_judged(etc, monkeypatch):
    (etc / "d/10-a.conf").write_text("Match Address 10.0.0.0/8\nPermitTTY yes\n")
    recorded = Recorded(monkeypatch)
    Sshd("/usr/sbin/sshd").judge(f"{etc}/d/a.conf", None, treatment())
    assert recorded.asked == []


def test_a_configuration_that_sshd_rejects(etc, monkeypatch):
    answers(monkeypatch, rc=255, stderr="MAIN line 3: Bad configuration option: Nonsense\n")
    with pytest.raises(Failure) as caught:
        Sshd("/usr/sbin/sshd").judge(f"{etc}/d/a.conf", "x", treatment())
    assert caught.value.error == "drift"
    assert f"{etc}/sshd_config line 3: Bad configuration option" in caught.value.msg


def shows(monkeypatch, text):
    monkeypatch.setattr(_sshd.os.path, "isdir", lambda path: True)
    monkeypatch.setattr(_sshd, "run", lambda argv, **how: Completed(tuple(argv), 0, text, ""))
    return Sshd("/usr/sbin/sshd").service()


MOMENT = "Sat 2026-11-21 11:49:11.909795 UTC"


def test_the_service_of_debian(monkeypatch):
    block = f"Id=ssh.service\nLoadState=loaded\nActiveState=active\nStateChangeTimestamp={MOMENT}\n"
    assert shows(monkeypatch, f"{block}\n{block}") == Service("ssh.service", 1795261751909795)


def test_the_service_of_others(monkeypatch):
    text = "Id=ssh.service\nLoadState=not-found\nActiveState=inactive\n\n"
    text += f"Id=sshd.service\nLoadState=loaded\nActiveState=active\nStateChangeTimestamp={MOMENT}\n"
    assert shows(monkeypatch, text).unit == "sshd.service"


def test_a_service_that_a_socket_starts(monkeypatch):
    service = shows(monkeypatch, "Id=ssh.service\nLoadState=loaded\nActiveState=inactive\nStateChangeTimestamp=\n")
    assert service == Service("ssh.service", None)
    assert not service.is_outdated


def test_no_service(monkeypatch):
    assert shows(monkeypatch, "Id=ssh.service\nLoadState=not-found\n") is None


def test_the_age_of_what_is_loaded(etc):
    changed = max((etc / name).stat().st_ctime_ns // 1000 for name in ("sshd_config", "d"))
    assert Service("ssh.service", changed - 1).is_outdated
    assert not Service("ssh.service", changed).is_outdated
    (etc / "d/new.conf").write_text("")
    assert Service("ssh.service", changed).is_outdated or (etc / "d").stat().st_ctime_ns // 1000 == changed


def test_host_keys(tmp_path, monkeypatch):
    (tmp_path / "a.pub").write_text(f"{KEY} root@server\n")
    monkeypatch.setattr(_sshd, "run", lambda argv, **how: Completed(tuple(argv), 255, "", "No such file"))
    assert host_keys({"hostkey": [f"{tmp_path}/a", f"{tmp_path}/absent"]}) == [KEY]
    assert host_keys({"hostkey": [f"{tmp_path}/a.pub"]}) == [KEY]
    monkeypatch.setattr(_sshd, "run", lambda argv, **how: Completed(tuple(argv), 0, f"{KEY}\n", ""))
    assert host_keys({"hostkey": [f"{tmp_path}/private"]}) == [KEY]
