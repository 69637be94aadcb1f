#!/usr/bin/env bash
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Linters, an older ansible-core, and the environments that ansible-test would otherwise build during each run.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

environment() { # NAME
  python3 -m venv "/opt/$1"
  "/opt/$1/bin/pip" install -q --no-cache-dir -r "/lab/$1.txt"
}

apt-get update -q
apt-get install -q -y --no-install-recommends git python3-venv shellcheck
environment older
if grep -q '^VERSION_CODENAME=trixie' /etc/os-release; then
  environment lint
  environment importer
fi

# ansible-test fetches get-pip from a host of its own; ensurepip does the same from what Python carries.
cache=/root/.ansible/test/cache
mkdir -p "$cache"
for name in get_pip_24_2.py get_pip_25_2.py; do
  echo 'import ensurepip; ensurepip.bootstrap(upgrade=True, default_pip=True)' >"$cache/$name"
done
tree=/root/ansible_collections/fleetbackup/borg
mkdir -p "$tree"/{changelogs/fragments,meta,plugins/{action,modules,module_utils}}
cd "$tree"
# Without a file of each kind, ansible-test sees no use for the environment of that kind.
touch plugins/{action,modules,module_utils}/stub.py meta/runtime.yml changelogs/{config.yaml,fragments/stub.yml}
LANG=C.UTF-8 HOME=/root PATH="/opt/ansible/bin:$PATH" ansible-test sanity --prime-venvs --allow-disabled
rm -rf /root/ansible_collections
apt-get clean
rm -rf /var/lib/apt/lists/*
