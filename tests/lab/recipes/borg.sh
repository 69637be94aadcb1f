#!/usr/bin/env bash
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A machine that already has what the role would install from the distribution: scenarios that are about something else start sooner.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

apt-get update -q
if grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
  apt-get install -q -y --no-install-recommends borgbackup python3-venv
else
  apt-get install -q -y --no-install-recommends borgbackup borgmatic
fi
apt-get clean
rm -rf /var/lib/apt/lists/*
