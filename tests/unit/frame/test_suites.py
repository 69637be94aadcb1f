# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which integration targets a run consists of, and when an image is built anew."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import suites
from lab import images


@pytest.fixture
def targets(tmp_path):
    def add(name, aliases=None):
        directory = tmp_path / "tests/integration/targets" / name
        directory.mkdir(parents=True)
        if aliases is not None:
            (directory / "aliases").write_text(aliases, encoding="utf-8")
    add("borg_repository")
    add("no_borg", "# a machine without borg\nbare\n")
    add("setup_repository")
    add("shared", "hidden\n")
    return tmp_path


def test_helpers_are_no_targets(targets):
    assert suites.all_targets(targets) == ["borg_repository", "no_borg"]


def test_aliases_are_words_without_comments(targets):
    assert suites.aliases(targets, "no_borg") == {"bare"}
    assert suites.aliases(targets, "borg_repository") == set()


def test_a_target_of_one_host_runs_there(targets):
    directory = targets / "tests/integration/targets/borg_repository"
    (directory / "aliases").write_text("only/debian13\n", encoding="utf-8")
    suite = suites.Suites(SimpleNamespace(root=targets))
    steps = {host: [step.name for step in suite.integration(host, suites.all_targets(targets))] for host in ("debian12", "debian13")}
    assert steps == {"debian12": ["target no_borg"], "debian13": ["target borg_repository", "target no_borg"]}


def test_an_image_is_known_by_its_whole_recipe(monkeypatch, tmp_path):
    requirements = tmp_path / "ansible.txt"
    requirements.write_text("one==1\n", encoding="utf-8")
    monkeypatch.setattr(images, "REQUIREMENTS_DIRECTORY", tmp_path)
    monkeypatch.setitem(images.REQUIREMENTS, "test", ())
    before = {layer: images.Image("debian13", layer).key for layer in ("bare", "ansible", "test")}
    requirements.write_text("one==2\n", encoding="utf-8")
    after = {layer: images.Image("debian13", layer).key for layer in before}
    assert after["bare"] == before["bare"]
    assert after["ansible"] != before["ansible"]
    assert after["test"] != before["test"], "a layer changes with the one below"
