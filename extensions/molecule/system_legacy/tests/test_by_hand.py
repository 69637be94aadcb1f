# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What borgmatic's own guide has its user type, step by step, works on what the role has set up, and changes none of it."""

from __future__ import annotations

import re

testinfra_hosts = ["ansible://borg_clients"]

BORGMATIC = "borgmatic --config /etc/borgmatic.d/system.yaml"
BORG = "BORG_PASSPHRASE='a passphrase of the tests' BORG_RSH='ssh -F /root/.ssh/fleetbackup_config' borg"
REPOSITORY = "user@backupserver:sourcehostname.borg"


def test_it_is_on_the_path(host) -> None:
    assert re.fullmatch(r"\d+\.\d+.*", host.check_output("borgmatic --version"))


def test_the_configuration_is_valid(host) -> None:
    host.check_output("borgmatic config validate --config /etc/borgmatic.d/system.yaml")


def test_a_repository_that_exists_is_not_made_again(host) -> None:
    key = host.check_output(f"{BORG} key export {REPOSITORY} -")
    # the mode that the role chooses where the sections cannot say one
    host.check_output(f"{BORGMATIC} init --encryption repokey-blake2")
    assert host.check_output(f"{BORG} key export {REPOSITORY} -") == key


def test_a_backup_by_hand_prunes_and_checks_too(host) -> None:
    before = host.check_output(f"{BORG} list --short {REPOSITORY}").splitlines()
    said = host.run(f"touch /home/grace/letters/new && {BORGMATIC} --verbosity 1 --list")
    words = said.stdout + said.stderr
    assert said.rc == 0, words
    for step in ("Creating archive", "home/grace/letters/new", "Pruning archives", "Running consistency checks"):
        assert step in words
    after = host.check_output(f"{BORG} list --short {REPOSITORY}").splitlines()
    assert len(set(after) - set(before)) == 1
    host.check_output("rm /home/grace/letters/new")
