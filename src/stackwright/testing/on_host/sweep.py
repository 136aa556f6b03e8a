"""Alter everything that the last converge recorded of one kind, and print [[role, task, path or unit, secret]].

Standard input is `mode`, `content`, `enabled` or `undo`. `undo` reverts what the last call altered, and prints what the
host had repaired by itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_RECORD = Path("/var/lib/stackwright/recorded-calls.json")
_ALTERED = Path("/run/stackwright-sweep.json")
#: sudo refuses a file with another mode, so no user could log in any more.
_SPARED = ("/etc/sudoers.d/",)


def _mode(path: str) -> None:
    file = Path(path)
    # Only the execute bit for others changes: no service refuses a file because of it.
    file.chmod(file.stat().st_mode ^ 0o001)


def _content(path: str) -> None:
    # A trailing empty line has no meaning for any service that might read the file now.
    file = Path(path)
    if file.is_file():
        with file.open("a") as stream:
            stream.write("\n")


def _enabled(unit: str) -> None:
    subprocess.run(["systemctl", "disable", "--quiet", unit], check=True, stderr=subprocess.DEVNULL)


def _managed(do: str) -> Iterator[tuple[dict[str, Any], str]]:
    for call in json.loads(_RECORD.read_text())["calls"]:
        arguments = call["arguments"]
        if call["module"] == "stackwright_files" and do != "enabled":
            for entry in arguments["files"]:
                path = Path(entry["path"])
                if not entry.get("force", True):
                    # Created once, and then managed by someone else.
                    continue
                usual = path.exists() and not path.is_symlink() and entry.get("state", "file") in ("file", "directory")
                if usual and (do == "mode" or path.is_file()) and not entry["path"].startswith(_SPARED):
                    yield call, entry["path"]
        if call["module"] == "stackwright_units" and do == "enabled" and arguments.get("enabled"):
            names = arguments["name"]
            for unit in names if isinstance(names, list) else [names]:
                done = subprocess.run(["systemctl", "is-enabled", unit], capture_output=True, text=True, check=False)
                if done.stdout.strip() == "enabled":
                    yield call, unit


def _undo(do: str, names: dict[str, list[int] | None]) -> Iterator[str]:
    for name, earlier in names.items():
        if earlier is None:
            subprocess.run(["systemctl", "enable", "--quiet", name], check=True, stderr=subprocess.DEVNULL)
            continue
        mode, size, accessed, modified = earlier
        if do == "mode" and Path(name).stat().st_mode & 0o7777 == mode:
            yield name
        if do == "content":
            os.truncate(name, size)
        Path(name).chmod(mode)
        os.utime(name, ns=(accessed, modified))


def main() -> None:
    """Alter the managed items, or undo the last change."""
    do = json.load(sys.stdin)
    if do == "undo":
        altered = json.loads(_ALTERED.read_text())
        repaired = [*_undo(altered["do"], altered["names"])]
        _ALTERED.unlink()
        print(json.dumps(repaired))
        return
    managed = [*_managed(do)]
    names: dict[str, list[int] | None] = {}
    for _, name in managed:
        if do == "enabled":
            names[name] = None
        else:
            status = Path(name).stat()
            names[name] = [status.st_mode & 0o7777, status.st_size, status.st_atime_ns, status.st_mtime_ns]
    _ALTERED.write_text(json.dumps({"do": do, "names": names}))
    for name in names:
        {"mode": _mode, "content": _content, "enabled": _enabled}[do](name)
    print(json.dumps([[call["role"], call["task"], name, call["secret"]] for call, name in managed]))


if __name__ == "__main__":
    main()
