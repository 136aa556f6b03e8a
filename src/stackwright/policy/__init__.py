"""Policy rules for environments: run by tests on a recorded program, and by the policy pack in `pulumi/policy`."""

from __future__ import annotations

from collections.abc import Iterable

from stackwright.policy.resources import Declared, Resource, from_declared
from stackwright.policy.rule import SEVERITIES, Rule, Settings, Violation
from stackwright.policy.rules import RULES

__all__ = ["RULES", "SEVERITIES", "Resource", "Rule", "Settings", "Violation", "evaluate"]


def evaluate(
    resources: Iterable[Declared | Resource], environment_class: str, *, monthly_usd: float | None = None
) -> list[Violation]:
    """Return every violation, the most severe first; `resources` may be `Recording.resources`.

    Raises ValueError for an unknown class of environment.
    """
    settings = Settings(environment_class=environment_class, monthly_usd=monthly_usd)
    graph = from_declared(resources)
    violations = [
        rule.violation(resource, message)
        for rule in RULES.values()
        for resource, message in rule.findings(graph, settings)
    ]
    return sorted(
        violations,
        key=lambda violation: (
            SEVERITIES.index(violation.severity),
            violation.rule,
            violation.resource,
            violation.message,
        ),
    )
