"""What `stackwright plan --json` prints of the converge; its JSON Schema is `schemas/plan.schema.json`.

Keys are not removed and keep their meaning within one `version`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal

from pydantic import Field

from stackwright.model.schema_types import schema

Effect = Literal["none", "reload", "reload_or_restart", "rolling_restart", "restart"]


@schema
class KeyChange:
    """A key of stack.yml or of the system's file that differs from the last converge from this controller."""

    file: str
    key: str
    before: str | None
    """Null for a new key."""
    after: str | None
    """Null for a removed key."""


@schema
class PlannedChange:
    """A change that a task would make on a host."""

    role: str
    task: str
    items: list[str] = Field(default_factory=list)
    """Paths, units or settings; empty if the task hides them from logs."""
    effect: Effect | None
    """Effect on a running service; null if the role states none. `reload_or_restart` is decided by the converge."""
    service: str = ""
    """Description of what is reloaded or restarted."""


@schema
class HostPlan:
    """One host of the environment."""

    name: str
    problem: str | None = None
    """Why the host's changes are unknown; null if they are known."""
    changes: list[PlannedChange] = Field(default_factory=list)


@schema
class PlanReport:
    """The plan of one environment at one time."""

    version: Literal[1] = 1
    environment: str
    planned_at: str
    """RFC 3339, UTC."""
    exit_code: Literal[0, 2, 3]
    """0: no changes; 2: changes; 3: no known changes, but not every host is known."""
    converged_at: str | None
    """End of the last converge from this controller (RFC 3339, UTC), which `keys` compares with; null without one."""
    keys: list[KeyChange]
    hosts: list[HostPlan]

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)
