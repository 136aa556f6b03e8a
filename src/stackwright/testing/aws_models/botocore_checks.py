"""Checks inputs against AWS's own service models: each resource becomes the parameters of the call that creates it.

    found = check(recording.resources)
    assert not found.findings, found

A type or an input that is missing in the tables (`calls_*.py`) is a finding, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stackwright.policy.resources import Declared, Resource, from_declared
from stackwright.testing.aws_models import calls_data, calls_edge, calls_network, calls_operations
from stackwright.testing.aws_models.convert import Call, Conversion
from stackwright.testing.aws_models.models import Walk, operation

#: Type without its package -> the call.
CALLS: Mapping[str, Call] = {**calls_network.CALLS, **calls_data.CALLS, **calls_edge.CALLS, **calls_operations.CALLS}
#: Shape of a model -> inputs of a block that have another name in it.
NESTED = {**calls_network.NESTED, **calls_data.NESTED, **calls_edge.NESTED, **calls_operations.NESTED}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that AWS would refuse, or that could not be checked."""

    type: str
    resource: str
    problem: str

    def __str__(self) -> str:
        return f"{self.type} {self.resource}: {self.problem}"


@dataclass(kw_only=True)
class Report:
    """The findings and the number of checks, so that an empty list of findings is meaningful."""

    findings: list[Finding] = field(default_factory=list)
    resources: int = 0
    #: Values that were checked against a model or a documented limit.
    values: int = 0
    #: Values that are unknown in a preview.
    unknown: int = 0
    #: Ids that the recording made up, which do not match AWS's patterns.
    stand_ins: int = 0
    #: Inputs that are not sent in any call, by `type.input`.
    not_sent: Counter[str] = field(default_factory=Counter)
    #: Types for which there is no call.
    no_call: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        summary = f"{self.resources} resources, {self.values} values checked, {self.unknown} unknown, "
        summary += f"{self.stand_ins} stand-ins, {self.not_sent.total()} not sent, {len(self.findings)} findings"
        return "\n".join([summary, *map(str, self.findings)])


def check(resources: Iterable[Declared | Resource], *, stand_ins: Iterable[str] = ()) -> Report:
    """Check every resource of AWS.

    Ids that a recording made up (`<name>-id`) are not checked against patterns; `stand_ins` lists further such values.
    """
    graph = from_declared(resources)
    made_up = frozenset({*stand_ins, *(f"{node.name}-id" for node in graph.resources)})
    report = Report()
    for resource in graph.resources:
        if resource.is_aws:
            _check(resource, made_up, report)
    return report


def _check(resource: Resource, made_up: frozenset[str], report: Report) -> None:
    report.resources += 1
    call = CALLS.get(resource.kind)
    if call is None:
        _add(report, resource, "the type is not mapped to a call of AWS")
        return
    if call.no_call:
        report.no_call[resource.kind] += 1
        return
    conversion = Conversion(call, NESTED)
    parameters = conversion.parameters(resource.inputs)
    for problem in conversion.problems:
        _add(report, resource, problem)
    walk = Walk()
    shape = operation(call.service, call.operation).input_shape
    for problem in _name_problems(call, parameters, made_up):
        _add(report, resource, problem)
    for problem in walk.problems(parameters, shape, "", made_up):
        _add(report, resource, f"{call.service}:{call.operation}: {problem.removeprefix(': ')}")
    report.values += walk.values + conversion.checked
    report.unknown += walk.unknown
    report.stand_ins += walk.stand_ins
    report.not_sent.update(f"{resource.kind}.{name}" for name in conversion.not_sent)


def _name_problems(call: Call, parameters: Mapping[str, Any], made_up: frozenset[str]) -> Iterator[str]:
    """Yield the problems of names, for which most models of the older services have neither length nor pattern."""
    for name, value in parameters.items():
        rule = calls_data.NAMES.get((call.operation, name))
        if rule is None or not isinstance(value, str) or value in made_up:
            continue
        if len(value) > rule.limit or not re.fullmatch(rule.pattern, value):
            yield f"{name} is {value!r}, accepted: {rule.pattern}, at most {rule.limit}"


def _add(report: Report, resource: Resource, problem: str) -> None:
    report.findings.append(Finding(type=resource.kind, resource=resource.name, problem=problem))
