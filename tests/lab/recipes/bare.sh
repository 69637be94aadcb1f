#!/usr/bin/env bash
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A machine as Debian installs it: systemd, SSH, cron, and nothing of ours.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

# Container images forbid services to start on installation; a machine does not.
rm -f /usr/sbin/policy-rc.d
apt-get update -q
apt-get install -q -y --no-install-recommends \
  ca-certificates cron dbus dbus-user-session libpam-systemd openssh-server python3 sudo systemd systemd-sysv
# A container has no kernel modules to load, and apt's own timers would take its lock in the middle of a test.
systemctl mask systemd-modules-load.service apt-daily.timer apt-daily-upgrade.timer
apt-get clean
rm -rf /var/lib/apt/lists/*
