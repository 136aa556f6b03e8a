"""Finds a resource's classes in the source of the installed `pulumi_aws`, and reads only those.

Importing one resource imports its whole service (2 s for EC2). Reading the source takes milliseconds and gives more:
which arguments force a replacement according to the documentation, and the form of an id.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

#: Start of a top-level statement; a class ends at the next one.
_TOP = re.compile(r"^(?:@|class |def |if |__all__)", re.MULTILINE)
_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
_PROPERTY = re.compile(
    r"^    @_builtins\.property\n"
    r'    @pulumi\.getter(?:\(name="(?P<wire>[^"]+)"\))?\n'
    r"(?:    @_utilities\.deprecated\(.*?\)\n)?"
    r"    def (?P<name>\w+)\(self\) -> (?P<type>[^\n]*):\n"
    r'(?:        """(?P<doc>.*?)""")?',
    re.MULTILINE | re.DOTALL,
)
_PARAMETER = re.compile(r"^\s+(?P<name>\w+): .*?(?P<optional> = None)?(?:,|\):)$")


class UnknownTypeError(LookupError):
    """Raised if the SDK does not contain the resource."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A property as a class declares it."""

    #: Name in Python.
    name: str
    #: Name on the wire.
    wire: str
    #: Source text of its annotation.
    annotation: str
    required: bool
    documentation: str


@dataclass(frozen=True, kw_only=True)
class Location:
    """The file and class in which a resource is declared."""

    file: Path
    class_name: str


class Module:
    """The source text of a file of the SDK."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = path.read_text(encoding="utf-8") if path.is_file() else ""

    @cached_property
    def _starts(self) -> Mapping[str, int]:
        return {match[1]: match.start() for match in _CLASS.finditer(self._text)}

    def __contains__(self, class_name: str) -> bool:
        return class_name in self._starts

    def source(self, class_name: str) -> str:
        """Return the source text of a class."""
        start = self._starts[class_name]
        end = _TOP.search(self._text, start + 1)
        return self._text[start : end.start() if end else len(self._text)]

    def members(self, class_name: str) -> tuple[Member, ...]:
        """Return the properties of a class; for arguments also whether they are required."""
        source = self.source(class_name)
        required = _required(source)
        return tuple(
            Member(
                name=match["name"],
                wire=match["wire"] or match["name"],
                annotation=match["type"],
                required=match["name"] in required,
                documentation=" ".join((match["doc"] or "").split()),
            )
            for match in _PROPERTY.finditer(source)
        )


def _required(source: str) -> set[str]:
    start = source.find("def __init__(__self__, *,")
    if start < 0:
        return set()
    signature = source[start : source.index("):\n", start) + 2].splitlines()[1:]
    matches = (_PARAMETER.match(line) for line in signature)
    return {match["name"] for match in matches if match and not match["optional"]}


@cache
def module(path: Path) -> Module:
    """Return a file of the SDK, which is read once."""
    return Module(path)


@cache
def package() -> Path:
    """Return the directory of `pulumi_aws` without importing it."""
    spec = importlib.util.find_spec("pulumi_aws")
    if spec is None or spec.origin is None:
        raise UnknownTypeError("pulumi_aws is not installed: its classes say what resources there are")
    return Path(spec.origin).parent


@cache
def version() -> str:
    """Return the version of the SDK, which is also the version of its provider."""
    return importlib.metadata.version("pulumi-aws")


@cache
def tokens() -> Mapping[str, str]:
    """Return every resource type and the Python package that contains it."""
    text = (package() / "__init__.py").read_text(encoding="utf-8")
    listed = re.search(r'resource_modules="""(.*?)"""', text, re.DOTALL)
    if listed is None:
        raise UnknownTypeError("pulumi_aws/__init__.py lists no resources: this version of the SDK is not known here")
    return {
        token: resource_module["fqn"]
        for resource_module in json.loads(listed[1])
        for token in resource_module["classes"]
    }


@cache
def locate(token: str) -> Location:
    """Return the file and the class of a resource type such as `aws:rds/instance:Instance`."""
    if token not in tokens():
        raise UnknownTypeError(f"{token} is not a resource of pulumi-aws {version()}")
    folder = package().joinpath(*tokens()[token].split(".")[1:])
    stem = token.split(":")[1].rsplit("/", 1)[-1]
    likely = folder / f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', stem).lower()}.py"
    for file in (likely, *sorted(folder.glob("*.py"))):
        if file.is_file() and f"'{token}'," in file.read_text(encoding="utf-8"):
            return Location(file=file, class_name=token.rsplit(":", 1)[-1])
    raise UnknownTypeError(f"{token} is listed by pulumi-aws {version()}, but none of its files declares it")
