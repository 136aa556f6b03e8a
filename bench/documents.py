"""One JSON document per measurement: the machine, the raw samples and the ratios."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.process import results_folder
from bench.samples import Comparison, from_json, to_json

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Document:
    """The results of one measurement."""

    bench: str
    #: ISO 8601, UTC.
    measured: str
    #: Whether it was a short run that only shows that the measurement works; its numbers are not for the docs.
    quick: bool
    machine: Mapping[str, Any]
    comparisons: tuple[Comparison, ...]
    #: Further details: packages by role, tasks, versions on the hosts.
    details: Mapping[str, Any] = field(default_factory=dict)


def write(
    bench: str, comparisons: Sequence[Comparison], *, quick: bool, load: float, details: Mapping[str, Any]
) -> Path:
    """Write a measurement to a file; `load` is the machine's load average before it."""
    # A short run must not overwrite the results of a full one.
    path = results_folder() / (f"{bench}.quick.json" if quick else f"{bench}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "version": VERSION,
        "bench": bench,
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": machine() | {"load_before": round(load, 2)},
        "comparisons": [to_json(comparison) for comparison in comparisons],
        "details": details,
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(data, indent=2) + "\n")
    partial.replace(path)
    return path


def read(path: Path) -> Document:
    """Return a stored measurement."""
    data = json.loads(path.read_text())
    if data["version"] != VERSION:
        raise ValueError(f"{path}: version is {data['version']!r}; accepted: {VERSION}; measure again")
    return Document(
        bench=data["bench"],
        measured=data["measured"],
        quick=data["quick"],
        machine=data["machine"],
        comparisons=tuple(from_json(comparison) for comparison in data["comparisons"]),
        details=data["details"],
    )


def read_all() -> list[Document]:
    """Return all stored measurements except short runs."""
    return [read(path) for path in sorted(results_folder().glob("*.json")) if ".quick" not in path.suffixes]


def machine() -> dict[str, Any]:
    """Return the relevant properties of this machine, without anything that identifies it."""
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    system = platform.freedesktop_os_release()
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory[1]) / 1024**2) if memory else None,
        "processor": _processor(),
        "kernel": platform.release(),
        "system": system["PRETTY_NAME"],
        "python": sys.version.split()[0],
        "ansible": metadata.version("ansible"),
        "mitogen": metadata.version("mitogen"),
        "pulumi": metadata.version("pulumi"),
        "podman": _podman(),
    }


def _processor() -> str:
    match = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return match[1] if match else platform.machine()


def _podman() -> str:
    done = subprocess.run(["podman", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.split()[-1] if done.returncode == 0 else "none"
