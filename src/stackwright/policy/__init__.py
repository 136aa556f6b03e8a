"""What no environment may do, as rules: run by tests on a recorded program, and by the policy pack in `pulumi/policy`."""

from __future__ import annotations

from collections.abc import Iterable

from stackwright.policy.resources import Declared, Resource, from_declared
from stackwright.policy.rule import SEVERITIES, Rule, Settings, Violation
from stackwright.policy.rules import RULES

__all__ = ["RULES", "SEVERITIES", "Resource", "Rule", "Settings", "Violation", "evaluate"]


def evaluate(
    resources: Iterable[Declared | Resource], environment_class: str, *, monthly_usd: float | None = None
) -> list[Violation]:
    """Every violation, the worst first; `resources` may be `Recording.resources`.

    Raises ValueError for a class of environment that there is not.
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
