# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pip's settings reach the lab's machines without anything that holds only on this one."""

from __future__ import annotations

import configparser

import pytest
from lab import pypi


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A machine whose pip is configured by a file in the home directory only."""
    for name in [name for name in pypi.os.environ if name.startswith("PIP_")] + ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pypi, "SYSTEM_BUNDLE", tmp_path / "absent.pem")
    monkeypatch.setattr(pypi.Path, "home", lambda: tmp_path)
    monkeypatch.setattr(pypi, "SYSTEM_FILES", ())

    def configure(text):
        (tmp_path / ".config/pip").mkdir(parents=True, exist_ok=True)
        (tmp_path / ".config/pip/pip.conf").write_text(text, encoding="utf-8")
    return configure


def settings():
    parser = configparser.RawConfigParser()
    parser.read_string(pypi.pip_conf())
    return dict(parser.items("global"))


def test_an_index_is_kept_and_local_directories_are_not(host):
    host("[global]\nindex-url = https://pypi.example/simple\nextra-index-url = file:///srv/simple https://more.example/simple\nfind-links = /srv/wheels\n")
    assert settings()["index-url"] == "https://pypi.example/simple"
    assert settings()["extra-index-url"] == "https://more.example/simple"
    assert "find-links" not in settings()


def test_the_environment_wins_over_files(host, monkeypatch):
    host("[global]\nindex-url = https://file.example/simple\n")
    monkeypatch.setenv("PIP_INDEX_URL", "https://environment.example/simple")
    assert settings()["index-url"] == "https://environment.example/simple"


def test_certificates_are_named_by_their_place_inside(host, tmp_path):
    bundle = tmp_path / "corporate.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\n", encoding="utf-8")
    host(f"[global]\ncert = {bundle}\n")
    assert pypi.bundle() == bundle
    assert settings()["cert"] == pypi.BUNDLE_INSIDE


def test_a_machine_without_settings_has_none_inside(host):
    assert pypi.bundle() is None
    assert set(settings()) == {"disable-pip-version-check", "root-user-action"}
