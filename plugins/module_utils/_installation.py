# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module borgmatic_installation ensures: Borg and borgmatic are installed."""

from __future__ import annotations

import os
from typing import Any, Optional

from ansible_collections.fleetbackup.borg.plugins.module_utils._apt import Apt
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic import Borgmatic
from ansible_collections.fleetbackup.borg.plugins.module_utils._borgmatic_options import FLAT_SINCE
from ansible_collections.fleetbackup.borg.plugins.module_utils._call import Call
from ansible_collections.fleetbackup.borg.plugins.module_utils._dialects import dialect_of
from ansible_collections.fleetbackup.borg.plugins.module_utils._difference import Difference
from ansible_collections.fleetbackup.borg.plugins.module_utils._distribution_timer import NAME as TIMER
from ansible_collections.fleetbackup.borg.plugins.module_utils._distribution_timer import DistributionTimer
from ansible_collections.fleetbackup.borg.plugins.module_utils._errors import Failure
from ansible_collections.fleetbackup.borg.plugins.module_utils._launch import Account
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

ARGUMENTS: dict[str, dict[str, Any]] = {
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
}


def ensure(call: Call) -> dict[str, Any]:
    """Bring the installation into the wanted state; the module's result."""
    parameters = call.params
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
    arguments = (call, account, virtualenv, Difference())
    result = _ensure_absent(*arguments) if parameters["state"] == "absent" else _ensure_present(*arguments)
    return {"assumed": False, **result}


# --- present -----------------------------------------------------------------------------------------------------


def _ensure_present(
    call: Call, account: Account, virtualenv: VirtualEnvironment, difference: Difference
) -> dict[str, Any]:
    parameters = call.params
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
    if difference.changed and not call.check_mode:
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
    call: Call, account: Account, virtualenv: VirtualEnvironment, difference: Difference
) -> dict[str, Any]:
    parameters = call.params
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
    remaining = schedules - leaving if call.check_mode else schedules
    if remaining and difference.changed:
        raise Failure(
            "unsafe",
            f"The schedules {', '.join(sorted(remaining))} still run borgmatic. Remove them first with borgmatic_schedule, or"
            " say method: none to leave the programs.",
        )
    timer = _distribution_timer(parameters, account)
    if timer:
        timer.compare(Unit() if "borgmatic" in packages else _live_timer(), bool(remaining), difference)
    if not call.check_mode:
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
        "assumed": call.check_mode and bool(leaving) and difference.changed,
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
