# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The installed borgmatic: found without being run, asked only where nothing else tells."""

from __future__ import annotations

import os

import pytest

from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic import Borgmatic
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure


def program(path, script="exit 99", interpreter="/bin/sh"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{interpreter}\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environment(tmp_path):
    """A virtual environment with borgmatic 2.1.10, whose program fails when it is run."""
    (tmp_path / "lib/python3.11/site-packages/borgmatic-2.1.10.dist-info").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to("/bin/sh")
    return program(tmp_path / "bin/borgmatic", interpreter=tmp_path / "bin/python")


class TestFind:
    def test_none(self, tmp_path):
        assert Borgmatic.find(str(tmp_path / "borgmatic")) is None

    def test_the_version_comes_from_the_package(self, environment):
        assert Borgmatic.find(str(environment)) == Borgmatic(str(environment), "2.1.10")

    def test_through_a_link(self, environment, tmp_path):
        link = tmp_path / "link"
        link.symlink_to(environment)
        assert Borgmatic.find(str(link)).version == "2.1.10"

    def test_one_that_a_user_installed_beside_the_systems(self, tmp_path):
        (tmp_path / "lib/python3.11/site-packages/borgmatic-2.0.13.dist-info").mkdir(parents=True)
        installed = program(tmp_path / "bin/borgmatic", interpreter="/usr/bin/python3")
        assert Borgmatic.find(str(installed)).version == "2.0.13"

    def test_a_wrapper_is_asked_though_the_system_has_one(self, tmp_path):
        (tmp_path / "lib/python3.11/site-packages/borgmatic-2.0.13.dist-info").mkdir(parents=True)
        assert Borgmatic.find(str(program(tmp_path / "bin/borgmatic", "echo 1.8.14"))).version == "1.8.14"

    def test_a_program_without_a_package_is_asked(self, tmp_path):
        assert Borgmatic.find(str(program(tmp_path / "borgmatic", "echo 1.9.14"))).version == "1.9.14"

    @pytest.mark.parametrize("script", ["echo what?", "echo 1.9.14; exit 1", "exit 0"])
    def test_a_program_that_does_not_tell(self, tmp_path, script):
        with pytest.raises(Failure, match="does not tell its version") as caught:
            Borgmatic.find(str(program(tmp_path / "borgmatic", script)))
        assert caught.value.error == "version"

    def test_a_program_that_hangs(self, tmp_path):
        with pytest.raises(Failure) as caught:
            Borgmatic.find(str(program(tmp_path / "borgmatic", "sleep 60")), timeout=0.2)
        assert caught.value.error == "timeout"


REJECTION = r"""
cat >&2 <<END

summary:
$4: Error parsing configuration file
An error occurred while parsing a configuration file at $4:
At 'keep_daily': '7' is not of type 'integer'
At 'ntfy.password': 'canary' is not of type 'object'
Configuration validation failed

Need some help? https://torsion.org/borgmatic/#issues
END
exit 1
"""


class TestValidate:
    def validate(self, script, directory, version="2.1.10"):
        borgmatic = Borgmatic(str(program(directory / "borgmatic", script)), version)
        scratch = directory / "scratch"
        scratch.mkdir()
        try:
            borgmatic.validate("keep_daily: 7\n", lambda text: text.replace("canary", "(hidden)"), directory=str(scratch), timeout=10)
        finally:
            assert list(scratch.iterdir()) == []

    def test_it_reads_a_file_that_nobody_else_can(self, tmp_path):
        report = tmp_path / "report"
        self.validate(f'stat -c "%a %n" "$4" $(dirname "$4") > {report}; cat "$4" >> {report}; echo "$1 $2 $3" >> {report}', tmp_path)
        modes, content, arguments = report.read_text().partition("keep_daily: 7\n")
        assert [line.split()[0] for line in modes.splitlines()] == ["600", "700"]
        assert (content, arguments) == ("keep_daily: 7\n", "config validate --config\n")

    def test_a_rejection_has_its_words_without_secrets(self, tmp_path):
        with pytest.raises(Failure) as caught:
            self.validate(REJECTION, tmp_path)
        failure = caught.value
        assert failure.error == "invalid_argument"
        assert failure.rc == 1
        assert failure.msg == (
            "The installed borgmatic 2.1.10 rejects the configuration: At 'keep_daily': '7' is not of type 'integer';"
            " At 'ntfy.password': '(hidden)' is not of type 'object'. The file was left as it is."
        )
        assert "canary" not in str(failure.as_result())

    def test_a_rejection_without_the_usual_frame(self, tmp_path):
        with pytest.raises(Failure, match="rejects the configuration: Cannot find variable X in environment. The file"):
            self.validate("echo 'Cannot find variable X in environment.' >&2; exit 1", tmp_path)

    def test_a_rejection_without_words(self, tmp_path):
        with pytest.raises(Failure, match="it does not say why"):
            self.validate("exit 1", tmp_path)

    def test_borgmatic_before_1_7_15_has_a_program_of_its_own(self, tmp_path):
        report = tmp_path / "report"
        program(tmp_path / "validate-borgmatic-config", f"echo $1 > {report}")
        self.validate("exit 99", tmp_path, version="1.7.7")
        assert report.read_text() == "--config\n"

    def test_one_that_hangs(self, tmp_path):
        borgmatic = Borgmatic(str(program(tmp_path / "borgmatic", "echo canary >&2; sleep 60")), "2.1.10")
        with pytest.raises(Failure) as caught:
            borgmatic.validate("", lambda text: text.replace("canary", "(hidden)"), directory=str(tmp_path), timeout=0.5)
        assert caught.value.error == "timeout"
        assert caught.value.stderr.strip() == "(hidden)"
        assert os.listdir(tmp_path) == ["borgmatic"]
