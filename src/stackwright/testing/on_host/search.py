"""Where {name: [text, ...]} is found: {texts, folders, commands} -> {place: [name, ...]}.

The texts come by standard input alone, so that the search itself does not put them where it looks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def _names(content: bytes, texts: dict[str, list[str]]) -> list[str]:
    return sorted(name for name, parts in texts.items() if any(part.encode() in content for part in parts))


def main() -> None:
    """Look at files and at what commands print."""
    asked = json.load(sys.stdin)
    found = {}
    for folder in asked["folders"]:
        for path in Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                found[str(path)] = _names(path.read_bytes(), asked["texts"])
    for command in asked["commands"]:
        output = subprocess.run(command, capture_output=True, check=True).stdout
        found[" ".join(command)] = _names(output, asked["texts"])
    print(json.dumps({place: names for place, names in found.items() if names}))


if __name__ == "__main__":
    main()
