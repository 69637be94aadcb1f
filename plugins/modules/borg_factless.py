#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borg_factless
short_description: Run a module of ansible-core, and take no facts from its target
version_added: 0.1.0
description:
  - Whatever a target answers as C(ansible_facts), Ansible takes for variables, and these count more than the inventory. A machine that
    somebody else controls may so become another one.
  - The modules of this collection take no facts from their targets. This one runs a module of ansible-core in the same way; the roles
    have no other use for it.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  async:
    support: none
  check_mode:
    details: What M(ansible.builtin.copy) and the others predict.
  diff_mode:
    details: What M(ansible.builtin.copy) and the others show.
options:
  module:
    description:
      - The module.
    type: str
    required: true
    choices: [copy, file, stat, user]
  args:
    description:
      - Its options.
    type: dict
    default: {}
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: See whether a file is there
  fleetbackup.borg.borg_factless:
    module: stat
    args:
      path: /etc/borgmatic.d/system.yaml
  register: found

- name: Tell
  ansible.builtin.debug:
    msg: "{{ found.stat.exists }}"
"""

RETURN = r"""
stat:
  description:
    - With O(module=stat), what M(ansible.builtin.stat) returns. Each module returns what it returns by itself. Predicted in check mode.
  returned: success, with O(module=stat)
  type: dict
  sample: {"exists": true}
"""
