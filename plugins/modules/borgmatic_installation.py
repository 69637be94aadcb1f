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

import os
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetbackup.borg.plugins.module_utils._apt import Apt
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic import Borgmatic
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import FLAT_SINCE
from ansible_collections.fleetbackup.borg.plugins.module_utils._dialects import dialect_of
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._distribution_timer import NAME as TIMER
from ansible_collections.fleetbackup.borg.plugins.module_utils._distribution_timer import DistributionTimer
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account
from ansible_collections.fleetbackup.borg.plugins.module_utils._module import run_module
from ansible_collections.fleetbackup.borg.plugins.module_utils._packages import package_version, version_tuple
from ansible_collections.fleetbackup.borg.plugins.module_utils._process import find_program, run
from ansible_collections.fleetbackup.borg.plugins.module_utils._systemd import Systemd, Unit
from ansible_collections.fleetbackup.borg.plugins.module_utils._virtualenv import VirtualEnvironment

#: Where the distribution's packages put the programs.
PACKAGED_BORG = "/usr/bin/borg"
PACKAGED_BORGMATIC = "/usr/bin/borgmatic"
#: The first Debian whose package reads flat configurations. Source: packages.debian.org, borgmatic 1.7.7 in 12, 1.9.14 in 13.
DEBIAN_SINCE = 13
#: Where schedules of this collection stand, and how their files end.
SCHEDULE_FILES = {"/etc/systemd/system": ".timer", "/etc/cron.d": ""}


def main() -> None:
    run_module(
        ensure,
        {
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "method": {"type": "str", "choices": ["auto", "package", "venv", "none"], "default": "auto"},
            "borgmatic": {"type": "bool", "default": True},
            "requirements": {"type": "list", "elements": "str", "default": []},
            "virtualenv": {"type": "path"},
            "executable": {"type": "str", "default": "borgmatic"},
            "user": {"type": "str"},
            "distribution_timer": {"type": "str", "choices": ["disabled", "untouched"], "default": "disabled"},
            "leaving": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 1800},
        },
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Bring the installation into the wanted state; the module's result."""
    parameters = module.params
    account = Account.named(None)
    if not account.is_root and parameters["user"] not in (None, account.name):
        raise Failure(
            "permission",
            f"user: the backups shall run as {parameters['user']}, but this runs as {account.name}. Say become: true to let"
            f" root do it, or user: {account.name} for backups of {account.name}'s own.",
        )
    virtualenv = VirtualEnvironment.of(
        parameters["virtualenv"] or ("/opt/borgmatic" if account.is_root else account.expand("~/.local/share/borgmatic")),
        parameters["requirements"],
    )
    arguments = (module, account, virtualenv, Difference())
    result = _ensure_absent(*arguments) if parameters["state"] == "absent" else _ensure_present(*arguments)
    return {"assumed": False, **result}


# --- present -----------------------------------------------------------------------------------------------------


def _ensure_present(
    module: AnsibleModule, account: Account, virtualenv: VirtualEnvironment, difference: Difference
) -> dict[str, Any]:
    parameters = module.params
    method = _method(parameters, account) if parameters["borgmatic"] else None
    build = method == "venv" and _must_build(virtualenv, difference)
    packages = _missing_packages(method, virtualenv, build)
    for name in packages:
        difference.add(f"package {name}", "absent", "present")
    if packages:
        _check_installable(packages, parameters["method"], account)
    borgmatic = _borgmatic(method, parameters, virtualenv)
    versions = _judge(find_program("borg"), None if build else borgmatic)
    timer = _distribution_timer(parameters, account) if parameters["borgmatic"] else None
    if timer:
        timer.compare(_live_timer(), True, difference)
    if difference.changed and not module.check_mode:
        _install(parameters, packages, virtualenv if build else None, timer)
        versions = _judge(find_program("borg"), borgmatic)
    return {
        "changed": difference.changed,
        "diff": difference.as_diff(),
        "method": method,
        "borg": find_program("borg") or PACKAGED_BORG,
        "borg_version": versions[0],
        "borgmatic": borgmatic,
        "borgmatic_version": versions[1],
        "packages": packages,
    }


def _install(
    parameters: dict[str, Any],
    packages: list[str],
    virtualenv: Optional[VirtualEnvironment],
    timer: Optional[DistributionTimer],
) -> None:
    if packages:
        Apt(parameters["timeout"]).install(packages)
    if virtualenv:
        virtualenv.build(parameters["timeout"])
    if timer:
        if "borgmatic" in packages:  # it brought its timer
            timer.compare(_live_timer(), True, Difference())
        timer.apply()


def _method(parameters: dict[str, Any], account: Account) -> str:
    method = parameters["method"]
    if method == "auto":
        new_enough = _debian() >= DEBIAN_SINCE if account.is_root else _is_new_enough(PACKAGED_BORGMATIC)
        method = "package" if new_enough else "venv"
    if method == "venv" and "borgmatic" not in {item.partition("==")[0] for item in parameters["requirements"]}:
        raise Failure(
            "invalid_argument",
            "requirements: borgmatic is missing; for example [borgmatic==2.1.10] and what it depends on, as the role"
            " borgmatic has them.",
        )
    if method == "package" and 0 < _debian() < DEBIAN_SINCE:
        raise Failure(
            "version",
            f"method: Debian {_debian():g} has a borgmatic before {FLAT_SINCE}, which cannot read flat configurations; say venv"
            " or auto.",
        )
    return str(method)


def _borgmatic(method: Optional[str], parameters: dict[str, Any], virtualenv: VirtualEnvironment) -> Optional[str]:
    """The program, as it is or will be; None where it is not wanted."""
    if method in (None, "package", "venv"):
        return {"package": PACKAGED_BORGMATIC, "venv": virtualenv.program}.get(method or "")
    program = find_program(parameters["executable"])
    if program is None:
        raise Failure(
            "borg_missing",
            f"There is no {parameters['executable']}, and method: none installs nothing. Install borgmatic, name its program"
            " in executable, or choose another method.",
        )
    return program


def _debian() -> float:
    """The release of this Debian; that which is no release yet is newer than all; 0 is no Debian."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            release = dict(line.strip().partition("=")[::2] for line in file)
    except FileNotFoundError:
        return 0
    if release.get("ID", "").strip('"') != "debian":
        return 0
    return float(release.get("VERSION_ID", "").strip('"') or "inf")


def _is_new_enough(program: str) -> bool:
    return version_tuple(package_version(program, "borgmatic") or "") >= version_tuple(FLAT_SINCE)


def _must_build(virtualenv: VirtualEnvironment, difference: Difference) -> bool:
    if virtualenv.is_complete():
        return False
    versions = virtualenv.versions()
    if versions == virtualenv.wanted:
        difference.add(virtualenv.directory, "incomplete", "complete")
    for name, version in virtualenv.wanted.items():
        difference.add(f"{virtualenv.directory}: {name}", versions[name], version)
    return True


def _missing_packages(method: Optional[str], virtualenv: VirtualEnvironment, build: bool) -> list[str]:
    missing = []
    if find_program("borg") is None:
        missing.append("borgbackup")
    if method == "package" and not os.path.exists(PACKAGED_BORGMATIC):
        missing.append("borgmatic")
    if build and virtualenv.lacks_tools():
        missing.append("python3-venv")
    return missing


def _check_installable(packages: list[str], method: str, account: Account) -> None:
    names = ", ".join(packages)
    if method == "none":
        raise Failure("borg_missing", f"{names}: not installed, and method: none installs nothing. Install it, or choose another method.")
    if not Apt.is_here():
        raise Failure("borg_missing", f"{names}: not installed, and this machine has no apt. Install it with its package manager.")
    if not account.is_root:
        raise Failure(
            "borg_missing",
            f"{names}: not installed, and {account.name} may not install packages. Let root do it: apt-get install"
            f" {' '.join(packages)}",
        )


def _judge(borg: Optional[str], borgmatic: Optional[str]) -> tuple[Optional[str], Optional[str]]:
    """The versions of both, where they are there and supported."""
    versions: list[Optional[str]] = [None, None]
    if borg is not None:
        version = package_version(borg, "borgbackup")
        if version is None:  # a stand-alone binary has no metadata
            version = run([borg, "--version"], timeout=60).stdout.rpartition(" ")[2].strip()
        dialect_of(version)
        versions[0] = version
    installed = Borgmatic.find(borgmatic, timeout=60) if borgmatic is not None else None
    if installed is not None:
        if version_tuple(installed.version) < version_tuple(FLAT_SINCE):
            raise Failure(
                "version",
                f"{installed.program} is borgmatic {installed.version}, and before {FLAT_SINCE} it cannot read flat"
                " configurations; say method: venv, or install a newer one.",
            )
        versions[1] = installed.version
    return versions[0], versions[1]


# --- absent ------------------------------------------------------------------------------------------------------


def _ensure_absent(
    module: AnsibleModule, account: Account, virtualenv: VirtualEnvironment, difference: Difference
) -> dict[str, Any]:
    parameters = module.params
    uninstall = parameters["method"] != "none"
    apt = Apt(parameters["timeout"])
    noted = apt.ours() if uninstall and account.is_root else set()
    packages = sorted(noted & apt.installed()) if noted else []
    for name in packages:
        difference.add(f"package {name}", "present", "absent")
    difference.add("packages noted", sorted(noted), [])
    remove = uninstall and virtualenv.is_ours
    difference.add(virtualenv.directory, "present" if remove else "absent", "absent")
    from fnmatch import fnmatchcase  # only removal pays for it

    schedules = _schedules() if account.is_root else set()
    leaving = {name for name in schedules if any(fnmatchcase(name, pattern) for pattern in parameters["leaving"])}
    remaining = schedules - leaving if module.check_mode else schedules
    if remaining and difference.changed:
        raise Failure(
            "unsafe",
            f"The schedules {', '.join(sorted(remaining))} still run borgmatic. Remove them first with borgmatic_schedule, or"
            " say method: none to leave the programs.",
        )
    timer = _distribution_timer(parameters, account)
    if timer:
        timer.compare(Unit() if "borgmatic" in packages else _live_timer(), bool(remaining), difference)
    if not module.check_mode:
        if noted:
            apt.remove_ours()
        if remove:
            virtualenv.remove()
        if timer:
            timer.apply()
    return {
        **dict.fromkeys(("method", "borg", "borg_version", "borgmatic", "borgmatic_version")),
        "changed": difference.changed,
        "diff": difference.as_diff(),
        "packages": packages,
        "assumed": module.check_mode and bool(leaving) and difference.changed,
    }


def _schedules() -> set[str]:
    """The names of this machine's schedules."""
    from ansible_collections.fleetbackup.borg.plugins.module_utils._units import PREFIX  # only removal pays for it

    found = set()
    for directory, extension in SCHEDULE_FILES.items():
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            if name.startswith(PREFIX) and name.endswith(extension):
                found.add(name[len(PREFIX) : len(name) - len(extension)])
    return found


# --- the distribution's timer ------------------------------------------------------------------------------------


def _distribution_timer(parameters: dict[str, Any], account: Account) -> Optional[DistributionTimer]:
    if parameters["distribution_timer"] == "untouched" or not account.is_root or not os.path.isdir("/run/systemd/system"):
        return None
    return DistributionTimer(Systemd("system", account))


def _live_timer() -> Unit:
    return Systemd("system", Account.named(None)).show([TIMER])[TIMER]


if __name__ == "__main__":
    main()
