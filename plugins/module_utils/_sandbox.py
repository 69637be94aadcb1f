# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scheduled run may do, as directives of a systemd service.

A backup has to see every file exactly as it is. So whatever would hide or change what is read is never used: PrivateTmp,
PrivateDevices, ProtectHome=yes, ProtectProc, ProtectKernelModules (it empties /usr/lib/modules), ProtectKernelLogs (it changes
/dev/kmsg), and ProtectClock (it forbids the devices that read_special reads).
"""

from __future__ import annotations

from typing import Callable, Sequence

#: The strictest first.
#:   strict: reads everything, writes where it has to.
#:   hooks: for commands, database dumps and snapshots, which may do whatever the account may.
#:   none: nothing is limited; all that a user's own systemd and cron can offer.
PROFILES = ("strict", "hooks", "none")

#: Being polite to everything else that runs is no limit.
PRIORITY = (
    "Nice=19",
    "CPUSchedulingPolicy=batch",
    "IOSchedulingClass=best-effort",
    "IOSchedulingPriority=7",
)

#: Root without these would miss files of mode 0000 (READ_SEARCH), could not write into a repository's directory that
#: another account owns (OVERRIDE), would change the times of files that it reads (FOWNER, for O_NOATIME), and would lose
#: the extended attributes "trusted.*", such as those of container images (SYS_ADMIN; the calls that would make it dangerous
#: are filtered). Written is still only where ReadWritePaths allows.
_CAPABILITIES = "CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_FOWNER CAP_SYS_ADMIN"

#: A restore gives files their owners, modes and attributes back, and makes devices.
_RESTORING = "CAP_CHOWN CAP_FSETID CAP_MKNOD CAP_SETFCAP"

_STRICT = (
    "ProtectSystem=strict",
    # read-only as well: strict leaves homes alone
    "ProtectHome=read-only",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    # these two bring a /run of their own, and where there is one it stays as writable as it was (systemd 252, 257)
    "ReadOnlyPaths=/run",
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    # device files can be archived, and read with read_special, but no disk can be overwritten
    "DevicePolicy=closed",
    "DeviceAllow=block-* r",
    "DeviceAllow=char-* r",
)

#: What of it is in the way of a restore, and what stands there instead.
_STRICT_BUT = {
    "RestrictSUIDSGID=yes": "RestrictSUIDSGID=no",
    "DeviceAllow=block-* r": "DeviceAllow=block-* rm",
    "DeviceAllow=char-* r": "DeviceAllow=char-* rm",
}

#: No mount namespace (a hook may mount what others shall see), all capabilities, no NoNewPrivileges (sudo).
_HOOKS_OF_ROOT = (
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "SystemCallFilter=~@clock @cpu-emulation @obsolete @reboot @swap",
    "SystemCallErrorNumber=EPERM",
)


def directives(profile: str, writable: Sequence[str], quote: Callable[[str], str], *, root: bool, restores: bool = False) -> list[str]:
    """The lines of the section [Service] that make up a profile.

    :param profile: one of :data:`PROFILES`.
    :param writable: the paths that may be written to; those that do not exist count for nothing.
    :param quote: writes one path the way systemd reads it.
    :param root: whether root runs it: of any other account's service, filters would take away sudo.
    :param restores: whether files are restored, to a scratch place.
    """
    if profile == "strict":
        capabilities = f"{_CAPABILITIES} {_RESTORING}" if restores else _CAPABILITIES
        paths = dict.fromkeys(("/tmp", "/var/tmp", *writable))
        return [
            *(_STRICT_BUT.get(line, line) if restores else line for line in _STRICT),
            f"CapabilityBoundingSet={capabilities if root else ''}",
            *(f"ReadWritePaths={quote('-' + path)}" for path in paths),
        ]
    if profile == "hooks" and root:
        return list(_HOOKS_OF_ROOT)
    return []
