"""Prints every enabled service and timer: {unit: [state, main process, start of its current run]}."""

from __future__ import annotations

import json
import subprocess

_PROPERTIES = "Id,Type,UnitFileState,ActiveState,MainPID,ActiveEnterTimestampMonotonic"


def main() -> None:
    """Query systemd."""
    argv = ["systemctl", "show", "--all", f"--property={_PROPERTIES}", "*.service", "*.timer"]
    blocks = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip().split("\n\n")
    states = {}
    for block in blocks:
        unit = dict(line.split("=", 1) for line in block.splitlines())
        # Terminals start and stop on their own; a oneshot service is usually between runs.
        ours = unit.get("UnitFileState") == "enabled" and "getty" not in unit["Id"] and unit.get("Type") != "oneshot"
        if ours:
            is_timer = unit["Id"].endswith(".timer")
            run = [] if is_timer else [unit["MainPID"], unit["ActiveEnterTimestampMonotonic"]]
            states[unit["Id"]] = [unit["ActiveState"], *run]
    print(json.dumps(states))


if __name__ == "__main__":
    main()
