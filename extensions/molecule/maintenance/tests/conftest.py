# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Some history to look after."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from controller import Run, maintain, module
from machines import INVENTORIES, VAULT, WEB1, WEB10, known, size, tree


class History(NamedTuple):
    """The archives that there were before anybody looked after them, oldest first; and the run that looked first."""

    web1: list[str]
    web10: list[str]
    shared1: list[str]
    shared10: list[str]
    keyfile: list[str]
    first: Run


@pytest.fixture(scope="session")
def history() -> History:
    """What the clients have made, as the trusted machine knows it."""
    with ThreadPoolExecutor() as both:
        one = both.submit(lambda: (WEB1.make("web1", 5, 4, 3, 1), WEB1.make("shared", 4), WEB1.make("keyfile", 5, 4, 1)))
        ten = both.submit(lambda: (WEB10.make("web10", 3, 1), WEB10.make("shared", 5, 3, 1)))
    (web1, earlier, keyfile), (web10, shared10) = one.result(), ten.result()
    shared1 = earlier + WEB1.make("shared", 3, 1)
    # converge took the inventories of repositories that were empty
    VAULT.output(f"rm {INVENTORIES}/*.json")
    first = maintain().succeeded()
    assert WEB1.archives("web1") == web1
    return History(web1, web10, shared1, shared10, keyfile, first)


class Maintained(NamedTuple):
    """The first run that prunes.

    :ivar told: what check mode said before.
    :ivar untouched: whether nothing was changed by that.
    :ivar freed: the bytes that the server has more.
    """

    told: dict[str, Any]
    untouched: bool
    run: Run
    freed: int


@pytest.fixture(scope="session")
def maintained(history: History) -> Maintained:
    """Repositories in order."""
    before = tree(), known()
    told = module(check=True)
    untouched = (tree(), known()) == before
    whole = size("web1")
    return Maintained(told, untouched, maintain().succeeded(), whole - size("web1"))
