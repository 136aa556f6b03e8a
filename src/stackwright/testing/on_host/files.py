"""Prints digests of what a converge manages, {path: "mode owner:group digest"}, and the packet filter's rules."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

_FOLDERS = ("/etc", "/usr/local")
_LINKS = ("/srv/*/current", "/srv/*/confirmed", "/var/lib/stackwright/static/*/current")
# Previous generations of nginx's configuration are history; the link shows which one is active.
_HISTORY = ("/etc/nginx/trees/",)
# Written by the system, not by a converge.
_NOT_MANAGED = {"/etc/ld.so.cache", "/etc/.pwd.lock", "/etc/.updated", "/etc/mtab", "/etc/resolv.conf"}


def _paths() -> Iterator[Path]:
    for folder in _FOLDERS:
        yield from Path(folder).rglob("*")
    for pattern in _LINKS:
        yield from Path("/").glob(pattern.lstrip("/"))


def _managed(path: Path) -> bool:
    text = str(path)
    backup = text.startswith("/etc/") and text.endswith("-")
    return not (backup or text in _NOT_MANAGED or "__pycache__" in text or text.startswith(_HISTORY))


def _describe(path: Path) -> str | None:
    status = path.lstat()
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if not path.is_file():
        return None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{status.st_mode & 0o7777:04o} {status.st_uid}:{status.st_gid} {digest[:16]}"


def main() -> None:
    """Print the digests of all managed files."""
    descriptions = {str(path): text for path in _paths() if _managed(path) and (text := _describe(path))}
    rules = subprocess.run(
        ["nft", "--stateless", "--terse", "list", "ruleset"], capture_output=True, text=True, check=True
    ).stdout
    descriptions["nft ruleset"] = hashlib.sha256(rules.encode()).hexdigest()[:16]
    print(json.dumps(descriptions))


if __name__ == "__main__":
    main()
