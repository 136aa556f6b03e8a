"""Searches for {name: [text, ...]}: {texts, folders, commands} -> {source: [name, ...]}.

The texts are passed on standard input only, so that the search itself does not put them where it looks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def _names(content: bytes, texts: dict[str, list[str]]) -> list[str]:
    return sorted(name for name, parts in texts.items() if any(part.encode() in content for part in parts))


def main() -> None:
    """Search files and the output of commands."""
    question = json.load(sys.stdin)
    names_by_source = {}
    for folder in question["folders"]:
        for path in Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                names_by_source[str(path)] = _names(path.read_bytes(), question["texts"])
    for command in question["commands"]:
        output = subprocess.run(command, capture_output=True, check=True).stdout
        names_by_source[" ".join(command)] = _names(output, question["texts"])
    print(json.dumps({source: names for source, names in names_by_source.items() if names}))


if __name__ == "__main__":
    main()
