# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of a configuration: a YAML parser reads from it what went in, and so do we."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_yaml import HEADER, UNREAD, read, render

TEXTS = [
    "plain",
    "it's \"quoted\"",
    "$HOME ${A} %d",
    "{braces}",
    "{",
    "}",
    "[",
    "# no comment",
    "a #b",
    "key: value",
    ": ",
    "- dash",
    "? question",
    "!include x.yaml",
    "&anchor",
    "*alias",
    "| literal",
    "> folded",
    "%TAG",
    "@at",
    "`tick",
    "~",
    "null",
    "true",
    "no",
    "0123",
    "0o17",
    "1e3",
    "1_000",
    "12:30:45",
    "2026-01-01",
    ".inf",
    "=",
    "<<",
    "\\n",
    "\\",
    "C:\\dir\\",
    "tab\there",
    "line\nbreak",
    "\r\n",
    " edges ",
    "",
    "\x07\x1b[0m",
    "\x7f\x85\x9f",
    "\u2028\u2029\ufeff",
    "日本語 Ωß",
    "😀",
    "x" * 3000,
]


class TestRender:
    @pytest.mark.parametrize("text", TEXTS, ids=ascii)
    @pytest.mark.parametrize(
        "shape",
        [
            lambda text: {"encryption_passphrase": text},
            lambda text: {"exclude_patterns": [text, "other", text]},
            lambda text: {"ntfy": {"topic": text, text[:900]: "x"}},
            lambda text: {"commands": [{"before": "action", "run": [text]}]},
            lambda text: {"storage": {"encryption_passphrase": text}},
        ],
        ids=["scalar", "list", "dictionary", "nested", "section"],
    )
    def test_any_text_arrives(self, text, shape):
        document = shape(text)
        rendered = render(document)
        assert yaml.safe_load(rendered) == document
        flat = document.get("storage", document)
        assert read(rendered) == flat

    @pytest.mark.parametrize("value", [7, -1, 0, 0.5, True, False, {}, {"a": None}, [], ["a", 1, None], [[1], [2]]])
    def test_any_value_arrives(self, value):
        document = {"unforeseen": value}
        assert yaml.safe_load(render(document)) == document
        assert read(render(document)) == document

    def test_the_text_of_a_document(self):
        document = {
            "keep_daily": 7,
            "repositories": [{"label": "local", "path": "/srv/backup"}],
            "source_directories": ["/etc", "/home"],
            "xyzzy": 1,
            "abc": 2,
        }
        assert render(document) == HEADER + (
            "source_directories:\n"
            '    - "/etc"\n'
            '    - "/home"\n'
            "repositories:\n"
            '    - {"path": "/srv/backup", "label": "local"}\n'
            "keep_daily: 7\n"
            "abc: 2\n"
            "xyzzy: 1\n"
        )

    def test_order_has_no_meaning(self):
        one = {"keep_daily": 7, "ntfy": {"topic": "t", "fail": {"title": "x", "priority": "max"}}}
        other = {"ntfy": {"fail": {"priority": "max", "title": "x"}, "topic": "t"}, "keep_daily": 7}
        assert render(one) == render(other)

    def test_except_of_constants(self):
        assert render({"constants": {"b": 1, "a": 2}}) != render({"constants": {"a": 2, "b": 1}})

    def test_sections_come_in_their_order(self):
        text = render({"hooks": {"on_error": ["x"]}, "location": {"atime": False}, "constants": {"a": 1}})
        assert [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")] == ["location:", "hooks:"]

    def test_it_says_who_made_it(self):
        assert render({}).startswith("# Managed by Ansible")


class TestReadOthersFiles:
    def test_what_a_human_wrote(self):
        text = """\
        # a comment
        source_directories:
            - /etc
            # another
            - '/home/it''s'
        repositories:
            - path: /srv/backup
              label: local
        compression: zstd,3
        keep_daily: 7
        archive_name_format: '{hostname}-{now}'
        exclude_caches: true
        log_file: "/var/log/x"
        ssh_command: ssh -i key   # why
        healthchecks:
            ping_url: https://example.org
        patterns: [a, b]
        before_backup:
            - |
              several
              lines
        match_archives: *anchor
        working_directory: a: b
        """
        text = "\n".join(line[8:] for line in text.splitlines())
        assert read(text) == {
            "source_directories": ["/etc", "/home/it's"],
            "repositories": UNREAD,
            "compression": "zstd,3",
            "keep_daily": 7,
            "archive_name_format": "{hostname}-{now}",
            "exclude_caches": True,
            "log_file": "/var/log/x",
            "ssh_command": UNREAD,
            "healthchecks": UNREAD,
            "patterns": UNREAD,
            "before_backup": UNREAD,
            "match_archives": UNREAD,
            "working_directory": UNREAD,
        }

    def test_sections_with_any_indentation(self):
        text = "location:\n  source_directories:\n  - /etc\nretention:\n      keep_daily: 7\nconsistency:\nhooks:\n  ntfy:\n    topic: x\n"
        assert read(text) == {"source_directories": ["/etc"], "keep_daily": 7, "ntfy": UNREAD}

    @pytest.mark.parametrize(
        "text",
        [
            'ssh_command: "open\nkeep_daily: canary"\n',
            "ssh_command: 'open\n\nkeep_daily: canary'\n",
            "ntfy: {topic: x,\nkeep_daily: canary}\n",
            "before_backup: [a,\nkeep_daily: canary]\n",
            'before_backup:\n- "open\nkeep_daily: canary"\n',
            'storage:\n    encryption_passphrase: "open\n    keep_daily: canary"\n',
        ],
    )
    def test_what_an_open_quote_or_bracket_holds_is_no_option(self, text):
        assert "canary" not in str(read(text))

    @pytest.mark.parametrize("text", ["", "\n", "no yaml at all", "- a\n- b\n", "{a: b}", "\x00\xff", "---\n...\n", "  indented: 1\n x: 2"])
    def test_nothing_makes_it_stumble(self, text):
        read(text)
