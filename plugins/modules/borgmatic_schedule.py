#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borgmatic_schedule
short_description: Run borgmatic on a schedule
version_added: 0.1.0
description:
  - Ensures that schedules exist (or do not), each of which runs some actions of borgmatic with some of its configurations.
  - With systemd each schedule is a service and a timer named C(fleetbackup-NAME); a run that was due while the machine was
    off is made up for at the next boot. With cron each schedule is a file C(/etc/cron.d/fleetbackup-NAME), and cron makes up
    for nothing.
  - Runs of one account wait for each other, whatever schedule they belong to. A schedule that is due again while it still
    runs is not started a second time.
  - What systemd has loaded is compared too, so that a schedule that was disabled, masked or edited is repaired.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  async:
    support: none
  platform:
    platforms: linux
options:
  schedules:
    description:
      - The schedules. Those of the machine that are not listed stay as they are, but for O(exclusive).
      - An empty list only sees to O(distribution_timer).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Names the schedule on this machine; 1 to 64 letters, digits, C(.), C(_) and C(-), with cron no C(.).
        type: str
        required: true
      state:
        description:
          - Whether the schedule exists. V(absent) removes its units, links and time stamps, or its file; a run that is
            under way ends by itself. No repository, archive or configuration is removed.
        type: str
        choices: [present, absent]
        default: present
      enabled:
        description:
          - Whether it runs by itself. One that is not enabled can be run by hand.
        type: bool
        default: true
      actions:
        description:
          - What borgmatic does. Required unless O(schedules[].state=absent).
          - V(drill) stands alone. It does what M(fleetbackup.borg.borg_drill) does with each repository of O(schedules[].configs), by a
            program of this collection's that is installed as C(/usr/local/lib/fleetbackup/drill.pyz), or below the C(~/.local) of an
            account with O(scope=user), and that leaves with the last schedule that needs it. Its O(schedules[].arguments) are the
            module's options, such as C(--sample=50), C(--full), C(--witness=/srv/.witness) and
            C(--textfile-directory=/var/lib/prometheus/node-exporter).
        type: list
        elements: str
        choices: [create, prune, compact, check, drill]
      configs:
        description:
          - Paths of borgmatic's configuration files. Required unless O(schedules[].state=absent). A leading C(~) is the home
            of the account that the runs run as.
        type: list
        elements: str
      calendar:
        description:
          - V(hourly), V(daily), V(weekly) or V(monthly) everywhere; with systemd any expression of its C(OnCalendar), which
            may end with a time zone.
          - The four names mean a moment within O(schedules[].spread) after the begin of the hour, the day, the week or the
            month, in the machine's time zone.
        type: str
        default: daily
      spread:
        description:
          - Over how many seconds machines are spread. Where in that time a machine runs depends on nothing but
            O(schedules[].spread_key), O(schedules[].name) and O(schedules[].configs), so that adding a machine moves no other.
          - By default 3600 (an hour) for V(hourly), 10800 (three hours) for V(daily), V(weekly) and V(monthly), and 0 for an
            expression. An expression is delayed by systemd itself, always by the same time on one machine.
        type: int
      spread_key:
        description:
          - Names this machine among those that are spread. By default the inventory's name of the host, and the servers of
            its repositories where O(documents) tells them.
        type: str
      arguments:
        description:
          - Further arguments for borgmatic, such as C(--stats). No secrets, for everybody on the machine can read them.
        type: list
        elements: str
        default: []
      profile:
        description:
          - The sandbox of the runs, with O(backend=systemd) and O(scope=system).
          - V(strict) reads every file as it is and writes to O(schedules[].read_write_paths), to borg's and borgmatic's own
            directories, to C(/tmp) and C(/var/tmp), and nowhere else.
          - V(hooks) is for commands, database dumps and snapshots. These may do whatever the account may; a few system calls
            that no backup needs are forbidden.
          - V(none) limits nothing. A user's own systemd and cron know no other.
          - By default V(hooks) where O(documents) asks for hooks (a warning says so), otherwise V(strict).
        type: str
        choices: [strict, hooks, none]
      read_write_paths:
        description:
          - What the runs write to with O(schedules[].profile=strict), such as local repositories. A leading C(~) is the home of
            the account that they run as. Paths that do not exist count for nothing.
          - What O(documents) tells is added.
        type: list
        elements: str
        default: []
      network:
        description:
          - Whether a run waits for the network when the machine boots. By default not where O(documents) tells that nothing
            needs it.
        type: bool
      timeout:
        description:
          - Seconds after which a run is ended, its waiting for other runs included. What hangs would hold up all later runs.
        type: int
        default: 604800
  exclusive:
    description:
      - Patterns of names, such as V(system-*). Schedules with such a name that are not in O(schedules) are removed.
    type: list
    elements: str
    default: []
  documents:
    description:
      - The content of configuration files, by their path, as it is given to M(fleetbackup.borg.borgmatic_config).
      - It never leaves the controller. From it follow, for the schedules with that file in O(schedules[].configs), the
        defaults of O(schedules[].profile), O(schedules[].network) and O(schedules[].spread_key), and further
        O(schedules[].read_write_paths).
    type: dict
  backend:
    description:
      - What runs the schedules. V(auto) is V(systemd) where it runs, otherwise V(cron).
      - Schedules of these names that another backend has are removed there.
    type: str
    choices: [auto, systemd, cron]
    default: auto
  scope:
    description:
      - V(system) are the machine's schedules, and needs root.
      - V(user) are timers in the systemd of the account that runs this module. Such a systemd can't offer a sandbox.
    type: str
    choices: [system, user]
    default: system
  user:
    description:
      - The account that borgmatic runs as. By default root with O(scope=system). With O(scope=user) it is always the account
        that runs this module.
    type: str
  linger:
    description:
      - With O(scope=user), whether the account's systemd runs from boot on. Otherwise it runs, and makes backups, only while
        the account is logged in. Lingering is not taken back by V(absent), as other things may need it.
    type: bool
    default: true
  executable:
    description:
      - borgmatic on the target, a name or a path.
    type: str
    default: borgmatic
  base_directory:
    description:
      - Borg's base directory (C(BORG_BASE_DIR)), as other modules take it. By default the home of O(user).
    type: path
  passphrase_store:
    description:
      - Where O(fleetbackup.borg.borgmatic_config#module:passphrase_store) keeps the passphrases of the configurations; say
        the same here. With V(systemd_credential) the runs are given the encrypted credentials of their
        O(schedules[].configs), which needs O(backend=systemd) and O(scope=system). An ordinary account's runs are then the
        machine's, with O(user).
      - Otherwise a run needs nothing to find its passphrase.
    type: str
    choices: [config, file, systemd_credential]
    default: config
  distribution_timer:
    description:
      - What becomes of C(borgmatic.timer), which a distribution's package may have enabled, and which would make each backup
        a second time. With O(scope=system) on systemd only.
      - V(disabled) disables and stops it, and restores it after the last schedule of this collection was removed.
      - V(untouched) leaves it alone.
    type: str
    choices: [disabled, untouched]
    default: disabled
requirements:
  - borgmatic 1.8 or later on the target, unless all schedules are V(absent)
  - flock (util-linux)
notes:
  - Every run has the same C(HOME) (from the user database), C(PATH) and C(BORG_BASE_DIR), whatever starts it.
  - On failure this module returns C(msg), C(error) (a word to decide on), C(reason), C(retryable), C(rc), C(msgid), C(cmd)
    and C(stderr). A schedule that shall run but has no next run is a failure.
seealso:
  - module: fleetbackup.borg.borgmatic_config
  - module: fleetbackup.borg.borgmatic_info
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: Back up daily, check weekly
  fleetbackup.borg.borgmatic_schedule:
    schedules:
      - name: system-backup
        actions: [create, prune, compact]
        configs: [/etc/borgmatic.d/system.yaml]
        calendar: daily
        read_write_paths: [/srv/backup]
      - name: system-check
        actions: [check]
        configs: [/etc/borgmatic.d/system.yaml]
        calendar: weekly
        read_write_paths: [/srv/backup]

- name: Derive the sandbox from the configuration
  fleetbackup.borg.borgmatic_schedule:
    schedules:
      - name: system-backup
        actions: [create]
        configs: [/etc/borgmatic.d/system.yaml]
        calendar: Mon..Fri *-*-* 02:30:00
    documents:
      /etc/borgmatic.d/system.yaml: "{{ backup_configuration }}"

- name: Run with a passphrase that is kept as an encrypted credential of systemd
  fleetbackup.borg.borgmatic_schedule:
    passphrase_store: systemd_credential
    schedules:
      - name: system-backup
        actions: [create]
        configs: [/etc/borgmatic.d/system.yaml]

- name: Back up an ordinary account's own files from its own systemd
  fleetbackup.borg.borgmatic_schedule:
    scope: user
    schedules:
      - name: documents
        actions: [create, prune, compact]
        configs: [/home/ada/.config/borgmatic/config.yaml]
        calendar: hourly
  become: true
  become_user: ada

- name: Remove a schedule
  fleetbackup.borg.borgmatic_schedule:
    schedules:
      - name: system-check
        state: absent
"""

RETURN = r"""
schedules:
  description:
    - The schedules in the order in which they were given, then those that O(exclusive) removed. Predicted in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    state:
      description: V(present) or V(absent).
      type: str
    files:
      description: The files that make it up.
      type: list
      elements: str
    calendar:
      description: When it runs, in the words of the backend; V(null) where it is absent.
      type: str
    enabled:
      description: Whether it runs by itself.
      type: bool
    active:
      description: Whether its timer is started, or its job is in force.
      type: bool
    profile:
      description: The sandbox in force; V(null) where it is absent.
      type: str
    profile_reasons:
      description: The options of O(documents) that ask for a weaker sandbox.
      type: list
      elements: str
    next_run:
      description:
        - When it runs next, ISO 8601 in UTC; V(null) where it does not.
        - V(null) in check mode where the schedule would change.
      type: str
  sample:
    - name: system-backup
      state: present
      files: [/etc/systemd/system/fleetbackup-system-backup.service, /etc/systemd/system/fleetbackup-system-backup.timer]
      calendar: "*-*-* 01:12:43"
      enabled: true
      active: true
      profile: strict
      profile_reasons: []
      next_run: "2026-11-22T01:12:43+00:00"
backend:
  description: What runs the schedules, V(systemd) or V(cron). Predicted in check mode.
  returned: success
  type: str
  sample: systemd
assumed:
  description: Whether check mode could not know, because an earlier step was not executed (borgmatic is not installed yet).
  returned: success
  type: bool
  sample: false
"""

from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._wanted_schedules import ARGUMENTS, ensure


def main() -> None:
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
