# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._authorized_keys import (
    HEADER,
    Access,
    Client,
    Serving,
    check_retained,
    parse_clients,
    parse_line,
    read,
    render,
)
from ansible_collections.fleetbackup.borg.plugins.module_utils._client_keys import client_key
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure

DIRECTORY = "/srv/borg"


def blob(*parts):
    return base64.b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).decode()


def ed25519(number):
    return f"ssh-ed25519 {blob(b'ssh-ed25519', number.to_bytes(32, 'big'))}"


def rsa(bits, lead=b"\0"):
    return f"ssh-rsa {blob(b'ssh-rsa', bytes([1, 0, 1]), lead + (1 << bits - 1 | 1).to_bytes(bits // 8, 'big'))}"


def ecdsa(curve, size, kind="ecdsa-sha2-{}", first=4, more=()):
    kind = kind.format(curve)
    return f"{kind} {blob(kind.encode(), curve.encode(), bytes([first]) + bytes(size - 1), *more)}"


KEY = ed25519(1)


def clients(*given, directory=DIRECTORY, **serving):
    return parse_clients(given, directory, Serving(**serving))


def about(name="a", keys=(KEY,), **more):
    return {"name": name, "public_keys": list(keys), "repositories": [name], **more}


def refused(function, *arguments, **named):
    with pytest.raises(Failure) as caught:
        function(*arguments, **named)
    return caught.value


def test_the_line():
    (client,) = clients(
        about("web1", repositories=["web1", "/srv/borg/more/web 1"], storage_quota="50G", **{"from": ["192.0.2.0/24", "!192.0.2.7"]}),
        host_id="backup1@7",
    )
    assert client.lines == [
        'command="env BORG_HOST_ID=backup1@7 borg serve --umask=077 --append-only --storage-quota 50G'
        " --restrict-to-repository '/srv/borg/more/web 1' --restrict-to-repository /srv/borg/web1\""
        f',restrict,from="192.0.2.0/24,!192.0.2.7" {KEY} fleetbackup:web1'
    ]


def test_a_maintenance_identity():
    (client,) = clients({"name": "m", "public_keys": [KEY], "paths": ["."], "append_only": False})
    assert client.lines == [f'command="borg serve --umask=077 --restrict-to-path /srv/borg",restrict {KEY} fleetbackup:m']


CURIOUS = ["it's", 'a"b', "a\\b", 'a\\"b', "$HOME `id` $(id)", "a;b|c&d", "日本語", "#x", "a,restrict ", "\\", '"', "a'\"'b", "%h", "!x", "*?[]"]


@pytest.mark.parametrize("path", [*CURIOUS, *(f"x/{path}" for path in CURIOUS)])
@pytest.mark.parametrize("host_id", [None, "h.example.org@1"])
def test_every_value_stays_one_value(path, host_id):
    (client,) = clients(about("a", repositories=[path, "other"], storage_quota="12M"), host_id=host_id, borg="/opt/my borg/borg")
    (line,) = client.lines
    assert "\n" not in line
    assert parse_line(line) == client


@pytest.mark.parametrize(
    "access",
    [
        Access(Serving(), ("/p/a",)),
        Access(Serving("borg", "x@1", "027"), (), ("/p",), False),
        Access(Serving("/b c/borg"), ("/p/a", "/p/b"), (), True, "10M", ("10.0.0.1", "*.example.org")),
        Access(Serving(), ("/p/a",), (), False, "1500M"),
    ],
)
def test_a_line_is_read_as_it_was_written(access):
    client = Client("n", (client_key(KEY, "k"),), access)
    assert parse_line(client.lines[0]) == client


def test_two_keys_are_two_lines():
    (client,) = clients(about(keys=[ed25519(1), ed25519(2), ed25519(1) + " again"]))
    assert len(client.lines) == 2
    present = read("\n".join(client.lines))
    assert present.clients == {"a": client}
    assert present.foreign == []


@pytest.mark.parametrize("text", [ed25519(1), f"  {ed25519(1)} comment with blanks\n", rsa(2048), rsa(4096), ecdsa("nistp256", 65),
                                  ecdsa("nistp384", 97), ecdsa("nistp521", 133),
                                  ecdsa("nistp256", 65, "sk-ecdsa-sha2-{}@openssh.com", more=(b"ssh:",)),
                                  f"sk-ssh-ed25519@openssh.com {blob(b'sk-ssh-ed25519@openssh.com', bytes(32), b'ssh:')}"])
def test_keys_that_let_in(text):
    key = client_key(text, "k")
    assert key.bare == " ".join(text.split()[:2])
    assert key.comment == ""


CRAFTED = {
    "options": ('command="id" ' + KEY, "options before the type"),
    "an option": ("no-pty " + KEY, "options before the type"),
    "quoted option": ('environment="A=b",restrict ' + KEY, "options before the type"),
    "two lines": (f"{KEY} a\n{ed25519(2)} b", "more than one line"),
    "carriage return": (f"{KEY} a\r{ed25519(2)}", "more than one line"),
    "null": (f"{KEY} a\0b", "control character"),
    "escape": (f"{KEY} \x1b[2J", "control character"),
    "tab": (KEY.replace(" ", "\t"), "control character"),
    "dss": ("ssh-dss AAAA", "ssh-dss"),
    "short rsa": (rsa(1024), "1024 bits"),
    "rsa with zeros": (rsa(2048, b"\0\0"), "shortest way"),
    "negative rsa": (rsa(2048, b""), "shortest way"),
    "another type": (KEY.replace("ssh-ed25519", "ssh-rsa"), "it says ssh-rsa and is ssh-ed25519"),
    "private": ("-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----", "private key"),
    "certificate": ("ssh-ed25519-cert-v01@openssh.com AAAA", "certificate"),
    "no key": ("hello", "no public key"),
    "empty": ("", "no public key"),
    "type only": ("ssh-ed25519", "no public key"),
    "cut off": (KEY[:-8], "no public key"),
    "long": (f"ssh-ed25519 {blob(b'ssh-ed25519', bytes(33))}", "no public key"),
    "no base64": ("ssh-ed25519 AAAA!", "no public key"),
    "no point": (ecdsa("nistp256", 65, first=2), "no point"),
    "short point": (ecdsa("nistp256", 64), "cut short"),
    "other curve": (f"ecdsa-sha2-nistp256 {blob(b'ecdsa-sha2-nistp256', b'nistp384', bytes([4]) + bytes(96))}", "no point"),
    "long security key": (f"sk-ssh-ed25519@openssh.com {blob(b'sk-ssh-ed25519@openssh.com', bytes(31), b'ssh:')}", "cut short"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_crafted_keys(case):
    text, reason = CRAFTED[case]
    failure = refused(clients, about(keys=[text]))
    assert failure.error == "invalid_argument"
    assert failure.msg.startswith("clients, a, public_keys: ")
    assert reason in failure.msg
    assert "for example 'ssh-ed25519" in failure.msg
    assert "c2VjcmV0" not in failure.msg
    assert failure.msg.isprintable()


@pytest.mark.parametrize("name", ["", "../b", ".", "..", "a/b", "-rf", "a\nb", "a\n", "a b", "a\tb", "ä", ".a", "x" * 65, "a'b", 'a"b', "#a", "a,b", "a\0"])
def test_crafted_names(name):
    failure = refused(clients, about(name, repositories=["a"]))
    assert (failure.error, failure.msg.partition(": ")[0]) == ("invalid_argument", "clients, name")
    assert "for example client1.example.org" in failure.msg
    assert failure.msg.isprintable()


@pytest.mark.parametrize("name", ["a", "web1.example.org", "2001:db8::1", "_x", "A-b_c", "x" * 64])
def test_names(name):
    (client,) = clients(about(name, repositories=["a"]))
    assert parse_line(client.lines[0]) == client


@pytest.mark.parametrize("what", ["repositories", "paths"])
@pytest.mark.parametrize(
    "path",
    ["", "..", "../b", "a/../b", "/srv/borg/../b", "/srv/borg/../borg/a", "a//b", "/srv/borg//a", "//srv/borg/a", "a/./b", "./a", "a/", "/srv/borg/a/",
     "/srv/other/a", "/srv/borgother", "/", "/etc", ".hidden", "a/.ssh", "-a", "a/-rf", "a\nb", "a\0", "a\x7f", "a\u2028b", "~/a/.."],
)
def test_crafted_paths(path, what):
    given = {**about("a", repositories=[]), what: [path]}
    failure = refused(clients, given)
    assert failure.error == "invalid_argument"
    assert failure.msg.startswith(f"clients, a, {what}: ")
    assert "for example /srv/borg/client1" in failure.msg
    assert failure.msg.isprintable()


@pytest.mark.parametrize("path", ["/srv/borg", "."])
def test_the_pool_is_no_repository(path):
    assert refused(clients, about(repositories=[path])).error == "invalid_argument"


@pytest.mark.parametrize("directory", ["/", "srv", "", "/srv/../etc", "/srv//borg", "/srv/./borg", "/srv/\nx"])
def test_what_is_no_pool(directory):
    failure = refused(clients, about(), directory=directory)
    assert failure.msg.startswith("directory: ")


@pytest.mark.parametrize(("text", "rendered"), [("50G", "50G"), ("50g", "50G"), ("10M", "10M"), ("1.5G", "1500M"), ("12345678", "12345678"),
                                                ("1000M", "1G"), ("2TB", "2T"), ("0", None), ("", None), (None, None)])
def test_quotas(text, rendered):
    (client,) = clients(about(storage_quota=text))
    assert client.access.storage_quota == rendered
    assert parse_line(client.lines[0]) == client


@pytest.mark.parametrize("text", ["3M", "abc", "-1G", "9999999", "1 G --append-only", "10M\n"[:3] + "x"])
def test_what_is_no_quota(text):
    failure = refused(clients, about(storage_quota=text))
    assert failure.msg.startswith("clients, a, storage_quota: ")


@pytest.mark.parametrize("pattern", ["", 'a"', "a,b", "a b", "a\nb", "!", "10.0.0.1\"", "a\\"])
def test_what_is_no_address(pattern):
    assert refused(clients, about(**{"from": [pattern]})).msg.startswith("clients, a, from: ")


def test_addresses_that_only_exclude():
    assert "lets nobody in" in refused(clients, about(**{"from": ["!10.0.0.1"]})).msg


@pytest.mark.parametrize(
    "serving",
    [{"borg": "a b"}, {"borg": "./borg"}, {"borg": "-x"}, {"borg": "/a\nb"}, {"host_id": ""}, {"host_id": "a b"}, {"host_id": "a/b"},
     {"host_id": "a\nb"}, {"umask": "77"}, {"umask": "0999"}, {"umask": "777"}, {"umask": "077 --x"}, {"umask": "077\n"}],
)
def test_what_is_no_way_to_start_borg(serving):
    assert refused(clients, about(), **serving).msg.startswith(f"{next(iter(serving))}: ")


def test_one_name_twice():
    failure = refused(clients, about("a"), about("a", keys=[ed25519(2)]))
    assert failure.msg.startswith("clients: 'a' is there twice")


@pytest.mark.parametrize("given", [{"repositories": []}, {"paths": ["x"]}, {"repositories": [], "paths": []}, {"repositories": None}])
def test_either_repositories_or_paths(given):
    assert "either repositories" in refused(clients, about(**given)).msg


def test_a_client_without_a_key():
    assert "is empty" in refused(clients, about(keys=[])).msg


def test_a_file_is_read_as_it_was_rendered():
    given = clients(about("b", keys=[ed25519(2), ed25519(3)]), about("a"))
    text = render(given, {})
    assert text.startswith(HEADER + "\n")
    assert text.endswith("\n")
    for expected in (given, ()):
        present = read(text, expected)
        assert list(present.clients.values()) == given
        assert present.foreign == []
        assert present.numbers == {"a": [2], "b": [3, 4]}


OURS = f'command="borg serve --umask=077 --append-only --restrict-to-repository /srv/borg/a",restrict {KEY} fleetbackup:a'
TAMPERED = [
    OURS.replace(",restrict", ""),
    OURS.replace(",restrict", ",restrict,pty"),
    OURS.replace(",restrict", ",restrict,permitopen=\"x:1\""),
    OURS.replace("borg serve", "id; borg serve"),
    OURS.replace("borg serve", "borg  serve"),
    OURS.replace("--append-only", "--append-only --append-only"),
    OURS.replace("--restrict-to-repository /srv/borg/a", ""),
    OURS.replace("--restrict-to-repository /srv/borg/a", "--restrict-to-repository"),
    OURS.replace("serve", "list"),
    OURS.replace("command=\"", "command=\"env X=y "),
    OURS.replace("command=\"", "command=\"env "),
    OURS.replace("command=\"", "COMMAND=\""),
    OURS.replace("/a\"", "/a\\\""),
    OURS.replace("/a\"", "/'a\""),
    OURS.replace("--umask=077", "--umask"),
    OURS.replace("ssh-ed25519 ", "ssh-rsa "),
    "  " + OURS,
    OURS + " ",
    OURS + "\r",
    f"{KEY} fleetbackup:a",
]


@pytest.mark.parametrize("line", TAMPERED)
def test_a_line_that_was_tampered_with_is_not_retained(line):
    assert parse_line(line) is None
    present = read(f"{HEADER}\n{line}\n")
    assert list(present.lines) == ["a"]
    assert present.clients == {}
    failure = refused(check_retained, present, ["a"])
    assert failure.error == "unsafe"
    assert "(line 2)" in failure.msg


@pytest.mark.parametrize("line", [KEY, f"{KEY} root@host", "# a comment", f"#{OURS}", "rubbish", f"{KEY} fleetbackup:../b", f"{KEY} xfleetbackup:a",
                                  f"{KEY} fleetbackup:a and more"])
def test_foreign_lines(line):
    assert read(f"{OURS}\n\n{line}\n{HEADER}\n").foreign == [3]


def test_retained_lines_stay_as_they_are():
    older = OURS.replace("borg serve", "env BORG_HOST_ID=old@1 /old/borg serve")
    present = read(older)
    check_retained(present, ["a"])
    (other,) = clients(about("0", keys=[ed25519(2)]))
    assert render([other], {"a": present.lines["a"]}).split("\n") == [HEADER, *other.lines, older, ""]


def test_lines_of_one_client_that_differ_are_no_client():
    second = OURS.replace("--append-only ", "").replace(KEY, ed25519(2))
    assert read(f"{OURS}\n{second}").clients == {}


def test_for_a_diff():
    (client,) = clients(about(storage_quota="1G"))
    assert client.as_record() == {
        "fingerprints": [client_key(KEY, "k").fingerprint],
        "repositories": ["/srv/borg/a"],
        "paths": [],
        "append_only": True,
        "storage_quota": "1G",
        "from": [],
        "borg": "borg",
        "host_id": None,
        "umask": "077",
    }
