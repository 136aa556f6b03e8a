"""`stackwright drift`: repeat on every host the module calls of the last converge, and print which results differ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from stackwright.cli.progress import CommandFailedError, Runner
from stackwright.host_status.answers import problem
from stackwright.model.drift_report import Difference, DriftReport, HostDrift, Question, report
from stackwright.model.environment import Environment

#: Time limit for all hosts together; a command on a host has its own limit (recorded_calls.COMMAND_SECONDS).
_SECONDS = 300
#: Characters of a value that are printed; --json has the whole value.
_SHOWN = 200


def ask(runner: Runner, environment: Environment, stack: Mapping[str, Any]) -> DriftReport:
    """Repeat the recorded calls on every host, without changing anything, and return the report."""
    asked_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if not environment.hosts:
        raise CommandFailedError(f"{environment.name} has no host that a converge reaches")
    argv = ["ansible-playbook", "-i", f"inventories/{environment.name}/stack.yml", "playbooks/drift.yml"]
    results = runner.results([*argv, "--forks", str(max(len(stack["hosts"]), 5))], os.environ, _SECONDS)
    return report(environment.name, asked_at, from_results(results, [*stack["hosts"]]))


def from_results(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[HostDrift]:
    """Return the drift of each host of the environment; no host is left out."""
    return [_host(name, [result for result in results if result["host"] == name]) for name in names]


def _host(name: str, results: Sequence[Mapping[str, Any]]) -> HostDrift:
    if not results:
        return HostDrift(name=name, problem=problem(None))
    answers: dict[str, Any] = {"differences": [], "compared": 0}
    for result in results:
        if result["status"] in ("failed", "unreachable"):
            return HostDrift(name=name, problem=problem(result))
        for answer in result.get("said", ()):
            answers["compared"] += answer.pop("compared", 0)
            answers["differences"] += answer.pop("differences", ())
            answers |= answer
    return HostDrift(
        name=name,
        recorded_at=answers.get("recorded_at"),
        problem=answers.get("problem"),
        compared=answers["compared"],
        differences=[Difference(**entry) for entry in answers["differences"]],
        not_asked=[Question(**entry) for entry in answers.get("not_asked", ())],
    )


def show(console: Console, drift: DriftReport) -> None:
    """Print the report as text: a line for each difference, and for each host that was not compared."""
    hosts = max(len(host.name) for host in drift.hosts)
    roles = max((len(difference.role) for host in drift.hosts for difference in host.differences), default=0)
    for host in drift.hosts:
        if host.problem:
            console.print(Text(f"{host.name:<{hosts}}  not compared: {host.problem}", style="magenta"), soft_wrap=True)
        for difference in host.differences:
            line = f"{host.name:<{hosts}}  {difference.role:<{roles}}  {_words(difference)}"
            console.print(Text(line, style="yellow"), soft_wrap=True)
    console.print(_summary(drift), soft_wrap=True)


def _words(difference: Difference) -> str:
    # The phase of the role is in --json.
    task = difference.task.rpartition(" | ")[2]
    if difference.actual is None:
        return f"{task}: differs (values hidden by no_log)"
    expected = "" if difference.expected == "unchanged" else f"{_shortened(difference.expected or '')} -> "
    return f"{task}: {expected}{_shortened(difference.actual)}"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _summary(drift: DriftReport) -> Text:
    differences = sum(len(host.differences) for host in drift.hosts)
    compared, missing = sum(host.compared for host in drift.hosts), sum(bool(host.problem) for host in drift.hosts)
    not_asked = sum(len(host.not_asked) for host in drift.hosts)
    words = (
        f"{drift.environment}: {differences or 'no'} difference{'' if differences == 1 else 's'} in {compared} checks"
    )
    if missing:
        words += f"; {missing} of {len(drift.hosts)} hosts not compared"
    if not_asked:
        words += f"; {not_asked} tasks not checked (--json lists them)"
    return Text(words, style={0: "green", 1: "yellow", 3: "magenta"}[drift.exit_code])
