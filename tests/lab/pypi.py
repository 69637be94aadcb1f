# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How this machine reaches PyPI, as a pip.conf and a CA bundle that also hold inside a container."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

BUNDLE_INSIDE = "/etc/lab-ca.pem"
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
SYSTEM_FILES = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf")
# What names files of this machine (find-links, a cache, a log) would be wrong inside.
KEPT = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def pip_conf() -> str:
    """This machine's pip settings, without those that name its own files."""
    options = {name: value for name, value in _host_options().items() if name in KEPT}
    for name in ("index-url", "extra-index-url"):
        reachable = [url for url in options.get(name, "").split() if not url.startswith("file:")]
        options[name] = " ".join(reachable)
    lines = [f"{name} = {value}" for name, value in sorted(options.items()) if value]
    if bundle():
        lines.append(f"cert = {BUNDLE_INSIDE}")
    return "\n".join(["[global]", "disable-pip-version-check = true", "root-user-action = ignore", *lines, ""])


def bundle() -> Path | None:
    """The certificates that this machine trusts: pip's own setting first, then the system's."""
    named = [_host_options().get("cert"), *(os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"))]
    candidates = [Path(name) for name in named if name] + [SYSTEM_BUNDLE]
    return next((path for path in candidates if path.is_file()), None)


def proxies() -> dict[str, str]:
    """The proxy variables of this environment."""
    return {name: os.environ[name] for name in PROXY_VARIABLES if os.environ.get(name)}


def _host_options() -> dict[str, str]:
    """pip's options, weakest source first, as pip itself reads them: global, user, PIP_CONFIG_FILE, PIP_*."""
    home = Path.home()
    files = [*map(Path, SYSTEM_FILES), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    if os.environ.get("PIP_CONFIG_FILE"):
        files.append(Path(os.environ["PIP_CONFIG_FILE"]))
    parser = configparser.RawConfigParser()
    parser.read(files, encoding="utf-8")
    options: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            options.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            options[name[4:].lower().replace("_", "-")] = value
    return options
