"""Converts the inputs of a Pulumi resource to the parameters of the call that creates it.

Names that differ only in case are mapped automatically; for all others there is a table. An input that neither covers
is an error, so that no input is skipped silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stackwright.policy.resources import UNKNOWN
from stackwright.testing.aws_models import models

#: Returns the problem of a wrong value.
Check = Callable[[Any], str | None]


@dataclass(frozen=True, kw_only=True)
class NotSent:
    """An input that is not sent to AWS, or that AWS does not check in a way that a model describes."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """An input whose limits are in the documentation of an attribute, not in a model."""

    check: Check


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A block whose inputs are parameters of the call itself; paths start at the call's input."""

    fields: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Members:
    """A list of values that the API takes as a list of structures, each with further members."""

    path: str
    key: str
    more: Mapping[str, Any]


Target = str | NotSent | Checked | Spread | Members


@dataclass(frozen=True, kw_only=True)
class Call:
    """The call that creates a resource, and the mapping of inputs to parameters.

    A path (`IpPermissions[].FromPort`) starts at the call's input; `[]` is a list of one element.
    """

    service: str
    operation: str
    fields: Mapping[str, Target] = field(default_factory=dict)
    #: Where inputs are looked up first, by their own names: `LaunchTemplateData`.
    root: str = ""
    #: Parameters that the provider fills in.
    constants: Mapping[str, Any] = field(default_factory=dict)
    #: Reason why there is no call; the inputs are then not checked.
    no_call: str = ""


def between(low: float, high: float) -> Checked:
    """Return a check for a number within bounds."""

    def check(value: Any) -> str | None:
        return None if low <= float(value) <= high else f"is {value}, accepted: {low:g} to {high:g}"

    return Checked(check=check)


def one_of(*accepted: str) -> Checked:
    """Return a check for one of a few values; numbers and switches are compared as AWS would read them."""

    def check(value: Any) -> str | None:
        word = str(value).lower() if isinstance(value, bool) else str(value)
        return None if word in accepted else f"is {value!r}, accepted: {', '.join(accepted)}"

    return Checked(check=check)


def text(pattern: str, *, limit: int) -> Checked:
    """Return a check for a text by pattern and length."""

    def check(value: Any) -> str | None:
        fits = isinstance(value, str) and len(value) <= limit and re.fullmatch(pattern, value)
        return None if fits else f"is {value!r}, accepted: {pattern}, at most {limit}"

    return Checked(check=check)


SWITCH = one_of("true", "false")
#: Inputs of every resource that determine where and how the provider calls.
_EVERYWHERE: Mapping[str, Target] = {
    "region": text(r"[a-z]{2}(-[a-z]+)+-\d", limit=25),
    "skipDestroy": NotSent(reason="what the provider does at the end"),
    "forceDestroy": NotSent(reason="what the provider does at the end"),
    "tagsAll": NotSent(reason="computed by the provider"),
    "timeouts": NotSent(reason="how long the provider waits"),
    "namePrefix": NotSent(reason="the provider makes a name of it"),
}


class Conversion:
    """The parameters of one resource's call, and the problems of the conversion."""

    def __init__(self, call: Call, nested: Mapping[str, Mapping[str, Target]]) -> None:
        self._call = call
        self._nested = nested
        self.problems: list[str] = []
        self.not_sent: list[str] = []
        self.checked = 0

    def parameters(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of the call."""
        shape = models.operation(self._call.service, self._call.operation).input_shape
        parameters: dict[str, Any] = {}
        for name, value in inputs.items():
            if value is None:
                continue
            target: Target | None = self._call.fields.get(name) or _EVERYWHERE.get(name) or self._find(name, shape)
            self._take(parameters, shape, target, value, name)
        for path, value in self._call.constants.items():
            _fill(parameters, path.split("."), value)
        _count(parameters, shape)
        return parameters

    def _take(self, parameters: dict[str, Any], shape: Any, target: Target | None, value: Any, source: str) -> None:
        """Put an input into its parameter."""
        if target is None:
            below = f"{shape.name} of " if "." in source else ""
            self.problems.append(f"{source} is not mapped to {below}{self._call.service}:{self._call.operation}")
        elif isinstance(target, str):
            self._put(parameters, shape, target, value, source)
        elif isinstance(target, Members):
            several = [{target.key: scalar, **target.more} for scalar in value] if isinstance(value, list) else value
            self._put(parameters, shape, target.path, several, source)
        elif isinstance(target, Spread):
            self._spread(parameters, shape, target, value, source)
        else:
            self._side(source, target, value)

    def _spread(self, parameters: dict[str, Any], shape: Any, target: Spread, value: Any, source: str) -> None:
        block = value[0] if isinstance(value, list) and len(value) == 1 else value
        if value is UNKNOWN:
            return
        if not isinstance(block, Mapping):
            self._wrong(source, value, "a block")
            return
        for name, inner in block.items():
            if name not in target.fields:
                self.problems.append(f"{source}.{name} is not mapped to {self._call.service}:{self._call.operation}")
            elif inner is not None:
                self._put(parameters, shape, target.fields[name], inner, f"{source}.{name}")

    def _side(self, name: str, target: NotSent | Checked, value: Any) -> None:
        if isinstance(target, NotSent):
            self.not_sent.append(name)
        elif value is not UNKNOWN:
            self.checked += 1
            try:
                problem = target.check(value)
            except (TypeError, ValueError):
                problem = f"is {value!r}, which is no value of that kind"
            if problem:
                self.problems.append(f"{name} {problem}")

    def _find(self, name: str, shape: Any) -> str | None:
        if self._call.root:
            for part in self._call.root.replace("[]", "").split("."):
                shape = shape.members[part]
                shape = shape.member if shape.type_name == "list" else shape
            member_name = member(shape, name)
            if member_name:
                return f"{self._call.root}.{member_name}"
            shape = models.operation(self._call.service, self._call.operation).input_shape
        return member(shape, name)

    def _put(self, parameters: dict[str, Any], shape: Any, path: str, value: Any, source: str) -> None:
        structure: Any = parameters
        *parents, last = path.split(".")
        for part in parents:
            name, is_list = part.removesuffix("[]"), part.endswith("[]")
            shape = shape.members[name]
            if is_list:
                structure = structure.setdefault(name, [{}])[0]
                shape = shape.member
            else:
                structure = structure.setdefault(name, {})
        converted = self._value(value, shape.members[last], source)
        before = structure.get(last)
        # Two inputs may be members of one list: a root disk and further disks.
        structure[last] = (
            [*before, *converted] if isinstance(before, list) and isinstance(converted, list) else converted
        )

    def _value(self, value: Any, shape: Any, source: str) -> Any:
        if value is UNKNOWN:
            return UNKNOWN
        if shape.type_name == "structure":
            return self._structure(value, shape, source)
        if shape.type_name == "list":
            return self._list(value, shape, source)
        if shape.type_name == "map":
            if isinstance(value, list) and all(isinstance(block, Mapping) and "key" in block for block in value):
                value = {block["key"]: {k: v for k, v in block.items() if k != "key"} for block in value}
            if not isinstance(value, Mapping):
                return self._wrong(source, value, "a map")
            return {key: self._value(inner, shape.value, f"{source}.{key}") for key, inner in value.items()}
        return self._scalar(value, shape, source)

    def _structure(self, value: Any, shape: Any, source: str) -> Any:
        if isinstance(value, list) and "Items" in shape.members and "Quantity" in shape.members:
            return {"Quantity": len(value), "Items": self._value(value, shape.members["Items"], source)}
        if isinstance(value, list) and len(value) == 1:
            (value,) = value
        if isinstance(value, str) and len(shape.members) == 1:
            (only,) = shape.members
            return {only: self._value(value, shape.members[only], source)}
        if not isinstance(value, Mapping):
            return self._wrong(source, value, "a structure")
        if set(value) == {"items"} and "Quantity" in shape.members:
            return self._value(value["items"], shape, source)
        structure: dict[str, Any] = {}
        table = self._nested.get(shape.name, {})
        for name, inner in value.items():
            if inner is not None:
                self._take(structure, shape, table.get(name) or member(shape, name), inner, f"{source}.{name}")
        return structure

    def _list(self, value: Any, shape: Any, source: str) -> Any:
        pair = _pair(shape.member)
        if isinstance(value, Mapping) and pair:
            key, each_value = pair
            items: list[Any] = [{key: name, each_value: inner} for name, inner in value.items()]
            return [self._pair_value(named_pair, shape.member, source) for named_pair in items]
        many = value if isinstance(value, list) else [value]
        return [self._value(inner, shape.member, f"{source}[{position}]") for position, inner in enumerate(many)]

    def _pair_value(self, pair: Mapping[str, Any], shape: Any, source: str) -> Mapping[str, Any]:
        return {name: self._value(inner, shape.members[name], f"{source}.{name}") for name, inner in pair.items()}

    def _scalar(self, value: Any, shape: Any, source: str) -> Any:
        kind = shape.type_name
        if isinstance(value, Mapping) and "Statement" in value:
            # The SDK also accepts policies as structures.
            return json.dumps(value, default=str)
        if isinstance(value, (Mapping, list)):
            return self._wrong(source, value, f"a value ({kind})")
        if kind == "string":
            if isinstance(value, bool):
                return str(value).lower()
            return f"{value:g}" if isinstance(value, (int, float)) else str(value)
        if kind == "boolean":
            return value if isinstance(value, bool) else self._word(source, value, {"true": True, "false": False})
        if kind in ("integer", "long", "float", "double"):
            try:
                number = float(value)
            except ValueError:
                return self._wrong(source, value, "a number")
            if kind in ("integer", "long") and not number.is_integer():
                return self._wrong(source, value, "a whole number")
            return int(number) if number.is_integer() else number
        return value

    def _word(self, source: str, value: Any, words: Mapping[str, bool]) -> Any:
        return words[value] if value in words else self._wrong(source, value, "true or false")

    def _wrong(self, source: str, value: Any, expected: str) -> Any:
        self.problems.append(f"{source} is {value!r:.60}, accepted: {expected}")
        # Already reported; do not report it again.
        return UNKNOWN


def member(shape: Any, name: str) -> str | None:
    """Return the member that an input's name stands for; one side often names a list in the singular."""
    if shape is None or shape.type_name != "structure":
        return None
    by_name = {member_name.lower(): member_name for member_name in shape.members}
    if name.lower() in by_name:
        return str(by_name[name.lower()])
    many = {lower: member_name for lower, member_name in by_name.items() if _is_many(shape.members[member_name])}
    candidates = [many[spelling] for spelling in _spellings(name.lower()) if spelling in many]
    return str(candidates[0]) if candidates else None


def _is_many(shape: Any) -> bool:
    return shape.type_name == "list" or (shape.type_name == "structure" and "Items" in shape.members)


def _count(value: Any, shape: Any) -> None:
    """Fill in the number of members, which CloudFront requires in addition to the members."""
    if isinstance(value, list) and shape.type_name == "list":
        for inner in value:
            _count(inner, shape.member)
    elif isinstance(value, dict) and shape is not None and shape.type_name == "structure":
        if {"Items", "Quantity"} <= set(shape.members):
            items = value.get("Items", [])
            value.setdefault("Quantity", UNKNOWN if items is UNKNOWN else len(items))
        for name, inner in value.items():
            _count(inner, shape.members[name])


def _spellings(name: str) -> Iterator[str]:
    yield f"{name}s"
    yield f"{name}list"
    if name.endswith("ies"):
        yield f"{name[:-3]}y"
    if name.endswith("s"):
        yield name[:-1]
        yield f"{name[:-1]}list"


def _pair(shape: Any) -> tuple[str, str] | None:
    """Return the names of key and value if a list of structures is actually a map: tags, dimensions."""
    if shape.type_name != "structure":
        return None
    for key, value in (("Key", "Value"), ("TagKey", "TagValue"), ("Name", "Value")):
        if key in shape.members and value in shape.members and len(shape.members) == 2:
            return key, value
    return None


def _fill(structure: dict[str, Any], path: list[str], value: Any) -> None:
    *parents, last = path
    for part in parents:
        name = part.removesuffix("[]")
        inner = structure.setdefault(name, [{}] if part.endswith("[]") else {})
        if inner is UNKNOWN:
            return
        structure = inner[0] if isinstance(inner, list) else inner
    structure.setdefault(last, value)
