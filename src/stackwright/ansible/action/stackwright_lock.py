"""The part of `stackwright_lock` that runs on the controller: identifies this run, checks if the holder still runs."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import platform
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from stackwright import processes


def started(pid: int) -> str | None:
    """Return when a process started, in clock ticks since boot, which with the ID is unique; None if it has ended."""
    try:
        # Field 22; the second, the name in parentheses, may contain spaces.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def holder() -> dict[str, Any]:
    """Identify this run by the process of ansible-playbook, in which a task runs unless a worker was forked for it."""
    parent = multiprocessing.parent_process()
    pid = (parent and parent.pid) or os.getpid()
    return {
        "controller": platform.node(),
        "machine": processes.machine(),
        "user": getpass.getuser(),
        "pid": pid,
        "started": started(pid),
    }


def has_ended(lock_holder: dict[str, Any]) -> bool:
    """Return whether a holder ran on this controller and has ended."""
    if lock_holder.get("machine") != processes.machine():
        return False
    return lock_holder.get("started") is None or started(int(lock_holder["pid"])) != lock_holder["started"]


def describe(content: dict[str, Any]) -> str:
    """Return in words who holds a lock, since when and why."""
    by = content.get("holder") or {}
    return (
        f"{by.get('user', 'someone')} on {by.get('controller', 'an unknown controller')}"
        f" since {content.get('since', 'an unknown time')} ({content.get('reason') or 'no reason given'})"
    )


class ActionModule(ActionBase):  # type: ignore[misc]
    """Takes or releases the lock; takes it over from a holder that has ended, otherwise tries only once."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result, failed if another run holds the lock."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args) | {"holder": holder()}
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        lock = result.get("found", {})
        if result.get("held") is False and arguments["state"] == "held" and has_ended(lock.get("holder", {})):
            arguments["replace"] = lock["holder"]
            result = self._execute_module(module_args=arguments, task_vars=task_vars)
        if result.get("held") is False and arguments["state"] == "held":
            result["failed"] = True
            result["locked"] = True
            result["msg"] = (
                f"locked by {describe(lock)}; "
                f"wait for its end; a run that is dead loses the lock when its SSH session ends, in ten minutes at most"
            )
        elif result.get("held") and result.get("found"):
            result["earlier"] = describe(result["found"])
        return result
