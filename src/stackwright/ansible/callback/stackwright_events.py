"""Reports the progress of a converge to the CLI: one JSON object per line on the file descriptor that the CLI passed.

Ansible's own output is unchanged; this is a second channel, so that the CLI need not parse text meant for users.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: stackwright_events
type: aggregate
short_description: progress as JSON lines
description: Writes plays, tasks and results to the file descriptor in STACKWRIGHT_EVENTS_FD.
author: stackwright
"""

_DRIFT = ("users", "problem", "recorded_at", "not_asked", "compared", "differences")


#: Keys of a module's result that name what has changed.
_CHANGED = ("changed_paths", "changed_units", "changed_settings")


def _items(result: Any) -> list[str]:
    """Return the names of what a task changed; none for a task with `no_log`."""
    if result.task.no_log or result.result.get("_ansible_no_log"):
        return []
    answers = [answer for answer in result.result.get("results", [result.result]) if answer.get("changed")]
    return [str(name) for answer in answers for key in _CHANGED for name in answer.get(key, ())]


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Reports plays, tasks and results, without values of tasks except the results of two actions.

    These are `stackwright_status` and `stackwright_drift`, which contain no secrets.
    """

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stackwright_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        descriptor = os.environ.get("STACKWRIGHT_EVENTS_FD")
        self.disabled = descriptor is None
        self._file = None if descriptor is None else os.fdopen(int(descriptor), "w", closefd=False)

    def _tell(self, event: str, **values: Any) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"event": event, **values}) + "\n")
            self._file.flush()

    def _result(self, status: str, result: Any) -> None:
        values: dict[str, Any] = {"host": result.host.get_name(), "status": status, "task": result.task.get_name()}
        if status in {"failed", "unreachable"}:
            shown = self._clean(result)
            values["message"] = shown
            values["locked"] = result.result.get("locked") is True
            values["place"] = result.task.get_path()
        elif status == "changed":
            values["items"] = _items(result)
        elif result.task.action == "stackwright_status":
            values["said"] = {key: result.result[key] for key in ("answers", "time")}
        elif result.task.action == "stackwright_drift":
            values["said"] = [
                {key: answer[key] for key in _DRIFT if key in answer}
                for answer in result.result.get("results", [result.result])
            ]
        self._tell("result", **values)

    def _clean(self, result: Any) -> str:
        """Return the message of a failure; the output of a task with `no_log` stays hidden."""
        output = result.result
        if result.task.no_log or output.get("_ansible_no_log"):
            return "the task's output is secret"
        parts = [str(output.get(key, "")).strip() for key in ("msg", "stderr")]
        failed = [str(outcome.get("msg", "")) for outcome in output.get("results", []) if outcome.get("failed")]
        return "\n".join(part for part in [*parts, *failed] if part) or "no message"

    def reason(self, host: str, text: str) -> None:
        """Report the reason of a failure whose result is censored; the strategy has removed the secrets."""
        self._tell("reason", host=host, message=text)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._tell("play", name=play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: FBT001, ARG002 - Ansible's
        self._tell("task", name=task.get_name())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._tell("task", name=task.get_name())

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._tell("start", host=host.get_name(), task=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        self._result("changed" if result.result.get("changed") else "ok", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._result("skipped", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: FBT001, FBT002 - Ansible's
        self._result("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._result("ignored" if result.task.ignore_unreachable else "unreachable", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._tell("stats", hosts={host: stats.summarize(host) for host in sorted(stats.processed)})
