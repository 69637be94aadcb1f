# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _retention
from ansible_collections.fleetbackup.borg.plugins.module_utils._archives import Archive, read_archive
from ansible_collections.fleetbackup.borg.plugins.module_utils._borg_log import Log
from ansible_collections.fleetbackup.borg.plugins.module_utils._dialects import dialect_of
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import Location
from ansible_collections.fleetbackup.borg.plugins.module_utils._repository import Description
from ansible_collections.fleetbackup.borg.plugins.module_utils._retention import RULES, Policy, Retention, Selection, read_policy
from ansible_collections.fleetbackup.borg.plugins.module_utils._runner import Borg, Outcome

UTC = datetime.timezone.utc
NOW = datetime.datetime.now(UTC)
DAY = datetime.timedelta(days=1)


def parameters(**given):
    return {**dict.fromkeys(RULES), "keep_within": None, **given}


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"keep_daily": 7}, ["--keep-daily=7"]),
        ({"keep_daily": 7, "keep_weekly": 0}, ["--keep-daily=7", "--keep-weekly=0"]),
        ({"keep_within": "7d"}, ["--keep-within=7d"]),
        ({"keep_last": 1, "keep_within": "12H"}, ["--keep-last=1", "--keep-within=12H"]),
        ({"keep_3monthly": 1}, ["--keep-3monthly=1"]),
    ],
)
def test_a_policy_becomes_options(given, options):
    assert read_policy(parameters(**given), dialect_of("1.4.1")).options() == options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "No rule keeps anything"),
        ({"keep_daily": 0}, "No rule keeps anything"),
        ({"keep_daily": -1}, "keep_daily: -1 is no number of archives"),
        ({"keep_daily": 7, "keep_weekly": -5}, "keep_weekly: -5"),
        ({"keep_daily": True}, "keep_daily: True"),
        ({"keep_last": 7, "keep_secondly": 0}, "keep_secondly: excludes keep_last"),
        ({"keep_13weekly": 7, "keep_3monthly": 1}, "keep_3monthly: excludes keep_13weekly"),
        ({"keep_within": "banana"}, "keep_within: 'banana' is no interval"),
        ({"keep_within": "7"}, "keep_within: '7'"),
        ({"keep_within": "0d"}, "keep_within: '0d'"),
        ({"keep_within": "7D"}, "keep_within: '7D'"),
        ({"keep_within": "7d\n"}, "keep_within: "),
    ],
)
def test_a_policy_that_keeps_nothing_or_means_nothing_is_refused(given, message):
    with pytest.raises(Failure) as caught:
        read_policy(parameters(**given), None)
    assert caught.value.error == "invalid_argument"
    assert message in caught.value.msg


@pytest.mark.parametrize("version", ["1.2.4", "1.4.0"])
@pytest.mark.parametrize("rule", ["keep_13weekly", "keep_3monthly"])
def test_a_rule_that_the_installed_borg_does_not_know_is_refused(rule, version):
    with pytest.raises(Failure) as caught:
        read_policy(parameters(**{rule: 1}), dialect_of(version))
    assert caught.value.error == "version"
    assert "needs Borg 1.4.1" in caught.value.msg


def archive(name, time=NOW - DAY):
    return Archive(name, f"{abs(hash(name)):064d}"[:64], time)


@pytest.fixture(name="repository")
def fixture_repository(monkeypatch):
    """Let the repository hold these archives; it notes with which options they were listed."""

    def make(*archives, last_modified=NOW, others=()):
        def describe(borg, *options):
            borg_listed.append(options)
            found = others if options[-1].endswith(".checkpoint*") else archives
            return Description("id", "repokey", "/srv/x", last_modified, tuple(found))

        monkeypatch.setattr(_retention, "describe", describe)
        return Borg(Location.parse("/srv/x"))

    borg_listed = make.listed = []
    return make


def predict(borg, match=None, **kept):
    return _retention.predict(borg, Retention(Policy(kept or {"keep_last": 1}), match, time_zone="UTC"))


def test_archives_of_the_past_are_judged(repository):
    old, new = archive("a-1", NOW - 2 * DAY), archive("a-2", NOW - DAY)
    assert predict(repository(old, new)) == ([old], [(new, "secondly #1")])
    assert repository.listed == [("--consider-checkpoints",)]


def test_a_filter_that_ends_with_a_star_needs_one_list(repository):
    predict(repository(archive("a-2026-01-01")), "a-2*")
    assert repository.listed == [("--consider-checkpoints", "--glob-archives=a-2*")]


def test_another_filter_misses_the_checkpoints_that_borg_prunes(repository):
    finished, checkpoint = archive("a-2026-01-01", NOW - DAY), archive("a-2026-01-01.checkpoint", NOW - 2 * DAY)
    others = [checkpoint, archive("a-2026-01-01.checkpoints", NOW - 3 * DAY)]
    assert predict(repository(finished, others=others), "a-2026-01-01") == ([checkpoint], [(finished, "secondly #1")])
    assert repository.listed[1] == ("--consider-checkpoints", "--glob-archives=a-2026-01-01.checkpoint*")


def test_a_checkpoint_in_both_lists_counts_once(repository):
    checkpoint = archive("a-2026-01-01.checkpoint")
    assert predict(repository(checkpoint, others=[checkpoint]), "a-2*t") == ([], [(checkpoint, "checkpoint")])


def test_one_archive_in_the_future_stops_everything(repository):
    borg = repository(archive("a-1", NOW - DAY), archive("a-2", NOW + DAY))
    with pytest.raises(Failure) as caught:
        predict(borg)
    assert caught.value.error == "unsafe"
    assert "a-2" in caught.value.msg
    assert "nothing was pruned" in caught.value.msg


def test_a_clock_that_went_back_stops_everything(repository):
    with pytest.raises(Failure, match="went back") as caught:
        predict(repository(archive("a-1", NOW - DAY), last_modified=NOW + DAY))
    assert caught.value.error == "unsafe"


def test_clocks_may_differ_a_little(repository):
    soon = NOW + datetime.timedelta(seconds=30)
    predict(repository(archive("a-1", soon), last_modified=soon))


@pytest.mark.parametrize("counts", [{}, {"keep_daily": 1}])
def test_an_interval_that_keeps_nothing_is_refused(repository, counts):
    borg = repository(archive("a-1", NOW - 366 * DAY), archive("a-2", NOW - 365 * DAY))
    with pytest.raises(Failure, match="365 days old.*the clock of this machine is ahead, or backups have stopped") as caught:
        _retention.predict(borg, Retention(Policy(counts, "30d")))
    assert caught.value.error == "unsafe"
    assert "a-2" in caught.value.msg


@pytest.mark.parametrize("ages", [[], [1, 365], [365, 366]])
def test_an_interval_that_keeps_something_or_drops_nothing_is_applied(repository, ages):
    borg = repository(*(archive(f"a-{age}", NOW - age * DAY) for age in ages))
    policy = Policy({"keep_last": 5 if ages[:1] == [365] else 0}, "30d")
    assert len(_retention.predict(borg, Retention(policy)).pruned) == (1 if ages[:1] == [1] else 0)


WEB = ["web-2026-01-01", "web-2026-01-02"]
WEB1 = ["web1-2026-01-01", "web1-2026-01-02T10:00:00"]


@pytest.mark.parametrize(
    ("match", "names"),
    [
        ("web1-2*", WEB1),
        ("web1-20*", WEB1),
        ("web1-2026*", WEB1),
        ("web1-2026-0*", WEB1),
        ("web1-2026-01-01*", WEB1[:1]),
        ("web1-????-??-??*", WEB1),
        ("web1-[0-9]*", WEB1),
        ("web1*", WEB1),
        ("web1-*", WEB1),
        ("web1-2026-01-01", WEB1[:1]),
        ("web1", ["web1"]),
        ("web1*", ["web1"]),
        ("quickstart-2*", ["quickstart-2026-11-21T04:12:24"]),
        ("ada-web1-2026*", ["ada-web1-2026-01-01"]),
        ("{hostname}-2*", ["here-2026-01-01"]),
        ("{hostname}-*", ["here-2026-01-01"]),
        ("{user}@{fqdn}-*", ["ada@here.example-2026-01-01"]),
        ("web-2*", WEB),
        ("web-2-2*", ["web-2-2026-01-01"]),
        ("web-1*", ["web-1-2026-01-01"]),
        ("web2*", ["web2-2026-01-01"]),
        ("web-2001-2*", ["web-2001-2026-01-01"]),
        ("web-2001-*", ["web-2001-2026-01-01"]),
        ("web-????-??-??-db", ["web-2026-01-01-db"]),
        ("web-2*", ["web-2026-01-01.checkpoint"]),
        ("a[*]b-2*", ["a*b-2026-01-01"]),
        ("2*", ["2026-01-01", "2026-01-02"]),
        ("*-web1", ["2026-01-01-web1", "2026-01-02T10:00:00-web1", "2026-01-01-web1.checkpoint"]),
        ("[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]-web[*]1", ["2026-01-01-web*1"]),
        ("web1-[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]", ["web1-2026-01-01"]),
        ("nobody-2*", []),
    ],
)
def test_a_filter_that_names_one_series_is_applied(repository, monkeypatch, match, names):
    monkeypatch.setattr(_retention.socket, "gethostname", lambda: "here.example")
    monkeypatch.setattr(_retention.socket, "getfqdn", lambda: "here.example")
    monkeypatch.setattr(_retention, "base_environment", lambda: {"USER": "ada"})
    selection = predict(repository(*map(archive, names)), match, keep_last=10)
    assert len(selection.archives()) == len(names)


@pytest.mark.parametrize(
    ("match", "names", "advice"),
    [
        ("web1-*", [*WEB1, "web1-db-2026-01-01"], "web1-db ('web1-db-????-??-??*')"),
        ("web1*", [*WEB1, "web10-2026-01-01"], "web1 ('web1-????-??-??*'), web10 ("),
        ("web-2*", [*WEB, "web-2001-2026-01-01", "web-2001-2026-01-02"], "web-2001 ('web-2001-????-??-??*')"),
        ("web1-2*", ["web1-2026-01-01-db", "web1-2026-01-01-files"], "'web1-????-??-??*-files'"),
        ("web*", ["web1", "web2"], "web1 ('web1')"),
        # only a neighbour's, since those that are meant are not there yet
        ("web1*", ["web1-db-2026-01-01", "web1-db-2026-01-02"], "web1-db ('web1-db-????-??-??*')"),
        ("web1-*", ["web1-db-2026-01-01"], "names in full"),
        ("web-2*", ["web-2-2026-01-01"], "web-2"),
        ("web-2*", ["web-2001-2026-01-01"], "web-2001"),
        ("web-20*", ["web-20-2026-01-01"], "web-20"),
        ("web-2001*", ["web-2001-2026-01-01"], "web-2001"),
        ("web-2026-01*", ["web-2026-01-2026-02-01"], "web-2026-01"),
        ("w*-2*", WEB1, "web1"),
        ("*-web1", ["2026-01-01-db-web1"], "names in full"),
        ("2*", ["2026-01-01-web1", "2026-01-02-web1"], "names in full"),
        ("*", WEB1, "web1"),
        ("{hostname}*", ["here-db-2026-01-01"], "here-db"),
    ],
)
def test_a_filter_that_may_take_in_a_neighbour_is_refused(repository, monkeypatch, match, names, advice):
    monkeypatch.setattr(_retention.socket, "gethostname", lambda: "here.example")
    borg = repository(*map(archive, names))
    with pytest.raises(Failure) as caught:
        predict(borg, match)
    assert caught.value.error == "unsafe"
    assert caught.value.msg.startswith(f"match_archives: {match!r} matches ")
    assert advice.replace("names in full", "name in full") in caught.value.msg
    assert "allow_any_series: true; nothing was pruned" in caught.value.msg
    allowed = Retention(Policy({"keep_last": 1}), match, any_series=True)
    assert len(_retention.predict(borg, allowed).kept) == 1
    assert len(predict(borg).kept) == 1


@pytest.mark.parametrize(
    ("foreign", "names"),
    [
        ("backup-*", ["backup-2026-01-01"]),
        ("backup-????-??-??", ["backup-2026-01-01", "backup-2026-01-02.checkpoint"]),
        ("{hostname}-*", ["here-2026-01-01"]),
    ],
)
def test_what_may_be_anothers_is_no_policys(repository, monkeypatch, foreign, names):
    monkeypatch.setattr(_retention.socket, "gethostname", lambda: "here.example")
    borg = repository(*map(archive, names))
    wanted = Retention(Policy({"keep_last": 9}), f"{names[0][:6]}*", foreign=("nobody-*", foreign))
    with pytest.raises(Failure, match=r"may as well be those of another client.*nothing was changed.*archive_name_format") as caught:
        _retention.predict(borg, wanted)
    assert caught.value.error == "unsafe" and set(caught.value.details["contested_archives"]) == set(names)
    assert len(_retention.predict(borg, wanted._replace(foreign=("nobody-*",))).kept) == len(names)


@pytest.fixture(name="told")
def fixture_told(recorded, repository, monkeypatch):
    """Borg as it was recorded: its repository, what it was asked, and a way to let it say something else."""

    class Told:
        def __init__(self):
            self.asked = []
            self.answers = {True: recorded["prune_preview"], False: recorded["prune"]}
            identities = {}
            for message in Log(recorded["prune_preview"]["stderr"]).messages:
                for name in ("a-2026-01-01", "a-2026-01-02"):
                    if name in message.text:
                        identities[name] = message.text.split("[")[-1].rstrip("]")
            times = {each.name: each.time for each in map(read_archive, json.loads(recorded["list_archives"]["stdout"])["archives"])}
            self.archives = [Archive(name, identity, times[name]) for name, identity in sorted(identities.items())]
            self.borg = repository(*self.archives)
            self.retention = Retention(Policy({"keep_daily": 1}), "a-2*", time_zone="Europe/Berlin")
            self.predicted = _retention.predict(self.borg, self.retention)

    told = Told()
    # the preview and the run were recorded in two repositories
    done = told.answers[False]["stderr"]
    for message in Log(done).messages:
        for each in told.archives:
            if each.name in message.text and message.text.endswith("]"):
                done = done.replace(message.text.split("[")[-1].rstrip("]"), each.id)
    told.answers[False] = {**told.answers[False], "stderr": done}

    def run(self, command, *options, **how):
        told.asked.append((command, options, how))
        answer = told.answers["--dry-run" in options]
        return Outcome(answer["rc"], answer["stdout"], Log(answer["stderr"]))

    monkeypatch.setattr(Borg, "run", run)
    return told


def test_borg_prunes_what_was_predicted(told):
    old, new = told.archives
    assert told.predicted == ([old], [(new, "daily #1")])
    assert _retention.prune(told.borg, told.retention, told.predicted) == told.predicted
    assert [options for _command, options, _how in told.asked] == [
        ("--dry-run", "--list", "--keep-daily=1", "--glob-archives=a-2*"),
        ("--list", "--keep-daily=1", "--glob-archives=a-2*"),
    ]
    assert [how["environment"] for _command, _options, how in told.asked] == [{"TZ": "Europe/Berlin"}] * 2


def test_borg_that_disagrees_prunes_nothing(told):
    dry = told.answers[True]
    told.answers[True] = {**dry, "stderr": dry["stderr"].replace("Would prune:", "Keeping archive (rule: daily #2):")}
    with pytest.raises(Failure, match="other archives than this module predicts: a-2026-01-01.") as caught:
        _retention.prune(told.borg, told.retention, told.predicted)
    assert caught.value.error == "unsafe"
    assert len(told.asked) == 1


def test_an_archive_that_nobody_predicted_stops_everything(told, repository):
    old, new = told.archives
    borg = repository(old)
    with pytest.raises(Failure, match=new.id):
        _retention.prune(borg, told.retention, Selection([old], []))
    assert len(told.asked) == 1


def test_an_archive_that_came_meanwhile_is_judged_too(told):
    old, _new = told.archives
    assert _retention.prune(told.borg, told.retention, Selection([], [(old, "daily #1")])) == told.predicted
    assert len(told.asked) == 2


def test_where_somebody_judged_the_prediction_nothing_else_goes(told):
    old, _new = told.archives
    with pytest.raises(Failure, match="Nothing was pruned") as caught:
        _retention.prune(told.borg, told.retention, Selection([], [(old, "daily #1")]), exactly=True)
    assert (caught.value.error, caught.value.retryable) == ("unsafe", True) and old.name in caught.value.msg
    assert len(told.asked) == 1


def test_what_was_judged_goes_though_something_came_meanwhile(told):
    old, _new = told.archives
    assert _retention.prune(told.borg, told.retention, Selection([old], []), exactly=True) == told.predicted
    assert len(told.asked) == 2


def test_what_somebody_else_pruned_meanwhile_is_not_pruned_again(told, repository):
    _old, new = told.archives
    dry = told.answers[True]
    lines = [line for line in dry["stderr"].splitlines() if "Would prune" not in line]
    told.answers[True] = {**dry, "stderr": "\n".join(lines)}
    assert _retention.prune(repository(new), told.retention, told.predicted) == ([], [(new, "daily #1")])
    assert len(told.asked) == 1


def test_a_kept_checkpoint_is_told(told):
    message = {"type": "log_message", "levelname": "INFO", "name": "borg.output.list", "message": f"Keeping checkpoint archive: x [{'a' * 64}]"}
    outcome = Outcome(0, "", Log(json.dumps(message)))
    assert _retention._verdicts(outcome) == {"a" * 64: "checkpoint"}


def test_recorded_archives_are_those_of_the_verdicts(recorded):
    listed = {read_archive(entry).name for entry in json.loads(recorded["list_archives"]["stdout"])["archives"]}
    assert listed == {"a-2026-01-01", "a-2026-01-02"}
