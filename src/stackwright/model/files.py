"""Finding and reading an environment's two files; every problem of a file is reported at once."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stackwright.model import describe, source
from stackwright.model.errors import ABSENT, KeyPath, ModelError, Problem, nearest
from stackwright.model.schema_types import PublicKey
from stackwright.model.source import Source
from stackwright.model.stackfile import StackFile
from stackwright.model.system import System

T = TypeVar("T")

#: Both are slow to create and are the same for every file.
_ADAPTERS: dict[object, TypeAdapter[Any]] = {}
_SCHEMAS: dict[object, Mapping[str, Any]] = {}

_UNKNOWN_KEY = "unexpected_keyword_argument"
_PUBLIC_KEY: TypeAdapter[str] = TypeAdapter(PublicKey)

#: Each round removes at least one value; a file with more problems is read again after the first ones are fixed.
_ROUNDS = 50


@dataclass(frozen=True, kw_only=True)
class Place:
    """The location of an environment."""

    root: Path
    name: str
    file: Path

    def shown(self, file: Path) -> Path:
        """Return the path of the file as errors show it: relative to the project's root."""
        return file.relative_to(self.root) if file.is_relative_to(self.root) else file


@dataclass(frozen=True, kw_only=True)
class Parsed(Generic[T]):
    """A file, as far as it could be parsed."""

    source: Source
    #: None if too much is wrong; otherwise without the invalid values.
    value: T | None
    problems: tuple[Problem, ...]
    #: What was left out of `value`.
    left_out: tuple[KeyPath, ...]

    @property
    def complete(self) -> bool:
        return self.value is not None and not self.problems

    def need(self) -> T:
        """Return the value of a file that is known to be valid."""
        if self.value is None:
            raise ModelError(self.problems)
        return self.value

    def problem(
        self,
        path: KeyPath,
        message: str,
        *,
        value: object = ABSENT,
        accepted: str = "",
        suggestion: str | None = None,
    ) -> Problem:
        """Return a problem with the line of `path`."""
        return Problem(
            file=self.source.file,
            line=self.source.line(path),
            path=path,
            message=message,
            value=value,
            accepted=accepted,
            suggestion=suggestion,
        )

    def doubtful(self, path: KeyPath) -> bool:
        """Return whether a problem at `path` may only follow from what was left out."""
        prefixes = [prefix for gone in self.left_out for prefix in (gone, gone[:-1]) if prefix]
        return any(path[: len(prefix)] == prefix[: len(path)] for prefix in prefixes)


def locate(path: Path) -> Place:
    """Return the location of the environment of a `stack.yml`, or of its folder."""
    file = (path / "stack.yml" if path.is_dir() else path).absolute()
    root = next((parent for parent in file.parents if (parent / "systems").is_dir()), None)
    if root is None or not file.is_file():
        missing = "does not exist" if not file.is_file() else "belongs to no project: no folder above has `systems/`"
        accepted = "the path of an environment, such as inventories/taaleem-local/stack.yml"
        raise ModelError([Problem(file=path, line=1, message=missing, accepted=accepted)])
    return Place(root=root, name=file.parent.name, file=file)


def read_both(location: Place) -> tuple[Parsed[StackFile], Parsed[System] | None]:
    """Return the environment's file and its system's file, the latter None if the system cannot be determined."""
    stack = parse(source.read(location.file, location.shown(location.file)), StackFile)
    name = stack.source.data.get("system")
    if not isinstance(name, str) or any(gone == ("system",) for gone in stack.left_out):
        return stack, None
    file = location.root / "systems" / f"{name}.yml"
    if not file.is_file() or not file.resolve().is_relative_to(location.root.resolve()):
        known = sorted(system_file.stem for system_file in (location.root / "systems").glob("*.yml"))
        problem = stack.problem(
            ("system",),
            "is no known system",
            value=name,
            accepted=", ".join(known) or "a file in systems/",
            suggestion=nearest(name, known),
        )
        raise ModelError([*stack.problems, problem])
    try:
        return stack, parse(source.read(file, location.shown(file)), System)
    except ModelError as error:
        raise ModelError([*stack.problems, *error.problems]) from error


def parse(read: Source, model: type[T]) -> Parsed[T]:
    """Check `read` against `model`.

    Invalid values are reported and left out, and the rest is checked again, so that later checks between keys still
    see the rest.
    """
    problems: dict[KeyPath, Problem] = {}
    left_out: list[KeyPath] = []
    data: Any = copy.deepcopy(read.data)
    value: T | None = None
    for _ in range(_ROUNDS):
        try:
            value = _adapter(model).validate_json(json.dumps(data))
            break
        except ValidationError as error:
            by_path = _by_path(error, data)
            for path, details in by_path.items():
                if not _follows(path, [*left_out, *(faulty_path for faulty_path in by_path if faulty_path != path)]):
                    problems.setdefault(path, _problem(read, model, path, details))
            gone = [_leave_out(data, path) for path in by_path]
            if () in gone:
                break
            left_out += gone
    return Parsed(source=read, value=value, problems=tuple(problems.values()), left_out=tuple(left_out))


def _adapter(model: type[T]) -> TypeAdapter[T]:
    if model not in _ADAPTERS:
        _ADAPTERS[model] = TypeAdapter(model)
    return _ADAPTERS[model]


def _schema(model: type[Any]) -> Mapping[str, Any]:
    if model not in _SCHEMAS:
        _SCHEMAS[model] = _adapter(model).json_schema()
    return _SCHEMAS[model]


def _by_path(error: ValidationError, data: Any) -> dict[KeyPath, list[ErrorDetails]]:
    """Return the errors by key path: a value that could be one of several types has an error for each."""
    errors: dict[KeyPath, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        errors.setdefault(_path(details, data), []).append(details)
    return errors


def _path(details: ErrorDetails, data: Any) -> KeyPath:
    """Return the location in the file: pydantic's, without the parts that name the branches of a union."""
    path: list[str | int] = []
    for part in details["loc"]:
        if details["type"] == "missing" and part == details["loc"][-1]:
            path.append(part)
        elif _has(data, part):
            data = data[part]
            path.append(part)
    return tuple(path)


def _has(data: object, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, dict) and part in data


def _problem(read: Source, model: type[Any], path: KeyPath, details: list[ErrorDetails]) -> Problem:
    first = details[0]
    schema = _schema(model)
    subschema = describe.at(schema, path)
    message, accepted, suggestion = _message(first), describe.accepted(schema, subschema), None
    value: object = first["input"]
    if first["type"] == _UNKNOWN_KEY or "[key]" in first["loc"]:
        holder = describe.at(schema, path[:-1])
        keys, key_words = describe.keys(schema, holder), describe.key_words(schema, holder)
        key = str(path[-1])
        message, value, accepted = "is not a known key", ABSENT, ", ".join(keys)
        suggestion = nearest(key, keys)
        if not keys and key_words:
            message, accepted = "is not a valid name", key_words
    elif first["type"] == "missing":
        message, value = "is missing", ABSENT
    elif "accepted" in first.get("ctx", {}):
        accepted = str(first["ctx"]["accepted"])
    elif isinstance(value, str):
        suggestion = nearest(value, describe.words(schema, subschema))
    if path in read.plain and describe.takes_text(schema, subschema):
        accepted = f'it in quotes: "{read.plain[path]}"'
    if "secrets" in path[:-1]:
        value, accepted = ABSENT, accepted if "quotes" not in accepted else "the name of a secret"
    return Problem(
        file=read.file,
        line=read.line(path),
        path=path,
        message=message,
        value=value,
        accepted=accepted,
        suggestion=suggestion,
    )


def _message(details: ErrorDetails) -> str:
    kind = details["type"]
    if kind == "refused":
        return str(details["ctx"]["message"])
    if kind.endswith(("_type", "_parsing")) or kind == "int_from_float":
        return "has the wrong type"
    if kind.startswith(("greater_than", "less_than")):
        return "is out of range"
    if kind in ("too_short", "too_long"):
        return "has the wrong length"
    return "is not accepted"


def _follows(path: KeyPath, left_out: Sequence[KeyPath]) -> bool:
    """Return whether a value may be missing only because it, or something in it, was left out."""
    return any(path == gone[: len(path)] for gone in left_out)


def _leave_out(data: Any, path: KeyPath) -> KeyPath:
    """Remove what is at `path`, or the nearest enclosing value that can be removed; return what was removed."""
    while path:
        holder = data
        for part in path[:-1]:
            holder = holder[part] if _has(holder, part) else None
        if isinstance(holder, dict) and path[-1] in holder:
            del holder[path[-1]]
            return path
        # Removing an item of a list would move the others away from their lines, so the whole list is removed.
        path = path[:-1]
    return ()


def public_key(text: str) -> str:
    """Return `text` if it is an OpenSSH public key; raises ValidationError otherwise."""
    return _PUBLIC_KEY.validate_python(text)
