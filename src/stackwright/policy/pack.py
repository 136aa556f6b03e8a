"""The rules as Pulumi policies. This module does not serve them: `pulumi/policy/__main__.py` does, and blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyComplianceFramework,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)

from stackwright.policy.resources import Graph, Resource, plain
from stackwright.policy.rule import CLASSES, Rule, Settings
from stackwright.policy.rules import RULES
from stackwright.policy.rules.governance import tags

#: Returns the monthly cost of a deployment in USD; None if it cannot be estimated.
Estimate = Callable[[Graph], float | None]
_CLASS_TAG = "stackwright:class"
#: Used where no tag states the class of a resource: the strictest class.
_STRICTEST = "production"
#: Violations of these severities stop an update.
_MANDATORY = ("critical", "high")


def policies(estimate: Estimate | None = None) -> list[Policy]:
    """Return a policy for each rule: critical and high ones are mandatory, the others are advisory."""
    return [_resource_policy(rule) if rule.check else _stack_policy(rule, estimate) for rule in RULES.values()]


def _about(rule: Rule) -> dict[str, Any]:
    level = EnforcementLevel.MANDATORY if rule.severity in _MANDATORY else EnforcementLevel.ADVISORY
    framework = PolicyComplianceFramework(name="AWS FSBP, CIS", reference="; ".join(rule.references))
    return {
        "name": rule.name,
        "description": rule.description,
        "enforcement_level": level,
        "severity": Severity(rule.severity),
        "remediation_steps": rule.remediation,
        "framework": framework if rule.references else None,
    }


def _resource_policy(rule: Rule) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = _from_args(args)
        if rule.check is not None and rule.applies_to(resource):
            for message in rule.check(resource, Settings(environment_class=class_of([resource]))):
                report(message, None)

    return ResourceValidationPolicy(validate=validate, **_about(rule))


def _stack_policy(rule: Rule, estimate: Estimate | None) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        graph = Graph(_from_stack(policy_resource) for policy_resource in args.resources)
        usd = estimate(graph) if estimate else None
        settings = Settings(environment_class=class_of(graph.resources), monthly_usd=usd)
        for resource, message in rule.findings(graph, settings):
            report(message, resource.urn if resource else None)

    return StackValidationPolicy(validate=validate, **_about(rule))


def class_of(resources: Iterable[Resource]) -> str:
    """Return the class that most resources are tagged with; production if none is tagged."""
    class_counts: Counter[str] = Counter()
    for resource in resources:
        resource_tags = tags(resource)
        class_ = resource_tags.get(_CLASS_TAG) if isinstance(resource_tags, Mapping) else None
        if class_ in CLASSES:
            class_counts[str(class_)] += 1
    return class_counts.most_common(1)[0][0] if class_counts else _STRICTEST


def _from_args(args: ResourceValidationArgs) -> Resource:
    # The engine passes secrets in plain text, so it is unknown here which inputs are secret.
    return _resource(args.resource_type, args.name, args.props, args.urn, args.opts.protect)


def _from_stack(policy_resource: PolicyResource) -> Resource:
    return _resource(
        policy_resource.resource_type,
        policy_resource.name,
        policy_resource.props,
        policy_resource.urn,
        policy_resource.opts.protect,
    )


def _resource(type_: str, name: str, props: Mapping[str, Any], urn: str, protect: bool) -> Resource:  # noqa: FBT001
    inputs = plain(props)
    id_ = inputs.get("id") or inputs.get("arn")
    return Resource(
        type=type_,
        name=name,
        inputs=inputs,
        protect=protect,
        secrets=None,
        id=id_ if isinstance(id_, str) else "",
        urn=urn,
    )
