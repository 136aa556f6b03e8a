#!/usr/bin/python3
"""Write the names of the environment's hosts to /etc/hosts; run at boot and after every change of that file.

Container engines rewrite /etc/hosts at each start, and cloud-init rewrites it at each boot.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

BEGIN, END = "# BEGIN stackwright", "# END stackwright"


def with_block(text: str, names: str) -> str:
    """Return `text` with the block of `names` first and these names nowhere else, as glibc uses all matching lines."""
    block = f"{BEGIN}\n{names.rstrip()}\n{END}\n" if names.strip() else ""
    ours = {name for line in names.splitlines() for name in line.split()[1:]}
    if block and text.count(BEGIN) == 1 and block in text:
        before, after = text.split(block)
        return without(before, ours) + block + without(after, ours)
    complete = rf"^{BEGIN}\n(?:(?!{BEGIN}\n).*\n)*?{END}\n?"
    remaining = re.sub(complete, "", text, flags=re.MULTILINE)
    return block + without(re.sub(rf"^(?:{BEGIN}|{END})\n?", "", remaining, flags=re.MULTILINE), ours)


def without(text: str, names: set[str]) -> str:
    """Return the lines of /etc/hosts without `names`; lines with no other name are dropped."""
    lines = []
    for line in text.splitlines(keepends=True):
        address, *listed = line.partition("#")[0].split() or [""]
        remaining = [name for name in listed if name not in names]
        if remaining == listed:
            lines.append(line)
        elif remaining:
            lines.append(f"{address} {' '.join(remaining)}\n")
    return "".join(lines)


def write(path: Path, text: str) -> None:
    """Replace the file; if it is a mount, as in a container, write it in place."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)
    try:
        Path(file.name).replace(path)
    except OSError:
        Path(file.name).unlink()
        path.write_text(text)


def main() -> None:
    """Write the file only if it differs, because each write starts the unit that watches it."""
    names, path = (Path(argument) for argument in sys.argv[1:3])
    text = path.read_text() if path.exists() else ""
    updated = with_block(text, names.read_text())
    if updated != text:
        write(path, updated)
        print(f"{path}: the names of the environment's hosts were not there, and are now")


if __name__ == "__main__":
    main()
