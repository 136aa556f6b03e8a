"""Conversion between Pulumi's property values and plain Python, which keeps track of secret and unknown values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime import rpc

#: Represents a value that a preview cannot know. `PropertyValue.computed()` cannot be marshalled.
UNKNOWN: str = rpc.UNKNOWN


def plain(values: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """Return plain values without nulls; a value that is or contains an unknown is `UNKNOWN`."""
    return {name: _plain(value) for name, value in values.items() if value.value is not None}


def secrets(values: Mapping[str, PropertyValue]) -> frozenset[str]:
    """Return the names of the properties that are, or contain, a secret."""
    return frozenset(name for name, value in values.items() if value.contains_secret())


def wire(values: Mapping[str, Any], secret: Collection[str] = ()) -> dict[str, PropertyValue]:
    """Return property values; those named in `secret` are marked, so that the engine encrypts them."""
    return {
        name: _wire(value).with_secret(is_secret=True) if name in secret else _wire(value)
        for name, value in values.items()
        if value is not None
    }


def _plain(value: PropertyValue) -> Any:
    inner = value.value
    if isinstance(inner, Mapping):
        return {key: _plain(member) for key, member in inner.items()}
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        listed = [_plain(member) for member in inner]
        return UNKNOWN if UNKNOWN in listed else listed
    return inner


def _wire(value: Any) -> PropertyValue:
    if isinstance(value, bool | str):
        return PropertyValue(value)
    if isinstance(value, int | float):
        return PropertyValue(float(value))
    if isinstance(value, Mapping):
        return PropertyValue({key: _wire(member) for key, member in value.items()})
    return PropertyValue([_wire(member) for member in value])
