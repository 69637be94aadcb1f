# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle, and the words in it, are all it takes to have the files of a lost client on another machine."""

from __future__ import annotations

import re

from controller import bundles, held, opened
from machines import Machine

DATA = "/srv/data"
NEEDS_ANSIBLE = "ansible-vault view BUNDLE"


def test_its_words_bring_the_files_back() -> None:
    client, elsewhere = Machine("client2"), Machine("backup1")
    client.back_up()
    (bundle,) = bundles("client2_")
    location = held(bundle)["locations"][0]
    text = opened(bundle)
    words = re.sub(r"^[^#](?s:.*)", "", text, flags=re.MULTILINE)
    script = "\n".join(re.findall(r"^#     (.*)$", words, re.MULTILINE))
    assert script.count(NEEDS_ANSIBLE) == 1 and script.count("::ARCHIVE") == 1
    # The controller has opened it; all else is done by somebody who has neither root's rights nor Ansible.
    script = script.replace(NEEDS_ANSIBLE, "cat ~/opened").replace("::ARCHIVE", f"::$(borg list --short --last 1 {location})")
    elsewhere.output("useradd --create-home --shell /bin/bash ada")
    try:
        for name, content in (("opened", text), ("words", script)):
            elsewhere.host.check_output("printf %%s %s | install -o ada -m 600 /dev/stdin /home/ada/%s", content, name)
        ran = elsewhere.host.run("runuser --login ada --command 'bash -eu words </dev/null' || true")
        assert "borgmatic.yaml" in elsewhere.output("ls /dev/shm/tmp.*"), ran.stdout + ran.stderr
        assert nameless(elsewhere.manifest(f"/home/ada/restored{DATA}")) == nameless(client.manifest(DATA)), ran.stdout + ran.stderr
    finally:
        elsewhere.output("rm -rf /dev/shm/tmp.*; userdel --remove ada")


def nameless(manifest: dict[str, list]) -> dict[str, list]:
    """A manifest without owners: only root can give files away."""
    assert len(manifest) > 10
    return {path: [mode, *rest] for path, (mode, _uid, _gid, *rest) in manifest.items()}
