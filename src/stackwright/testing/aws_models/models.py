"""AWS's own service models, as botocore ships them, and the checks that botocore leaves out.

botocore checks types, required members and minima before a call. The same models contain patterns, enumerations, maxima
and lengths, which only AWS's servers check; they are checked here, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from stackwright.policy.resources import UNKNOWN

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel, Shape  # type: ignore[import-untyped]

#: Character classes that Java knows and Python does not, as ranges that can be used in brackets.
_UNICODE_CLASSES = {
    r"\p{L}": "A-Za-z\u00aa-\u1fff\u2c00-\ud7ff",
    r"\p{M}": "\u0300-\u036f",
    r"\p{N}": "0-9\u00b2-\u00be",
    r"\p{P}": r"!-/:-@\[-`{-~\u2010-\u2027",
    r"\p{S}": r"$+<->^`|~\u00a2-\u00a9",
    r"\p{Zs}": " \u00a0",
    r"\p{Z}": " \u00a0\u2028\u2029",
    r"\p{ASCII}": r"[\x00-\x7f]",
}
#: Further differences between the regular expressions of Java and Python, as they occur in the models.
_JAVA = (
    # A pair of surrogates is one character in Python.
    (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010ffff"),
    (r"[\w-_", r"[\w_-"),
    (r"[\w-\/", r"[\w\-\/"),
    (r"\p{Z}-_", r"\p{Z}_-"),
    ("|(?i).*<script>.*</script>.*", "|(?i:.*<script>.*</script>.*)"),
)


class BotocoreMissingError(RuntimeError):
    """Raised if botocore, which only tests need, is not installed."""


@cache
def service(name: str) -> ServiceModel:
    """Return the model of a service by botocore's name (`elbv2`)."""
    try:
        from botocore.loaders import Loader  # type: ignore[import-untyped]
        from botocore.model import ServiceModel
    except ImportError as error:
        raise BotocoreMissingError("checks against AWS's models need botocore: pip install botocore") from error
    return ServiceModel(Loader().load_service_model(name, "service-2"), service_name=name)


def services() -> frozenset[str]:
    """Return botocore's names of all services."""
    try:
        from botocore.loaders import Loader
    except ImportError as error:
        raise BotocoreMissingError("checks against AWS's models need botocore: pip install botocore") from error
    return frozenset(Loader().list_available_services("service-2"))


@cache
def operation(name: str, call: str) -> OperationModel:
    """Return an operation of a service."""
    return service(name).operation_model(call)


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern of a model as a Python expression. Raises re.error if Python cannot express it."""
    for java, python in _JAVA:
        pattern = pattern.replace(java, python)
    for java, python in _UNICODE_CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def matches(pattern: str, text: str) -> bool:
    """Return whether AWS would accept the text: a pattern applies to all of it, unless anchored only at the start."""
    expression = compiled(pattern)
    begins_only = pattern.startswith("^") and not pattern.endswith("$")
    return bool(expression.match(text) if begins_only else expression.fullmatch(text))


class Walk:
    """Walks over the parameters of a call together with its shape, and counts the checks."""

    def __init__(self) -> None:
        self.values = 0
        self.unknown = 0
        self.stand_ins = 0

    def problems(self, value: Any, shape: Shape, path: str, stand_ins: frozenset[str]) -> Iterator[str]:
        """Yield what AWS would refuse; each problem begins with the path in the call."""
        if value is UNKNOWN:
            self.unknown += 1
        elif shape.type_name == "structure":
            yield from self._structure(value, shape, path, stand_ins)
        elif shape.type_name == "list":
            yield from self._size(len(value), shape, f"{path} has {len(value)} members")
            for position, inner in enumerate(value):
                yield from self.problems(inner, shape.member, f"{path}[{position}]", stand_ins)
        elif shape.type_name == "map":
            yield from self._size(len(value), shape, f"{path} has {len(value)} members")
            for key, inner in value.items():
                yield from self.problems(key, shape.key, f"{path}.{key}", stand_ins)
                yield from self.problems(inner, shape.value, f"{path}.{key}", stand_ins)
        elif isinstance(value, str) and value in stand_ins:
            self.stand_ins += 1
        else:
            self.values += 1
            yield from self._scalar(value, shape, path)

    def _structure(self, value: Mapping[str, Any], shape: Any, path: str, stand_ins: frozenset[str]) -> Iterator[str]:
        missing = [member for member in shape.required_members if member not in value]
        if missing:
            yield f"{path}: {', '.join(missing)} missing"
        for name, inner in value.items():
            yield from self.problems(inner, shape.members[name], f"{path}.{name}".lstrip("."), stand_ins)

    def _scalar(self, value: Any, shape: Any, path: str) -> Iterator[str]:
        if shape.type_name == "string":
            yield from self._size(len(value), shape, f"{path} is {value!r}, {len(value)} characters")
            if shape.enum and value not in shape.enum:
                yield f"{path} is {value!r}, accepted: {', '.join(shape.enum)}"
            pattern = shape.metadata.get("pattern")
            if pattern is not None and not matches(pattern, value):
                yield f"{path} is {value!r}, accepted: {pattern}"
        elif shape.type_name in ("integer", "long", "float", "double"):
            yield from self._size(value, shape, f"{path} is {value}")

    @staticmethod
    def _size(size: float, shape: Shape, finding: str) -> Iterator[str]:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if (low is not None and size < low) or (high is not None and size > high):
            yield f"{finding}, accepted: {'' if low is None else low} to {'any' if high is None else high}"
