"""What `stackwright drift --json` prints; its JSON Schema is `schemas/drift.schema.json`.

Keys are not removed and keep their meaning within one `version`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal

from pydantic import Field

from stackwright.model.schema_types import schema


@schema
class Question:
    """A task of a role whose calls cannot be repeated without a change, and were therefore not repeated."""

    role: str
    task: str


@schema
class Difference:
    """A call whose result differs from that of the last converge."""

    role: str
    task: str
    what: str
    """What the call is about: a path, a unit, a command."""
    expected: str | None
    """The result of the last converge; null where the task hides its values from logs."""
    actual: str | None
    """The current result; null as above."""


@schema
class HostDrift:
    """One host of the environment."""

    name: str
    recorded_at: str | None = None
    """When the last converge recorded its calls (RFC 3339, UTC); null where there is no record."""
    problem: str | None = None
    """Why the host was not compared; null if it was."""
    compared: int = 0
    """Number of calls that were repeated."""
    differences: list[Difference] = Field(default_factory=list)
    not_asked: list[Question] = Field(default_factory=list)


@schema
class DriftReport:
    """The drift of one environment at one time."""

    version: Literal[1] = 1
    environment: str
    asked_at: str
    """RFC 3339, UTC."""
    exit_code: Literal[0, 1, 3]
    """0: nothing differs; 1: something differs; 3: nothing differs, but not every host was compared."""
    hosts: list[HostDrift]

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def report(environment: str, asked_at: str, hosts: list[HostDrift]) -> DriftReport:
    """Return the report of an environment."""
    differs = any(host.differences for host in hosts)
    unknown = any(host.problem for host in hosts)
    code: Literal[0, 1, 3] = 1 if differs else 3 if unknown else 0
    return DriftReport(environment=environment, asked_at=asked_at, exit_code=code, hosts=hosts)
