"""JSON Schemas of the files that users write, for completion and checks in editors, and of the output for programs.

`python -m stackwright.model.schema --write|--check`
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from stackwright.model.drift_report import DriftReport
from stackwright.model.output import OUTPUT_NAME, Output
from stackwright.model.plan_report import PlanReport
from stackwright.model.stackfile import StackFile
from stackwright.model.status_report import StatusReport
from stackwright.model.system import System

FILES: dict[str, type[Any]] = {
    "stack": StackFile,
    "system": System,
    OUTPUT_NAME: Output,
    "status": StatusReport,
    "drift": DriftReport,
    "plan": PlanReport,
}


def documents(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each schema's file in `folder`, with the text that it should have."""
    for name, model in FILES.items():
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **TypeAdapter(model).json_schema()}
        yield folder / f"{name}.schema.json", json.dumps(_without_titles(schema), indent=2, ensure_ascii=False) + "\n"


def _without_titles(value: Any) -> Any:
    """Remove the titles that Pydantic adds, which only repeat the keys."""
    if isinstance(value, list):
        return [_without_titles(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_titles(part) for key, part in value.items() if not (key == "title" and isinstance(part, str))}


def main(arguments: list[str]) -> int:
    """Write the schemas, or report which are out of date."""
    if arguments not in (["--write"], ["--check"]):
        sys.stderr.write("usage: python -m stackwright.model.schema --write|--check\n")
        return 2
    stale = [
        (path, text)
        for path, text in documents(Path("schemas"))
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if arguments == ["--write"]:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        else:
            sys.stderr.write(f"{path} is out of date: run `python -m stackwright.model.schema --write`\n")
    return 1 if stale and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
