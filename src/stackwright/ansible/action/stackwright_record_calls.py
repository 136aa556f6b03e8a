"""Leave on a host what this run has asked it, if the run has changed nothing there and has left nothing out."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionSkip
from ansible.plugins.action import ActionBase

from stackwright.ansible import recorded_calls


class ActionModule(ActionBase):  # type: ignore[misc]
    """One call of `stackwright_recorded_calls`."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        super().run(tmp, task_vars)
        host = str((task_vars or {})["inventory_hostname"])
        content = recorded_calls.recorder.record(host)
        if content is None:
            raise AnsibleActionSkip("this run has changed something here, or has left something out")
        answer: dict[str, Any] = self._execute_module(
            "stackwright_recorded_calls", {"path": recorded_calls.PATH, "content": content}, task_vars=task_vars
        )
        if not answer.get("failed"):
            recorded_calls.recorder.remember(host, content)
        return answer
