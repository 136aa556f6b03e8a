"""The lines of an estimate, and the helpers that turn a declared resource into lines.

The functions of `charges_*.py` each handle one type of resource. They read inputs from a `Subject` and call it to
create charges; a missing price or input becomes a line that says so, never a zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from stackwright.cost.assumptions import Assumptions
from stackwright.cost.prices import Prices

#: Hours in a month, as AWS's own pages count them.
HOURS = 730
#: The values of `Line.state`.
PRICED, FREE, UNKNOWN = "priced", "free", "unknown"
TIER_TAG = "stackwright:tier"


class Resource(Protocol):
    """The interface that an estimate reads; `stackwright.testing.recording.Registered` implements it."""

    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def custom(self) -> bool: ...
    @property
    def inputs(self) -> dict[str, Any]: ...
    @property
    def parent(self) -> str: ...
    @property
    def protect(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Line:
    """The monthly cost of one part of one resource."""

    resource: str
    type: str
    tier: str
    #: Description: `t3.medium`, `disk, gp3`.
    what: str
    #: `priced`, `free` (listed in a table) or `unknown`.
    state: str
    #: In `unit`s a month; hours, if it is charged by the hour. None if unknown.
    quantity: float | None = None
    unit: str = ""
    unit_usd: float | None = None
    #: Per month; None if unknown.
    usd: float | None = None
    #: Whether the price was read from AWS's list.
    verified: bool = False
    #: Whether the quantity is an assumption, not a declaration.
    assumed: bool = False
    source: str = ""
    #: Date of the price list, or of the remembered price.
    date: str = ""
    #: Why it is free or unknown, or what is left out.
    note: str = ""


class UnclearError(Exception):
    """Raised for an input that the estimate needs and that is missing, not yet known, or of a kind without a price."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """All resources, to follow references from one to another."""

    resources: Sequence[Resource]

    def tier(self, resource: Resource) -> str:
        """Return the tier to which the cost belongs: from the tags, or else the outermost component that holds it."""
        tags = resource.inputs.get("tags")
        if isinstance(tags, list):
            tags = {tag.get("key"): tag.get("value") for tag in tags if isinstance(tag, Mapping)}
        if isinstance(tags, Mapping) and isinstance(tags.get(TIER_TAG), str):
            return str(tags[TIER_TAG])
        component = None
        names = self._components
        at, seen = names.get(resource.parent), set[str]()
        while at is not None and at.name not in seen:
            component = at
            seen.add(at.name)
            at = names.get(at.parent)
        return _words(component.type.rsplit(":", 1)[-1]) if component else "shared"

    @cached_property
    def _components(self) -> dict[str, Resource]:
        return {component.name: component for component in self.resources if not component.custom}

    def of_type(self, token: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type == token]

    def referred(self, token: str, reference: Any, user: Resource) -> Resource:
        """Return the resource with the id `reference`; before it exists, the one of that type named most alike."""
        candidates = self.of_type(token)
        if not candidates:
            raise UnclearError(f"what it refers to ({token}) is not declared here")
        named = [candidate for candidate in candidates if reference in (candidate.name, f"{candidate.name}-id")]
        return (
            named or sorted(candidates, key=lambda candidate: (-_alike(candidate.name, user.name), candidate.name))
        )[0]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A resource that is being priced."""

    resource: Resource
    graph: Graph
    #: The region of the environment.
    region: str
    prices: Prices
    assumptions: Assumptions

    @property
    def own_region(self) -> str:
        """Return the region of the resource: some resources of an environment have to be in us-east-1."""
        region = self.resource.inputs.get("region")
        return region if isinstance(region, str) else self.region

    def get(self, *path: str) -> Any:
        """Return an input, or None; lists of one element are unwrapped on the way."""
        value: Any = self.resource.inputs
        for key in path:
            value = value[0] if isinstance(value, list) and value else value
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def text(self, *path: str, default: str | None = None) -> str:
        """Return a string input. Raises UnclearError if it has no known value."""
        value = self.get(*path)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise UnclearError(
                f"{'.'.join(path)} is not known yet" if value is not None else f"{'.'.join(path)} is missing"
            )
        return value

    def number(self, *path: str, default: float | None = None) -> float:
        """Return a number, also from a quoted one. Raises UnclearError if it has no known value."""
        value = self.get(*path)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
            return float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UnclearError(
                f"{'.'.join(path)} is not known yet" if value is not None else f"{'.'.join(path)} is missing"
            )
        return float(value)

    def count(self, *path: str) -> int:
        """Return the length of a list; 0 if it is not set."""
        value = self.get(*path)
        if value is None:
            return 0
        if not isinstance(value, list):
            raise UnclearError(f"{'.'.join(path)} is not known yet")
        return len(value)

    def charge(
        self, kind: str, what: str, quantity: float, *, assumed: bool = False, note: str = "", region: str | None = None
    ) -> Line:
        """Return a line at the price of that kind, or one that says that there is no such price."""
        where = self.own_region if region is None else region
        price = self.prices.find(where, kind)
        if price is None:
            missing = f"no price of {kind} in {where}"
            hint = (
                "" if self.prices.knows(where) else f": {where} is not in the file (python -m stackwright.cost.refresh)"
            )
            return self._line(what, UNKNOWN, quantity=quantity, assumed=assumed, note=missing + hint)
        return self._line(
            what,
            PRICED,
            quantity=quantity,
            unit=price.unit,
            unit_usd=price.usd,
            usd=quantity * price.usd,
            verified=price.verified,
            assumed=assumed,
            source=price.source,
            date=price.date,
            note=note,
        )

    def surcharge(self, kind: str, base: str, what: str, quantity: float, *, assumed: bool = False) -> Line:
        """Return a line at the price difference between `kind` and `base`, which has a line of its own."""
        price, cheaper = (self.prices.find(self.own_region, name) for name in (kind, base))
        if price is None or cheaper is None:
            missing = kind if price is None else base
            return self._line(what, UNKNOWN, quantity=quantity, note=f"no price of {missing} in {self.own_region}")
        more = price.usd - cheaper.usd
        verified = price.verified and cheaper.verified
        # The less certain of the two.
        weaker = cheaper if price.verified else price
        known = {"unit": price.unit, "unit_usd": more, "usd": quantity * more, "verified": verified}
        return self._line(
            what, PRICED, quantity=quantity, assumed=assumed, source=weaker.source, date=weaker.date, **known
        )

    def free(self, what: str, why: str) -> Line:
        return self._line(what, FREE, usd=0.0, note=why)

    def unknown(self, what: str, why: str) -> Line:
        return self._line(what, UNKNOWN, note=why)

    def _line(self, what: str, state: str, **more: Any) -> Line:
        resource = self.resource
        tier = self.graph.tier(resource)
        return Line(resource=resource.name, type=resource.type, tier=tier, what=what, state=state, **more)


Charge = Callable[[Subject], Iterator[Line]]


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


def _alike(first: str, second: str) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
