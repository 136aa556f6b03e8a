"""Searches for an environment's secrets where none may appear; the existing secrets themselves are the canaries."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_PUBLIC = {"tls/ca_crt"}
#: Shorter fragments (the last line of a key) may occur by chance.
_LEAST = 16

Texts = Mapping[str, list[str]]


def texts(secrets: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the texts to search for, by the secret's name: a value, or the lines of a key."""
    lines_by_name = {}
    for name, value in secrets.items():
        if name in _PUBLIC:
            continue
        lines = [line.strip() for line in value.splitlines() if not line.startswith("-----")]
        lines_by_name[name] = [line for line in lines if len(line) >= _LEAST]
        assert lines_by_name[name], f"the secret {name} is too short to look for"
    return lines_by_name


def names_in(content: bytes, secret_texts: Texts) -> set[str]:
    """Return the names of the secrets that `content` contains."""
    return {name for name, parts in secret_texts.items() if any(part.encode() in content for part in parts)}


def names_in_files(paths: Iterable[Path], secret_texts: Texts) -> dict[str, set[str]]:
    """Return the names of the secrets that files contain, by path."""
    names_by_path = {str(path): names_in(path.read_bytes(), secret_texts) for path in paths if path.is_file()}
    return {path: names for path, names in names_by_path.items() if names}


class CommandLines:
    """Watches the command lines of all processes of this machine, those in containers among them.

    A command that carries a secret runs only for a moment; a check afterwards would miss it.
    """

    def __init__(self, secret_texts: Texts, every_seconds: float = 0.2) -> None:
        self._wanted, self._every = secret_texts, every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        #: Secrets seen, with the program whose command line contained them.
        self.found: set[tuple[str, str]] = set()
        #: Every program that was seen at all: a watch that saw none proves nothing.
        self.programs: set[str] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    self._look(entry / "cmdline")

    def _look(self, file: Path) -> None:
        try:
            line = file.read_bytes()
        except OSError:
            return  # it has ended in the meantime
        program = Path(line.split(b"\0", 1)[0].decode(errors="replace")).name
        self.programs.add(program.split(":", 1)[0])
        self.found |= {(name, program) for name in names_in(line, self._wanted)}
