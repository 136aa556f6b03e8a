"""What a kind of resource is, without a word of Pulumi: its properties and the five things one can do with it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

Properties = dict[str, Any]


class ProviderError(RuntimeError):
    """An operation failed; the message is for the person who ran it and says what to do."""


class Kind(StrEnum):
    """The types of property that the resources have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    STRINGS = "strings"


@dataclass(frozen=True, kw_only=True)
class Input:
    """A property that the user sets. Names are camelCase, as Pulumi's other languages expect them."""

    name: str
    kind: Kind
    description: str
    #: Used where the user gives none; without a default the property is required unless it is `optional`.
    default: Any = None
    optional: bool = False
    #: A change makes a new resource; otherwise the resource is updated in place.
    replaces: bool = False
    #: What is wrong with a value of the right type; None if nothing is.
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
    """What is wrong with one property."""

    property: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """A resource as it really is: its id, its inputs as they would have to be written, and all of its properties."""

    id: str
    inputs: Properties
    properties: Properties


class Backend(Protocol):
    """One kind of resource. Methods raise `ProviderError`, block, and may be called from several threads."""

    @property
    def token(self) -> str:
        """The type token, `stackwright:<area>:<Class>`."""
        ...

    @property
    def description(self) -> str: ...

    @property
    def inputs(self) -> tuple[Input, ...]: ...

    @property
    def computed(self) -> tuple[Computed, ...]: ...

    def check(self, old: Properties | None, new: Properties) -> list[Failure]:
        """What makes `new` impossible on this machine now; `old` is None for a resource that is not there yet."""
        ...

    def preview(self, inputs: Properties) -> Properties:
        """The computed properties that are known before creation. Changes nothing."""
        ...

    def create(self, inputs: Properties) -> Found:
        """Make it. Where this raises, nothing is left."""
        ...

    def read(self, resource_id: str, state: Properties) -> Found | None:
        """Find it; None if it is gone for certain. `state` is empty for an import."""
        ...

    def needs_repair(self, state: Properties) -> list[str]:
        """The computed properties in `state` that an update has to put right."""
        ...

    def update(self, resource_id: str, state: Properties, inputs: Properties) -> Properties:
        """Change it in place; return all properties."""
        ...

    def delete(self, resource_id: str, state: Properties) -> None:
        """Remove it; being gone already is success."""
        ...


def normalise(declared: Sequence[Input], properties: Mapping[str, Any]) -> Properties:
    """Defaults filled in, and whole numbers as int (all numbers travel as float)."""
    known = {prop.name: prop for prop in declared}
    out: Properties = {prop.name: prop.default for prop in declared if prop.default is not None}
    for name, value in properties.items():
        if value is None:
            continue
        whole = name in known and known[name].kind is Kind.INTEGER
        out[name] = int(value) if whole and isinstance(value, float) and value.is_integer() else value
    return out


def validate(declared: Sequence[Input], properties: Properties, *, unknown: Any) -> list[Failure]:
    """Everything that is wrong with the properties taken one by one; a value that is still `unknown` passes."""
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
