"""What a rule is, and what it says of a resource that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import getdoc

from stackwright.policy.resources import Graph, Resource

#: From the worst.
SEVERITIES = ("critical", "high", "medium", "low")
CLASSES = ("development", "staging", "production")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What rules need to know beside the resources."""

    #: `development`, `staging` or `production`.
    environment_class: str
    #: What the stack is estimated to cost in USD a month; None where nobody has counted.
    monthly_usd: float | None = None

    def __post_init__(self) -> None:
        if self.environment_class not in CLASSES:
            raise ValueError(f"environment_class is {self.environment_class!r}, accepted: {', '.join(CLASSES)}")

    @property
    def keeps_data(self) -> bool:
        """Whether data has to outlive a mistake."""
        return self.environment_class != "development"

    @property
    def is_production(self) -> bool:
        """Whether people depend on it."""
        return self.environment_class == "production"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A resource that breaks a rule."""

    rule: str
    severity: str
    #: "" where the stack as a whole lacks something.
    resource: str
    message: str
    #: Controls of AWS and CIS (`references.py`); "" where neither has one.
    reference: str
    remediation: str = field(default="", compare=False)


#: (resource or None for the stack, what is wrong).
Finding = tuple[Resource | None, str]
ResourceCheck = Callable[[Resource, Settings], Iterator[str]]
GraphCheck = Callable[[Graph, Settings], Iterator[Finding]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule: data, and one function. `kinds` is empty where it looks at the whole graph or at every resource."""

    name: str
    severity: str
    description: str
    remediation: str
    references: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    check: ResourceCheck | None = None
    check_graph: GraphCheck | None = None

    def applies_to(self, resource: Resource) -> bool:
        """Whether the rule looks at that resource by itself."""
        return self.check is not None and resource.is_aws and (not self.kinds or resource.kind in self.kinds)

    def findings(self, graph: Graph, settings: Settings) -> Iterator[Finding]:
        """What breaks the rule."""
        if self.check_graph is not None:
            yield from self.check_graph(graph, settings)
        if self.check is not None:
            for resource in graph.resources:
                if self.applies_to(resource):
                    yield from ((resource, message) for message in self.check(resource, settings))

    def violation(self, resource: Resource | None, message: str) -> Violation:
        """The finding with all that is known of the rule."""
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
        """Make a rule of a function that looks at one resource at a time; its docstring is the description."""

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
        """Make a rule of a function that looks at all resources at once."""

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
    """Every rule by its name. Raises ValueError for one that is there twice."""
    rules: dict[str, Rule] = {}
    for rule in (rule for subject in subjects for rule in subject):
        if rule.name in rules:
            raise ValueError(f"rule {rule.name!r} is there twice")
        rules[rule.name] = rule
    return rules
