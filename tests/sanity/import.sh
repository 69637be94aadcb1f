#!/usr/bin/env bash
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes a release of a copy of the tree, builds it as it would be published and lets Galaxy's importer judge it.
# The importer's warnings are failures.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree="$scratch/ansible_collections/fleetbackup/borg"
mkdir -p "$tree"
cp -a . "$tree"
cd "$tree"

/opt/lint/bin/antsibull-changelog release
grep -q '^## v0' CHANGELOG.md

export PATH="/opt/importer/bin:$PATH"
ansible-galaxy collection build --output-path "$scratch" .
cd "$scratch"
python -m galaxy_importer.main ./*.tar.gz 2>&1 | tee importer.log
! grep -E '^(WARNING|ERROR)' importer.log
