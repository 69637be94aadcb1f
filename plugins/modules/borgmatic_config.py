#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: borgmatic_config
short_description: Ensure that a borgmatic configuration file holds this document
version_added: 0.1.0
description:
  - Checks a borgmatic configuration on the controller, more strictly than borgmatic does, has the borgmatic that is
    installed on the target judge it, and puts it in place in one step. Whatever is refused leaves the file as it is.
  - The document holds borgmatic's own options, flat or in the sections C(location), C(storage), C(retention),
    C(consistency), C(output) and C(hooks). Either form is written as the installed borgmatic reads it.
  - A scalar for a list, a string for a repository or a check, and a number in quotes are brought into their normal form.
  - C(encryption_passphrase) in O(config) reaches Borg verbatim, whatever it holds, except where all of it is borgmatic's
    C({credential ...}). One that is nothing but C(${VARIABLE}), or that the document's C(constants) would change, is
    refused. All other texts reach borgmatic as they are, so that its C({constant}), C({credential ...}) and
    C(${VARIABLE}) work in them.
extends_documentation_fragment:
  - fleetbackup.borg.attributes
  - fleetbackup.borg.attributes.actiongroup_borg
attributes:
  async:
    support: none
options:
  path:
    description:
      - The configuration file, an absolute path. Missing directories above it are made, mode V(0755), owned by the user
        who runs this.
      - What is there already must be a regular file; a link is refused in either state, so name the file that it leads to.
    type: path
    required: true
  config:
    description:
      - A dictionary of borgmatic's options. Required unless O(state=absent).
      - What borgmatic accepts and then fails or misleads by is refused, each problem with its parameter, its value unless
        that may be secret, the reason and an example; so are unknown options, with the nearest known name.
      - At least one C(keep_) option must keep something, unless C(skip_actions) holds C(prune).
      - C(archive_name_format) needs a moving placeholder such as C({now}). borgmatic derives from it which archives it prunes
        and checks; a format whose filter would match other hosts' archives, or none, needs C(match_archives) beside it.
      - Of C(umask), a text means its octal digits; a number is read as the mask that makes sense, as YAML turns V(0077)
        into V(63).
    type: raw
  state:
    description:
      - V(present) ensures that the file holds the document, V(absent) that there is no such file.
    type: str
    choices: [present, absent]
    default: present
  owner:
    description:
      - The file's owner, a name or an id. By default an existing file keeps its own, and a new one belongs to the user
        who runs this.
    type: str
  group:
    description:
      - The file's group, a name or an id. By default as for O(owner).
    type: str
  mode:
    description:
      - The file's mode as an octal number in quotes. A configuration may hold secrets, so the group may read it at most,
        and others nothing.
    type: raw
    default: "0600"
  executable:
    description:
      - borgmatic on the target, a name or a path.
    type: path
    default: borgmatic
  passphrase_store:
    description:
      - Where the C(encryption_passphrase) of O(config) is kept on the target. With V(config) it stands in the configuration.
      - V(file) keeps it in a file beside it, C(PATH.passphrase), of the same owner, group and mode, which the configuration
        names in its C(encryption_passcommand). Whoever may read the configuration can use borgmatic by hand as ever.
      - V(systemd_credential) keeps it as an encrypted credential of systemd below C(/etc/credstore.encrypted). It can be
        decrypted on this machine only, with its TPM where it has one, and by root only, whoever O(owner) is. Needs root, and
        systemd 250 or later; 252 for the runs of an ordinary account.
      - Say the same in O(fleetbackup.borg.borgmatic_schedule#module:passphrase_store), for systemd to give the runs of the
        schedules the credential, also those of an ordinary account. root can use borgmatic by hand as ever. For another
        account root does that with C(systemd-run --pipe --wait --uid=ACCOUNT --property=LoadCredentialEncrypted=NAME
        borgmatic list), where NAME is the name of the file in RV(passphrase_file).
      - What another choice has kept is removed last, when the configuration does without it. A passphrase of a single entry of
        C(repositories), and one that ends in white space, are refused where this is not V(config).
    type: str
    choices: [config, file, systemd_credential]
    default: config
  validate:
    description:
      - Whether the installed borgmatic judges the document before it takes the file's place. It is asked only when the
        file would change.
      - With V(false), borgmatic need not be installed yet; the document is then written as the newest version reads it.
    type: bool
    default: true
  allow_unknown_options:
    description:
      - Whether options that this collection does not know are let through to the judgement of the installed borgmatic.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that borgmatic may take for its judgement.
    type: int
    default: 60
notes:
  - Neither the values of secret, unknown or command-like options nor the document as a whole appear in any output. A
    difference shows values under options that this collection knows to be public, of everything else only that it changed.
  - There is no backup option, as copies of the file would be copies of its secrets.
  - On failure it returns C(msg), C(error) (a word to decide on), C(retryable), C(rc), C(cmd), C(stderr), and for a
    document with problems the list C(problems).
requirements:
  - borgmatic 1.7 or later on the target
  - the Python package voluptuous on the controller
seealso:
  - module: fleetbackup.borg.borgmatic_schedule
  - module: fleetbackup.borg.borgmatic_info
  - module: fleetbackup.borg.borg_repository
author:
  - The fleetbackup.borg maintainers (@fleetbackup)
"""

EXAMPLES = r"""
- name: What to back up, where to, and for how long
  fleetbackup.borg.borgmatic_config:
    path: /etc/borgmatic.d/system.yaml
    config:
      source_directories: [/etc, /home]
      repositories:
        - path: ssh://borg@backup1.example.org/./{{ inventory_hostname }}
          label: backup1
      encryption_passphrase: "{{ vault_backup_passphrase }}"
      compression: zstd,3
      keep_daily: 7
      keep_weekly: 4
      checks:
        - name: repository
          frequency: 2 weeks
        - name: archives
          frequency: 4 weeks

- name: An older document in sections works as it is
  fleetbackup.borg.borgmatic_config:
    path: /etc/borgmatic/config.yaml
    config:
      location:
        source_directories: [/home]
        repositories: ["user@backupserver:sourcehostname.borg"]
      retention:
        keep_daily: 7
      consistency:
        checks: [repository, archives]

- name: A user's own configuration, with borgmatic from a virtual environment
  fleetbackup.borg.borgmatic_config:
    path: ~/.config/borgmatic/config.yaml
    executable: ~/.local/share/borgmatic/bin/borgmatic
    config:
      source_directories: ["~"]
      exclude_patterns: ["**/.cache"]
      repositories: [{path: /srv/backup/alice, label: local}]
      encryption_passcommand: secret-tool lookup backup borg
      keep_within: 2w
  become: false

- name: Keep the passphrase as an encrypted credential, which no other machine can decrypt
  fleetbackup.borg.borgmatic_config:
    path: /etc/borgmatic.d/system.yaml
    passphrase_store: systemd_credential
    config: "{{ backup_configuration }}"

- name: The configuration of a retired job and its passphrase; its repository stays
  fleetbackup.borg.borgmatic_config:
    path: /etc/borgmatic.d/old.yaml
    state: absent
"""

RETURN = r"""
path:
  description: The file. Predicted in check mode.
  returned: success
  type: str
  sample: /etc/borgmatic.d/system.yaml
digest:
  description:
    - SHA-256 of the file's content; V(null) where there is no file, or where that depends on a borgmatic that is not
      installed yet. Predicted in check mode.
  returned: success
  type: str
  sample: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
passphrase_file:
  description:
    - The file that keeps the passphrase; V(null) where there is none but the configuration. Predicted in check mode.
  returned: success
  type: str
  sample: /etc/credstore.encrypted/fleetbackup_system_8d0f3a61
version:
  description: The version of the installed borgmatic; V(null) where there is none. Predicted in check mode.
  returned: success
  type: str
  sample: 2.1.10
not_rendered:
  description:
    - What the document says of creating or naming a repository and the installed borgmatic can't read, so that it is not
      in the file. Predicted in check mode.
  returned: success
  type: list
  elements: str
  sample: ["repositories[0].encryption"]
assumed:
  description:
    - Whether RV(ignore:changed) is only assumed, since in check mode an earlier step (borgmatic, an account) was not carried
      out. Predicted in check mode.
  returned: success
  type: bool
  sample: false
"""

from ansible_collections.fleetbackup.borg.plugins.module_utils._configuration_file import ARGUMENTS, REQUIRED_IF, ensure
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module


def main() -> None:
    run_module(ensure, ARGUMENTS, required_if=REQUIRED_IF)


if __name__ == "__main__":
    main()
