"""What `stackwright status --json` prints; its JSON Schema is `schemas/status.schema.json`.

Keys are not removed and keep their meaning within one `version`; further keys of `values` may be added.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Literal

from pydantic import Field

from stackwright.model.schema_types import schema

State = Literal["ok", "warning", "critical", "unknown"]
Kind = Literal[
    "host",
    "service",
    "unit",
    "instance",
    "application",
    "member",
    "replica",
    "pause",
    "disk",
    "certificate",
    "backup",
    "updates",
    "restart",
    "cloud",
]
#: Exit codes of the Monitoring Plugins guidelines, which Nagios and Icinga follow.
EXIT_CODES: dict[State, int] = {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}
#: States by increasing urgency: a known problem is more urgent than an unknown state.
RANKS: tuple[State, ...] = ("ok", "warning", "unknown", "critical")


@schema
class Finding:
    """The state of one item."""

    kind: Kind
    host: str | None = None
    """The host of the item; null if it belongs to the whole environment."""
    name: str
    """Name of the item: a unit, `emr-1`, `emr app1:5005`, a path."""
    state: State
    message: str
    """A sentence for humans."""
    values: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    """The same in numbers, for programs."""


@schema
class HostLine:
    """One host of the environment."""

    name: str
    address: str
    groups: list[str]
    reachable: bool
    state: State
    """The worst state of the findings that name the host."""


@schema
class StatusReport:
    """The status of one environment at one time."""

    version: Literal[1] = 1
    environment: str
    asked_at: str
    """RFC 3339, UTC."""
    state: State
    """The worst state of all findings."""
    exit_code: Literal[0, 1, 2, 3]
    hosts: list[HostLine]
    findings: list[Finding]

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def worst(findings: Iterable[Finding]) -> State:
    """Return the most urgent state of the findings; `ok` if there is none."""
    return max((finding.state for finding in findings), key=RANKS.index, default="ok")


def report(environment: str, asked_at: str, hosts: Sequence[HostLine], findings: Sequence[Finding]) -> StatusReport:
    """Return the report of an environment."""
    state = worst(findings)
    return StatusReport(
        environment=environment,
        asked_at=asked_at,
        state=state,
        exit_code=EXIT_CODES[state],  # type: ignore[arg-type]
        hosts=list(hosts),
        findings=list(findings),
    )
