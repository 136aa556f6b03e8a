"""Converts inputs from other languages to the dataclasses that the components take.

Pulumi's own host passes a dict to a component, leaves nested names in camelCase in places, and passes whole numbers as
floats (like all numbers of the protocol). Here every value is converted to the type of its field, or refused with its
path.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, get_args

import pulumi
from pulumi.output import Unknown
from pulumi.provider.experimental import analyzer
from pulumi.provider.experimental.util import camel_case


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


#: Type -> its name in messages, and a function that returns whether a value has it.
_SIMPLE: Mapping[type, tuple[str, Callable[[Any], bool]]] = {
    str: ("a string", lambda value: isinstance(value, str)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: _is_number(value) and float(value).is_integer()),
    float: ("a number", _is_number),
}


def build(kind: type, inputs: Mapping[str, Any], path: str = "") -> Any:
    """Return an args instance; `inputs` has the protocol's names. Raises InputPropertyError, or as the class does."""
    fields = {camel_case(attribute.name): attribute for attribute in dataclasses.fields(kind)}
    for name in inputs:
        if name not in fields:
            raise pulumi.InputPropertyError(_below(path, name), f"is no input, accepted: {', '.join(fields)}")
    arguments = {}
    for name, field in fields.items():
        value = inputs.get(name)
        if value is not None:
            arguments[field.name] = _typed(field.type, value, _below(path, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise pulumi.InputPropertyError(_below(path, name), "is missing")
    return kind(**arguments)


def _typed(kind: Any, value: Any, path: str) -> Any:
    if analyzer.is_input(kind):
        if isinstance(value, pulumi.Output | Unknown):
            # Never read while the program runs: it is passed to a resource unchanged.
            return pulumi.Output.from_input(value)
        return _typed(analyzer.unwrap_input(kind), value, path)
    if analyzer.is_optional(kind):
        return _typed(analyzer.unwrap_optional(kind), value, path)
    if isinstance(value, pulumi.Output | Unknown):
        raise pulumi.InputPropertyError(path, "has to be written out: no output of a resource, and no secret")
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return build(kind, _fitting(value, Mapping, "an object", path), path)
    if analyzer.is_list(kind):
        (inner,) = get_args(kind)
        items = _fitting(value, list, "a list", path)
        return [_typed(inner, item, f"{path}[{number}]") for number, item in enumerate(items)]
    if analyzer.is_dict(kind):
        _, inner = get_args(kind)
        entries = _fitting(value, Mapping, "an object", path)
        return {key: _typed(inner, item, f"{path}.{key}") for key, item in entries.items()}
    name, fits = _SIMPLE[kind]
    if not fits(value):
        raise pulumi.InputPropertyError(path, f"has to be {name}")
    return kind(value)


def _fitting(value: Any, kind: type, name: str, path: str) -> Any:
    if not isinstance(value, kind):
        raise pulumi.InputPropertyError(path, f"has to be {name}")
    return value


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
