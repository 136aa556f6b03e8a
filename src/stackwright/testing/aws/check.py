"""Checks whether AWS's provider would accept the inputs of a resource: keys, required keys and types, at any depth.

It is stricter than the provider in one way: the provider converts `"8080"` to a number, this check does not, as it is
usually a mistake. It knows neither the rules between properties ("one of these two") nor the values that AWS accepts.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stackwright.testing.aws import wire
from stackwright.testing.aws.sdk_schema import Kind, Property, Type, members


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A problem with a property, which is named by its path."""

    path: str
    reason: str


def check(what: str, properties: Mapping[str, Property], inputs: Mapping[str, Any]) -> list[Failure]:
    """Return every problem; `what` names the owner of the properties."""
    return list(_object(what, properties, inputs, ""))


def _object(what: str, properties: Mapping[str, Property], inputs: Mapping[str, Any], prefix: str) -> Iterator[Failure]:
    for name in inputs:
        if name not in properties and not name.startswith("__"):
            close = difflib.get_close_matches(name, properties, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield Failure(path=prefix + name, reason=f"is not a property of {what}{hint}")
    for name, declared in properties.items():
        if inputs.get(name) is not None:
            yield from _value(declared.types, inputs[name], prefix + name)
        elif declared.required:
            yield Failure(path=prefix + name, reason=f"is required by {what} and missing")


def _value(types: tuple[Type, ...], wrapped: Any, path: str) -> Iterator[Failure]:
    value = wire.unwrap(wrapped)
    if value is None or wire.is_unknown(value):
        return
    fitting = [declared for declared in types if _FITS[declared.kind](value)]
    if not fitting:
        expected = " or ".join(dict.fromkeys(declared.kind.value for declared in types))
        # Without the value: it may be secret, and its kind is enough.
        yield Failure(path=path, reason=f"has to be {expected}, not {_kind(value)}")
        return
    failure_lists = [list(_inside(declared, value, path)) for declared in fitting]
    # Of several alternatives, the one with the fewest problems is probably the intended one.
    yield from min(failure_lists, key=len)


def _inside(declared: Type, value: Any, path: str) -> Iterator[Failure]:
    match declared.kind:
        case Kind.LIST:
            for index, member in enumerate(value):
                yield from _value(declared.items, member, f"{path}[{index}]")
        case Kind.MAP:
            for name, member in value.items():
                yield from _value(
                    declared.items, member, f"{path}.{name}" if name.isidentifier() else f'{path}["{name}"]'
                )
        case Kind.OBJECT if declared.declared:
            what = declared.declared.class_name.removesuffix("Args")
            yield from _object(what, members(declared.declared), value, f"{path}.")
        case Kind.ENUM if value not in declared.values:
            yield Failure(path=path, reason=f"has to be one of {', '.join(declared.values)}")
        case _:
            pass


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mapping(value: object) -> bool:
    return isinstance(value, Mapping) and not wire.is_special(value)


_FITS: Mapping[Kind, Callable[[Any], bool]] = {
    Kind.STRING: lambda value: isinstance(value, str),
    Kind.ENUM: lambda value: isinstance(value, str),
    Kind.INTEGER: lambda value: isinstance(value, int) and not isinstance(value, bool),
    Kind.NUMBER: _number,
    Kind.BOOLEAN: lambda value: isinstance(value, bool),
    Kind.LIST: lambda value: isinstance(value, list),
    Kind.MAP: _mapping,
    Kind.OBJECT: _mapping,
    Kind.ASSET: wire.is_special,
    Kind.ANY: lambda _: True,
}


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a string"
    if _number(value):
        return "a whole number" if isinstance(value, int) else "a fraction"
    return "a list" if isinstance(value, list) else "an object"


def completed(
    properties: Mapping[str, Property], inputs: Mapping[str, Any], default_tags: Mapping[str, str], name: str
) -> wire.Values:
    """Return the inputs as the provider keeps them: named, with the provider's tags, and policy documents as text."""
    completed_inputs = {key: _as_text(properties.get(key), value) for key, value in inputs.items()}
    tags = properties.get("tags")
    resource_tags = completed_inputs.get("tags", {})
    if (
        default_tags
        and tags
        and tags.type(Kind.MAP)
        and isinstance(resource_tags, Mapping)
        and not wire.is_special(resource_tags)
    ):
        completed_inputs["tags"] = {**default_tags, **resource_tags}
    chosen = properties.get("name")
    if (
        chosen
        and not chosen.required
        and not {"name", "namePrefix"} & completed_inputs.keys()
        and chosen.type(Kind.STRING)
    ):
        completed_inputs |= {"name": name, "__defaults": ["name"]}
    return completed_inputs


def _as_text(declared: Property | None, value: Any) -> Any:
    """Return a policy as a string: it may be given as an object, but AWS accepts and returns a string."""
    text_or_object = declared and declared.type(Kind.STRING) and declared.type(Kind.OBJECT)
    if not text_or_object or not _mapping(value) or wire.holds_unknown(value) or wire.holds_secret(value):
        return value
    return json.dumps(value)
