#!/usr/bin/python3
"""Complement logrotate: reopen logs after an interruption, and keep packages from rotating the same files."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

LIST = Path("/etc/stackwright/logrotate.json")
PENDING = Path("/var/lib/stackwright/logrotate/pending")
PACKAGES = Path("/etc/logrotate.d")
ASIDE = Path("/etc/stackwright/logrotate.d.replaced")


class RotationError(Exception):
    """An error that is shown to the operator."""


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RotationError(f"{' '.join(command)} failed: {result.stderr.strip()}")
    return result.stdout


def reopen(logs: list[dict[str, Any]], names: list[str]) -> None:
    """Run the commands that reopen the named logs or, without names, all logs whose reopening is pending."""
    commands = {log["name"]: log["reopen"] for log in logs}
    faults = []
    for name in names or sorted(path.name for path in PENDING.iterdir()):
        mark = PENDING / name
        try:
            if name in commands:
                run("sh", "-c", commands[name])
        except RotationError as fault:
            faults.append(f"{name}: {fault}")
            continue
        mark.unlink(missing_ok=True)
    if faults:
        raise RotationError("\n".join(faults))


def patterns(entry: Path) -> list[str]:
    """Return the file patterns of a logrotate entry, which are the words before each opening brace."""
    text = re.sub(r"^\s*#.*$", "", entry.read_text(errors="replace"), flags=re.M)
    # Scripts contain other braces and paths.
    text = re.sub(r"^\s*(?:pre|post|first|last)(?:rotate|action)\b.*?^\s*endscript", "", text, flags=re.M | re.S)
    heads = re.findall(r"([^{}]*)\{[^{}]*\}", text)
    return [word.strip("\"'") for head in heads for word in head.split() if word.strip("\"'").startswith("/")]


def overlap(first: str, second: str) -> bool:
    return fnmatch(first, second) or fnmatch(second, first)


def covered(entry: Path, ours: list[str]) -> bool:
    """Return whether the entry rotates only our files; raise RotationError if it rotates our files and others."""
    theirs = patterns(entry)
    shared = [pattern for pattern in theirs if any(overlap(pattern, path) for path in ours)]
    if shared and len(shared) < len(theirs):
        foreign = ", ".join(pattern for pattern in theirs if pattern not in shared)
        raise RotationError(f"{entry} rotates {', '.join(shared)} like us, but {foreign} too: split it")
    return bool(shared)


def replace(logs: list[dict[str, Any]], *, dry_run: bool) -> list[str]:
    """Divert package entries that rotate our files, so that upgrades do not restore them; undo obsolete diversions."""
    ours = [path for log in logs for path in log["paths"]]
    changes = []
    for entry in sorted(PACKAGES.iterdir()):
        if entry.is_file() and covered(entry, ours):
            changes.append(f"{entry}: put aside")
            if not dry_run:
                run("dpkg-divert", "--local", "--rename", "--divert", str(ASIDE / entry.name), "--add", str(entry))
    for diverted in sorted(ASIDE.iterdir()):
        if not covered(diverted, ours):
            entry = PACKAGES / diverted.name
            changes.append(f"{entry}: back in force")
            if not dry_run:
                run("dpkg-divert", "--local", "--rename", "--remove", str(entry))
    return changes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("reopen").add_argument("names", nargs="*")
    commands.add_parser("replace").add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    try:
        logs: list[dict[str, Any]] = json.loads(LIST.read_text())
        if options.command == "reopen":
            reopen(logs, options.names)
        else:
            print("\n".join(replace(logs, dry_run=options.dry_run)), end="")
    except RotationError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
