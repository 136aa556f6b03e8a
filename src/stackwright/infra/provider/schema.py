"""The package schema that the provider returns to Pulumi, generated from the backends' declarations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stackwright.infra.provider.backend import Backend, Computed, Input, Kind

_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.STRING: {"type": "string"},
    Kind.INTEGER: {"type": "integer"},
    Kind.NUMBER: {"type": "number"},
    Kind.STRINGS: {"type": "array", "items": {"type": "string"}},
}


def package(backends: Sequence[Backend], version: str) -> str:
    """Return the schema as JSON."""
    return json.dumps(
        {
            "name": "stackwright",
            "version": version,
            "description": "Hosts that no cloud makes: local systemd containers and adopted servers.",
            "license": "Apache-2.0",
            "resources": {backend.token: _resource(backend) for backend in backends},
        }
    )


def _resource(backend: Backend) -> dict[str, Any]:
    declared: list[Input | Computed] = [*backend.inputs, *backend.computed]
    required = [prop.name for prop in backend.inputs if prop.required]
    return {
        "description": backend.description,
        "inputProperties": {prop.name: _property(prop) for prop in backend.inputs},
        "requiredInputs": required,
        "properties": {prop.name: _property(prop) for prop in declared},
        "required": [*required, *(prop.name for prop in backend.computed)],
    }


def _property(declared: Input | Computed) -> dict[str, Any]:
    shown = _TYPES[declared.kind] | {"description": declared.description}
    if isinstance(declared, Input):
        # A list cannot be a default in Pulumi's schema.
        if declared.default is not None and declared.kind is not Kind.STRINGS:
            shown["default"] = declared.default
        if declared.replaces:
            shown["replaceOnChanges"] = True
    return shown
