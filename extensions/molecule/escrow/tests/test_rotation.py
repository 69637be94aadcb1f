# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One playbook changes a passphrase. Wherever it is killed, somebody who has both opens everything, and the next run completes it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from controller import ESCROW, Run, bundles, fingerprint, held, play
from machines import REPOSITORIES, TIMERS, Machine

from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key as exported_key

CLIENT = "client1"
LOCATIONS = REPOSITORIES[CLIENT]
OLD = "a passphrase of the tests, client1"
NEW = "another passphrase of the tests"
#: Where borgmatic finds it.
KEPT = "/etc/borgmatic.d/system.yaml.passphrase"


class State(NamedTuple):
    """What stands where, in words of `old` and `new`.

    :ivar opened_by: which passphrase opens each repository.
    :ivar held: which one each bundle holds, and its own key opens with.
    :ivar kept: which one the client's backups use.
    :ivar enabled: the timers.
    """

    opened_by: tuple[str, ...]
    held: tuple[str, ...]
    kept: str
    enabled: frozenset[str]

    @classmethod
    def of(cls, client: Machine, passphrases: dict[str, str]) -> State:
        escrowed = {data["locations"][0]: data["passphrase"] for data in map(held, bundles(f"{CLIENT}_"))}
        return cls(
            tuple(next((word for word in passphrases if client.is_opened_by(passphrases[word], location)), "none") for location in LOCATIONS),
            tuple(next((word for word in passphrases if escrowed[location] == passphrases[word]), "none") for location in LOCATIONS),
            next((word for word in passphrases if client.output(f"cat {KEPT}") == passphrases[word]), "none"),
            frozenset(client.enabled()),
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """For the table."""
        return ", ".join(self.opened_by), ", ".join(self.held), self.kept, "enabled" if self.enabled == set(TIMERS) else "paused"


COMPLETE = State(("new", "new"), ("new", "new"), "new", frozenset(TIMERS))


@pytest.fixture(scope="module")
def client() -> Machine:
    return Machine(CLIENT)


@pytest.fixture(scope="module")
def rotation(client: Machine) -> Run:
    """The first one, which waits for what is under way."""
    client.hold_lock(OLD, LOCATIONS[0], seconds=45)
    return rotate(NEW).succeeded()


def test_check_mode_predicts_it_and_changes_nothing(client: Machine) -> None:
    before, fingerprints = State.of(client, {"old": OLD}), fingerprint()
    predicted = rotate(NEW, "--check", "--diff").succeeded()
    assert predicted.changes[CLIENT] >= 3 and NEW not in predicted.said and OLD not in predicted.said
    assert (State.of(client, {"old": OLD}), fingerprint()) == (before, fingerprints) and before.opened_by == ("old", "old")


def test_only_the_new_one_counts(client: Machine, rotation: Run) -> None:
    assert State.of(client, {"new": NEW}) == COMPLETE
    assert not [location for location in LOCATIONS if client.is_opened_by(OLD, location)]
    assert NEW not in rotation.said and OLD not in rotation.said
    before = [client.archives(NEW, location) for location in LOCATIONS]
    client.back_up()
    assert [len(client.archives(NEW, location)) for location in LOCATIONS] == [len(archives) + 1 for archives in before]
    assert play("client", "--limit", CLIENT, variables={"passphrase": NEW}).succeeded().changes == {CLIENT: 0}


def test_it_may_be_killed_anywhere(client: Machine, rotation: Run, rows: list[tuple[str, ...]]) -> None:
    between = set()
    present, wanted = NEW, OLD
    points = telling(rotation.steps)
    assert len(points) >= 7, points
    for point in points:
        killed = rotate(wanted, kill_at=point)
        assert killed.rc == -signal.SIGKILL, (point, killed.said)
        passphrases = {"new": wanted, "old": present}
        state = State.of(client, passphrases)
        assert_bundles_suffice(client)
        again = rotate(wanted)
        after = State.of(client, passphrases)
        rows.append((point, *state.cells, "complete" if again.rc == 0 and after == COMPLETE else "FAILED"))
        # each is opened by one of the two, and each bundle holds one of them
        assert {*state.opened_by, *state.held, state.kept} <= {"old", "new"}, (point, state)
        assert again.rc == 0 and after == COMPLETE, (point, after, again.said)
        between.add(state[:2])
        present, wanted = wanted, present
    # The kills hit what they were meant for.
    assert {
        (("old", "old"), ("old", "old")), (("new", "old"), ("old", "old")), (("new", "new"), ("old", "old")),
        (("new", "new"), ("new", "old")), (("new", "new"), ("new", "new")),
    } <= between, between
    if present != OLD:
        rotate(OLD).succeeded()
    client.back_up()


def test_one_that_cannot_wait_says_what_is_half_done(client: Machine) -> None:
    client.hold_lock(OLD, LOCATIONS[0], seconds=600)
    # The second one finds that half done.
    for _run in range(2):
        failed = rotate(NEW, variables={"fleetbackup_lock_wait": 1})
        assert failed.rc == 2 and "locked" in failed.errors(CLIENT), failed.said
        assert f"The schedules go on, but backups to {LOCATIONS[1]} fail until it is complete" in failed.messages(CLIENT), failed.said
    client.release_lock(LOCATIONS[0])
    assert State.of(client, {"new": NEW, "old": OLD}) == State(("old", "new"), ("old", "old"), "old", frozenset(TIMERS))
    rotate(NEW).succeeded()
    assert State.of(client, {"new": NEW}) == COMPLETE
    rotate(OLD).succeeded()


def test_one_that_fails_again_says_what_is_paused(client: Machine) -> None:
    killed = rotate(NEW, kill_at="Keep a recovery bundle of each repository")
    assert killed.rc == -signal.SIGKILL, killed.said
    paused = State(("new", "new"), ("old", "old"), "old", frozenset())
    assert State.of(client, {"new": NEW, "old": OLD}) == paused
    failed = rotate(NEW, variables={"borgmatic_escrow_gpg_recipients": ["0" * 40]})
    said = failed.messages(CLIENT)
    assert failed.rc == 2 and "gpg" in said and "Each repository has the new one already" in said, failed.said
    assert "system-backup, system-check stay paused until then" in said, failed.said
    assert State.of(client, {"new": NEW, "old": OLD}) == paused
    rotate(NEW).succeeded()
    assert State.of(client, {"new": NEW}) == COMPLETE
    rotate(OLD).succeeded()


def test_no_schedule_goes_on_without_a_full_bundle(client: Machine, tmp_path: Path) -> None:
    names = [bundle.name for bundle in bundles(f"{CLIENT}_")]
    for name in names:
        shutil.move(ESCROW / name, tmp_path / name)
    failed = rotate(NEW)
    said = failed.messages(CLIENT)
    assert failed.rc == 2 and "wrong_passphrase" in failed.errors(CLIENT), failed.said
    assert f"the schedules stay paused, for there is no full recovery bundle of {', '.join(LOCATIONS)}." in said, failed.said
    assert "It has been done at no repository" in said and client.enabled() == set(), failed.said
    for name in names:
        shutil.move(tmp_path / name, ESCROW / name)
    rotate(OLD).succeeded()
    assert State.of(client, {"new": OLD}) == COMPLETE


def assert_bundles_suffice(client: Machine) -> None:
    """Whoever has nothing but a bundle opens its repository, with or without giving it the key of the bundle first."""
    for data in map(held, bundles(f"{CLIENT}_")):
        exported_key.parse(data["key"], "keyfile").opened(data["passphrase"], "The key")
        passphrases = [text for name, text in data.items() if name == "passphrase" or name.startswith("other_passphrase_")]
        assert [text for text in passphrases if client.is_opened_by(text, data["locations"][0])], data["locations"]


def rotate(passphrase: str, *options: str, kill_at: str | None = None, variables: dict[str, Any] | None = None) -> Run:
    said = {"passphrase": passphrase, **(variables or {})}
    return play("rotate_passphrase", "--limit", CLIENT, *options, variables=said, environment={"STEPS_KILL_AT": kill_at})


def telling(steps: Sequence[dict[str, Any]]) -> list[str]:
    """The points of a run at which something else stands than at the one before: the first one behind each change."""
    points, is_behind_change = [], False
    of_loops = {step["point"].partition(", done ")[0] for step in steps if ", done " in step["point"]}
    for step in steps:
        is_item = ", done " in step["point"]
        if is_item and step["changed"] or is_behind_change and step["host"] is None:
            points.append(step["point"])
            is_behind_change = False
        # The result of a loop tells what those of its items have told.
        elif step["host"] is not None and step["changed"] and step["point"] not in of_loops:
            is_behind_change = True
    return points
