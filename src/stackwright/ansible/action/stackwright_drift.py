"""`stackwright_drift`: repeats the recorded module calls of the last converge on a host.

Without `user`: reads the host's record and returns the `users` whose calls it contains. With `user`: repeats their
calls, and returns how many were `compared` and the `differences`. The task becomes the user; it changes nothing.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader, module_utils_loader

from stackwright import project
from stackwright.ansible import recorded_calls

#: Records by host, for the lifetime of this process, in which tasks run.
_records: dict[str, list[recorded_calls.Call]] = {}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs on the controller; the modules of the recorded calls run on the host."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result for `stackwright drift`."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        host, user = str(variables["inventory_hostname"]), self._task.args.get("user")
        if user is None:
            return result | self._read(host, variables)
        if host not in _records:
            raise AnsibleActionFail("drift needs mitogen; fix: unset STACKWRIGHT_MITOGEN")
        calls = [call for call in _records[host] if call.user == user]
        differences = [difference for call in calls if (difference := self._ask(call, variables))]
        return result | {"compared": len(calls), "differences": differences}

    def _read(self, host: str, variables: dict[str, Any]) -> dict[str, Any]:
        known = recorded_calls.index(recorded_calls.index_path(variables["stack"]["environment"])).get(host)
        if known is None:
            return {"users": [], "problem": "no record: the last run changed this host, or did not run all of site.yml"}
        answer = self._execute_module("ansible.builtin.slurp", {"src": recorded_calls.PATH}, task_vars=variables)
        content = base64.b64decode(answer.get("content", "")).decode(errors="replace")
        if recorded_calls.checksum(content) != known["sha256"]:
            return {
                "users": [],
                "problem": f"{recorded_calls.PATH} does not match the last converge from this controller",
            }
        _load_modules_of_roles()
        _records[host] = [*recorded_calls.calls(content)]
        not_asked = recorded_calls.not_asked(content)
        return {
            "users": sorted({call.user for call in _records[host]}),
            "recorded_at": known["at"],
            "not_asked": not_asked,
        }

    def _ask(self, call: recorded_calls.Call, variables: dict[str, Any]) -> dict[str, Any] | None:
        # This task is a copy, made for this host.
        self._task.check_mode, self._task.no_log = call.in_check_mode, True
        try:
            answer = self._execute_module(call.module, call.safe_arguments(), task_vars=variables)
        except AnsibleConnectionFailure:
            # The host has become unreachable, which is not a difference of each call.
            raise
        except AnsibleError as error:
            # For example, the module has been removed since.
            answer = {"failed": True, "msg": str(error)}
        finally:
            self._task.no_log = False
        differs = call.compare(answer)
        return differs and {"role": call.role, "task": call.task, "what": call.what, **differs}


def _load_modules_of_roles() -> None:
    for role in Path(project.root() / "roles").iterdir():
        for loader, folder in ((module_loader, role / "library"), (module_utils_loader, role / "module_utils")):
            if folder.is_dir():
                loader.add_directory(str(folder))
