"""What systemd says of units, and whether their processes run what is on the disk; standard library alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PROCESSES = Path("/proc")


def shown(module: Any, units: list[str], properties: Sequence[str]) -> list[dict[str, str]]:
    """Return what `systemctl show` says of each unit, in their order; of one that is not there as well."""
    if not units:
        return []
    command = ["systemctl", "show", "--timestamp=us+utc", f"--property={','.join(properties)}", *units]
    blocks = module.run_command(command, check_rc=True)[1].strip("\n").split("\n\n")
    return [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks]


def last_words(module: Any, unit: str) -> str:
    """Return the last lines that a unit wrote to the journal."""
    command = ["journalctl", "--no-pager", "--output=cat", "--lines=5", f"--unit={unit}"]
    return " / ".join(module.run_command(command)[1].splitlines())


def seconds(timestamp: str) -> float:
    """Return a time of `shown` in seconds since 1970; 0 for one that has not come."""
    if not timestamp:
        return 0.0
    return datetime.strptime(timestamp.partition(" ")[2], "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC).timestamp()


def newest(files: list[str]) -> float:
    """Return when the youngest of the files was written, in seconds since 1970; 0 where none of them is there."""
    return max((Path(file).stat().st_mtime for file in files if Path(file).exists()), default=0.0)


def stale(module: Any, unit: str, files: list[str], *, updates: bool = False) -> bool:
    """Whether one of `files` is younger than the unit's main process; a unit that does not run is not stale.

    With `updates`, also whether a process of the unit runs a program or a library that an update has replaced.
    """
    (answer,) = shown(module, [unit], ("ExecMainStartTimestamp", "MainPID", "ControlGroup"))
    if answer.get("MainPID", "0") == "0":
        return False
    if newest(files) > seconds(answer["ExecMainStartTimestamp"]):
        return True
    return updates and any(replaced(pid) for pid in processes(answer["ControlGroup"]))


def processes(group: str) -> list[str]:
    """Numbers of the processes in a control group and those below it, of either version of control groups."""
    numbers = []
    for process in _PROCESSES.glob("[0-9]*"):
        try:
            lines = (process / "cgroup").read_text().splitlines()
        except OSError:
            # It ended meanwhile.
            continue
        # In a container of version 1 a path begins with the container's.
        if any(f"{group}/" in f"{line}/" for line in lines):
            numbers.append(process.name)
    return numbers


def replaced(pid: str) -> bool:
    """Whether a process executes from a file that is no longer on the disk.

    Not by the file's path: where systemd had bound a program into the unit's own mounts, its path is `/` by then.
    """
    try:
        lines = (_PROCESSES / pid / "maps").read_text().splitlines()
    except OSError:
        # It ended meanwhile.
        return False
    gone = (line.split(maxsplit=5) for line in lines if line.endswith(" (deleted)"))
    return any("x" in access and not path.startswith("/memfd:") for _, access, _, _, _, path in gone)
