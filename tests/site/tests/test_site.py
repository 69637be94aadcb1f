# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds of site, from bare machines on. The tests build upon each other, in this order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from machines import MACHINES, key_file, keys, on, state
from runs import CLIENT, SITE, Controller, Run

BACKUP = "fleetbackup-system-backup.service"


@pytest.fixture(scope="module")
def controller(tmp_path_factory) -> Controller:
    return Controller(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def before() -> str:
    """The server's file as the test found it."""
    return key_file()


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
