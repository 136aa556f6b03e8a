"""Base of the hand-written classes of the provider's resources."""

from __future__ import annotations

import re

import pulumi


class StackwrightResource(pulumi.CustomResource):
    """A resource of this provider, with properties in snake_case in Python and camelCase in the protocol."""

    def translate_input_property(self, prop: str) -> str:
        return camel(prop)

    def translate_output_property(self, prop: str) -> str:
        return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), prop)


def camel(name: str) -> str:
    """Return a snake_case name in camelCase: `memory_mb` as `memoryMb`."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
