"""The part of `stackwright_packages` that runs on the controller: calls apt if packages are missing on the host."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

ATTEMPTS = 3
PAUSE_SECONDS = 5


class ActionModule(ActionBase):  # type: ignore[misc]
    """Asks the host which packages are missing, then calls apt."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return apt's result, or that no package is missing."""
        super().run(tmp, task_vars)
        answer: dict[str, Any] = self._execute_module(module_args=dict(self._task.args), task_vars=task_vars)
        if answer.get("failed") or not answer["wanting"]:
            return answer
        arguments = {
            "name": self._task.args["name"],
            "state": "present",
            "install_recommends": False,
            "update_cache": True,
            "cache_valid_time": 3600,
        }
        result: dict[str, Any] = {}
        for left in reversed(range(ATTEMPTS)):
            result = self._execute_module(module_name="ansible.builtin.apt", module_args=arguments, task_vars=task_vars)
            if not result.get("failed") or not left:
                break
            Display().warning(f"apt failed, {left} more attempts: {result.get('msg')}")
            time.sleep(PAUSE_SECONDS)
        return result
