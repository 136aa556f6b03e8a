"""Store this run's module calls on a host, if the run has changed nothing there and has left nothing out."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionSkip
from ansible.plugins.action import ActionBase

from stackwright.ansible import recorded_calls


class ActionModule(ActionBase):  # type: ignore[misc]
    """Calls `stackwright_files` once; with the task's `no_log`, the content stays out of the host's log."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        super().run(tmp, task_vars)
        host = str((task_vars or {})["inventory_hostname"])
        if recorded_calls.recorder.content(host) is None:
            raise AnsibleActionSkip("this run has changed something here, or has left something out")
        # Roles depend on it besides their inputs: another release of the operating system is a difference.
        self._execute_module("ansible.builtin.slurp", {"src": "/etc/os-release"}, task_vars=task_vars)
        content = str(recorded_calls.recorder.content(host))
        file = {"path": recorded_calls.PATH, "content": content, "mode": "0600"}
        answer: dict[str, Any] = self._execute_module("stackwright_files", {"files": [file]}, task_vars=task_vars)
        if not answer.get("failed"):
            recorded_calls.recorder.remember(host, content)
        # The record is not part of the state that a run describes.
        return answer | {"changed": False}
