"""The definition of a kind of resource, independent of Pulumi: its properties and its operations."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

Properties = dict[str, Any]


class ProviderError(RuntimeError):
    """An operation failed; the message is for the user and says what to do."""


class Kind(StrEnum):
    """The types of property that the resources have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    STRINGS = "strings"


@dataclass(frozen=True, kw_only=True)
class Input:
    """A property that the user sets. Names are in camelCase, as Pulumi's other languages expect."""

    name: str
    kind: Kind
    description: str
    #: Used if the user sets none; without a default the property is required unless it is `optional`.
    default: Any = None
    optional: bool = False
    #: A change creates a new resource; otherwise the resource is updated in place.
    replaces: bool = False
    #: Returns what is wrong with a value of the right type; None if it is valid.
    accepts: Callable[[Any], str | None] | None = None

    @property
    def required(self) -> bool:
        return self.default is None and not self.optional


@dataclass(frozen=True, kw_only=True)
class Computed:
    """A property that the provider fills in."""

    name: str
    kind: Kind
    description: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An invalid property and the reason."""

    property: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """The actual state of a resource: its ID, the inputs that describe it, and all of its properties."""

    id: str
    inputs: Properties
    properties: Properties


class Backend(Protocol):
    """One kind of resource. Methods raise `ProviderError`, block, and may be called from several threads."""

    @property
    def token(self) -> str:
        """Return the type token, `stackwright:<area>:<Class>`."""
        ...

    @property
    def description(self) -> str: ...

    @property
    def inputs(self) -> tuple[Input, ...]: ...

    @property
    def computed(self) -> tuple[Computed, ...]: ...

    def check(self, old: Properties | None, new: Properties) -> list[Failure]:
        """Return what makes `new` impossible on this machine now; `old` is None if the resource does not exist yet."""
        ...

    def preview(self, inputs: Properties) -> Properties:
        """Return the computed properties that are known before creation. Change nothing."""
        ...

    def create(self, inputs: Properties) -> Found:
        """Create the resource. If this raises, nothing is left behind."""
        ...

    def read(self, resource_id: str, state: Properties) -> Found | None:
        """Return the resource; None if it certainly does not exist any more. `state` is empty for an import."""
        ...

    def needs_repair(self, state: Properties) -> list[str]:
        """Return the computed properties in `state` that an update has to correct."""
        ...

    def update(self, resource_id: str, state: Properties, inputs: Properties) -> Properties:
        """Change the resource in place; return all properties."""
        ...

    def delete(self, resource_id: str, state: Properties) -> None:
        """Remove the resource; succeed if it does not exist any more."""
        ...


def normalise(declared: Sequence[Input], properties: Mapping[str, Any]) -> Properties:
    """Return the properties with defaults filled in, and integers as int (Pulumi transfers all numbers as float)."""
    known = {prop.name: prop for prop in declared}
    out: Properties = {prop.name: prop.default for prop in declared if prop.default is not None}
    for name, value in properties.items():
        if value is None:
            continue
        whole = name in known and known[name].kind is Kind.INTEGER
        out[name] = int(value) if whole and isinstance(value, float) and value.is_integer() else value
    return out


def validate(declared: Sequence[Input], properties: Properties, *, unknown: Any) -> list[Failure]:
    """Return all problems of single properties; a value that is still `unknown` passes."""
    names = [prop.name for prop in declared]
    failures = [Failure(property=name, reason=_not_a_property(name, names)) for name in properties if name not in names]
    for prop in declared:
        value = properties.get(prop.name)
        if value is None:
            if prop.required:
                failures.append(Failure(property=prop.name, reason="is required"))
        elif value == unknown:
            continue
        elif not _is(prop.kind, value):
            failures.append(Failure(property=prop.name, reason=f"{value!r} is not {_A[prop.kind]}"))
        elif prop.accepts is not None and (reason := prop.accepts(value)):
            failures.append(Failure(property=prop.name, reason=reason))
    return failures


_A = {
    Kind.STRING: "a string",
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number",
    Kind.STRINGS: "a list of strings",
}


def _is(kind: Kind, value: object) -> bool:
    if isinstance(value, bool):
        return False
    match kind:
        case Kind.STRING:
            return isinstance(value, str)
        case Kind.INTEGER:
            return isinstance(value, int)
        case Kind.NUMBER:
            return isinstance(value, int | float)
        case Kind.STRINGS:
            return isinstance(value, list) and all(isinstance(member, str) for member in value)


def _not_a_property(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"is not a property{f'; did you mean {near[0]}?' if near else ''} (accepted: {', '.join(names)})"
