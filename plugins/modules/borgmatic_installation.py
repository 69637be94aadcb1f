#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borgmatic_installation
short_description: Ensure that Borg and borgmatic are installed
version_added: 0.1.0
description:
  - Installs Borg from the distribution's package, and borgmatic from the distribution's package or from PyPI into a virtual
    environment of its own in which every package is pinned.
  - What is installed is told from files. Neither a package list nor pip nor the network is needed where there is nothing to do,
    and check mode works on machines that lack python3-apt, package lists and pip.
  - What came with this module is noted, and O(state=absent) removes nothing else.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  platform:
    platforms: linux
options:
  state:
    description:
      - V(present) ensures that both programs are installed.
      - V(absent) removes the packages and the virtual environment that came with this module, except for packages that others
        need by now. It is refused while schedules of this collection remain, see O(leaving).
    type: str
    choices: [present, absent]
    default: present
  method:
    description:
      - Where borgmatic comes from.
      - V(package) is the distribution's package, whatever its version; it must be 1.8 or later.
      - V(venv) is the virtual environment in O(virtualenv).
      - V(auto) is V(package) on Debian from 13 on, and wherever that package is installed and new enough for an account other
        than root; otherwise V(venv).
      - With V(none) nothing is installed or removed; both programs must be there.
      - Packages are installed with apt, by root. Where that is not possible they must be there.
    type: str
    choices: [auto, package, venv, none]
    default: auto
  borgmatic:
    description:
      - Whether borgmatic is wanted besides Borg. A backup server needs Borg only; V(false) leaves borgmatic alone.
    type: bool
    default: true
  requirements:
    description:
      - What the virtual environment holds, borgmatic and all of its dependencies, each pinned to one version. Required for
        V(venv).
    type: list
    elements: str
    default: []
  virtualenv:
    description:
      - The directory of the virtual environment. By default C(/opt/borgmatic), for an account other than root
        C(~/.local/share/borgmatic).
      - One that somebody else made is used where it holds the wanted version of borgmatic, and is never changed.
    type: path
  executable:
    description:
      - borgmatic on the target for O(method=none), a name or a path.
    type: str
    default: borgmatic
  user:
    description:
      - The account that the backups run as. By default the one that runs this module, which may otherwise only be root.
    type: str
  distribution_timer:
    description:
      - What becomes of C(borgmatic.timer), which Debian's package enables, and which runs every configuration below
        C(/etc/borgmatic.d). On systemd and as root only.
      - V(disabled) disables and stops it as soon as it is there; O(state=absent) restores it.
      - V(untouched) leaves it alone.
    type: str
    choices: [disabled, untouched]
    default: disabled
  leaving:
    description:
      - Patterns of names of schedules, such as V(system-*), that an earlier task removes. In check mode, where it has not, they
        do not count as remaining.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds that one command of apt, venv or pip may take.
    type: int
    default: 1800
notes:
  - Proxies and the settings of pip may be given by the task's C(environment).
  - On failure this module returns C(msg), C(error) (a word to decide on), C(reason), C(retryable), C(rc), C(msgid), C(cmd)
    and C(stderr).
seealso:
  - module: fleetbackup.borg.borgmatic_config
  - module: fleetbackup.borg.borgmatic_schedule
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: The distribution's packages
  fleetbackup.borg.borgmatic_installation:
    method: package

- name: borgmatic in a virtual environment (the role borgmatic knows the dependencies)
  fleetbackup.borg.borgmatic_installation:
    method: venv
    requirements:
      - borgmatic==2.1.10
      - attrs==26.1.0
      - certifi==2026.10.18
      - charset-normalizer==3.5.2
      - idna==3.20
      - jsonschema==4.26.0
      - jsonschema-specifications==2025.9.1
      - packaging==26.3
      - psutil==7.2.2
      - referencing==0.37.0
      - requests==2.34.2
      - rpds-py==2026.9.1
      - ruamel.yaml==0.19.1
      - typing-extensions==4.16.0
      - urllib3==2.8.0

- name: Borg alone, as a backup server needs it
  fleetbackup.borg.borgmatic_installation:
    borgmatic: false

- name: Remove what the above installed
  fleetbackup.borg.borgmatic_installation:
    state: absent
"""

RETURN = r"""
method:
  description:
    - Where borgmatic comes from, V(package), V(venv) or V(none); V(null) with O(state=absent) and O(borgmatic=false). Predicted in
      check mode.
  returned: success
  type: str
  sample: venv
borg:
  description: The path of Borg; V(null) with O(state=absent). Predicted in check mode.
  returned: success
  type: str
  sample: /usr/bin/borg
borg_version:
  description: Its version. V(null) in check mode where it is not installed yet.
  returned: success
  type: str
  sample: 1.2.4
borgmatic:
  description: The path of borgmatic; V(null) with O(state=absent) and O(borgmatic=false). Predicted in check mode.
  returned: success
  type: str
  sample: /opt/borgmatic/bin/borgmatic
borgmatic_version:
  description: Its version. V(null) in check mode where it is not installed yet.
  returned: success
  type: str
  sample: 2.1.10
packages:
  description: The distribution's packages that were asked for, or removed. Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: [borgbackup, python3-venv]
assumed:
  description: Whether check mode could not know, because the schedules of O(leaving) are still there.
  returned: success
  type: bool
  sample: false
"""

from ansible_collections.fleetbackup.borg.plugins.module_utils._installation import ARGUMENTS, ensure
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
