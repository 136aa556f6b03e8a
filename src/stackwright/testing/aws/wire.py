"""Property values of the wire format in plain Python: unknowns and secrets are kept in place, at any depth.

This does not use the SDK's `PropertyValue`, which cannot marshal an unknown; the plugin has to return exactly what it
received.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

Values = dict[str, Any]

UNKNOWN: str = rpc.UNKNOWN
#: The engine has a sentinel per type (sdk/go/common/resource/plugin/rpc.go); the Python SDK sends only the first.
_UNKNOWNS = frozenset(
    {
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the mark of a secret, not one
_MASK = "[secret]"


def values(message: struct_pb2.Struct) -> Values:
    """Return a message as Python values; null values are left out."""
    return {name: _value(field) for name, field in message.fields.items() if field.WhichOneof("kind") != "null_value"}


def _value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return values(value.struct_value)
        case "list_value":
            return [_value(member) for member in value.list_value.values]
        case _:
            return None


def message(plain: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return Python values as a message."""
    made = struct_pb2.Struct()
    made.update({name: value for name, value in plain.items() if value is not None})
    return made


def is_unknown(value: object) -> bool:
    return isinstance(value, str) and value in _UNKNOWNS


def is_secret(value: object) -> bool:
    return isinstance(value, Mapping) and value.get(_SIGNATURE) == _SECRET


def is_special(value: object) -> bool:
    """Return whether the value is an asset, an archive, or another value that is not a plain object."""
    return isinstance(value, Mapping) and _SIGNATURE in value


def secret(value: Any) -> Any:
    """Return the value, marked as secret."""
    return value if is_secret(value) else {_SIGNATURE: _SECRET, "value": value}


def unwrap(value: Any) -> Any:
    """Return the value inside a secret, at this level."""
    while is_secret(value):
        value = value.get("value")
    return value


def plain(value: Any) -> Any:
    """Return the value without secret marks. Use it for reading only, never to pass a value on."""
    return _walk(value, plain)


def masked(value: Any) -> Any:
    """Return the value for display: without secrets and sentinels."""
    if is_unknown(value):
        return "[unknown]"
    return _walk(value, lambda _: _MASK, masked)


def _walk(value: Any, on_secret: Callable[[Any], Any], on_inner: Callable[[Any], Any] | None = None) -> Any:
    again = on_inner or (lambda inner: _walk(inner, on_secret))
    if is_secret(value):
        return on_secret(value.get("value"))
    if isinstance(value, Mapping):
        return {name: again(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [again(inner) for inner in value]
    return value


def holds_unknown(value: Any) -> bool:
    """Return whether the value contains an unknown."""
    if isinstance(value, Mapping):
        return any(holds_unknown(member) for member in value.values())
    return any(map(holds_unknown, value)) if isinstance(value, list) else is_unknown(value)


def holds_secret(value: Any) -> bool:
    """Return whether the value contains a secret."""
    if isinstance(value, Mapping):
        return is_secret(value) or any(holds_secret(member) for member in value.values())
    return isinstance(value, list) and any(map(holds_secret, value))


def canonical(value: Any) -> str:
    """Return the same text for equal values."""
    return json.dumps(masked(value), sort_keys=True)
