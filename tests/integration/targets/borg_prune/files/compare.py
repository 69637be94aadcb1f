# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""compare.py SEED ARCHIVES POLICIES [FILE]: makes archives of random times in the empty repository BORG_REPO, and compares what
borg would prune of them, by its own dry run, with what our rules predict, for random policies in several time zones.

It prints what was compared, and each difference, as JSON. BORG_PROGRAM names another borg. FILE records what borg said,
for the unit tests.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import subprocess
import sys

from ansible_collections.fleetbackup.borg.plugins.module_utils import _retention as retention
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._prune_rules import Policy, select
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

BORG = os.environ.get("BORG_PROGRAM", "borg")
REPOSITORY = os.environ["BORG_REPO"]
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Pacific/Apia", ":/etc/localtime")
#: Where borg could count differently: clocks that are put on or back, and the ends of ISO years.
EDGES = ("2025-03-30T00:59:59", "2025-10-26T00:30:00", "2025-11-02T05:30:00", "2024-12-29T23:30:00", "2026-01-01T00:00:00")


def times(count: int) -> list[datetime.datetime]:
    """Moments at random, some of them the same, some on the edges, most of them recent."""
    edges = [datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc) for text in EDGES]
    found = []
    for _number in range(count):
        ages = (10, 3600, 86400, 30 * 86400, 400 * 86400, 1600 * 86400)
        moment = NOW - datetime.timedelta(seconds=60 + random.randrange(random.choice(ages)))
        if random.random() < 0.2:
            moment = random.choice(edges) + datetime.timedelta(minutes=30 * random.randrange(-4, 5))
        if found and random.random() < 0.2:
            moment = random.choice(found)
        found.append(moment)
    return found


def make(count: int) -> None:
    """Make the archives, a sixth of them checkpoints; borg is loaded once."""
    commands = []
    for moment in times(count):
        name = f"x{random.randrange(10**6)}" + random.choice(("", "", "", "", "", ".checkpoint"))
        commands.append(["create", f"--timestamp={moment:%Y-%m-%dT%H:%M:%S}", f"::{name}", "/etc/hostname"])
    commands.append(["create", f"--timestamp={NOW - datetime.timedelta(seconds=30):%Y-%m-%dT%H:%M:%S}", "::x.checkpoint", "/etc/hostname"])
    commands += [["create", f"::now{number}", "/etc/hostname"] for number in range(2)]
    program = (
        "import json, os, sys\n"
        "from borg.archiver import main\n"
        "for command in json.load(sys.stdin):\n"
        "    if not os.fork():\n"
        "        sys.argv = ['borg', *command]\n"
        "        main()\n"
        "    assert os.wait()[1] == 0, command\n"
    )
    with open(BORG if "/" in BORG else f"/usr/bin/{BORG}", encoding="utf-8") as script:
        python = script.readline()[2:].split()[0]
    environment = {**os.environ, "TZ": "UTC"}
    subprocess.run([python, "-c", program], input=json.dumps(commands), text=True, check=True, env=environment)


def policy(rules: tuple[str, ...]) -> Policy:
    """A policy at random."""
    while True:
        chosen = random.sample(rules, random.randrange(len(rules)))
        counts = {rule: random.choice((-1, 0, 1, 2, 3, 5, 8, 13, 1000)) for rule in rules if rule in chosen}
        for one, other in retention._EXCLUSIVE:
            if one in counts:
                counts.pop(other, None)
        within = random.choice((None, None, "1H", "2d", "1w", "3m", "2y"))
        if any(counts.values()) or within:
            return Policy(counts, within)


def main() -> None:
    """Compare."""
    seed, count, policies = map(int, sys.argv[1:4])
    random.seed(seed)
    make(count)
    borg = Borg(
        Location.parse(REPOSITORY),
        passphrase=os.environ["BORG_PASSPHRASE"],
        base_directory=os.environ["BORG_BASE_DIR"],
        executable=BORG,
    )
    rules = borg.dialect().retention_rules
    differences, recorded, kept, pruned = [], [], 0, 0
    for _number in range(policies):
        wanted = retention.Retention(policy(rules), random.choice((None, "*", "x*")), True, random.choice(ZONES))
        archives = retention.describe(borg, "--consider-checkpoints", f"--glob-archives={wanted.match or '*'}").archives
        said = subprocess.run(
            [BORG, "--log-json", "prune", "--dry-run", "--list", *wanted.options()],
            env={**os.environ, "TZ": wanted.time_zone},
            check=True,
            capture_output=True,
            text=True,
        )
        meant = retention._verdicts(Outcome(0, "", Log(said.stderr)))
        now = datetime.datetime.now(datetime.timezone.utc)
        predicted = select(archives, wanted.policy, now, wanted.time_zone)
        names = {archive.id: archive.name for archive in archives}
        recorded.append(
            {
                "counts": wanted.policy.counts,
                "within": wanted.policy.within,
                "now": now.isoformat(),
                "zone": wanted.time_zone,
                "verdicts": [[names[identity], rule] for identity, rule in meant.items()],
            }
        )
        order = [archive.id for archive in predicted.archives()]
        if retention._as_verdicts(predicted) != meant or order != list(meant):
            differences.append({"options": wanted.options(), "zone": wanted.time_zone, "of": retention._disagreement(meant, predicted)})
        kept += len(predicted.kept)
        pruned += len(predicted.pruned)
    result = {"borg": borg.dialect().name, "archives": len(archives), "policies": policies, "kept": kept, "pruned": pruned}
    if sys.argv[4:]:
        with open(sys.argv[4], "w", encoding="utf-8") as file:
            archives = retention.describe(borg, "--consider-checkpoints").archives
            lines = [{archive.name: archive.time.isoformat() for archive in archives}, *recorded]
            file.write("[\n" + ",\n".join(map(json.dumps, lines)) + "\n]\n")
    print(json.dumps({**result, "differences": differences}))


if __name__ == "__main__":
    main()
