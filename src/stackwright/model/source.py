"""Reading YAML so that every value keeps its line number, and so that no file can harm the reader.

Scalars are read as in YAML 1.2 (`no` is a string, `02:30` is not a number): a value means what the user sees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import yaml

from stackwright.model.errors import KeyPath, ModelError, Problem

#: A definition has a page or two; a much larger file is a mistake or an attack.
MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
#: Counted after aliases are expanded, which detects an alias bomb.
MAX_VALUES = 20_000

#: Tags that YAML gives to values without a tag. A merge is a tag too, and hides where a value comes from.
_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value")
)

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")
_WORDS: Mapping[str, object] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file's values with their line numbers."""

    file: Path
    data: dict[str, object]
    lines: Mapping[KeyPath, int]
    #: Values without quotes that are not text, as they are written.
    plain: Mapping[KeyPath, str] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, or of the nearest enclosing value that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(file: Path, shown: Path | None = None) -> Source:
    """Read a mapping from `file`; `shown` is its name in errors."""
    name = shown or file
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise _error(name, 1, f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise _error(name, 1, f"is {len(raw)} bytes long", accepted=f"at most {MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _error(name, line, f"is not UTF-8: byte 0x{raw[error.start]:02x}", accepted="UTF-8 text") from error
    return _Reader(name).read(text)


def _error(file: Path, line: int, message: str, *, path: KeyPath = (), accepted: str = "") -> ModelError:
    return ModelError([Problem(file=file, line=line, message=message, path=path, accepted=accepted)])


class _Reader:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[KeyPath, int] = {}
        self.plain: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self.count = 0

    def read(self, text: str) -> Source:
        node = self._compose(text)
        if node is None:
            raise _error(self.file, 1, "is empty", accepted="a mapping of keys to values")
        if not isinstance(node, yaml.MappingNode):
            raise _error(self.file, _line(node), "is not a mapping", accepted="a mapping of keys to values")
        data = self._mapping(node, ())
        if self.problems:
            raise ModelError(self.problems)
        return Source(file=self.file, data=data, lines=self.lines, plain=self.plain)

    def _compose(self, text: str) -> yaml.Node | None:
        try:
            self._refuse_depth(text)
            return yaml.compose(text, yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = ", ".join(part for part in (error.context, error.problem) if part)
            raise _error(self.file, mark.line + 1 if mark is not None else 1, f"is not YAML: {message}") from error
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise _error(self.file, line, f"is not YAML: character U+{_code(error):04X}: {error.reason}") from error

    def _refuse_depth(self, text: str) -> None:
        """Check the depth on the flat stream of events first, because the composer recurses."""
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MAX_DEPTH:
                raise _error(self.file, _line(event), "is nested too deeply", accepted=f"at most {MAX_DEPTH} levels")

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        self.count += 1
        # The second condition stops an alias that contains itself.
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            limit = f"at most {MAX_VALUES} values in {MAX_DEPTH} levels"
            raise _error(self.file, _line(node), "grows too large when its aliases are expanded", accepted=limit)
        self.lines.setdefault(path, _line(node))
        if node.tag not in _TAGS:
            self._problem(node, path, f"has the tag {node.tag}", accepted="values without a tag")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, position)) for position, item in enumerate(node.value)]
        return self._scalar(cast("yaml.ScalarNode", node), path)

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        value = _scalar(node)
        if not isinstance(value, str):
            self.plain[path] = text = str(node.value)
            # Some readers take 010 for ten, others for eight, and a user may mean a code that begins with 0.
            if isinstance(value, int) and not isinstance(value, bool) and str(value) != text:
                accepted = f'{value} for the number, or "{text}" in quotes for text'
                self._problem(node, path, "is a number that is not written as it would be read", accepted)
        return value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        self.lines.setdefault(path, _line(node))
        data: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "a key is not a word", accepted="plain words as keys")
                continue
            key, key_path = str(key_node.value), (*path, str(key_node.value))
            if key in data:
                self._problem(
                    key_node, key_path, f"is written twice, first on line {self.lines[key_path]}", accepted="one"
                )
                continue
            self.lines[key_path] = _line(key_node)
            data[key] = self._value(value_node, key_path)
        return data

    def _problem(self, node: yaml.Node, path: KeyPath, message: str, accepted: str) -> None:
        self.problems.append(Problem(file=self.file, line=_line(node), path=path, message=message, accepted=accepted))


def _line(part: yaml.Node | yaml.Event) -> int:
    return part.start_mark.line + 1 if part.start_mark is not None else 1


def _code(error: yaml.reader.ReaderError) -> int:
    return error.character if isinstance(error.character, int) else ord(error.character)


def _scalar(node: yaml.ScalarNode) -> object:
    text = str(node.value)
    if node.style is not None or node.tag == "tag:yaml.org,2002:str":
        return text
    if text in _WORDS:
        return _WORDS[text]
    # Python refuses to convert integers of thousands of digits, which are never intended.
    if _INTEGER.fullmatch(text) and len(text) < 20:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
