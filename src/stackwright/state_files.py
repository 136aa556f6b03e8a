"""Files and directories below `.state/`: written atomically, and accessible only to their owner."""

from __future__ import annotations

import os
from pathlib import Path


def create_folder(path: Path) -> None:
    """Create an environment's state folder, or make an existing one accessible only to its owner."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def write(path: Path, text: str, *, mode: int) -> None:
    """Write `text` to a file atomically, unless it has that content: an interrupted run leaves no partial file."""
    if path.is_file() and path.read_text() == text:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.touch(mode=mode)
    partial.write_text(text)
    partial.replace(path)
