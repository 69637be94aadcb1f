#!/usr/bin/env bash
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Ansible beside the machine's own Python, not in it. What only its installation needs goes again: the machine stays bare.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

apt-get update -q
apt-get install -q -y --no-install-recommends python3-venv
python3 -m venv /opt/ansible
/opt/ansible/bin/pip install -q --no-cache-dir -r /lab/ansible.txt
apt-get purge -q -y --auto-remove python3-venv
apt-get clean
rm -rf /var/lib/apt/lists/*
