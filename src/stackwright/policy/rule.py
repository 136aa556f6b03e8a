"""The rule type, and the violation that a rule reports for a resource."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import getdoc

from stackwright.policy.resources import Graph, Resource

#: From the most to the least severe.
SEVERITIES = ("critical", "high", "medium", "low")
CLASSES = ("development", "staging", "production")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Information that rules need in addition to the resources."""

    #: `development`, `staging` or `production`.
    environment_class: str
    #: The estimated cost of the stack in USD a month; None if there is no estimate.
    monthly_usd: float | None = None

    def __post_init__(self) -> None:
        if self.environment_class not in CLASSES:
            raise ValueError(f"environment_class is {self.environment_class!r}, accepted: {', '.join(CLASSES)}")

    @property
    def keeps_data(self) -> bool:
        """Return whether data has to survive a mistake."""
        return self.environment_class != "development"

    @property
    def is_production(self) -> bool:
        """Return whether users depend on the environment."""
        return self.environment_class == "production"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A resource that breaks a rule."""

    rule: str
    severity: str
    #: Empty if the stack as a whole lacks something.
    resource: str
    message: str
    #: Controls of AWS and CIS (`references.py`); empty if neither has one.
    reference: str
    remediation: str = field(default="", compare=False)


#: (resource, or None for the stack; description of the problem).
Finding = tuple[Resource | None, str]
ResourceCheck = Callable[[Resource, Settings], Iterator[str]]
GraphCheck = Callable[[Graph, Settings], Iterator[Finding]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule: metadata and one function. `kinds` is empty if the function reads the whole graph or every resource."""

    name: str
    severity: str
    description: str
    remediation: str
    references: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    check: ResourceCheck | None = None
    check_graph: GraphCheck | None = None

    def applies_to(self, resource: Resource) -> bool:
        """Return whether the rule checks that resource on its own."""
        return self.check is not None and resource.is_aws and (not self.kinds or resource.kind in self.kinds)

    def findings(self, graph: Graph, settings: Settings) -> Iterator[Finding]:
        """Yield the findings that break the rule."""
        if self.check_graph is not None:
            yield from self.check_graph(graph, settings)
        if self.check is not None:
            for resource in graph.resources:
                if self.applies_to(resource):
                    yield from ((resource, message) for message in self.check(resource, settings))

    def violation(self, resource: Resource | None, message: str) -> Violation:
        """Return the finding together with the metadata of the rule."""
        return Violation(
            rule=self.name,
            severity=self.severity,
            resource=resource.name if resource else "",
            message=message,
            reference="; ".join(self.references),
            remediation=self.remediation,
        )


class Rules:
    """The rules of one subject, collected by its decorators."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules.values())

    def resource(
        self, name: str, severity: str, *kinds: str, fix: str, references: tuple[str, ...] = ()
    ) -> Callable[[ResourceCheck], ResourceCheck]:
        """Register a function that checks one resource at a time as a rule; its docstring is the description."""

        def register(check: ResourceCheck) -> ResourceCheck:
            self._add(
                Rule(
                    name=name,
                    severity=severity,
                    description=getdoc(check) or "",
                    remediation=fix,
                    references=references,
                    kinds=kinds,
                    check=check,
                )
            )
            return check

        return register

    def graph(
        self, name: str, severity: str, *, fix: str, references: tuple[str, ...] = ()
    ) -> Callable[[GraphCheck], GraphCheck]:
        """Register a function that checks all resources at once as a rule; its docstring is the description."""

        def register(check: GraphCheck) -> GraphCheck:
            self._add(
                Rule(
                    name=name,
                    severity=severity,
                    description=getdoc(check) or "",
                    remediation=fix,
                    references=references,
                    check_graph=check,
                )
            )
            return check

        return register

    def _add(self, rule: Rule) -> None:
        if rule.name in self._rules or rule.severity not in SEVERITIES or not rule.description:
            raise ValueError(f"rule {rule.name!r}: twice, of unknown severity, or without a description")
        self._rules[rule.name] = rule


def merged(*subjects: Rules) -> Mapping[str, Rule]:
    """Return every rule by its name. Raises ValueError for a duplicate name."""
    rules: dict[str, Rule] = {}
    for rule in (rule for subject in subjects for rule in subject):
        if rule.name in rules:
            raise ValueError(f"rule {rule.name!r} is there twice")
        rules[rule.name] = rule
    return rules
