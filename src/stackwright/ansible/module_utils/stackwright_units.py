"""The state of systemd units, and whether their processes run the files on the disk; standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PROCESSES = Path("/proc")


def shown(module: Any, units: list[str], properties: Sequence[str]) -> list[dict[str, str]]:
    """Return the output of `systemctl show` for each unit, in their order; also for a unit that does not exist."""
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
    """Return a time of `shown` in seconds since 1970; 0 for an event that has not happened."""
    if not timestamp:
        return 0.0
    return datetime.strptime(timestamp.partition(" ")[2], "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC).timestamp()


def newest(files: list[str]) -> float:
    """Return when the newest of the files was written, in seconds since 1970; 0 if none of them exists."""
    return max((Path(file).stat().st_mtime for file in files if Path(file).exists()), default=0.0)


def stale(module: Any, unit: str, files: list[str], *, updates: bool = False) -> bool:
    """Return whether one of `files` is newer than the unit's main process; a unit that does not run is not stale.

    With `updates`, also whether a process of the unit runs a program or a library that an update has replaced.
    """
    (answer,) = shown(module, [unit], ("ExecMainStartTimestamp", "MainPID", "ControlGroup"))
    if answer.get("MainPID", "0") == "0":
        return False
    if newest(files) > seconds(answer["ExecMainStartTimestamp"]):
        return True
    return updates and any(replaced(pid) for pid in processes(answer["ControlGroup"]))


def processes(group: str) -> list[str]:
    """Return the IDs of the processes in a control group and those below it, with control groups v1 or v2."""
    numbers = []
    for process in _PROCESSES.glob("[0-9]*"):
        try:
            lines = (process / "cgroup").read_text().splitlines()
        except OSError:
            # It has ended in the meantime.
            continue
        # In a container with control groups v1, a path begins with that of the container.
        if any(f"{group}/" in f"{line}/" for line in lines):
            numbers.append(process.name)
    return numbers


def replaced(pid: str) -> bool:
    """Return whether a process executes a file that is no longer on the disk.

    The file's path does not show this: if systemd had bind-mounted a program for the unit, its path is `/` by then.
    """
    try:
        lines = (_PROCESSES / pid / "maps").read_text().splitlines()
    except OSError:
        # It has ended in the meantime.
        return False
    gone = (line.split(maxsplit=5) for line in lines if line.endswith(" (deleted)"))
    return any("x" in access and not path.startswith("/memfd:") for _, access, _, _, _, path in gone)
