# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  repository:
    description:
      - Where the repository is.
      - A local one is an absolute path or V(file:///path).
      - A remote one is V(ssh://user@host:port/./path) (relative to the account's home), V(ssh://user@host/absolute/path)
        or V(user@host:path).
      - Borg's placeholders C({hostname}), C({fqdn}), C({reverse-fqdn}) and C({user}) are understood.
    type: str
    required: true
  passphrase:
    description:
      - The passphrase that opens the repository's key. It reaches Borg through a descriptor of its own, verbatim.
      - An empty one, one with line breaks, and the left-overs of a template or of Ansible Vault are refused.
    type: str
  passcommand:
    description:
      - A command that prints the passphrase, run by Borg without a shell. Mutually exclusive with O(passphrase).
      - Process lists show the command itself, so it should say where the secret is, and not hold one. No output of this
        collection shows it.
    type: str
  rsh:
    description:
      - The remote shell command. By default C(ssh) that asks nothing and trusts no unknown host.
      - Process lists show it; no output of this collection does.
    type: str
  remote_path:
    description:
      - Borg on the server, a name or a path.
    type: str
    default: borg
  executable:
    description:
      - Borg on the target, a name or a path.
    type: str
    default: borg
  lock_wait:
    description:
      - Seconds to wait for a lock that another Borg holds.
    type: int
    default: 1
  timeout:
    description:
      - Seconds that any one Borg command may take before it is stopped.
      - By default 60 for look-ups, and no limit for commands that move data.
    type: int
  key_file:
    description:
      - The key of a keyfile repository, where it is not in Borg's keys directory.
    type: path
  base_directory:
    description:
      - Borg's base directory (C(BORG_BASE_DIR)); its configuration, keys, security records and cache lie below it.
      - By default the home directory that the user database gives for the user who runs this.
    type: path
  accept_relocated:
    description:
      - Whether to open a repository that Borg last saw at another location. M(fleetbackup.borg.borg_repository) makes Borg
        remember the new location; the other modules only open it.
    type: bool
    default: false
  allow_unencrypted:
    description:
      - Whether the repository may be unencrypted, and is opened where this machine has never seen it before.
    type: bool
    default: false
notes:
  - C(group/fleetbackup.borg.repository) in C(module_defaults) sets these options for all modules that take them.
  - Run it as the user who owns the repository and makes the backups. Files that root leaves in another user's
    repository lock that user out.
  - On failure each Borg module returns C(msg), C(error) (a word to decide on), C(reason), C(retryable), C(rc), C(msgid),
    C(cmd) and C(stderr).
requirements:
  - Borg 1.2 or 1.4 on the target
"""
