"""mitogen's connection to its multiplexer, open for the lifetime of this process and shared by its threads.

mitogen's own connection serves a worker that runs one task on one host and ends. Here tasks run in Ansible's process
itself: the connection must stay open after a task, and two tasks may need it at once. Importing this module raises an
exception unless mitogen supports this version of Ansible.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import mitogen.fork
from ansible_mitogen import planner, process


class Multiplexer(process.ClassicWorkerModel):  # type: ignore[misc]
    """The worker model of mitogen's strategy, which provides connections."""

    broker: Any

    def __init__(self, **options: Any) -> None:
        self._lock = threading.Lock()
        super().__init__(**options)
        os.register_at_fork(after_in_child=self._reset_after_fork)

    def on_strategy_start(self) -> None:
        """Start the thread that reads the connection; not on demand, because it ends with the thread that starts it."""
        if self.broker is None:
            self.broker = process.Broker()

    def get_binding(self, inventory_name: str) -> process.ClassicBinding:
        """Return the binding to a host; connect to the multiplexer before the first one."""
        with self._lock:
            return super().get_binding(inventory_name)

    def on_binding_close(self) -> None:
        """Disconnect only in a worker, which is about to end."""
        if os.getpid() != self._pid:
            super().on_binding_close()

    def _reset_after_fork(self) -> None:
        """Drop the connection in a worker: it belongs to the parent, and so does the thread that reads it."""
        self._lock = threading.Lock()
        if self.broker is not None:
            self.broker = self.router = self.parent = self.listener_path = None
            mitogen.fork.on_fork()


class Planner(planner.NewStylePlanner):  # type: ignore[misc]
    """Decides how a module runs on the host: ours run in the process that serves all tasks.

    mitogen forks a process on the host for each call of a module with custom module_utils, since those could leave
    state behind. Ours do not; a call of `stackwright_units` took 130 ms with a process, 95 ms without (60 calls, two
    pairs).
    """

    def should_fork(self) -> bool:
        """Return whether this call gets its own process on the host."""
        custom = [name for name, _, _ in self.get_module_map()["custom"]]
        if custom and all(name.startswith("ansible.module_utils.stackwright_") for name in custom):
            return bool(planner.ScriptPlanner.should_fork(self))
        return bool(super().should_fork())


def install() -> None:
    """Replace mitogen's worker model and planner with these."""
    process.ClassicWorkerModel = Multiplexer
    planner._planners[planner._planners.index(planner.NewStylePlanner)] = Planner  # noqa: SLF001 - mitogen offers no other place
