# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds of site, from bare machines on. The tests build upon each other, in this order."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machines import KEYS, MACHINES, SCENARIO, TREATMENT, key_file, keys, on, renew, state
from runs import CLIENT, SECRET, SERVER, SITE, Controller, Run

CONFIG = "/etc/borgmatic.d/system.yaml"
ESCROW = Path.home() / "fleetbackup-escrow"
BACKUP, TIMER = "fleetbackup-system-backup.service", "fleetbackup-system-backup.timer"


@pytest.fixture(scope="module")
def controller(tmp_path_factory) -> Controller:
    return Controller(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def before() -> str:
    """The server's file as the test found it."""
    return key_file()


def clients(**variables: dict[str, Any]) -> dict[str, Any]:
    """More inventory: hosts in the group of the clients."""
    return {"borg_clients": {"hosts": variables}}


def assert_converged(run: Run) -> None:
    assert run.rc == 0 and run.results and not run.bad and not run.changes, run.output


def test_check_mode_predicts_the_first_run(controller: Controller) -> None:
    for machine in MACHINES:
        on(machine, "mkdir /srv/data; head -c 20M /dev/urandom >/srv/data/file")
    bare = state()
    predicted = controller.run(SITE, "--check")
    assert predicted.rc == 0, predicted.output
    assert state() == bare
    done = controller.run(SITE)
    assert done.rc == 0, done.output
    assert done.changes <= predicted.changes
    # What depends on a step that was not executed.
    assert predicted.changes - done.changes <= predicted.assumptions
    assert {host for host, _play, _task in done.changes} == {"backup1", "client1", "client2"}
    assert len(keys()) == 2


def test_the_second_run_changes_nothing(controller: Controller) -> None:
    assert_converged(controller.run(SITE))
    converged = state()
    assert_converged(controller.run(SITE, "--check"))
    assert state() == converged


def test_a_backup_at_work_is_in_nobodys_way(controller: Controller) -> None:
    with locked("client1"), backing_up("client2"):
        assert_converged(controller.run(CLIENT))


def test_a_run_for_one_client_leaves_the_others_their_keys(controller: Controller, before: str) -> None:
    assert_converged(controller.run(SITE, "--limit=client1"))
    assert key_file() == before


def test_a_run_for_a_new_client_lets_it_in(controller: Controller) -> None:
    others = keys()
    run = controller.run(SITE, "--limit=client3", more=clients(client3={}))
    assert run.rc == 0 and run.converged == set(), run.output
    assert set(others) < set(keys()) and len(keys()) == len(others) + 1
    host_key = on("backup1", "cut -d ' ' -f 2 /etc/ssh/ssh_host_ed25519_key.pub").strip()
    assert host_key in on("client3", "cat /root/.ssh/fleetbackup_known_hosts")
    on("client3", f"systemctl start {BACKUP}")
    assert on("client3", f"borgmatic --config {CONFIG} list --json | grep -c '\"archive\"'").strip() == "1"


def test_a_run_in_batches_takes_nobodys_key(controller: Controller, before: str) -> None:
    run = controller.run(SITE, "--extra-vars=fleetbackup_serial=2", more=clients(client3={}))
    # New are only the settings of client3's repository, which a run for client3 alone does not see.
    assert run.rc == 0 and run.converged == {"client1", "client2", "client3"}, run.output
    assert key_file() == before


def test_a_client_that_fails_and_one_that_is_down_stop_no_other(controller: Controller, before: str) -> None:
    config = on("client1", f"cat {CONFIG}")
    on("client2", "systemctl stop ssh.socket ssh.service")
    try:
        run = controller.run(SITE, more=clients(client1={"passphrase": f"{SECRET} that opens nothing"}, client3={}))
    finally:
        on("client2", "systemctl start ssh.service")
    assert run.rc != 0 and {result.host: result.outcome for result in run.bad} == {"client1": "failed", "client2": "unreachable"}, run.output
    assert "passphrase" in next(result.message for result in run.bad if result.host == "client1"), run.bad
    assert run.converged == {"backup1", "client3"}, run.output
    assert key_file() == before and on("client1", f"cat {CONFIG}") == config


def test_a_server_that_is_down_stops_no_client_of_another(controller: Controller, before: str) -> None:
    down = {"borg_servers": {"hosts": {"backup2": {"ansible_host": "client3", "ansible_port": 1}}}}
    both = {"repositories": [{"path": f"ssh://borg@{server}/./client1", "label": server} for server in ("backup1", "backup2")]}
    run = controller.run(SITE, more={**clients(client1=both, client3={}), **down})
    assert run.rc != 0 and {result.host for result in run.bad if result.outcome == "failed"} == {"client1"}, run.output
    assert "backup2" in next(result.message for result in run.bad if result.outcome == "failed"), run.bad
    assert not {result.host for result in run.results if result.changed} & {"backup1", "client2", "client3"}, run.output
    assert {"client2", "client3"} <= run.converged, run.output
    assert key_file() == before


def test_what_changes_for_a_client_reaches_the_server_that_the_run_does_not_see(controller: Controller, before: str) -> None:
    limited = {"repositories": [{"path": "ssh://borg@backup1/./client1", "label": "backup1", "storage_quota": "500M"}]}
    run = controller.run(CLIENT, "--limit=client1", more=clients(client1=limited, client3={}))
    assert run.rc == 0, run.output
    assert [line for line in keys() if "--storage-quota 500M" in line] == [line for line in keys() if line.endswith(":client1")]
    run = controller.run(CLIENT, "--limit=client1", more=clients(client3={}))
    assert run.rc == 0 and key_file() == before, run.output


def test_what_a_server_refuses_is_told_in_the_end(controller: Controller, before: str) -> None:
    limited = {"repositories": [{"path": "ssh://borg@backup1/./client1", "label": "backup1", "storage_quota": "500M"}]}
    on("backup1", f"cat /etc/ssh/ssh_host_ed25519_key.pub >>{KEYS}")
    try:
        run = controller.run(CLIENT, more=clients(client1=limited, client3={}))
    finally:
        on("backup1", f"sed -i '/root@/d' {KEYS}")
    assert {result.host for result in run.bad if result.task.endswith("heard of this client")} == {"client1", "client2", "client3"}, run.output
    assert "not this module's" in run.output and key_file() == before, run.output
    # in the end: what they need for their backups was looked at before
    assert [result.task.rpartition(" : ")[2] for result in run.results if result.host == "client1"][-1].endswith("heard of this client"), run.results


def test_a_mistake_in_a_servers_variables_gets_nothing_past_it(controller: Controller, before: str) -> None:
    misspelt = {"borg_servers": {"hosts": {"backup1": {"borg_server_storage_qouta": "50G"}}}}
    run = controller.run(CLIENT, "--limit=client1", more={**clients(client3={}), **misspelt})
    assert {result.host for result in run.bad} == {"client1"} and "borg_server_storage_quota" in run.output, run.output
    assert key_file() == before


def test_every_batch_is_let_in(controller: Controller, before: str) -> None:
    on("backup1", f"sed -i /fleetbackup:/d {KEYS}")
    run = controller.run(CLIENT, "--extra-vars=fleetbackup_serial=1", more=clients(client3={}))
    assert run.rc == 0 and key_file() == before, run.output


OTHERS_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr"
HOSTNAME = {"repositories": [{"path": "ssh://borg@backup1/./{hostname}", "label": "backup1"}]}
FQDN = {"repositories": [{"path": "ssh://borg@backup1/./{fqdn}", "label": "backup1"}]}
FORGED = {"public_keys": [OTHERS_KEY], "repositories": ["client2"], "append_only": False, "storage_quota": None}
#: What a client in the wrong hands may answer, what the inventory says of it, and what the run says.
LIES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another host name": ({"names": {"hostname": "client2"}}, HOSTNAME, "calls itself"),
    "another domain name": ({"names": {"fqdn": "client1./../client2"}}, FQDN, "calls itself"),
    "no key": ({"public_key": f"{OTHERS_KEY}\n{OTHERS_KEY}"}, {}, "public_key"),
}
#: Where a command of a client's would leave its trace on the controller.
TRACE = Path("/tmp/fleetbackup-trace")
#: What it may answer as facts. Nobody has the repository `gone`.
FACTS: dict[str, dict[str, Any]] = {
    "another name": {"inventory_hostname": "gone"},
    "another repository": {"repositories": [{"path": "ssh://borg@backup1/./gone", "label": "backup1"}]},
    "variables of ours": {
        "__borgmatic_state": {"servers": {"backup1": FORGED}}, "borgmatic_configs": [], "borg_server_append_only": False, "borgmatic_escrow_host": "localhost",
        "fleetbackup_clients": "all",
    },
    "the controller": {
        "ansible_connection": "local", "ansible_host": "localhost", "ansible_python_interpreter": f"touch {TRACE}; /usr/bin/python3",
        "ansible_shell_executable": f"touch {TRACE}; /bin/sh", "ansible_remote_tmp": f"$(touch {TRACE})", "discovered_interpreter_python": f"touch {TRACE}",
        "borgmatic_user": f"{{{{ lookup('ansible.builtin.pipe', 'touch {TRACE}') }}}}",
    },
}


@pytest.mark.parametrize("lie", FACTS)
def test_facts_that_a_client_answers_count_for_nothing(controller: Controller, before: str, lie: str) -> None:
    escrow = sorted((path.name, path.read_bytes()) for path in ESCROW.iterdir())
    with lying("client1", {"answer": {"ansible_facts": FACTS[lie], "ansible_stats": 1}}) as interpreter:
        run = controller.run(SITE, more=clients(client1={"ansible_python_interpreter": interpreter}, client3={}))
    # What it says of itself stays true, so it is served as ever.
    assert run.rc == 0 and run.converged == {"backup1", "client1", "client2", "client3"}, run.output
    assert key_file() == before and not TRACE.exists()
    assert sorted((path.name, path.read_bytes()) for path in ESCROW.iterdir()) == escrow


def test_a_client_with_its_name_in_a_location_is_who_it_is(controller: Controller, before: str) -> None:
    more = clients(client1=HOSTNAME, client3={})
    run = controller.run(CLIENT, "--limit=client1", more=more)
    assert run.rc == 0 and {host for host, _play, _task in run.changes} == {"client1"} and key_file() == before, run.output
    assert_converged(controller.run(CLIENT, "--limit=client1", more=more))
    run = controller.run(CLIENT, "--limit=client1", more=clients(client3={}))
    assert run.rc == 0 and key_file() == before, run.output


@pytest.mark.parametrize("lie", LIES)
def test_a_client_that_lies_gets_nothing_and_stops_nobody(controller: Controller, before: str, lie: str) -> None:
    answer, variables, said = LIES[lie]
    with lying("client1", answer) as interpreter:
        run = controller.run(SITE, more=clients(client1={"ansible_python_interpreter": interpreter, **variables}, client3={}))
    assert {result.host for result in run.bad} == {"client1"} and said in run.bad[0].message, run.output
    assert run.converged == {"backup1", "client2", "client3"}, run.output
    assert key_file() == before


def test_what_a_client_answers_for_its_servers_counts_for_nothing(controller: Controller, before: str) -> None:
    answer = {"ssh": None, "servers": {"backup1": FORGED}, "unmet": ["backup1"], "unpinned": []}
    with lying("client1", {"look": answer}) as interpreter:
        run = controller.run(CLIENT, "--limit=client1", more=clients(client1={"ansible_python_interpreter": interpreter}, client3={}))
    # It only stands in its own way.
    assert {result.host for result in run.bad} == {"client1"} and not run.changes, run.output
    assert key_file() == before and OTHERS_KEY not in before


def test_a_client_that_claims_anothers_key_keeps_nobody_out(controller: Controller, before: str) -> None:
    copied = next(" ".join(line.split()[-3:-1]) for line in keys() if line.endswith(":client2"))
    with lying("client1", {"public_key": copied}) as interpreter:
        run = controller.run(SITE, more=clients(client1={"ansible_python_interpreter": interpreter}, client3={}))
    # Its own key goes on to let it in, so its backups do.
    assert {result.host for result in run.bad} == {"client1"} and "took over nothing" in run.bad[0].message, run.output
    assert "client1, public_keys: SHA256:" in run.output and run.converged == {"backup1", "client2", "client3"}, run.output
    assert key_file() == before


def test_who_leaves_the_group_loses_its_key_and_nobody_else(controller: Controller) -> None:
    lines = keys()
    run = controller.run(SERVER)
    assert run.rc == 0, run.output
    assert keys() == [line for line in lines if not line.endswith(" fleetbackup:client3")] and len(lines) == 3


def test_fifteen_clients_at_once_are_let_in(controller: Controller) -> None:
    crowd = {f"crowd{number}": {"ansible_host": f"client{number % 3 + 1}", "borgmatic_ssh_key": f"/root/.ssh/crowd{number}"} for number in range(15)}
    run = controller.run(str(SCENARIO / "identify.yml"), "--extra-vars=fleetbackup_clients=crowd", more={"crowd": {"hosts": crowd}})
    assert run.rc == 0, run.output
    lines = [line.split() for line in keys()]
    assert sorted(line[-1] for line in lines) == sorted(f"fleetbackup:{name}" for name in crowd)
    assert len({line[-2] for line in lines}) == 15


def test_wherever_the_controller_is_killed_nothing_is_open_and_the_next_run_goes_on(controller: Controller) -> None:
    renew("backup1", "client1")
    shutil.rmtree(ESCROW)
    only = ("--limit=backup1,client1",)
    killed = []
    while (run := controller.run(SITE, *only, kill=True)).changes:
        assert not run.bad and len(killed) < 20, run.output
        killed.append(run.changes)
        assert_nothing_is_open()
    # Killed after every change, in the order of the run, until nothing was left to change.
    assert_converged(run)
    assert len(killed) >= 8, killed
    on("client1", f"systemctl is-enabled {TIMER}")


def assert_nothing_is_open() -> None:
    if keys():
        assert {"permittty no", "disableforwarding yes", "passwordauthentication no"} <= set(on("backup1", TREATMENT).splitlines())
    # No repository without its passphrase in escrow, no schedule without a repository.
    if on("backup1", "find /srv -path '*/client1/config'"):
        assert list(ESCROW.glob("client1_*.yml"))
    if on("client1", "find /etc/systemd/system/*.wants -name 'fleetbackup-*.timer'"):
        on("backup1", "test -f /srv/borg/client1/config")


@contextlib.contextmanager
def lying(client: str, answer: dict[str, Any]) -> Iterator[str]:
    """Whatever Ansible asks of the client, it answers with some keys, names and facts of its own."""
    interpreter = "/usr/local/bin/lying-python"
    program = "\n".join([
        "#!/usr/bin/python3", "import json, subprocess, sys", f"lie = {answer!r}",
        "said = json.loads(subprocess.run(['/usr/bin/python3', *sys.argv[1:]], stdin=sys.stdin, stdout=subprocess.PIPE).stdout)",
        "told = said if isinstance(said.get('servers'), list) else said.get('ssh') or {}",
        "for server in told.get('servers', []): server.update({name: value for name, value in lie.items() if name in server})",
        "told.update({'names': lie['names']} if lie.get('names') and 'names' in told else {})",
        "said.update(lie.get('look', {}) if 'done' in said else {})",
        "said.update(lie.get('answer', {}))",
        "print(json.dumps(said))",
    ])
    on(client, f"cat >{interpreter} <<'END'\n{program}\nEND\nchmod 755 {interpreter}")
    try:
        yield interpreter
    finally:
        on(client, f"rm {interpreter}")


@contextlib.contextmanager
def locked(client: str) -> Iterator[None]:
    """Somebody on the server has locked the repository."""
    repository = f"/srv/borg/{client}"
    on("backup1", f"runuser -u borg -- setsid --fork borg with-lock {repository} sleep 600 >/tmp/locked 2>&1 </dev/null; {until(lock(client))}")
    try:
        yield
        assert on("backup1", f"ls -d {lock(client)}")
    finally:
        on("backup1", "pkill -x sleep")


@contextlib.contextmanager
def backing_up(client: str) -> Iterator[None]:
    """The client's own backup is at work until the end, and then succeeds."""
    on(client, f"systemctl start --no-block {BACKUP}")
    on("backup1", until(lock(client)))
    on(client, "pkill -STOP -f '[b]org create'")
    try:
        yield
        assert on("backup1", f"ls -d {lock(client)}")
    finally:
        on(client, "pkill -CONT -f '[b]org create'")
    # Joins the one at work.
    on(client, f"systemctl start {BACKUP}")


def lock(client: str) -> str:
    return f"/srv/borg/{client}/lock.exclusive"


def until(path: str) -> str:
    return f"timeout 30 sh -c 'until [ -e {path} ]; do sleep 0.05; done'"
