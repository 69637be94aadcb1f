# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""recorded_keys holds what borg itself exported: a repository of each mode in each format; of the page only its middle."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils import _exported_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._exported_key import ExportedKey, guess_format, owner_of, parse

RECORDED = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).resolve().parent / "recorded_keys").glob("borg-*.json"))
}
PASSPHRASE = "correct horse"
CASES = [(borg, mode, form) for borg, recorded in RECORDED.items() for mode in recorded["exports"] for form in recorded["exports"][mode]]


def recorded(borg, mode, form):
    return RECORDED[borg]["exports"][mode][form]


@pytest.fixture(name="exports", params=RECORDED)
def fixture_exports(request):
    """The exports of one repository by one version of borg: format -> text."""
    return RECORDED[request.param]["exports"]["keyfile-blake2"]


@pytest.mark.parametrize("borg, mode, form", CASES)
class TestRealKeys:
    def test_each_format_is_the_same_key(self, borg, mode, form):
        text = recorded(borg, mode, form)
        plain = parse(recorded(borg, mode, "keyfile"), "keyfile")
        key = parse(text, form)
        assert key.blob == plain.blob and key.digest == plain.digest
        assert plain.id.startswith(key.id)
        assert guess_format(text) == form
        assert owner_of(text) == key.id

    def test_the_passphrase_opens_it_and_tells_the_whole_id(self, borg, mode, form):
        key = parse(recorded(borg, mode, form), form).opened(PASSPHRASE, "It")
        assert key.text == recorded(borg, mode, "keyfile")

    def test_no_other_passphrase_opens_it(self, borg, mode, form):
        with pytest.raises(Failure, match="^It does not open with the passphrase") as caught:
            parse(recorded(borg, mode, form), form).opened("wrong", "It")
        assert caught.value.error == "wrong_passphrase"

    def test_what_was_sent_through_another_system_is_the_same_key(self, borg, mode, form):
        text = recorded(borg, mode, form)
        for altered in (text.replace("\n", "\r\n"), f"\n{text}", text.rstrip("\n"), f"{text}\n\n"):
            assert parse(altered, form) == parse(text, form)


class TestPaper:
    def test_only_its_digits_count(self, exports):
        lines = exports["paper"].splitlines()[3:]
        typed = "\n".join(line.upper().replace("ID", "id").replace(" - ", "-") for line in reversed(lines))
        assert parse(typed, "paper") == parse(exports["paper"], "paper")

    def test_every_single_wrong_digit_is_noticed_or_named(self, exports):
        lines = exports["paper"].splitlines()
        for number, line in enumerate(lines[4:], 1):
            place = line.index(":") + 2
            wrong = line[:place] + ("1" if line[place] == "0" else "0") + line[place + 1 :]
            with pytest.raises(ValueError, match=f"line {number} is wrong|checksum of the whole"):
                parse("\n".join([*lines[: 3 + number], wrong, *lines[4 + number :]]), "paper")

    @pytest.mark.parametrize("number", [1, 2, 31])
    def test_a_missing_line_is_named(self, exports, number):
        lines = exports["paper"].splitlines()
        del lines[3 + number]
        with pytest.raises(ValueError, match=f"line {number} of 31 is missing"):
            parse("\n".join(lines), "paper")

    def test_lines_of_another_paper_are_noticed(self, exports):
        other = next(iter(RECORDED.values()))["exports"]["repokey"]["paper"].splitlines()
        lines = exports["paper"].splitlines()
        with pytest.raises(ValueError, match="lines of two papers are mixed"):
            parse("\n".join([*lines[:6], other[6], *lines[7:]]), "paper")

    @pytest.mark.parametrize(
        "text, reason",
        [
            ("", "no line 'id:"),
            ("BORG PAPER KEY v1\n", "no line 'id:"),
            ("id: 20 / 2dc300 26b71a d9218b / 1e331e 8e3d01 - c7\n", "checksum of the line 'id:'"),
            ("id: 9999999999 / 2dc300 / 1e331e - c7\n", "no line 'id:"),
        ],
    )
    def test_what_is_none(self, text, reason):
        with pytest.raises(ValueError, match=reason):
            parse(text, "paper")

    def test_numbers_beyond_all_lines_are_no_lines(self, exports):
        assert parse(f"{exports['paper']}99999: ab - cd\n", "paper") == parse(exports["paper"], "paper")


class TestWhatIsNone:
    @pytest.mark.parametrize(
        "text, reason",
        [
            ("", "first line"),
            ("rubbish", "first line"),
            (f"BORG_KEY {'0' * 63}\nabcd", "first line"),
            (f"BORG_KEY {'0' * 64}\n", "something else"),
            (f"BORG_KEY {'0' * 64}\nrubbish\n", "no base64"),
            (f"BORG_KEY {'0' * 64}\näöü\n", "no base64"),
            (f"BORG_KEY {'0' * 64}\nAAAA\n", "something else"),
        ],
    )
    def test_a_text(self, text, reason):
        with pytest.raises(ValueError, match=reason):
            parse(text, "keyfile")

    @pytest.mark.parametrize(
        "blob, reason",
        [
            (b"\x81", "too early"),
            (b"\x81\x01\x02", "something else"),  # a name that is a number, and would become as many zeros
            (b"\x81\xce\xff\xff\xff\xff\x02", "something else"),
            (b"\x81\xa1x\xda\xff\xff", "too early"),
            (b"\x81\xa1x\x81\xa1x\x01", "something else"),  # no maps in maps, however deep
            (b"\x80\x00", "follows its end"),
            (b"\x81\xa1\xff\x01", "utf-8"),
            (b"\x81\xa1x\xda\x40\x00" + bytes(0x4000), "something else"),
        ],
    )
    def test_a_blob(self, blob, reason):
        text = f"BORG_KEY {'0' * 64}\n{base64.b64encode(blob).decode()}\n"
        with pytest.raises(ValueError, match=reason):
            parse(text, "keyfile")

    def test_each_truncation_of_a_real_one(self, exports):
        for form, text in exports.items():
            end = text.index("</textarea>") if form == "qr-html" else len(text.rstrip())
            for length in range(0, end - 1, 7):
                with pytest.raises(ValueError):
                    parse(text[:length], form)

    @pytest.mark.parametrize(
        "change, reason",
        [
            ({"version": 2}, "another version"),
            ({"algorithm": b"argon2"}, "another version"),
            ({"iterations": 2**40}, "asks for"),
            ({"iterations": 0}, "asks for"),
            ({"iterations": None}, "int"),
            ({"salt": 1}, "int"),
            ({"hash": None}, "NoneType"),
            ({"data": 7}, "int"),
        ],
    )
    def test_a_wrapping_that_is_not_borgs(self, exports, monkeypatch, change, reason):
        key = parse(exports["keyfile"], "keyfile")
        wrapped = _exported_key._unpack(key.blob)
        monkeypatch.setattr(_exported_key, "_unpack", lambda data: {**wrapped, **change})
        with pytest.raises(Failure, match=f"^It is damaged: .*{reason}") as caught:
            key.opened(PASSPHRASE, "It")
        assert caught.value.error == "key_mismatch"

    def test_a_wrapping_that_lacks_something(self):
        with pytest.raises(Failure, match="damaged.*version") as caught:
            ExportedKey("0" * 64, b"\x80").opened(PASSPHRASE, "It")
        assert caught.value.error == "key_mismatch"

    def test_the_id_of_another_repository_above_a_key(self, exports):
        key = parse(exports["keyfile"], "keyfile")
        with pytest.raises(Failure, match=f"of the repository {'0' * 64}, and inside of {key.id}"):
            key._replace(id="0" * 64).opened(PASSPHRASE, "It")


class TestNumbers:
    @pytest.mark.parametrize(
        "code, value",
        [
            (b"\x00", 0), (b"\x7f", 127), (b"\xff", -1), (b"\xe0", -32), (b"\xcc\xff", 255), (b"\xcd\x01\x00", 256),
            (b"\xce\x00\x01\x86\xa0", 100000), (b"\xcf" + b"\xff" * 8, 2**64 - 1), (b"\xd0\x80", -128), (b"\xd1\xff\xfe", -2),
            (b"\xd2\x80\x00\x00\x00", -(2**31)), (b"\xd3" + b"\xff" * 8, -1), (b"\xc0", None), (b"\xc2", False), (b"\xc3", True),
            (b"\xa2ab", b"ab"), (b"\xc4\x02ab", b"ab"), (b"\xc5\x00\x02ab", b"ab"), (b"\xc6\x00\x00\x00\x02ab", b"ab"),
            (b"\xd9\x02ab", b"ab"), (b"\xda\x00\x02ab", b"ab"), (b"\xdb\x00\x00\x00\x02ab", b"ab"),
        ],
    )  # fmt: skip
    def test_messagepack(self, code, value):
        assert _exported_key._unpack(b"\x81\xa1x" + code) == {"x": value}


class TestOwner:
    def test_of_what_is_incomplete(self, exports):
        identity = parse(exports["keyfile"], "keyfile").id
        assert owner_of(exports["keyfile"][:100]) == identity
        assert owner_of(exports["qr-html"][:150]) == identity
        assert owner_of(exports["paper"][:200]) == identity[:18]

    @pytest.mark.parametrize("text", ["", "mine", "BORG_KEY", f"see BORG_KEY {'0' * 64}\n", f"BORG_KEY {'x' * 64}\n", f"BORG_KEY {'0' * 65}\n"])
    def test_of_what_is_none(self, text):
        assert owner_of(text) is None
