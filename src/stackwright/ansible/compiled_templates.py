"""Templates compiled once per run: a worker lives for one task, and would compile every template that it uses again.

The result of a compilation depends on the text, the delimiters, Ansible's flag for backslashes, and on the filters and
tests that exist. Within one run all of these are known. A worker writes each result to an unnamed file that it shares
with its parent, which reads it before it forks the next worker. Nothing outlives the run.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import tempfile
from contextvars import ContextVar
from types import CodeType
from typing import Any, cast

from ansible._internal._templating import _jinja_bits
from ansible.plugins.loader import filter_loader, test_loader
from jinja2.environment import TemplateExpression

_Environment = _jinja_bits.AnsibleEnvironment
_compile, _compile_expression = _Environment.compile, _Environment.compile_expression
_HEADER = 4  # bytes of the length before each record

Key = tuple[str | bool | int | None, ...]

#: The key of the expression that is being compiled: Jinja passes its tree, not its text, to `compile`.
_expression: ContextVar[Key | None] = ContextVar("expression", default=None)


class Store:
    """Compiled code by its source key, in this process and in a file that all workers append to."""

    def __init__(self) -> None:
        self.codes: dict[Key, CodeType] = {}
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as the process
        fcntl.fcntl(self._file, fcntl.F_SETFL, fcntl.fcntl(self._file, fcntl.F_GETFL) | os.O_APPEND)
        self._read = 0

    def add(self, key: Key, code: CodeType) -> None:
        """Keep the code here, and append it to the shared file in one write."""
        self.codes[key] = code
        record = marshal.dumps((key, code))
        os.write(self._file.fileno(), len(record).to_bytes(_HEADER, "big") + record)

    def load(self) -> None:
        """Read the records that others have written since the last call; leave an unfinished one for the next call."""
        size = os.fstat(self._file.fileno()).st_size
        if size == self._read:
            return
        content = os.pread(self._file.fileno(), size - self._read, self._read)
        start = 0
        while (begin := start + _HEADER) <= len(content):
            end = begin + int.from_bytes(content[start:begin], "big")
            if end > len(content):
                break
            key, code = marshal.loads(content[begin:end])  # noqa: S302 - written by this run's own processes
            self.codes[key] = code
            start = end
        self._read += start


def install() -> Store:
    """Make all Jinja environments of Ansible, in this process and its forks, reuse compiled code; return the store."""
    store = Store()

    def key(environment: Any, kind: str, source: str) -> Key:
        context = _jinja_bits._TemplateCompileContext.current(optional=True)  # noqa: SLF001 - there is no public name
        return (
            kind,
            str.__str__(source),  # without Ansible's tags
            bool(context and context.escape_backslashes),
            *(getattr(environment, name) for name in _jinja_bits._TEMPLATE_OVERRIDE_FIELD_NAMES),  # noqa: SLF001
            # A role may add its own filters.
            len(filter_loader._extra_dirs),  # noqa: SLF001
            len(test_loader._extra_dirs),  # noqa: SLF001
        )

    def compile_(self: Any, source: Any, name: Any = None, filename: Any = None, *args: Any, **options: Any) -> Any:
        text = isinstance(source, str)
        origin = key(self, "template", source) if text else _expression.get()
        if origin is None or name or filename or args or options:
            return _compile(self, source, name, filename, *args, **options)
        code = store.codes.get(origin)
        if code is None:
            code = _compile(self, source)
            store.add(origin, code)
        return code

    def compile_expression(self: Any, source: str, undefined_to_none: bool = True) -> TemplateExpression:  # noqa: FBT001, FBT002 - Jinja's
        origin = key(self, "expression", source)
        code = store.codes.get(origin)
        if code is not None:
            template = self.template_class.from_code(self, code, self.make_globals(None))
            return TemplateExpression(template, undefined_to_none)
        token = _expression.set(origin)
        try:
            return cast("TemplateExpression", _compile_expression(self, source, undefined_to_none))
        finally:
            _expression.reset(token)

    _Environment.compile = compile_
    _Environment.compile_expression = compile_expression
    return store
