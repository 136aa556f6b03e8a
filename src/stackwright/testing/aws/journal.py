"""The plugin's journal: a file of all operations, which tests read afterwards; several processes may write to it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stackwright.testing.aws import wire


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One operation, written when it has finished."""

    #: `create`, `update`, `delete`, `read`, `invoke` or `configure`.
    operation: str
    #: Empty for operations without a resource.
    urn: str = ""
    type: str = ""
    id: str = ""
    #: Whether it was a preview, which changes nothing.
    preview: bool = False
    #: With secrets masked.
    inputs: Mapping[str, Any] = field(default_factory=dict)
    #: Reason of the failure; empty if it succeeded.
    error: str = ""
    #: Seconds since 1970.
    began: float
    ended: float

    @property
    def name(self) -> str:
        """Return the resource's name in the program."""
        return self.urn.rsplit("::", 1)[-1]


class Journal:
    """Appends entries to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, **fields: Any) -> None:
        """Append an `Entry`; one write per line, so that lines of several processes do not mix."""
        inputs = wire.masked(dict(fields.pop("inputs", {})))
        with self._lock:
            entry = Entry(**fields, inputs=inputs, ended=time.time())
            line = json.dumps(asdict(entry), ensure_ascii=False) + "\n"
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)


def read(path: Path, *operations: str, preview: bool = False) -> tuple[Entry, ...]:
    """Return the entries in order of time, filtered by operation if any is given; previews only with `preview`."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    entries = (Entry(**json.loads(line)) for line in lines)
    return tuple(
        entry
        for entry in entries
        if (not operations or entry.operation in operations) and (preview or not entry.preview)
    )
