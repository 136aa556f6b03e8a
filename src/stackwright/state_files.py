"""Files and folders below `.state/`: in one step, and closed to everyone but their owner."""

from __future__ import annotations

import os
from pathlib import Path


def create_folder(path: Path) -> None:
    """Create the folder of an environment's state, or close it to everyone but its owner."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def write(path: Path, text: str, *, mode: int) -> None:
    """Put `text` into a file in one step, unless it is there: a run that is cut short leaves no half of it."""
    if path.is_file() and path.read_text() == text:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.touch(mode=mode)
    partial.write_text(text)
    partial.replace(path)
