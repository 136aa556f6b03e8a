"""What `stackwright plan --json` prints of the converge; its JSON Schema is `schemas/plan.schema.json`.

Keys stay and keep their meaning within one `version`.
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
    """A key of stack.yml or of the system's file that is not as in the last converge from this controller."""

    file: str
    key: str
    before: str | None
    """Null for a key that is new."""
    after: str | None
    """Null for a key that is gone."""


@schema
class PlannedChange:
    """What a task would change on a host."""

    role: str
    task: str
    items: list[str] = Field(default_factory=list)
    """Paths, units or settings; empty where the task keeps them from logs."""
    effect: Effect | None
    """What it does to a running service; null if the role does not say. `reload_or_restart` is decided by the converge."""
    service: str = ""
    """What is reloaded or restarted, in words."""


@schema
class HostPlan:
    """One host of the environment."""

    name: str
    problem: str | None = None
    """Why nothing is known of it; null where something is."""
    changes: list[PlannedChange] = Field(default_factory=list)


@schema
class PlanReport:
    """One environment at one time."""

    version: Literal[1] = 1
    environment: str
    planned_at: str
    """RFC 3339, UTC."""
    exit_code: Literal[0, 2, 3]
    """0: nothing would change; 2: something would; 3: nothing would where it is known, but not every host is."""
    converged_at: str | None
    """When the last converge from this controller ended (RFC 3339, UTC), with which `keys` compares; null without one."""
    keys: list[KeyChange]
    hosts: list[HostPlan]

    def to_json(self) -> str:
        """Return the report as it is printed."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)
