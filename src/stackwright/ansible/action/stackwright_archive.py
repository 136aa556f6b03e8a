"""The part of `stackwright_archive` that runs on the controller: sends the archive only if the host lacks it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Asks the host, verifies the controller's copy, sends it and unpacks it."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        if result.get("failed") or not result.pop("needed", False):
            return result
        source = Path(str(arguments.get("src", ""))).expanduser()
        if problem := self._problem(source, str(arguments["sha256"])):
            return result | {"failed": True, "changed": False, "msg": problem}
        if self._task.check_mode:
            return result
        # Without `result` of the first call: its keys would stay in the result of the second.
        shell = self._connection._shell  # noqa: SLF001 - the only way that Ansible offers
        remote = self._transfer_file(str(source), shell.join_path(shell.tmpdir, "archive"))
        answer: dict[str, Any] = self._execute_module(
            module_args=arguments | {"transferred": remote}, task_vars=task_vars
        )
        answer.pop("needed", None)
        self._remove_tmp_path(shell.tmpdir)
        return answer

    @staticmethod
    def _problem(source: Path, expected: str) -> str | None:
        if not source.is_file():
            return f"there is no archive {source} on the controller"
        digest = hashlib.file_digest(source.open("rb"), "sha256").hexdigest()
        if digest != expected.lower():
            return f"{source} on the controller has the SHA-256 {digest}, expected {expected}"
        return None
