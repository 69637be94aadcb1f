# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a client in the wrong hands does to its repository, and the trusted machine: it refuses, says what, changes nothing, and goes on elsewhere."""

from __future__ import annotations

import contextlib
import hashlib
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import History, Maintained
from controller import COLLECTION, changed, maintain, module
from machines import PASSPHRASE, POOL, SERVER, VAULT, WEB1, kept, known, tree

#: A policy that wants to keep no more than the last hour. Two days are kept all the same.
GREEDY = {"retentions": [{"match_archives": "web1-*", "keep_within": "1H"}], "most_deletions": "100%"}


@pytest.fixture(autouse=True)
def in_order(maintained: Maintained) -> None:
    """Everything begins with repositories that were looked after."""


def refusal(before: tuple[str, str], result: dict[str, Any], error: str, *names: str) -> dict[str, Any]:
    """The result of a run that refused, and changed nothing in any repository or inventory."""
    assert (tree(), known()) == before, result
    assert result.get("failed") and result["error"] == error and not result["retryable"], result
    assert all(name in result["msg"] for name in names), result["msg"]
    return result


def passes_without(*gate: str, **options: Any) -> bool:
    """Whether a greedy run would do something where one gate is gone."""
    with changed(*gate) as collections:
        foretold = module(check=True, collections=collections, **{**GREEDY, **options})
    return not foretold.get("failed") and foretold["changed"]


def test_hidden_archives_and_a_destroyed_key_stop_what_is_about_them(history: History) -> None:
    """One run for both clients: web1 has hidden an archive of its own, and destroyed the key of what both share."""
    victim = history.web1[2]
    with kept():
        WEB1.hide("web1", victim)
        WEB1.output(f"BORG_NEW_PASSPHRASE=another {WEB1.borg('key', 'change-passphrase', WEB1.location('shared'))}")
        before = tree(), known()
        run = maintain("--diff")
        assert (tree(), known()) == before and run.failed == {"web1", "web10"}
        own, shared = run.failures("web1")
        refusal(before, own, "unsafe", victim)
        assert own["missing_archives"] == [victim]
        refusal(before, shared, "unsafe", "recovery bundle")
        # The other client's own repository is looked after.
        assert [failure["error"] for failure in run.failures("web10")] == ["unsafe"]
        assert re.search(r"ok: \[web10[^]]*\] => \(item=ssh://borg@backup1/\./web10\)", run.said), run.said
        assert PASSPHRASE not in run.said


def test_the_way_back_brings_hidden_archives_back(history: History) -> None:
    """With nothing but the commands of the guide."""
    victims = history.web1[2:]
    with kept():
        deletion = SERVER.output("date +%FT%T")
        WEB1.hide("web1", *victims)
        refusal((tree(), known()), module(), "unsafe", *victims)
        transactions = [line.split() for line in SERVER.output(guide("server: look")).splitlines()]
        before = [number for number, time in transactions if time < deletion]
        assert len(before) < len(transactions)
        SERVER.output(guide("server: roll back").replace("TRANSACTION=23", f"TRANSACTION={before[-1]}"))
        identity = SERVER.output(f"sed -n 's/^id = //p' {POOL}/web1/config").strip()
        WEB1.output(re.sub(r"ID=\w+", f"ID={identity}", guide("client: forget")))
        assert WEB1.archives("web1") == victims
        for victim in victims:
            assert WEB1.restored("web1", victim) == WEB1.manifest()
        assert not module().get("failed")
        WEB1.back_up()
        found = module(check=True)
        assert len(found["new"]) == 1 and not found["pruned"], found
        SERVER.output("rm -r /root/evidence")


@pytest.mark.parametrize(("age", "names", "gate"), [(-400, "future_archives", "    if future:\n"), (30, "backdated_archives", "    if backdated:\n")])
def test_archives_at_times_that_cannot_be_stop_it(age: float, names: str, gate: str) -> None:
    with kept():
        # whatever they are called
        (fake,) = WEB1.make("web1", age, series="other")
        result = refusal((tree(), known()), module(**GREEDY), "unsafe", fake)
        assert result[names] == [fake]
        # and this notices where the gate is gone
        assert passes_without("_maintenance.py", gate, "    if False:\n")


def test_false_archives_of_the_same_day_drop_no_real_ones(history: History) -> None:
    with kept():
        fakes = WEB1.make("web1", 0.01)
        going = [archive["name"] for archive in module(check=True, **GREEDY)["pruned"]]
        assert history.web1[2] in going and history.web1[3] not in going
        # and this notices where the floor is gone
        with changed("_maintenance.py", "    return policy._replace(within=least.within)", "    return policy") as collections:
            mutant = [archive["name"] for archive in module(check=True, collections=collections, **GREEDY)["pruned"]]
        assert history.web1[3] in mutant
        done = module(**GREEDY)
        assert [archive["name"] for archive in done["pruned"]] == going and done["freed_bytes"] > 250_000, done
        assert WEB1.archives("web1") == [history.web1[3], *fakes]
        assert WEB1.restored("web1", history.web1[3]) == WEB1.manifest()


def test_too_many_at_once_stop_it(history: History) -> None:
    with kept():
        result = refusal((tree(), known()), module(**{**GREEDY, "most_deletions": "0"}), "unsafe", history.web1[2])
        assert result["excessive_archives"] == [history.web1[2]]
        # and this notices where nobody counts
        assert passes_without("_maintenance.py", "    if not most.allows(", "    if False and not most.allows(", most_deletions="0")


def test_garbage_in_the_place_of_the_key_stops_it() -> None:
    exported = WEB1.output(WEB1.borg("key", "export", WEB1.location("web1"), "-"))
    header, _newline, body = exported.partition("\n")
    digest = hashlib.sha256(b64decode(body)).hexdigest()
    assert not module(key_digest=digest).get("failed")
    with kept():
        WEB1.output(f"printf '%s\\n%s\\n' '{header}' Z2FyYmFnZQ== > /root/garbage; {WEB1.borg('key', 'import', WEB1.location('web1'), '/root/garbage')}")
        refusal((tree(), known()), module(key_digest=digest), "unsafe", digest)
    with kept():
        WEB1.output(f"BORG_NEW_PASSPHRASE='{PASSPHRASE}' {WEB1.borg('key', 'change-passphrase', WEB1.location('web1'))}")
        refusal((tree(), known()), module(key_digest=digest), "unsafe", digest)
        # and this notices where the keys are not compared
        with changed("_maintenance.py", "    if digest is None:\n        return\n", "    return\n") as collections:
            assert not module(key_digest=digest, collections=collections).get("failed")


def test_a_lock_that_is_held_is_told_and_later_it_goes_on(history: History) -> None:
    with kept():
        with held():
            result = module(**GREEDY)
        assert result["failed"] and result["error"] == "locked" and result["retryable"], result
        assert WEB1.archives("web1") == history.web1[2:]
        done = module(**GREEDY)
        assert [archive["name"] for archive in done["pruned"]] == [history.web1[2]], done
    # and this notices where somebody breaks the lock
    breaking = ("            if selection.pruned:\n", "            if selection.pruned and borg.run('break-lock'):\n")
    with kept(), changed("_maintenance.py", *breaking) as collections, held():
        assert not module(collections=collections, **GREEDY).get("failed")
        assert history.web1[2] not in WEB1.archives("web1")


def test_killed_before_the_space_is_reclaimed_the_next_run_goes_on(history: History) -> None:
    with kept():
        with program('case " $* " in *" compact "*) kill -9 $PPID; exit 1;; esac') as borg:
            killed = module(executable=borg, **GREEDY)
        assert killed.get("failed"), killed
        assert history.web1[2] not in WEB1.archives("web1")
        done = module(**GREEDY)
        assert done["changed"] and not done.get("failed") and done["freed_bytes"] > 250_000 and not done["pruned"], done
        again = module(**GREEDY)
        assert not again["changed"], again


def test_without_the_inventory_a_loss_would_be_made_final(history: History) -> None:
    """The tests above would notice."""
    with kept():
        WEB1.hide("web1", history.web1[2])
        with changed("_maintenance.py", "    if missing:\n", "    if False:\n") as collections:
            done = module(collections=collections)
        assert not done.get("failed") and done["freed_bytes"] > 250_000, done


def test_a_filter_that_takes_in_a_neighbour_stops_it() -> None:
    with kept():
        (neighbour,) = WEB1.make("web1", 0.01, series="web1-db")
        refusal((tree(), known()), module(**GREEDY), "unsafe", "web1-db")
        # and this notices where nobody looks whose archives they are
        assert passes_without("_retention.py", "        _check_series(description.archives, retention.match)\n", "        pass\n")
        assert neighbour in WEB1.archives("web1")


def test_what_comes_while_it_works_is_judged_by_the_next_run(history: History) -> None:
    """Archives that pass no gate are not known afterwards, so the next run refuses them."""
    with kept():
        late = "late"
        create = f"create --timestamp=2026-01-01T00:00:00 ssh://borg@backup1/./web1::{late} /etc/hostname"
        with program(
            'case " $* " in *" --dry-run "*) ;; *" prune "*)',
            '/usr/bin/borg "$@"; rc=$?',
            f"env --unset=BORG_PASSPHRASE_FD BORG_PASSPHRASE='{PASSPHRASE}' /usr/bin/borg {create} >/dev/null 2>&1",
            "exit $rc;; esac",
        ) as borg:
            done = module(executable=borg, **GREEDY)
        assert not done.get("failed") and late in WEB1.archives("web1"), done
        assert refusal((tree(), known()), module(), "unsafe", late)["backdated_archives"] == [late]


def test_what_is_hidden_just_before_the_compaction_is_not_made_final(history: History) -> None:
    """Who waits for the lock gets it between the last look and the compaction."""
    victim = history.web1[3]
    delete = f"delete ssh://borg@backup1/./web1::{victim}"
    way = "ssh -F /root/.ssh/fleetbackup_maintenance/web1.config"
    attack = (
        'case " $* " in *" compact "*)',
        f"env --unset=BORG_PASSPHRASE_FD BORG_PASSPHRASE='{PASSPHRASE}' BORG_RSH='{way}' /usr/bin/borg {delete} >/dev/null 2>&1 ;; esac",
    )
    with kept():
        with program(*attack) as borg:
            result = module(executable=borg, **GREEDY)
        assert result["failed"] and result["error"] == "unsafe" and "nothing was compacted" in result["msg"], result
        assert module(**GREEDY)["missing_archives"] == [victim]
    with kept(), program(*attack) as borg, changed("_compaction_guard.py", "and not met.is_set()", "and False") as collections:
        mutant = module(executable=borg, collections=collections, **GREEDY)
        assert not mutant.get("failed") and mutant["freed_bytes"] > 250_000, mutant


@contextlib.contextmanager
def held() -> Iterator[None]:
    """A lock that the client holds. When it lets go, borg commits that nothing was changed."""
    WEB1.output(f"rm -f /root/held; {WEB1.borg('with-lock', WEB1.location('web1'), 'sh', '-c', 'touch /root/held; exec sleep 1409')} >/dev/null 2>&1 &")
    WEB1.output("timeout 60 sh -c 'until [ -e /root/held ]; do sleep 0.2; done'")
    try:
        yield
    finally:
        WEB1.output("pkill --full --exact 'sleep 1409'")
        # the client is gone before the server has taken its lock away
        for machine in (WEB1, SERVER):
            machine.output("timeout 60 sh -c 'while pgrep --exact borg; do sleep 0.2; done'")


@contextlib.contextmanager
def program(*lines: str) -> Iterator[str]:
    """A borg on the trusted machine that does something else, too."""
    path = "/usr/local/bin/borg"
    script = "\n".join(["#!/bin/sh", *lines, 'exec /usr/bin/borg "$@"'])
    VAULT.output(f"cat > {path} <<'END'\n{script}\nEND\nchmod +x {path}")
    try:
        yield path
    finally:
        VAULT.output(f"rm {path}")


def guide(block: str) -> str:
    """Commands of the guide."""
    text = Path(COLLECTION / "docs/maintenance.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"<!-- {block} -->\n\s*```sh\n(.*?)```", text, re.DOTALL)
    return "\n".join(line[3:] for line in found.splitlines())
