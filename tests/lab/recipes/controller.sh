#!/usr/bin/env bash
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The machine from which a fleet is driven: Ansible and molecule, SSH, and the client of the Docker Engine that boots the fleet.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

apt-get update -q
apt-get install -q -y --no-install-recommends docker-cli python3-venv
python3 -m venv /opt/molecule
/opt/molecule/bin/pip install -q --no-cache-dir -r /lab/molecule.txt
# The lab writes known_hosts from what it knows; nothing is trusted because it answered first.
cat >/etc/ssh/ssh_config.d/lab.conf <<'CONFIG'
Host *
  User root
  StrictHostKeyChecking yes
CONFIG
apt-get clean
rm -rf /var/lib/apt/lists/*
