"""mitogen's connection to its multiplexer, open for the life of this process and shared by its threads.

mitogen's own serves a worker that runs one task on one host and ends. Here tasks run in Ansible's process itself: what a
task closes has to stay open for the next, and two of them may ask for it at once. Needs a mitogen that fits this Ansible;
importing it raises otherwise.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import mitogen.fork
from ansible_mitogen import planner, process


class Multiplexer(process.ClassicWorkerModel):  # type: ignore[misc]
    """The worker model of mitogen's strategy, which hands out connections."""

    broker: Any

    def __init__(self, **options: Any) -> None:
        self._lock = threading.Lock()
        super().__init__(**options)
        os.register_at_fork(after_in_child=self._reset_after_fork)

    def on_strategy_start(self) -> None:
        """Start the thread that reads the connection. Not on demand: it ends with the thread that starts it."""
        if self.broker is None:
            self.broker = process.Broker()

    def get_binding(self, inventory_name: str) -> process.ClassicBinding:
        """Return the way to a host, and connect to the multiplexer before the first."""
        with self._lock:
            return super().get_binding(inventory_name)

    def on_binding_close(self) -> None:
        """Disconnect in a worker, which ends."""
        if os.getpid() != self._pid:
            super().on_binding_close()

    def _reset_after_fork(self) -> None:
        """In a worker: the connection is its parent's, and so is the thread that reads it."""
        self._lock = threading.Lock()
        if self.broker is not None:
            self.broker = self.router = self.parent = self.listener_path = None
            mitogen.fork.on_fork()


class Planner(planner.NewStylePlanner):  # type: ignore[misc]
    """How a module runs on the host: ours in the process that is there for all tasks.

    mitogen forks a process on the host for each call of a module with module_utils of its own, since those could leave
    something behind. Ours do not; a call of `stackwright_units` took 130 ms with a process, 95 ms without (60 calls, two pairs).
    """

    def should_fork(self) -> bool:
        """Whether this call gets a process on the host."""
        custom = [name for name, _, _ in self.get_module_map()["custom"]]
        if custom and all(name.startswith("ansible.module_utils.stackwright_") for name in custom):
            return bool(planner.ScriptPlanner.should_fork(self))
        return bool(super().should_fork())


def install() -> None:
    """Replace mitogen's model and its planner by these."""
    process.ClassicWorkerModel = Multiplexer
    planner._planners[planner._planners.index(planner.NewStylePlanner)] = Planner  # noqa: SLF001 - mitogen offers no other place
