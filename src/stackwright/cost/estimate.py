"""The monthly cost of the resources that a program declares: a line for every part, none omitted silently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, runtime_checkable

from stackwright.cost import charges_compute, charges_data, charges_edge, prices
from stackwright.cost.assumptions import Assumptions
from stackwright.cost.free import FREE
from stackwright.cost.lines import FREE as FREE_STATE
from stackwright.cost.lines import PRICED, UNKNOWN, Charge, Graph, Line, Resource, Subject, UnclearError
from stackwright.cost.risks import Loss, SingleZone, losses, single_zones

CHARGES: Mapping[str, Charge] = charges_compute.CHARGES | charges_data.CHARGES | charges_edge.CHARGES
#: Providers are not resources of a cloud.
_PROVIDERS = "pulumi:providers:"
#: Resources that send and receive traffic: if one of these is declared, the environment's traffic is a line.
_SPEAKERS = (
    "aws:autoscaling/group:Group",
    "aws:ec2/instance:Instance",
    "aws:lb/loadBalancer:LoadBalancer",
)
ENVIRONMENT = "(environment)"


@runtime_checkable
class HasResources(Protocol):
    """An object with resources, such as a `Recording`."""

    @property
    def resources(self) -> tuple[Any, ...]: ...


@dataclass(frozen=True, kw_only=True)
class _Whole:
    """The environment itself, as the resource to which traffic is charged."""

    inputs: dict[str, Any]
    type: str = "aws:traffic"
    name: str = ENVIRONMENT
    custom: bool = True
    parent: str = ""
    protect: bool = False


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The monthly cost of an environment, and its risks."""

    region: str
    lines: tuple[Line, ...]
    single_zones: tuple[SingleZone, ...]
    losses: tuple[Loss, ...]
    assumptions: Assumptions
    #: The amount that each assumption adds to the total; assumptions that change nothing are left out.
    by_assumption: Mapping[str, float] = field(default_factory=dict)

    @property
    def total_usd(self) -> float:
        """Return the sum of all known charges; `unknown` shows whether that is all."""
        return sum(line.usd or 0 for line in self.lines)

    @property
    def assumed_usd(self) -> float:
        """Return the part of the total that depends on assumptions."""
        return sum(line.usd or 0 for line in self.lines if line.assumed)

    @property
    def unknown(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.state == UNKNOWN)

    @property
    def unverified(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.state == PRICED and not line.verified)

    @property
    def tiers(self) -> dict[str, float]:
        """Return tier -> USD a month of known charges, the most expensive first; without tiers that are free."""
        usd_by_tier: dict[str, float] = {}
        for line in self.lines:
            if line.state != FREE_STATE:
                usd_by_tier[line.tier] = usd_by_tier.get(line.tier, 0) + (line.usd or 0)
        return dict(sorted(usd_by_tier.items(), key=lambda item: (-item[1], item[0])))

    def over_usd(self, budget_usd: float) -> float:
        """Return the amount by which the known charges exceed the budget; 0 within it."""
        return max(0.0, self.total_usd - budget_usd)


def lines_for(
    recording: HasResources | Iterable[Resource],
    region: str,
    assumptions: Assumptions | None = None,
    known: prices.Prices | None = None,
) -> list[Line]:
    """Return a line for everything that is declared: its charge, or that it is free of charge or unknown."""
    resources = _resources(recording)
    graph = Graph(resources=resources)

    def subject(resource: Resource) -> Subject:
        use, list_of_prices = assumptions or Assumptions(), known or prices.shipped()
        return Subject(resource=resource, graph=graph, region=region, prices=list_of_prices, assumptions=use)

    lines = [
        line
        for resource in resources
        if _counts(resource)
        for line in _lines(subject(resource), CHARGES.get(resource.type))
    ]
    if any(resource.type in _SPEAKERS for resource in resources):
        lines += _lines(subject(_Whole(inputs={})), charges_edge.traffic)
    return lines


def estimate(
    recording: HasResources | Iterable[Resource],
    region: str,
    assumptions: Assumptions | None = None,
    known: prices.Prices | None = None,
) -> Estimate:
    """Return an estimate: the lines, the resources in a single zone, and the data that a deletion would destroy."""
    resources = _resources(recording)
    use = assumptions or Assumptions()
    return Estimate(
        region=region,
        lines=tuple(lines_for(resources, region, use, known)),
        single_zones=tuple(single_zones(resources)),
        losses=tuple(losses(resources)),
        assumptions=use,
        by_assumption=_by_assumption(lambda varied: _total(lines_for(resources, region, varied, known)), use),
    )


def _by_assumption(total: Callable[[Assumptions], float], use: Assumptions) -> dict[str, float]:
    """Derive the shares by repeating the estimate, so that no charge has to declare the assumptions that it uses."""
    whole, usd_by_assumption = total(use), dict[str, float]()
    for assumption in fields(use):
        without = total(replace(use, **{assumption.name: 0}))
        # An assumption that is 0 counts if another value would add cost.
        if without != whole or (
            getattr(use, assumption.name) == 0 and total(replace(use, **{assumption.name: 1})) != whole
        ):
            usd_by_assumption[assumption.name] = whole - without
    return usd_by_assumption


def _total(lines: Iterable[Line]) -> float:
    return sum(line.usd or 0 for line in lines)


def _resources(recording: HasResources | Iterable[Resource]) -> Sequence[Resource]:
    return recording.resources if isinstance(recording, HasResources) else tuple(recording)


def _counts(resource: Resource) -> bool:
    return resource.custom and not resource.type.startswith(_PROVIDERS)


def _lines(subject: Subject, charge: Callable[[Subject], Iterator[Line]] | None) -> list[Line]:
    kind = subject.resource.type
    if charge is None:
        why = FREE.get(kind)
        what = kind.rsplit(":", 1)[-1]
        return [subject.free(what, why) if why else subject.unknown(what, f"nothing is known of {kind}")]
    lines = list[Line]()
    try:
        # One by one: lines that were computed before the gap are kept.
        lines.extend(charge(subject))
    except UnclearError as error:
        lines.append(subject.unknown(kind.rsplit(":", 1)[-1], str(error)))
    return lines
