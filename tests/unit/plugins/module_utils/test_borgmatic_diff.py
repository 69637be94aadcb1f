# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a difference and borgmatic's own words may show."""

from __future__ import annotations

import json

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_diff import HIDDEN, HIDDEN_CHANGED, compare, scrub
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import OPTIONS
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_yaml import render
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference

OLD, NEW = "canary-old-51c9", "canary-new-8e02"


def difference(before, after):
    tracker = Difference()
    compare(tracker, before if isinstance(before, str) else render(before), after if isinstance(after, str) else render(after))
    return tracker.as_diff()


class TestCompare:
    def test_nothing_differs(self):
        assert difference({"keep_daily": 7}, {"keep_daily": 7}) == {"before": {}, "after": {}}

    def test_public_values(self):
        diff = difference({"keep_daily": 7, "compression": "lz4"}, {"keep_daily": 9, "atime": False})
        assert diff == {
            "before": {"atime": None, "keep_daily": 7, "compression": "lz4"},
            "after": {"atime": False, "keep_daily": 9, "compression": None},
        }

    def test_hidden_values(self):
        assert difference({"encryption_passphrase": OLD}, {"encryption_passphrase": NEW}) == {
            "before": {"encryption_passphrase": HIDDEN},
            "after": {"encryption_passphrase": HIDDEN_CHANGED},
        }
        assert difference("", {"encryption_passphrase": NEW})["after"] == {"encryption_passphrase": HIDDEN}
        assert difference({"encryption_passphrase": OLD}, "") == {
            "before": {"encryption_passphrase": HIDDEN},
            "after": {"encryption_passphrase": None},
        }

    @pytest.mark.parametrize("shape", [str, lambda text: [text], lambda text: {"a": text}, lambda text: [{"a": {"b": [text]}}]])
    @pytest.mark.parametrize("name", [*(name for name, option in OPTIONS.items() if not option.public), "unforeseen"])
    def test_no_secret_under_any_option_that_is_not_public(self, name, shape):
        old, new = {name: shape(OLD)}, {name: shape(NEW)}
        shown = json.dumps([difference(old, new), difference("", new), difference(old, ""), difference({"x": 1}, new)])
        assert OLD not in shown
        assert NEW not in shown
        assert HIDDEN in shown

    @pytest.mark.parametrize("shape", [lambda text: {"a": text}, lambda text: [{"a": text, "b": {"name": text}}]])
    @pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.public])
    def test_no_secret_in_a_dictionary_under_any_option(self, name, shape):
        shown = json.dumps(difference({name: shape(OLD)}, {name: shape(NEW)}))
        assert OLD not in shown
        assert NEW not in shown

    def test_no_secret_under_a_public_option_of_somebody_elses_file(self):
        before = f"source_directories:\n    - path: {OLD}\nkeep_daily: {{secret: {OLD}}}\ncompression: |\n    {OLD}\n"
        shown = json.dumps(difference(before, {"keep_daily": 7}))
        assert OLD not in shown
        assert HIDDEN in shown

    @pytest.mark.parametrize(
        "opened",
        [
            f'before_backup:\n    - "echo\nkeep_hourly: {OLD}\ncompression: {OLD}"\n',
            f"after_backup: ['echo\nkeep_hourly: {OLD}']\n",
            f"constants: {{\npassword: {OLD},\nkeep_hourly: {OLD} }}\n",
            f"commands:\n    - run: !tag &anchor 'echo ''x\nkeep_hourly: {OLD}'\n",
        ],
    )
    def test_no_secret_in_what_only_looks_like_an_option(self, opened):
        shown = json.dumps(difference(f"compression: lz4\n{opened}keep_daily: 7\n", {"keep_daily": 7}))
        assert OLD not in shown
        assert '"compression": "lz4"' in shown

    def test_of_dictionaries_only_the_public_keys(self):
        diff = difference(
            {"repositories": [{"path": "/a", "label": "x", "ssh_command": OLD}]},
            {"repositories": [{"path": "/a", "label": "y", "ssh_command": NEW}]},
        )
        assert diff == {
            "before": {"repositories": [{"path": "/a", "label": "x", "ssh_command": HIDDEN}]},
            "after": {"repositories": [{"path": "/a", "label": "y", "ssh_command": HIDDEN}]},
        }

    def test_a_hidden_key_that_changed_alone(self):
        diff = difference({"repositories": [{"path": "/a", "x": OLD}]}, {"repositories": [{"path": "/a", "x": NEW}]})
        assert diff["before"] != diff["after"]
        assert HIDDEN_CHANGED in diff["after"]["repositories"]
        assert OLD not in str(diff) and NEW not in str(diff)

    def test_a_password_in_a_location_of_the_old_file(self):
        diff = difference({"repositories": [{"path": f"ssh://u:{OLD}@h/x"}]}, {"repositories": [{"path": "/a"}]})
        assert diff["before"]["repositories"] == [{"path": "ssh://u:(hidden)@h/x"}]

    def test_only_the_layout(self):
        diff = difference(render({"keep_daily": 7}) + "# a comment\n", {"keep_daily": 7})
        assert list(diff["before"]) == list(diff["after"]) == ["layout"]


class TestScrub:
    @pytest.mark.parametrize(
        "value, printed",
        [
            (NEW, f"'{NEW}' is not of type 'integer'"),
            (f"it's {NEW}", f'"it\'s {NEW}" is bad'),
            (f"it's \"{NEW}\"", f"{('it' + chr(39) + 's ' + chr(34) + NEW + chr(34))!r} is bad"),
            (f"{NEW}\n\\x", f"{(NEW + chr(10) + chr(92) + 'x')!r} is bad"),
            (f"\\${{{NEW}}}", f"Cannot find ${{{NEW}}}"),
            (f"é{NEW}", json.dumps(f"é{NEW}")),
            (f"é'{NEW}\"", repr(json.dumps(f"é'{NEW}\""))),
            (f"é\n{NEW}", repr(repr(f"é\n{NEW}"))),
            (f"{NEW} 'é\"", json.dumps(f"{NEW} 'é\"", ensure_ascii=False)),
            (f"{NEW} \U0001f600'\\", repr(json.dumps(f"{NEW} \U0001f600'\\"))),
            (f"it's {NEW}", f"'it''s\n    {NEW}'"),
        ],
    )
    @pytest.mark.parametrize("option", ["encryption_passphrase", "ntfy", "unforeseen", "postgresql_databases", "repositories"])
    def test_hidden_values_in_every_spelling(self, option, value, printed):
        shapes = {
            "ntfy": {"fail": {"title": value}},
            "postgresql_databases": [{"name": "all", "password": value}],
            "repositories": [{"path": "/a", "ssh_command": value}],
        }
        scrubbed = scrub(f"At 'x': {printed}", {option: shapes.get(option, value), "keep_daily": 7})
        assert NEW not in scrubbed
        assert HIDDEN in scrubbed

    def test_numbers(self):
        assert scrub("{'password': 123456} is bad", {"ntfy": {"password": 123456}}) == "{'password': (hidden)} is bad"

    def test_a_short_value_is_no_part_of_a_word(self):
        document = {"ntfy": {"user": "backup"}}
        assert scrub("At 'before_backup': 'backup' and backup", document) == f"At 'before_backup': '{HIDDEN}' and {HIDDEN}"

    def test_a_very_short_value_only_in_quotes(self):
        assert scrub("At 'a': 'a' is bad, as any", {"ntfy": {"x": "a"}}) == "At '(hidden)': '(hidden)' is bad, as any"

    def test_a_short_value_only_as_a_word(self):
        text = "At 'before_backup': 'backup' in\\nbackup, not a backup2"
        assert scrub(text, {"ntfy": {"username": "backup"}}) == "At 'before_backup': '(hidden)' in\\n(hidden), not a backup2"

    def test_backslashes_do_not_match_nothing(self):
        assert scrub("text", {"ntfy": {"a": "\\\\\\\\", "b": "\\"}}) == "text"

    def test_a_value_within_another(self):
        assert scrub("pass-word-long", {"ntfy": {"a": "pass-", "b": "pass-word"}}) == f"{HIDDEN}-long"

    def test_public_values_stay(self):
        document = {"keep_daily": "seven", "repositories": [{"path": "/srv/backup"}], "checks": [{"name": "data"}]}
        text = "At 'keep_daily': 'seven' of '/srv/backup', 'data'"
        assert scrub(text, document) == text

    def test_empty_values_do_nothing(self):
        assert scrub("text", {"ntfy": {"a": "", "b": None, "c": True, "d": []}}) == "text"
