# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _compaction, _known_repository, _maintenance, _retention
from ansible_collections.fleetbackup.borg.plugins.module_utils._archive_inventory import Inventory, InventoryFile
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._known_repository import Key
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._maintenance import Most, Plan, Rules, carry_out, check_key, plan, read_retentions
from ansible_collections.fleetbackup.borg.plugins.module_utils._prune_rules import select
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import Description
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
REMOTE = Borg(Location.parse("ssh://borg@backup1/./web1"))
ID = "ab" * 32
DIGEST = "cd" * 32


def archive(age, series="web1", number=None):
    """One that is so many days old."""
    time = NOW - age * DAY
    name = f"{series}-{time:%Y-%m-%dT%H:%M:%S}"
    return Archive(name, f"{abs(hash((name, number))):064x}"[-64:], time)


DAYS = tuple(archive(age) for age in (9, 8, 7, 6, 5, 4, 3, 2, 1))


class World:
    """A repository, and what is done to it."""

    def __init__(self):
        self.id = ID
        self.archives = list(DAYS)
        self.key = Key(ID, DIGEST)
        self.done = []
        self.failures = []
        self.late = []

    def describe(self, _borg, *_options):
        for failure in self.failures:
            raise failure
        late, self.late = self.late, []
        ordered = tuple(sorted(self.archives, key=lambda each: each.time))
        self.archives += late
        return Description(self.id, "repokey", "x", NOW, ordered)

    def prune(self, _borg, wanted, selection, *, exactly):
        assert exactly
        self.done.append("prune")
        self.archives = [each for each in self.archives if each not in selection.pruned]
        return selection

    def afresh(self):
        self.done = []
        return self

    def compact(self, _borg, _threshold, judged):
        assert judged == b"judged"
        self.done.append("compact")
        return 1000, True


@pytest.fixture(name="world")
def fixture_world(monkeypatch):
    made = World()
    for module in (_maintenance, _compaction, _retention):
        monkeypatch.setattr(module, "describe", made.describe)
    monkeypatch.setattr(_retention, "prune", made.prune)
    monkeypatch.setattr(_compaction, "compact", made.compact)
    monkeypatch.setattr(_compaction, "manifest", lambda _borg: b"judged")
    monkeypatch.setattr(_known_repository, "read_key", lambda _borg: made.key)
    return made


def retentions(floor="2d", match="web1-*", **policy):
    rules = {**dict.fromkeys(("keep_within", *_retention.RULES)), **(policy or {"keep_daily": 4})}
    return read_retentions([{"match_archives": match, **rules}], floor)


def rules(most="50%", **others):
    return Rules(others.pop("retentions", retentions()), Most.parse(most), **others)


def before(archives=DAYS, taken=NOW - DAY / 2, **parts):
    return Inventory(ID, taken, tuple(archives))._replace(**parts)


def refused(world, known, wanted=None):
    with pytest.raises(Failure) as caught:
        plan(REMOTE, wanted or rules(), known)
    assert world.done == [] and "othing was changed" in caught.value.msg
    return caught.value


def test_the_first_run_takes_the_inventory_and_no_more(world, tmp_path):
    file = InventoryFile(str(tmp_path / "x.json"))
    planned = plan(REMOTE, rules(), None)
    assert planned.changes and not planned.compacts and not planned.pruned
    assert carry_out(REMOTE, rules(), planned, file) == 0
    assert world.done == [] and file.read().archives == DAYS


def test_it_prunes_what_the_policy_says_and_compacts_and_the_next_run_does_nothing(world, tmp_path):
    file = InventoryFile(str(tmp_path / "x.json"))
    planned = plan(REMOTE, rules(), before())
    # two days are kept whole, and four more
    assert planned.pruned == list(reversed(DAYS[:4]))
    assert carry_out(REMOTE, rules("20"), planned, file) == 1000
    assert world.done == ["prune", "compact"]
    found = file.read()
    assert found.archives == planned.left and found.removing == ()
    again = plan(REMOTE, rules(), found)
    assert not again.changes


def test_what_is_new_changes_the_inventory_alone(world, tmp_path):
    file = InventoryFile(str(tmp_path / "x.json"))
    planned = plan(REMOTE, rules(retentions=()), before(DAYS[:-1]))
    assert planned.new == [DAYS[-1]] and planned.changes and not planned.compacts
    carry_out(REMOTE, rules(retentions=()), planned, file)
    assert world.done == [] and file.read().archives == DAYS


def test_vanished_archives_stop_it(world):
    world.archives.remove(DAYS[2])
    failure = refused(world, before())
    assert failure.error == "unsafe" and failure.details == {"missing_archives": [DAYS[2].name]} and DAYS[2].name in failure.msg


def test_an_archive_of_the_same_name_is_another_one(world):
    world.archives[2] = DAYS[2]._replace(id="ef" * 32)
    assert refused(world, before()).details == {"missing_archives": [DAYS[2].name]}


def test_a_known_loss_is_accepted_by_its_name_and_its_space_reclaimed(world):
    world.archives.remove(DAYS[2])
    planned = plan(REMOTE, rules(accept_missing=frozenset([DAYS[2].name]), retentions=()), before())
    assert planned.accepted == (DAYS[2],) and planned.compacts


def test_what_a_killed_run_was_about_to_prune_is_not_missing_and_its_space_reclaimed(world, tmp_path):
    file = InventoryFile(str(tmp_path / "x.json"))
    del world.archives[:2]
    planned = plan(REMOTE, rules(retentions=()), before(removing=(DAYS[0].id, DAYS[1].id)))
    assert planned.compacts and not planned.pruned
    carry_out(REMOTE, rules(retentions=()), planned, file)
    assert world.done == ["compact"] and file.read() == planned.present


@pytest.mark.parametrize("at", ["prune", "compact"])
def test_killed_anywhere_the_next_run_goes_on(world, tmp_path, monkeypatch, at):
    file = InventoryFile(str(tmp_path / "x.json"))
    file.write(before())

    def die(*_arguments, **_options):
        raise KeyboardInterrupt

    wanted = rules("20")
    with monkeypatch.context() as patched:
        patched.setattr(*((_retention, "prune", die) if at == "prune" else (_compaction, "compact", die)))
        with pytest.raises(KeyboardInterrupt):
            carry_out(REMOTE, wanted, plan(REMOTE, wanted, file.read()), file)
    assert file.read().removing
    again = plan(REMOTE, wanted, file.read())
    assert again.compacts
    assert carry_out(REMOTE, wanted, again, file) == 1000
    assert file.read().removing == () and not plan(REMOTE, wanted, file.read()).changes


def test_what_goes_beyond_the_plan_is_not_made_final(world, tmp_path, monkeypatch):
    """A client may hide archives, or poison the policy, in the very moment."""
    file = InventoryFile(str(tmp_path / "x.json"))

    def prune(_borg, _wanted, selection, **_options):
        world.archives = [each for each in world.archives if each not in selection.pruned and each != DAYS[-1]]

    monkeypatch.setattr(_retention, "prune", prune)
    planned = plan(REMOTE, rules("20"), before())
    with pytest.raises(Failure) as caught:
        carry_out(REMOTE, rules("20"), planned, file)
    assert caught.value.error == "unsafe" and caught.value.details["missing_archives"] == [DAYS[-1].name]
    assert "compact" not in world.done
    # and the next run still knows
    assert refused(world, file.read(), rules("20")).details == {"missing_archives": [DAYS[-1].name]}


@pytest.mark.parametrize("age", [5.5, 0.001])
def test_what_comes_meanwhile_is_judged_by_the_next_run(world, tmp_path, monkeypatch, age):
    """It has passed no gate, so it may be backdated; and what is new then must not be known."""
    file, late = InventoryFile(str(tmp_path / "x.json")), archive(age, number=5)
    ordinary = world.prune

    def prune(*arguments, **options):
        world.archives.append(late)
        return ordinary(*arguments, **options)

    monkeypatch.setattr(_retention, "prune", prune)
    planned = plan(REMOTE, rules("20"), before())
    carry_out(REMOTE, rules("20"), planned, file)
    assert late in world.archives and file.read().archives == planned.left
    if age > 1:
        assert refused(world.afresh(), file.read()).details == {"backdated_archives": [late.name]}
    else:
        assert plan(REMOTE, rules("20"), file.read()).new == [late]


def test_what_the_policy_keeps_after_all_stays_known(world, tmp_path, monkeypatch):
    """An archive may have come that makes it keep one more."""
    file = InventoryFile(str(tmp_path / "x.json"))
    monkeypatch.setattr(_retention, "prune", lambda _borg, _wanted, selection, **_options: world.archives.remove(selection.pruned[0]))
    planned = plan(REMOTE, rules("20"), before())
    carry_out(REMOTE, rules("20"), planned, file)
    assert file.read().archives == tuple(world.archives) and len(world.archives) == len(DAYS) - 1


def test_without_the_gate_of_compacting_that_would_be_made_final(world, tmp_path, monkeypatch):
    """The test above would notice."""
    monkeypatch.setattr(_compaction, "_check_known", lambda *_arguments: None)
    monkeypatch.setattr(_retention, "prune", lambda *_arguments, **_options: world.archives.remove(DAYS[-1]))
    carry_out(REMOTE, rules("20"), plan(REMOTE, rules("20"), before()), InventoryFile(str(tmp_path / "x.json")))
    assert "compact" in world.done


@pytest.mark.parametrize("gate", ["_check_missing", "_check_backdated", "_check_most", "_check_future", "_check_same", "check_key"])
def test_each_gate_is_needed(world, monkeypatch, gate):
    """Whatever is wrong, one gate stops it, and no other would."""
    wrong = {
        "_check_missing": lambda: world.archives.remove(DAYS[2]),
        "_check_backdated": lambda: world.archives.append(archive(5.5, number=2)),
        "_check_most": lambda: None,
        "_check_future": lambda: world.archives.append(archive(-2, "other")),
        "_check_same": lambda: setattr(world, "id", "ff" * 32),
        "check_key": lambda: setattr(world, "key", Key(ID, "ee" * 32)),
    }
    wrong[gate]()
    # what lies in the future and matches a policy would stop pruning, too
    others = {"retentions": ()} if gate == "_check_future" else {}
    wanted = rules("1" if gate == "_check_most" else "50%", key_digest=DIGEST, **others)
    refused(world, before(), wanted)
    monkeypatch.setattr(_maintenance, gate, lambda *_arguments: ())
    assert plan(REMOTE, wanted, before()).changes


def test_the_future_stops_it_whatever_the_filter(world):
    future = archive(-2, "other")
    world.archives.append(future)
    assert refused(world, before()).details == {"future_archives": [future.name]}
    assert refused(world, None).error == "unsafe"


def test_a_new_archive_that_claims_to_be_old_stops_it(world):
    fake = archive(5.5, number=2)
    world.archives.append(fake)
    failure = refused(world, before())
    assert failure.error == "unsafe" and failure.details == {"backdated_archives": [fake.name]}
    assert plan(REMOTE, rules(accept_backdated=frozenset([fake.name]), retentions=()), before()).new == [fake]


def test_what_comes_behind_the_gates_takes_no_place_of_real_ones(world, monkeypatch):
    """Between the list that they look at and the one that a policy is for."""
    world.late = [archive(5.5, number=6)]
    failure = refused(world, before(), rules("20"))
    assert failure.error == "unsafe" and failure.retryable
    world.archives, world.late = list(DAYS), [archive(5.5, number=6)]
    monkeypatch.setattr(_maintenance, "_check_judged", lambda *_arguments: None)
    assert plan(REMOTE, rules("20"), before()).pruned


def test_a_backup_may_have_begun_before_the_last_inventory(world):
    world.archives.append(archive(1.2, number=3))
    assert len(plan(REMOTE, rules(retentions=()), before()).new) == 1


@pytest.mark.parametrize(("most", "allowed"), [("50%", True), ("44%", False), ("45%", True), ("4", True), ("3", False), ("0", False)])
def test_at_most_so_many_go(world, most, allowed):
    known = before()
    wanted = rules(most)
    going = select(DAYS, wanted.retentions[0].policy, NOW, "UTC").pruned
    assert len(going) == 4
    if allowed:
        assert len(plan(REMOTE, wanted, known).pruned) == 4
    else:
        assert refused(world, known, wanted).details["excessive_archives"] == [each.name for each in going]


@pytest.mark.parametrize("text", ["", "x", "-1", "101%", "5 %", "1e3", "50%%", "5.5"])
def test_what_is_no_number_of_deletions(text):
    with pytest.raises(Failure, match="most_deletions: .*for example") as caught:
        Most.parse(text)
    assert caught.value.error == "invalid_argument"


@pytest.mark.parametrize(
    ("said", "floor", "within"), [(None, "7d", "7d"), ("2d", "7d", "7d"), ("8d", "7d", "8d"), ("1w", "7d", "1w"), ("36H", "1d", "36H")]
)
def test_the_least_interval_counts(said, floor, within):
    (found,) = retentions(floor, keep_within=said, keep_daily=1)
    assert found.policy.within == within


def test_false_archives_of_the_same_day_take_no_place_of_real_ones(world):
    real, fake = archive(0.3), archive(0.1, number=4)
    world.archives += [real, fake]
    wanted = rules("20", retentions=retentions("7d", keep_last=1))
    assert real not in plan(REMOTE, wanted, before([*DAYS, real])).pruned


def test_a_policy_without_rules_is_refused():
    with pytest.raises(Failure, match="keep_within") as caught:
        read_retentions([], "banana")
    assert caught.value.error == "invalid_argument"


def test_another_repository_in_its_place_is_drift(world):
    world.id = "ff" * 32
    assert refused(world, before()).error == "drift"


def test_another_key_is_unsafe_before_the_repository_is_opened(world):
    world.failures = [AssertionError("opened")]
    world.key = Key(ID, "ee" * 32)
    failure = refused(world, before(), rules(key_digest=DIGEST))
    assert failure.error == "unsafe" and DIGEST in failure.msg


@pytest.mark.parametrize("word", ["wrong_passphrase", "key_missing", "key_mismatch", "integrity", "other"])
def test_a_destroyed_key_is_unsafe(world, word):
    world.key, world.failures = None, [Failure(word, "borg says so")]
    failure = refused(world, before(), rules(key_digest=DIGEST))
    assert failure.error == "unsafe" and "borg says so" in failure.msg


@pytest.mark.parametrize(("word", "msgid"), [("absent", None), ("unreachable", None), ("key_missing", "KeyfileNotFoundError")])
def test_what_is_no_destroyed_key_is_told_as_what_it_is(world, word, msgid):
    world.key, world.failures = None, [Failure(word, "x", msgid=msgid)]
    with pytest.raises(Failure) as caught:
        check_key(REMOTE, DIGEST)
    assert caught.value.error == word


def test_the_key_is_compared_only_where_it_is_known(world):
    world.key = None
    check_key(REMOTE, None)


def test_a_filter_that_matches_nothing_is_told(world):
    planned = plan(REMOTE, rules(), before())
    assert planned.idle(rules()) == []
    nothing = planned.selections[0]._replace(pruned=[], kept=[])
    assert planned._replace(selections=(nothing,)).idle(rules()) == ["web1-*"]
    assert planned._replace(selections=(nothing,), present=before([])).idle(rules()) == []


def test_what_is_anothers_stops_it(world):
    world.archives.append(archive(1, "web1-db"))
    entry = {"match_archives": "web1-*", "foreign_archives": ["web1-db-*"], **dict.fromkeys(("keep_within", *_retention.RULES)), "keep_daily": 1}
    failure = refused(world, before(), rules("100%", retentions=read_retentions([entry], "2d")))
    assert failure.error == "unsafe" and failure.details == {"contested_archives": [archive(1, "web1-db").name]}


def test_names_with_a_date_that_no_module_knows_need_a_filter_that_is_certain(world):
    world.archives[:] = [each._replace(name=f"web1-{each.time:%d.%m.%Y}") for each in world.archives]
    match = "web1-[0-3][0-9].[01][0-9].[12][0-9][0-9][0-9]"
    entry = {"match_archives": match, **dict.fromkeys(("keep_within", *_retention.RULES)), "keep_yearly": 1}
    with pytest.raises(Failure, match="say allow_any_series: true; nothing was pruned"):
        plan(REMOTE, rules("100%", retentions=read_retentions([entry], "2d")), before())
    planned = plan(REMOTE, rules("100%", retentions=read_retentions([{**entry, "allow_any_series": True}], "2d")), before())
    assert planned.pruned and not planned.unmatched


def test_a_pattern_that_is_none_is_refused():
    entry = {"match_archives": "web1-*", "foreign_archives": [" "], **dict.fromkeys(("keep_within", *_retention.RULES)), "keep_daily": 1}
    with pytest.raises(Failure, match="foreign_archives: ' ' is empty"):
        read_retentions([entry], "2d")


def test_what_no_policy_is_for_is_told(world):
    assert plan(REMOTE, rules(), before()).unmatched == []
    assert plan(REMOTE, rules(retentions=()), before()).unmatched == list(DAYS)


def test_a_plan_of_nothing_changes_nothing():
    known = before()
    assert not Plan(known, known).changes
