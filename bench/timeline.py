"""Analyses where an ansible-playbook spent its time, from its progress events. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.process import Event, Finished

_DONE = {"ok", "changed", "failed", "ignored"}


@dataclass(frozen=True, kw_only=True)
class Span:
    """The time from the start of a task to the start of the next one."""

    #: The task's role, or its play where it has none.
    role: str
    #: Seconds since 1970.
    began: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """The results of a converge."""

    #: From the start of the command to its end.
    seconds: float
    spans: tuple[Span, ...]
    #: Results of tasks that were not skipped, and how many of them changed something.
    tasks: int
    changed: int


def run_of(finished: Finished) -> Run:
    """Return the results of a command, computed from its events."""
    results = [event["status"] for _, event in finished.events if event["event"] == "result"]
    return Run(
        seconds=finished.seconds,
        spans=spans(finished.events),
        tasks=sum(status in _DONE for status in results),
        changed=results.count("changed"),
    )


def spans(events: Sequence[Event]) -> tuple[Span, ...]:
    """Return the span of each task until the next one begins; the time before the first task belongs to no span."""
    task_spans, play = [], ""
    starts: list[tuple[float, str]] = []
    for when, event in events:
        if event["event"] == "play":
            play = event["name"]
        elif event["event"] == "task":
            starts.append((when, role_of(event["name"], play)))
    ends = [when for when, _ in starts[1:]] + [when for when, _ in events[-1:]]
    for (began, role), end in zip(starts, ends, strict=True):
        task_spans.append(Span(role=role, began=began, seconds=end - began))
    return tuple(task_spans)


def role_of(task: str, play: str) -> str:
    """Return the role in a task's name as Ansible gives it ("nginx : install | Install packages"), else the play."""
    role, colon, _ = task.partition(" : ")
    return role if colon else f"({play.lower()})"


def seconds_by_role(task_spans: Sequence[Span]) -> dict[str, float]:
    """Return the seconds of each role, in the order in which they began."""
    sums: dict[str, float] = {}
    for span in task_spans:
        sums[span.role] = sums.get(span.role, 0.0) + span.seconds
    return sums


def role_at(task_spans: Sequence[Span], when: float) -> str | None:
    """Return the role whose task ran at a time; None before the first task."""
    running = None
    for span in task_spans:
        if span.began <= when:
            running = span.role
    return running
