"""The answers of a host, before they are evaluated, and helpers that all evaluations share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stackwright.model.status_report import Finding, Kind, State


class UnreadableError(ValueError):
    """An answer cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The result of a program."""

    code: int | None
    """The exit code; None if the program did not end by itself, or could not be run."""
    output: str
    error: str


@dataclass(frozen=True, kw_only=True)
class HostAnswers:
    """The answers of one host."""

    name: str
    problem: str = ""
    """Why the host could not be queried."""
    reachable: bool = True
    time: float = 0.0
    """The host's clock, in seconds."""
    answers: Mapping[str, Answer] = field(default_factory=dict)


def from_results(results: Sequence[Mapping[str, Any]], stack: Mapping[str, Any]) -> list[HostAnswers]:
    """Return the answers of every host of the environment from the results of the playbook; no host is left out."""
    by_host = {result["host"]: result for result in results}
    return [_host_answers(name, host, by_host.get(name)) for name, host in stack["hosts"].items()]


def problem(result: Mapping[str, Any] | None) -> str:
    """Return in a line why a host could not be queried; `result` is its failed task, or None if it has none."""
    if result is None:
        return "Ansible says nothing of it; see the log"
    lines = str(result["message"]).strip().splitlines() or ["no message"]
    # The message of ssh itself is at the end of the connection's output.
    return lines[-1 if result["status"] == "unreachable" else 0][:300]


def _host_answers(name: str, host: Mapping[str, Any], result: Mapping[str, Any] | None) -> HostAnswers:
    if str(host["os"]).startswith("windows"):
        return HostAnswers(name=name, problem="Windows hosts are not asked")
    if result is None:
        return HostAnswers(name=name, problem=problem(None), reachable=False)
    if "said" not in result:
        return HostAnswers(name=name, problem=problem(result), reachable=result["status"] != "unreachable")
    report = result["said"]
    answers = {question: Answer(**answer) for question, answer in report["answers"].items()}
    return HostAnswers(name=name, time=report["time"], answers=answers)


def finding(kind: Kind, host: str | None, name: str, state: State, message: str, /, **values: Any) -> Finding:
    """Return a finding; `values` are for programs that read the JSON output."""
    return Finding(kind=kind, host=host, name=name, state=state, message=message, values=values)


def seconds(text: str) -> float:
    """Return an RFC 3339 time in seconds."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def hours(seconds: float) -> str:
    """Return an age in words."""
    return f"{round(seconds / 3600)} h" if seconds >= 5400 else f"{round(seconds / 60)} min"
