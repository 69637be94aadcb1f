#!/usr/bin/env bash
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# borg, age and GnuPG from the distribution; borgmatic from it where it is new enough for flat configurations (1.8), else from PyPI.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

apt-get update -q
apt-get install -q -y --no-install-recommends acl age attr borgbackup git gpg gpg-agent python3-venv
if grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
  python3 -m venv /opt/borgmatic
  /opt/borgmatic/bin/pip install -q --no-cache-dir -r /lab/borgmatic.txt
  ln -s /opt/borgmatic/bin/borgmatic /usr/local/bin/borgmatic
else
  apt-get install -q -y --no-install-recommends borgmatic
fi
apt-get clean
rm -rf /var/lib/apt/lists/*
