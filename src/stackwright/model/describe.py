"""Describes in words what a JSON Schema accepts at a path: the text behind `accepted:` in errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.model.errors import KeyPath

Schema = Mapping[str, Any]

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def at(schema: Schema, path: KeyPath) -> Schema:
    """Return the part of `schema` that describes `path`; empty if there is none."""
    subschema: Schema = schema
    for part in path:
        subschema = next(
            (child for branch in _branches(schema, subschema) if (child := _step(branch, part)) is not None), {}
        )
    return subschema


def _step(branch: Schema, part: str | int) -> Schema | None:
    if isinstance(part, int):
        child = branch.get("items")
    else:
        patterned = branch.get("patternProperties", {}).values()
        child = branch.get("properties", {}).get(part, next(iter(patterned), branch.get("additionalProperties")))
    return child if isinstance(child, Mapping) else None


def _branches(schema: Schema, subschema: Schema) -> Iterator[Schema]:
    """Yield the alternatives of `subschema`, with references and unions resolved."""
    if "$ref" in subschema:
        yield from _branches(schema, schema["$defs"][subschema["$ref"].rsplit("/", 1)[1]])
    elif "anyOf" in subschema:
        for branch in subschema["anyOf"]:
            yield from _branches(schema, branch)
    else:
        yield subschema


def keys(schema: Schema, subschema: Schema) -> list[str]:
    """Return the keys that a mapping may have."""
    known_keys: list[str] = []
    for branch in _branches(schema, subschema):
        # Required keys first: that is the order in which users write.
        required = branch.get("required", [])
        known_keys += sorted(branch.get("properties", {}), key=lambda key: key not in required)
        for names in _branches(schema, branch.get("propertyNames", {})):
            known_keys += _words(names)
    return known_keys


def key_words(schema: Schema, subschema: Schema) -> str:
    """Return what the keys of a mapping with arbitrary keys look like; empty if its keys are listed."""
    names = [
        names for branch in _branches(schema, subschema) for names in _branches(schema, branch.get("propertyNames", {}))
    ]
    return " or ".join(str(branch["x-accepted"]) for branch in names if "x-accepted" in branch)


def words(schema: Schema, subschema: Schema) -> list[str]:
    """Return the words that a value may be."""
    return [word for branch in _branches(schema, subschema) for word in _words(branch)]


def _words(branch: Schema) -> list[str]:
    listed = branch.get("enum", [branch["const"]] if "const" in branch else [])
    return [str(word) for word in listed]


def accepted(schema: Schema, subschema: Schema) -> str:
    """Return a description of the accepted values in words."""
    branches = [_one(branch) for branch in _branches(schema, subschema) if branch.get("type") != "null"]
    return " or ".join(dict.fromkeys(text for text in branches if text))


def _one(branch: Schema) -> str:
    if "x-accepted" in branch:
        return str(branch["x-accepted"])
    if choices := _words(branch):
        return ", ".join(choices)
    text = _TYPES.get(branch.get("type", ""), "")
    if branch.get("type") == "object" and "properties" in branch:
        return f"{text} with {', '.join(branch['properties'])}"
    low, high = branch.get("minimum", branch.get("minItems")), branch.get("maximum", branch.get("maxItems"))
    if low is not None and high is not None:
        return f"{text} from {low} to {high}"
    if low is not None:
        return f"{text} of at least {low}" + (" item" if "minItems" in branch else "")
    return f"{text} that matches {branch['pattern']}" if "pattern" in branch else text


def takes_text(schema: Schema, subschema: Schema) -> bool:
    """Return whether a value can be any text."""
    return any(branch.get("type") == "string" and not _words(branch) for branch in _branches(schema, subschema))
