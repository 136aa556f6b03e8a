"""`stackwright_inputs`: checks all inputs of a role in one task.

A check has `name`, `that` and `fail_msg`, like a task of `ansible.builtin.assert`, and may have `loop`, `when` and
`vars`. Every failed check is reported. Items are shown only by `fail_msg`, since they may contain secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

from stackwright.ansible.entries import EntriesAction, as_list, expand

_KEYS = {"name", "that", "fail_msg", "loop", "when", "vars"}


class ActionModule(EntriesAction):
    """Evaluates every check of the task; a task costs the controller a process, a check costs next to nothing."""

    argument = "checks"
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the messages of all failed checks."""
        super().run(tmp, task_vars)
        refusals: list[str] = []
        for check in self.entries():
            try:
                refusals += self._refusals(check, task_vars or {})
            except AnsibleError:
                # A failed earlier check may be the reason why a later one cannot be evaluated.
                if not refusals:
                    raise
                break
        if refusals:
            return {"failed": True, "changed": False, "msg": "\n".join(dict.fromkeys(refusals))}
        return {"changed": False}

    def _refusals(self, check: Any, variables: dict[str, Any]) -> Iterator[str]:
        if not isinstance(check, dict) or not {"name", "that", "fail_msg"} <= set(check) <= _KEYS:
            raise AnsibleActionFail(f"a check has name, that and fail_msg, and may have loop, when and vars: {check!r}")
        for templar, _ in expand(self._templar, variables, check):
            if not all(templar.evaluate_conditional(condition) for condition in as_list(check["that"])):
                yield str(templar.template(check["fail_msg"])).strip()
