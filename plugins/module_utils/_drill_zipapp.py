# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of restore drills, which needs neither Ansible nor this collection on a machine: a file of Python's own kind (zipapp), made
of the files beside this one, the same bytes wherever it is made."""

from __future__ import annotations

import ast
import importlib.util
import io
import zipfile
from typing import Optional

# also has Ansible pack it, and all that it imports
from ansible_collections.fleetbackup.borg.plugins.module_utils import _drill_main

_PACKAGE = "ansible_collections.fleetbackup.borg.plugins.module_utils"
_ENTRY = _drill_main.__name__
_MAIN = f"import sys\nfrom {_ENTRY} import main\nsys.exit(main(sys.argv[1:]))\n"


def program() -> bytes:
    """Its bytes."""
    files = {f"{name.replace('.', '/')}.py": source for name, source in _sources().items()}
    parts = _PACKAGE.split(".")
    packages = {f"{'/'.join(parts[: depth + 1])}/__init__.py": "" for depth in range(len(parts))}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in sorted({**files, **packages, "__main__.py": _MAIN}.items()):
            # without a time of its own, and not compressed, it is the same everywhere
            archive.writestr(zipfile.ZipInfo(path), text)
    return buffer.getvalue()


def _sources() -> dict[str, str]:
    """The files that it takes, by their names: the first one and whatever it imports."""
    found: dict[str, str] = {}
    missing = [_ENTRY]
    while missing:
        name = missing.pop()
        text = _source(name)
        if name not in found and text is not None:
            found[name] = text
            missing += _imported(text)
    return found


def _source(name: str) -> Optional[str]:
    specification = importlib.util.find_spec(name)
    loader = None if specification is None else specification.loader
    get_source = getattr(loader, "get_source", None)
    return None if get_source is None else get_source(name)


def _imported(text: str) -> list[str]:
    """What of this package a file imports."""
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == _PACKAGE:
            names += [f"{_PACKAGE}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith(f"{_PACKAGE}."):
            names.append(node.module)
    return names
