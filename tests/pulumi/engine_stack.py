"""Environments on the real engine, by the commands that users get."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from stackwright.infra import engine


class Stack:
    """Pulumi's commands for an environment of a project."""

    def __init__(self, project: Path, environment: str) -> None:
        self.project = project
        self.environment = environment
        self.ok(engine.select(environment))

    def run(self, command: engine.Command, *more: str) -> subprocess.CompletedProcess[str]:
        command = engine.Command(argv=(*command.argv, *more), folder=command.folder, variables=command.variables)
        return engine.run(command)

    def ok(self, command: engine.Command, *more: str) -> str:
        done = self.run(command, *more)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self, *more: str) -> dict[str, int]:
        """How many resources were created, updated, replaced, deleted, left as they were."""
        self.ok(engine.up(self.environment), *more)
        newest = max(self._backend("history").glob("*.history.json"), key=lambda path: path.stat().st_mtime_ns)
        changes: dict[str, int] = json.loads(newest.read_text())["resourceChanges"]
        return {kind: number for kind, number in changes.items() if number}

    def command(self, *arguments: str) -> engine.Command:
        return engine.Command(
            argv=("pulumi", *arguments), folder=self.project / "pulumi", variables=engine.variables(self.environment)
        )

    def output(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok(engine.output(self.environment)))
        return found

    def state(self) -> str:
        """The state as it lies on the disk."""
        return (self._backend("stacks").parent / f"{self.environment}.json").read_text()

    def resources(self, kind: str) -> list[dict[str, Any]]:
        recorded = json.loads(self.state())["checkpoint"]["latest"].get("resources", [])
        return [each for each in recorded if each["type"] == kind]

    def _backend(self, part: str) -> Path:
        return self.project / ".state" / self.environment / "pulumi/.pulumi" / part / engine.PROJECT / self.environment
