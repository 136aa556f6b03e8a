"""A line of an estimate, and what turns a declared resource into lines.

The functions of `charges_*.py` each know one type of resource. They ask a `Subject` for inputs and tell it what is charged; a price or an input
that is missing becomes a line that says so, never a zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from stackwright.cost.assumptions import Assumptions
from stackwright.cost.prices import Prices

#: What a month has on AWS's own pages.
HOURS = 730
#: What `Line.state` may be.
PRICED, FREE, UNKNOWN = "priced", "free", "unknown"
TIER_TAG = "stackwright:tier"


class Resource(Protocol):
    """What an estimate reads: `stackwright.testing.recording.Registered` has this shape."""

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
    """What one part of one resource costs a month."""

    resource: str
    type: str
    tier: str
    #: In words: `t3.medium`, `disk, gp3`.
    what: str
    #: `priced`, `free` (a table says so) or `unknown`.
    state: str
    #: In `unit`s a month; hours, for what is paid by the hour. None where it is not known.
    quantity: float | None = None
    unit: str = ""
    unit_usd: float | None = None
    #: A month; None where it is not known.
    usd: float | None = None
    #: Whether the price was read from AWS's list.
    verified: bool = False
    #: Whether the quantity is an assumption, not a declaration.
    assumed: bool = False
    source: str = ""
    #: Of the price list, or of the memory.
    date: str = ""
    #: Why it is free or unknown, or what is left out.
    note: str = ""


class UnclearError(Exception):
    """An input that the estimate needs and that is not there, not yet known, or of no kind that has a price."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """All resources, to follow what one says of another."""

    resources: Sequence[Resource]

    def tier(self, resource: Resource) -> str:
        """Whose cost it is: the tier of its tags, or else the outermost component that it is part of."""
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
        """The resource whose id is `reference`; before it exists, the one of that type that is named most alike."""
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
    #: Where the environment is.
    region: str
    prices: Prices
    assumptions: Assumptions

    @property
    def own_region(self) -> str:
        """Where the resource is: some of an environment have to be in us-east-1."""
        region = self.resource.inputs.get("region")
        return region if isinstance(region, str) else self.region

    def get(self, *path: str) -> Any:
        """An input, or None; lists of one are opened on the way."""
        value: Any = self.resource.inputs
        for key in path:
            value = value[0] if isinstance(value, list) and value else value
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def text(self, *path: str, default: str | None = None) -> str:
        """A word. Raises UnclearError where there is none that is known."""
        value = self.get(*path)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise UnclearError(
                f"{'.'.join(path)} is not known yet" if value is not None else f"{'.'.join(path)} is missing"
            )
        return value

    def number(self, *path: str, default: float | None = None) -> float:
        """A number, also one in quotes. Raises UnclearError where there is none that is known."""
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
        """How many a list has; 0 without one."""
        value = self.get(*path)
        if value is None:
            return 0
        if not isinstance(value, list):
            raise UnclearError(f"{'.'.join(path)} is not known yet")
        return len(value)

    def charge(
        self, kind: str, what: str, quantity: float, *, assumed: bool = False, note: str = "", region: str | None = None
    ) -> Line:
        """A line at the price of that kind, or one that says that there is no such price."""
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
        """A line at what `kind` costs more than `base`, which has a line of its own."""
        price, cheaper = (self.prices.find(self.own_region, name) for name in (kind, base))
        if price is None or cheaper is None:
            missing = kind if price is None else base
            return self._line(what, UNKNOWN, quantity=quantity, note=f"no price of {missing} in {self.own_region}")
        more = price.usd - cheaper.usd
        verified = price.verified and cheaper.verified
        # Of the two, the one that is known less well.
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
