"""A quick converge: verify instead of running if the inputs and the hosts are as the last full run left them.

Either everything is verified or everything runs (docs/adr/0019-quick.md).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.text import Text

from stackwright.ansible import recorded_calls, run_inputs
from stackwright.cli import drift
from stackwright.cli.progress import Runner
from stackwright.infra import engine
from stackwright.model.drift_report import DriftReport
from stackwright.model.environment import Environment
from stackwright.model.errors import listed

#: Age after which a full run is due.
FULL_RUN_DAYS = 7
#: How many changed inputs and differences a message names.
_NAMED = 3
#: Tasks of a run without changes whose calls cannot be repeated, and what replaces them.
UNASKED = {
    ("backup", "run_stanza | Check that archiving works"): "backup-status",
    ("backup", "run_stanza | Read the state of the repository"): "backup-status",
    ("baseline", "kernel | Bring kernel settings into force"): "kernel | Read the running kernel settings",
    ("pm2", "run | Start instances that do not run yet beside those that do"): "ask | Ask each host",
}


def is_enabled(environment: Environment, option: bool | None) -> bool:
    """Return whether to try: by the option; without one, for local hosts only. STACKWRIGHT_REPLAY=0 disables it."""
    if os.environ.get("STACKWRIGHT_REPLAY") == "0":
        return False
    return environment.provider == "local" if option is None else option


def verify(console: Console, runner: Runner, environment: Environment, stack: Mapping[str, Any]) -> bool:
    """Return whether a full run would change nothing; print what was verified, or why a full run is needed."""
    entries = recorded_calls.index(recorded_calls.index_path(environment.name))
    output = engine.read_output(environment)
    reason = changed_inputs(environment.name, [*stack["hosts"]], entries, output, datetime.now(UTC))
    if reason is None:
        report = drift.ask(runner, environment, stack)
        reason = unverified(report)
    if reason is not None:
        console.print(Text(f"  full run: {reason}", style="yellow"), soft_wrap=True)
        return False
    width = max(len(host.name) for host in report.hosts)
    for host in report.hosts:
        console.print(
            f"  {host.name:<{width}}  verified: {host.compared} checks; last full run {entries[host.name]['at']}"
        )
    return True


def changed_inputs(
    name: str,
    hosts: list[str],
    entries: Mapping[str, Mapping[str, str]],
    output: Mapping[str, Any] | None,
    now: datetime,
) -> str | None:
    """Return in words why a run could differ from the last full one; None if it would read the same inputs."""
    before = run_inputs.recorded(name)
    if isinstance(before, str):
        return f"the inputs of the last full run are not known: {before}"
    for host in hosts:
        entry = entries.get(host)
        if entry is None:
            return f"the last full run changed {host}, or did not reach it"
        if entry.get("inputs") != before.digest:
            return f"{host} was recorded with other inputs"
        age = now - datetime.fromisoformat(entry["at"])
        if not timedelta() <= age < timedelta(days=FULL_RUN_DAYS):
            return f"one is due every {FULL_RUN_DAYS} days, and the last one of {host} was at {entry['at']}"
    changes = before.changes(run_inputs.now(name, before, output))
    return f"{listed(changes, _NAMED)} changed since the last one" if changes else None


def unverified(report: DriftReport) -> str | None:
    """Return in words which host does not match its record; None if all do."""
    for host in report.hosts:
        if host.problem:
            return f"{host.name} was not compared: {host.problem}"
        if host.differences:
            tasks = [f"{entry.role}: {entry.task}" for entry in host.differences]
            return f"{host.name} differs from the last one ({listed(tasks, _NAMED)})"
        unasked = [f"{entry.role}: {entry.task}" for entry in host.not_asked if (entry.role, entry.task) not in UNASKED]
        if unasked or not host.compared:
            return f"not every task can be verified on {host.name} ({listed(unasked, _NAMED) or 'none was recorded'})"
    return None
