# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sign of life while a module works for long."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Callable, Iterator, Optional

from ansible.utils.display import Display

from ansible_collections.fleetbackup.borg.plugins.module_utils._location import without_password
from ansible_collections.fleetbackup.borg.plugins.plugin_utils._factless import Factless

#: Seconds between two signs.
EVERY = 20.0


@contextlib.contextmanager
def heartbeat(host: str, what: str, show: Optional[Callable[[str], None]] = None, every: float = EVERY) -> Iterator[None]:
    """Say every now and then that the work goes on.

    :param host: whose work it is.
    :param what: without secrets.
    """
    said = show or Display().display
    over = threading.Event()

    def beat() -> None:
        begun = time.monotonic()
        while not over.wait(every):
            said(f"[{host}] {what}: running for {time.monotonic() - begun:.0f} s")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class BeatingAction(Factless):
    """Runs the module of its name, and says that the work goes on."""

    _supports_async = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """Run the module."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        host = (task_vars or {}).get("inventory_hostname", "")
        with heartbeat(host, without_password(str(self._task.args.get("repository", "")))):
            result.update(self.as_told(task_vars))
        return result
