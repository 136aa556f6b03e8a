#!/usr/bin/env python3
"""Writes what is generated, or checks that it is up to date: `scripts/docs.py --write|--check`.

The inputs of every role (from its argument spec) into its README; the JSON Schemas; the pictures of the topologies.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stackwright.model import environment, graph, schema

ROOT = Path(__file__).resolve().parents[1]
_BEGIN, _END = "<!-- inputs: begin -->\n", "<!-- inputs: end -->"


def generated() -> Iterator[tuple[Path, str]]:
    """Every generated file with the text that it should have."""
    for spec in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        readme = spec.parents[1] / "README.md"
        before, _, rest = readme.read_text().partition(_BEGIN)
        yield readme, f"{before}{_BEGIN}{_inputs(spec)}{_END}{rest.partition(_END)[2]}"
    yield from schema.documents(ROOT / "schemas")
    for path in sorted((ROOT / "inventories").glob("*/stack.yml")):
        yield ROOT / "docs/topology" / f"{path.parent.name}.svg", graph.topology_svg(environment.load(path))


def _inputs(spec: Path) -> str:
    main = yaml.safe_load(spec.read_text())["argument_specs"]["main"]
    rows = "".join(_rows(main.get("options", {}), ""))
    return f"\n| input | type | default | what it is |\n|---|---|---|---|\n{rows}\n"


def _rows(options: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, option in options.items():
        kind = option.get("type", "str") + (f" of {option['elements']}" if "elements" in option else "")
        if option.get("required"):
            default = "required"
        elif "default" in option:
            default = f"`{_shown(option['default'])}`"
        else:
            default = ""
        description = option.get("description", "")
        text = " ".join(description) if isinstance(description, list) else str(description)
        choices = f" One of {', '.join(f'`{each}`' for each in option['choices'])}." if "choices" in option else ""
        cell = (" ".join(text.split()) + choices).replace("|", "\\|")
        yield f"| `{prefix}{name}` | {kind} | {default} | {cell} |\n"
        yield from _rows(option.get("options", {}), f"{prefix}{name}{'[]' if option.get('type') == 'list' else ''}.")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace("|", "\\|") if value != "" else '""'


def main(arguments: list[str]) -> int:
    """Write or check."""
    stale = []
    for path, text in generated():
        if path.exists() and path.read_text() == text:
            continue
        if arguments == ["--write"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
        else:
            stale.append(path)
    for path in stale:
        print(f"{path.relative_to(ROOT)} is not what its source says: run `make docs`", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
