# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import socket

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._location import (
    EXAMPLES,
    Location,
    check_placeholders,
    without_password,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/backup/host", Location("/srv/backup/host")),
        ("/srv//a/./b/../c/", Location("/srv/a/c")),
        ("//srv/x", Location("/srv/x")),
        ("file:///abs", Location("/abs")),
        ("file:////abs/", Location("/abs")),
        ("/a b/c:d", Location("/a b/c:d")),
        ("/srv/é", Location("/srv/é")),
        ("/srv/{hostname}", Location("/srv/{hostname}")),
        ("ssh://h/x", Location("/x", "h")),
        ("ssh://h//x/", Location("/x", "h")),
        ("ssh://u@h:2222/./r", Location("/./r", "h", "u", 2222)),
        ("ssh://u@h/~/r", Location("/~/r", "h", "u")),
        ("ssh://[2001:db8::1]:2222/./r", Location("/./r", "[2001:db8::1]", None, 2222)),
        ("ssh://[fe80::1%eth0]/x", Location("/x", "[fe80::1%eth0]")),
        ("ssh://b@h/v/{user}-{hostname}", Location("/v/{user}-{hostname}", "h", "b")),
        ("u@h:repo", Location("/./repo", "h", "u")),
        ("u@h:/abs", Location("/abs", "h", "u")),
        ("h:~/a", Location("/~/a", "h")),
        ("u@[::1]:repo", Location("/./repo", "[::1]", "u")),
    ],
)
def test_every_spelling_of_borg_is_read(text, expected):
    assert Location.parse(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/srv/x", "file:///srv/./x/"),
        ("u@h:repo", "ssh://u@h/./repo"),
        ("u@h:/abs", "ssh://u@h//abs"),
        ("h:~/a", "ssh://h/~/a/"),
        ("h:a", "ssh://h/.//a"),
    ],
)
def test_two_spellings_of_one_place_come_out_alike(one, other):
    assert str(Location.parse(one)) == str(Location.parse(other))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        (" /x", "white space"),
        ("/x ", "white space"),
        ("http://h/x", "has the scheme http"),
        ("sftp://h/x", "has the scheme sftp"),
        ("rclone:x:y", "more than one colon"),
        ("~/x", "does not expand"),
        ("~user/x", "does not expand"),
        ("rel/x", "relative path"),
        ("./x", "relative path"),
        ("/", "root directory"),
        ("/..", "root directory"),
        ("file://x", "no absolute path"),
        ("ssh://h", "names no path"),
        ("ssh://h/", "names no path"),
        ("ssh://h/./", "names no path"),
        ("ssh://h/~/", "names no path"),
        ("ssh://h/..", "names no path"),
        ("ssh://h/a/..", "names no path"),
        ("ssh://h/.", "names no path"),
        ("ssh://h/././", "names no path"),
        ("ssh://h/.//", "names no path"),
        ("ssh://h/~/.", "names no path"),
        ("ssh://h/~", "names no path"),
        ("ssh://h/~user", "names no path"),
        ("h:.", "names no path"),
        ("h:~", "names no path"),
        ("h:/", "names no path"),
        ("file:/abs", "lacks two slashes"),
        ("ssh:///x", "names no host"),
        ("ssh://u@/x", "names no host"),
        ("h:", "names no path"),
        (":x", "names no host"),
        ("ssh://h:0/x", "port"),
        ("ssh://h:65536/x", "port"),
        ("ssh://h:99999/x", "port"),
        ("ssh://h:/x", "port"),
        ("ssh://h:²/x", "port"),
        ("ssh://h:-1/x", "port"),
        ("ssh://u:secret@h/x", "holds a password"),
        ("ssh://-oProxyCommand=x@h/p", "user '-oProxyCommand=x'"),
        ("ssh://-oProxyCommand=x/p", "host '-oProxyCommand=x'"),
        ("-oProxyCommand=x:p", "host '-oProxyCommand=x'"),
        ("-l@h:p", "user '-l'"),
        ("ssh://h x/p", "host"),
        ("ssh://h;x/p", "host"),
        ("ssh://$(x)@h/p", "user"),
        ("ssh://u@h/./../other", "leaves the directory"),
        ("ssh://u@h/~/../other", "leaves the directory"),
        ("u@h:../other", "leaves the directory"),
        ("a\nb", "control character"),
        ("/a\nb", "control character"),
        ("/a\0b", "control character"),
        ("/a\x7f", "control character"),
        ("/a::b", "'::'"),
        ("ssh://h/a::b", "'::'"),
        ("/{nope}", "unknown placeholder {nope}"),
        ("/{now}", "differs from run to run"),
        ("/{now:%Y}", "differs from run to run"),
        ("/{pid}", "differs from run to run"),
        ("/{{ inventory_hostname }}", "left-over of a template"),
        ("/}}", "left-over of a template"),
        ("/a{b", "lone '{'"),
        ("/a}b", "lone '}'"),
        ("/{}", "unknown placeholder {}"),
    ],
)
def test_what_borg_would_misread_is_refused_with_reason_and_example(text, reason):
    with pytest.raises(Failure) as caught:
        Location.parse(text, "somewhere")
    assert caught.value.error == "invalid_argument"
    assert caught.value.msg.startswith("somewhere: ")
    assert reason in caught.value.msg
    assert EXAMPLES in caught.value.msg


@pytest.mark.parametrize(
    "text",
    [
        "ssh://u:canary@h/x",
        "ssh://u:canary/more@h/x",
        "ssh://u:canary:x@h:22/x",
        "http://u:canary@h/x",
        "u:canary@h:/x",
        "ssh://:canary@h/x",
        "ssh://u:canary@[::1]/x",
    ],
)
def test_a_password_in_a_location_is_never_shown(text):
    with pytest.raises(Failure) as caught:
        Location.parse(text)
    assert "canary" not in str(caught.value.as_result())
    assert "canary" not in without_password(text)


@pytest.mark.parametrize("text", ["/srv/a:b@c", "ssh://u@h:22/x", "u@h:repo", "ssh://u@h/x"])
def test_what_holds_no_password_is_shown_as_it_is(text):
    assert without_password(text) == text


def test_placeholders_are_expanded_as_borg_does():
    directory = Location.parse("/srv/{hostname}/{user}/{fqdn}/{reverse-fqdn}").directory
    host = socket.gethostname().partition(".")[0]
    full = socket.getfqdn(host)
    assert directory == f"/srv/{host}/{pwd.getpwuid(os.getuid()).pw_name}/{full}/{'.'.join(reversed(full.split('.')))}"


def test_a_path_without_placeholders_is_the_directory():
    assert Location.parse("/srv/x").directory == "/srv/x"


def test_remote_ones_are_expanded_too():
    host = socket.gethostname().partition(".")[0]
    assert Location.parse("borg@backup1:{hostname}").canonical == f"ssh://borg@backup1/./{host}"


def test_local_and_remote_are_told_apart():
    assert Location.parse("/x").is_local
    assert not Location.parse("h:x").is_local


def test_other_placeholders_may_be_allowed():
    def reject(reason):
        raise AssertionError(reason)

    check_placeholders("{now}", reject, frozenset(("now",)))
    with pytest.raises(AssertionError, match="unknown placeholder {hostname}"):
        check_placeholders("{hostname}", reject, frozenset(("now",)))
