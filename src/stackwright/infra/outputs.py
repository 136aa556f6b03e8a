"""Read the program's output from Pulumi's own files, so that a converge works without Pulumi."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from stackwright.model.output import OUTPUT_NAME

#: Marks an encrypted value in a state.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_STACK = "pulumi:pulumi:Stack"


class StateError(RuntimeError):
    """A state cannot be read; the message names the file and the remedy."""


def from_state_file(path: Path, environment: str) -> dict[str, Any] | None:
    """Return the output from a file that `pulumi stack export --file PATH` wrote."""
    if not path.is_file():
        raise StateError(f"the state file {path} is not there: pulumi stack export --stack {environment} --file {path}")
    return _output(_json(path).get("deployment"), path, environment)


def from_file_backend(url: str, project: str, environment: str) -> dict[str, Any] | None:
    """Return the output from the directory of a file backend; None if it has no such stack."""
    path = stack_file(url, project, environment)
    return None if path is None else _output(_json(path).get("checkpoint", {}).get("latest"), path, environment)


def stack_file(url: str, project: str, environment: str) -> Path | None:
    """Return the file of a stack in a file backend; None if it has no such stack."""
    stacks = Path(unquote(urlparse(url).path)) / ".pulumi" / "stacks" / project
    paths = (stacks / f"{environment}.json", stacks / f"{environment}.json.gz")
    return next((path for path in paths if path.is_file()), None)


def locks(url: str, project: str, environment: str) -> list[dict[str, Any]]:
    """Return the locks that a file backend has for a stack: `pid`, `username`, `hostname`, `timestamp`."""
    folder = Path(unquote(urlparse(url).path)) / ".pulumi" / "locks" / "organization" / project / environment
    return [_json(path) for path in sorted(folder.glob("*.json"))]


def _json(path: Path) -> dict[str, Any]:
    try:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        state = json.loads(text)
    except (OSError, ValueError) as error:
        raise StateError(f"{path} is not a state that Pulumi wrote: {error}") from error
    if not isinstance(state, dict):
        raise StateError(f"{path} is not a state that Pulumi wrote")
    return state


def _output(deployment: Any, path: Path, environment: str) -> dict[str, Any] | None:
    if not isinstance(deployment, dict):
        # The stack was created, but `up` has never run.
        return None
    stack = next((resource for resource in deployment.get("resources") or [] if resource.get("type") == _STACK), None)
    if stack is None:
        return None
    named = stack["urn"].split("::")[0].removeprefix("urn:pulumi:")
    if named != environment:
        raise StateError(f"{path} is the state of {named}, not of {environment}")
    output: dict[str, Any] | None = (stack.get("outputs") or {}).get(OUTPUT_NAME)
    if output is not None and _SIGNATURE in output:
        raise StateError(f"{path}: the output {OUTPUT_NAME} is encrypted; it has no secret and must not be one")
    return output
