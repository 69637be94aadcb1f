#!/bin/sh
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Prints every package and every file that the quick start could touch, with its size and time. Left out is what apt writes
# when it installs a package, and Ansible's own folders.
set -eu
checkout=$1
dpkg-query --show --showformat 'package ${binary:Package}\n'
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /usr -o -path /var/lib/dpkg -o -path /var/lib/apt \
  -o -path /var/cache -o -path /var/log -o -path /var/lib/systemd -o -path /etc/alternatives -o -path /root/.ansible \
  -o -path "$checkout/.quickstart" -o -path '/tmp/ansible*' -o -path /root/output \) -prune \
  -o -type f -printf 'file %p %s %T@\n'
