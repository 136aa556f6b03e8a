"""Refuse a run for all hosts at once if one of them is locked, has other secrets, or is newer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from stackwright import converge_checks, project


class ActionModule(ActionBase):  # type: ignore[misc]
    """Checks the results of `stackwright_lock` and `stackwright_converge_record` that were registered on each host."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return a failure that names every host and its reason, or who held the lock previously."""
        result: dict[str, Any] = super().run(tmp, task_vars) or {}
        known = task_vars or {}
        locks, states = self._task.args["locks"], self._task.args["states"]
        # `failed_when: false` let these tasks continue, so that all hosts are checked; it has hidden `failed`, too.
        reasons = [
            f"{host}: {lock.get('msg', 'the lock cannot be taken')}"
            for host, lock in locks.items()
            if not lock.get("held") and not lock.get("unreachable")
        ]
        locked = any(lock.get("locked") for lock in locks.values())
        if not reasons:
            reasons = list(self._reasons(states, known))
        earlier = sorted({str(lock["earlier"]) for lock in locks.values() if lock.get("earlier")})
        if reasons:
            text = "nothing was changed on any host:\n" + "\n".join(reasons)
            return result | {"failed": True, "locked": locked, "msg": text}
        if earlier:
            # A run does not release its lock, whether it succeeded or failed; the CLI's own record has the outcome.
            self._display.display(f"the lock was that of {'; '.join(earlier)}, whose run has ended")
        return result

    def _reasons(self, states: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
        run, stack = self._task.args["run"], known["stack"]
        for host, state in states.items():
            if state.get("unreachable"):
                continue
            if "trusted" not in state:
                yield f"{host}: {state.get('msg', 'cannot be asked for its state')}"
                continue
            for problem in converge_checks.problems(
                project.root(),
                run["record"],
                run["ca"],
                {"trusted": state["trusted"], "converged": state["converged"]},
                needed=[str(name) for name in stack["secrets"]["names"]],
                allow_older=bool(self._task.args["allow_older"]),
            ):
                yield f"{host}: {problem}"
