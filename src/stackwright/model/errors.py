"""Errors of the model: all problems of a file at once, each with its location, the value and what is accepted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: The path to a value: mapping keys and list positions.
KeyPath = tuple[str | int, ...]


class _Absent:
    """A problem without a value, for example a missing key."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


def dotted(path: KeyPath) -> str:
    """Return the path in readable form: `hosts[0].name` for `("hosts", 0, "name")`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def listed(names: Sequence[str], limit: int) -> str:
    """Return the first `limit` names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def nearest(word: str, accepted: Iterable[str]) -> str | None:
    """Return the accepted word that `word` most probably stands for."""
    matches = difflib.get_close_matches(word.lower(), list(accepted), n=1, cutoff=0.6)
    return matches[0] if matches else None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem at one location of a file."""

    file: Path
    line: int
    message: str
    path: KeyPath = ()
    value: object = field(default=ABSENT)
    accepted: str = ""
    suggestion: str | None = None

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}: "
        text += f"{dotted(self.path)}: " if self.path else ""
        text += self.message
        text += "" if self.value is ABSENT else f", got {_shown(self.value)}"
        text += f"; accepted: {self.accepted}" if self.accepted else ""
        return text + (f"; did you mean `{self.suggestion}`?" if self.suggestion else "")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


class ModelError(ValueError):
    """An environment that cannot be used; `problems` holds every reason, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (str(problem.file), problem.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
