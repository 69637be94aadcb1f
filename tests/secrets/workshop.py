# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the cases work on: repositories, programs that stall or tell too much, and the cleaning up."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Optional

#: Programs that stand in for others. Words in capitals: see `Workshop._filled`.
PROGRAMS = {
    # stops in the middle, where the secrets are about
    "stalling-borg": 'echo $$ > WORK/stalled; sleep 300; exec borg "$@"',
    "stalling-borgmatic": 'case "$1" in --version) exec borgmatic --version;; esac\necho $$ > WORK/stalled; sleep 300; exec borgmatic "$@"',
    # the worst that a validator could do
    "telling-borgmatic": 'case "$1" in --version) echo 2.1.10; exit;; esac\n'
    'for word in "$@"; do test ! -f "$word" || cat "$word" >&2; done\n'
    '/usr/bin/python3 -c "import sys, json; text = open(sys.argv[1]).read(); print(repr(text), json.dumps(text))" "$word"; exit 1',
    "hanging-borgmatic": 'case "$1" in --version) echo 2.1.10; exit;; esac\n'
    'for word in "$@"; do test ! -f "$word" || cat "$word" >&2; done; exec sleep 60',
    "passcommand": "cat WORK/passphrase",
    "wrong-passcommand": "cat WORK/wrong-passphrase",
    "failing-passcommand": "cat WORK/wrong-passphrase; exit 1",
}
#: Repositories and whose passphrase each has.
REPOSITORIES = {"main": "text_main", "rotated": "text_old", "locked": "text_old", "killed": "text_old"}
#: The file with the password that Ansible is given.
VAULT_PASSWORD = "vault-password"
#: Canaries that the workshop needs itself.
SHARED = ("text_main", "text_old", "text_printed", "text_vault", "text_fleet", "plain_foreign", "plain_folder")
#: Configurations that a human wrote, with secrets in unusual places.
CONFIGURATIONS = {
    "foreign": """# the old passphrase was SECRET
source_directories: [/etc]  # SECRET
repositories:
    - path: ssh://borg:SECRET@example.org/./x
      label: local
encryption_passphrase: >-
    SECRET
constants: {
password: SECRET,
keep_weekly: SECRET }
before_backup:
    - "echo
keep_hourly: SECRET
compression: SECRET"
after_backup: ['echo
keep_minutely: SECRET']
postgresql_databases:
    - name: all
      options: |
        keep_monthly: SECRET
      password: SECRET
mysql_databases:
- name: x
  password: &password SECRET
unheard_of:
    patterns: SECRET
    exclude_patterns:
        - SECRET
ssh_command: ssh -o ProxyCommand="proxy SECRET"
? complex
: SECRET
""",
    "info": "SOURCES\nREPOSITORY\nencryption_passphrase: MAIN\nbefore_backup: [echo SECRET]\npagerduty: {integration_key: SECRET}\n",
    "info-wrong": "SOURCES\nREPOSITORY\nencryption_passphrase: PRINTED\n",
    "info-constant": "SOURCES\nREPOSITORY\nconstants: {secret: SECRET}\nencryption_passphrase: '{secret}'\n",
    "info-credential": "SOURCES\nREPOSITORY\nencryption_passphrase: '{credential file WORK/passphrase}'\n",
    "info-passcommand": "SOURCES\nREPOSITORY\nencryption_passcommand: WORK/bin/failing-passcommand\n",
    "info-url": "SOURCES\nrepositories: [{path: 'ssh://borg:SECRET@127.0.0.1:1/./x'}]\n",
    "info-rejected": "SOURCES\nREPOSITORY\nntfy: {topic: [SECRET]}\npasswords: SECRET\n",
    "info-broken": "BROKEN",
    "removed": "BROKEN",
}


class Workshop:
    """All that the cases find there.

    :ivar meant: patterns of the files that may hold secrets: the passphrases that passcommands print, configurations, keys.
    :ivar stalled: exists once a program stalls.
    """

    def __init__(self, work: Path, shared: dict[str, Any]) -> None:
        self._work = work
        self._shared = shared
        self._lock: Optional[subprocess.Popen[bytes]] = None
        # where the playbook quickstart looks for it
        self._borgmatic = Path(sys.executable).with_name("borgmatic")
        self.stalled = work / "stalled"
        self.meant = [str(work / "passphrase"), str(work / "wrong-passphrase"), str(work / "etc" / "*.yaml"), "/etc/borgmatic.d/canary-*.yaml",
                      str(work / "etc" / "*.yaml.passphrase"), str(work / "keys" / "*"), str(work / VAULT_PASSWORD),
                      str(Path.home() / "fleetbackup-restored" / "*" / "etc" / "borgmatic.d" / "canary-*.yaml"),
                      str(work / "quickstart" / "passphrase"), str(work / "quickstart" / "borgmatic.yaml"), *self._meant_keys()]

    def _meant_keys(self) -> list[str]:
        """Where Borg and ssh have their keys."""
        return [str(self._work / "repositories" / "*" / "config"), str(self._work / "quickstart" / "*" / "config"), "/srv/borg/*/config",
                "*/.config/borg/keys/*", str(self._work / "exported"), str(self._work / "ssh" / "new"),
                str(Path.home() / ".ssh" / "fleetbackup_*ed25519*")]

    def __enter__(self) -> Workshop:
        for name in ("bin", "etc", "keys", "source", "repositories", "quickstart"):
            (self._work / name).mkdir()
        (self._work / "source" / "file").write_text("content\n", encoding="utf-8")
        self._borgmatic.unlink(missing_ok=True)
        self._borgmatic.symlink_to(shutil.which("borgmatic") or "/nowhere")
        for name, text in PROGRAMS.items():
            path = self._work / "bin" / name
            path.write_text(f"#!/bin/sh\n{self._filled(text)}\n", encoding="utf-8")
            path.chmod(0o755)
        for name, key in {"passphrase": "text_main", "wrong-passphrase": "text_printed", VAULT_PASSWORD: "text_vault",
                          "quickstart/passphrase": "plain_folder"}.items():
            path = self._work / name
            path.touch(0o600)
            path.write_text(self._shared[key], encoding="utf-8")
        for name, text in CONFIGURATIONS.items():
            path = self._work / "etc" / f"{name}.yaml"
            path.touch(0o600)
            path.write_text(self._filled(text), encoding="utf-8")
        for name, text in self._keys().items():
            path = self._work / "keys" / name
            path.touch(0o600)
            path.write_text(text, encoding="utf-8")
        for name, key in REPOSITORIES.items():
            self._borg(key, "init", "--encryption=repokey", self._repository(name))
        self._borg("text_main", "create", f"{self._repository('main')}::host-1", str(self._work / "source"))
        self._lock = self._start("text_old", "with-lock", self._repository("locked"), "sleep", "3600")
        self._wait_for(self._work / "repositories" / "locked" / "lock.exclusive")
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._lock:
            os.killpg(self._lock.pid, signal.SIGKILL)
            self._lock.wait()
        self._borgmatic.unlink()
        shutil.rmtree(self._work)
        self._work.mkdir()

    def resume(self) -> None:
        """End the program that stalls, and clear what the killed Ansible left."""
        if self.stalled.exists():
            os.killpg(int(self.stalled.read_text(encoding="utf-8")), signal.SIGKILL)
            self.stalled.unlink()
        shutil.rmtree(Path.home() / ".ansible" / "tmp", ignore_errors=True)

    def _filled(self, text: str) -> str:
        for word, meaning in {
            "BROKEN": "encryption_passphrase: SECRET\npagerduty: {integration_key: SECRET}\nnot yaml: {SECRET\n",
            "SOURCES": f"source_directories: [/etc]\nborg_base_directory: {self._work}/base",
            "REPOSITORY": f"repositories: [{{path: {self._repository('main')}, label: main}}]",
            "SECRET": self._shared["plain_foreign"],
            "MAIN": json.dumps(self._shared["text_main"]),
            "PRINTED": json.dumps(self._shared["text_printed"]),
            "WORK": str(self._work),
        }.items():
            text = text.replace(word, meaning)
        return text

    def _keys(self) -> dict[str, str]:
        """Private keys of ssh, and what is found in their places."""
        secret = self._shared["plain_foreign"]
        good = _private_key("none", secret)
        return {
            "good": good, "twice": good, "twice.pub": good, "locked": _private_key("aes256-ctr", secret),
            "old": f"-----BEGIN RSA PRIVATE KEY-----\n{secret}\n-----END RSA PRIVATE KEY-----\n",
            "broken": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{secret}\n-----END OPENSSH PRIVATE KEY-----\n",
            "foreign": f"Host *\n    ProxyCommand proxy {secret}\n",
        }  # fmt: skip

    def _repository(self, name: str) -> str:
        return str(self._work / "repositories" / name)

    def _borg(self, key: str, *arguments: str) -> None:
        process = self._start(key, *arguments)
        if process.wait():
            raise RuntimeError(f"borg {arguments[0]} failed")

    def _start(self, key: str, *arguments: str) -> subprocess.Popen[bytes]:
        readable, writable = os.pipe()
        os.write(writable, self._shared[key].encode())
        os.close(writable)
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "BORG_BASE_DIR": str(self._work / "base"),
            "BORG_PASSPHRASE_FD": str(readable),
        }
        try:
            return subprocess.Popen(
                ["borg", *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, pass_fds=[readable],
                start_new_session=True,
            )
        finally:
            os.close(readable)

    @staticmethod
    def _wait_for(path: Path) -> None:
        for _look in range(200):
            if path.exists():
                return
            time.sleep(0.05)
        raise RuntimeError(f"there is no {path}")


def _private_key(cipher: str, secret: str) -> str:
    """A key in OpenSSH's own format, whose private half is the secret."""
    public = _parts(b"ssh-ed25519", b"\1" * 32)
    private = b"\0" * 8 + public + _parts(secret.encode(), b"comment")
    data = b"openssh-key-v1\0" + _parts(cipher.encode(), b"none", b"") + (1).to_bytes(4, "big") + _parts(public, private)
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64.b64encode(data).decode()}\n-----END OPENSSH PRIVATE KEY-----\n"


def _parts(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
