# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._calendar import Calendar
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account, Launch
from ansible_collections.fleetbackup.borg.plugins.module_utils._schedule import Schedule
from ansible_collections.fleetbackup.borg.plugins.module_utils._units import service_text, timer_text

ROOT = Account("root", "/root", 0, 0)
ADA = Account("ada", "/home/ada", 1000, 1001)
SCHEDULE = Schedule("system", actions=("create", "prune"), configs=("/etc/borgmatic.d/system.yaml",))


def service(schedule=SCHEDULE, account=ROOT, *, scope="system", profile="strict", **launch):
    """The directives of a service, name -> values in their order."""
    text = service_text(
        schedule, Launch("/usr/bin/borgmatic", account, **launch), scope=scope, flock="/usr/bin/flock", profile=profile
    )
    assert text.endswith("\n")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def test_one_run_of_borgmatic():
    found = service()
    assert found["ExecStart"] == [
        "/usr/bin/flock --close %t/fleetbackup-0/lock /usr/bin/borgmatic --config /etc/borgmatic.d/system.yaml"
        " --verbosity 1 create prune"
    ]
    assert found["RuntimeDirectory"] == ["fleetbackup-0"]
    assert found["User"] == ["root"]
    assert found["TimeoutStartSec"] == ["604800"]
    assert "Environment" in found and "HOME=/root" in found["Environment"]


def test_a_strict_run_writes_where_it_has_to():
    schedule = Schedule("x", actions=("create",), configs=("/c",), read_write_paths=("/srv/b", "~/repo"))
    found = service(schedule)
    assert found["ProtectSystem"] == ["strict"]
    assert found["ReadWritePaths"] == [
        *("-/tmp", "-/var/tmp", "-/root/.cache/borg", "-/root/.config/borg", "-/root/.local/state/borgmatic"),
        *("-/srv/b", "-/root/repo"),
    ]
    assert found["ExecStartPre"] == [
        "+/usr/bin/mkdir -p -m 0700 -- /root/.cache/borg /root/.config/borg /root/.local/state/borgmatic"
    ]


def test_a_base_directory_moves_what_borg_remembers():
    found = service(base_directory="/var/lib/borg")
    assert "BORG_BASE_DIR=/var/lib/borg" in found["Environment"]
    assert "-/var/lib/borg/.cache/borg" in found["ReadWritePaths"]
    assert "-/root/.local/state/borgmatic" in found["ReadWritePaths"]


def test_borgmatic_before_1_9_keeps_its_state_elsewhere():
    assert "-/root/.borgmatic" in service(version=(1, 8, 8))["ReadWritePaths"]
    assert "-/root/.borgmatic" not in service(version=(1, 9, 0))["ReadWritePaths"]


@pytest.mark.parametrize("profile", ["strict", "hooks", "none"])
@pytest.mark.parametrize("account", [ROOT, ADA])
def test_each_configuration_has_its_credential(account, profile):
    schedule = Schedule("x", actions=("create",), configs=("/etc/borgmatic.d/system.yaml", "/srv/a b%i/system.yaml"))
    assert "LoadCredentialEncrypted" not in service(schedule, account, profile=profile)
    found = service(schedule, account, profile=profile, credentials=True)
    names = [re.fullmatch(r"fleetbackup_system_[0-9a-f]{8}", value).group(0) for value in found["LoadCredentialEncrypted"]]
    assert len(set(names)) == 2


@pytest.mark.parametrize("profile", ["strict", "hooks", "none"])
@pytest.mark.parametrize("account", [ROOT, ADA])
def test_nothing_hides_what_is_read(profile, account):
    hiding = {
        *("PrivateTmp", "PrivateDevices", "ProtectProc", "ProcSubset", "ProtectKernelModules", "PrivateUsers"),
        *("ProtectKernelLogs", "ProtectClock", "InaccessiblePaths", "TemporaryFileSystem", "RootDirectory", "DynamicUser"),
        *("ConditionACPower", "NoExecPaths", "BindPaths", "StateDirectory", "UMask"),
    }
    found = service(account=account, profile=profile)
    assert not hiding & found.keys()
    assert found.get("ProtectHome") in (None, ["read-only"])


def test_hooks_may_mount_sudo_and_write():
    found = service(profile="hooks")
    assert not {"ProtectSystem", "ReadWritePaths", "NoNewPrivileges", "CapabilityBoundingSet", "ExecStartPre"} & found.keys()
    assert found["SystemCallFilter"][0].startswith("~")
    # a filter on any other account's service implies NoNewPrivileges
    assert "SystemCallFilter" not in service(account=ADA, profile="hooks")


def test_another_account_runs_without_capabilities():
    found = service(account=ADA)
    assert found["User"] == ["ada"]
    assert found["CapabilityBoundingSet"] == [""]
    assert found["RuntimeDirectory"] == ["fleetbackup-1000"]
    assert found["ExecStartPre"][0].startswith("+/usr/bin/setpriv --reuid=ada --regid=1001 --init-groups /usr/bin/mkdir -p -m 0700 -- ")


def test_a_users_own_systemd_knows_neither_accounts_nor_the_network():
    found = service(account=ADA, scope="user", profile="none")
    assert not {"User", "Wants", "After", "ProtectSystem", "ExecStartPre"} & found.keys()


def test_the_network_is_waited_for_where_it_is_needed():
    assert service()["After"] == ["network-online.target"]
    assert "After" not in service(Schedule("x", actions=("create",), configs=("/c",), network=False))


@pytest.mark.parametrize(
    ("path", "in_command", "in_list"),
    [
        ("/a b", '"/a b"', '"-/a b"'),
        ("/a%i", "/a%%i", "-/a%%i"),
        ("/a$HOME", '"/a$$HOME"', '"-/a$HOME"'),
        ('/a"b', '"/a\\"b"', '"-/a\\"b"'),
        ("/a\\x20", '"/a\\\\x20"', '"-/a\\\\x20"'),
        ("/a;b", '"/a;b"', '"-/a;b"'),
        ("/ä", "/ä", "-/ä"),
        ("/a'b", '"/a\'b"', '"-/a\'b"'),
    ],
)
def test_one_path_stays_one_word(path, in_command, in_list):
    found = service(Schedule("x", actions=("create",), configs=(path,), read_write_paths=(path,)))
    assert f"--config {in_command} --verbosity" in found["ExecStart"][0]
    assert found["ReadWritePaths"][-1] == in_list


def test_the_timer_makes_up_for_a_missed_run():
    text = timer_text(Schedule("x", calendar=Calendar("daily", 61)))
    assert "OnCalendar=*-*-* 00:01:01\n" in text
    assert "Persistent=true\n" in text
    assert "AccuracySec=1s\n" in text
    assert "WantedBy=timers.target\n" in text
    assert "Delay" not in text


def test_systemd_spreads_an_expression_itself():
    text = timer_text(Schedule("x", calendar=Calendar("Mon 02:00", delay=600)))
    assert "RandomizedDelaySec=600\nFixedRandomDelay=true\n" in text


def test_borg_stands_beside_a_borgmatic_of_its_own(tmp_path):
    (tmp_path / "venv").mkdir()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "borgmatic"
    (tmp_path / "venv" / "borgmatic").write_text("")
    program.symlink_to(tmp_path / "venv" / "borgmatic")
    path = Launch(str(program), ROOT).environment["PATH"].split(":")
    assert path[-2:] == [str(tmp_path / "bin"), str(tmp_path / "venv")]
    assert path[:-2] == Launch("/usr/bin/borgmatic", ROOT).environment["PATH"].split(":")


DRILL = Schedule("drill", actions=("drill",), configs=("/etc/a.yaml", "/etc/b.yaml"), arguments=("--full", "--textfile-directory=/srv/prom"))


def test_a_drill_is_run_by_a_program_of_ours():
    (command,) = service(DRILL)["ExecStart"]
    lock, run = command.split(" /usr/local/lib/fleetbackup/drill.pyz ")
    assert re.fullmatch(r"/usr/bin/flock --close %t/fleetbackup-0/lock \S*python\S* -I", lock)
    assert run.split() == [
        *("--borgmatic=/usr/bin/borgmatic", "--status-directory=/var/lib/fleetbackup/drills"),
        *("--config=/etc/a.yaml", "--config=/etc/b.yaml", "--full", "--textfile-directory=/srv/prom"),
    ]


def test_a_drill_may_write_its_notes_and_give_files_their_owners():
    found = service(DRILL)
    assert found["ReadWritePaths"][-2:] == ["-/var/lib/fleetbackup/drills", "-/srv/prom"]
    assert found["ExecStartPre"][0].endswith(" /var/lib/fleetbackup/drills")
    assert set("CAP_CHOWN CAP_FSETID CAP_MKNOD CAP_SETFCAP".split()) <= set(found["CapabilityBoundingSet"][0].split())
    assert found["RestrictSUIDSGID"] == ["no"] and found["DeviceAllow"] == ["block-* rm", "char-* rm"]


def test_a_backup_may_not():
    found = service()
    assert "CAP_CHOWN" not in found["CapabilityBoundingSet"][0]
    assert found["RestrictSUIDSGID"] == ["yes"] and found["DeviceAllow"] == ["block-* r", "char-* r"]


def test_a_drill_of_an_account_is_below_its_home():
    (command,) = service(DRILL, ADA, scope="user", profile="none")["ExecStart"]
    assert "/home/ada/.local/lib/fleetbackup/drill.pyz" in command
    assert "--status-directory=/home/ada/.local/state/fleetbackup/drills" in command


def test_a_drill_of_an_account_that_the_systems_own_systemd_runs_is_roots_program():
    (command,) = service(DRILL, ADA)["ExecStart"]
    assert "/usr/local/lib/fleetbackup/drill.pyz" in command
    assert "--status-directory=/home/ada/.local/state/fleetbackup/drills" in command
