"""What a role refuses about its inputs alone, `validate` refuses first: every assertion has a case, or a reason."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackwright.testing.role_inputs import assertions

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/unit/model"))

from model_project import KEY, Project  # noqa: E402 - the folder is known by now

TABLE: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load((ROOT / "tests/contract/assertions.yml").read_text())
CASES = [
    pytest.param(case, id=f"{role}-{name}-{number}")
    for role, entries in TABLE.items()
    for name, entry in entries.items()
    for number, case in enumerate(entry.get("cases", []))
]


def test_every_assertion_of_every_role_has_a_case_or_a_reason() -> None:
    """A new one: say in assertions.yml how an environment could break it and what `validate` says, or why none can."""
    listed = {(role, name) for role, entries in TABLE.items() for name in entries}
    there = {(assertion.role, assertion.name) for assertion in assertions()}
    assert len(there) > 40
    assert sorted(there - listed) == []
    assert sorted(listed - there) == []
    for role, entries in TABLE.items():
        for name, entry in entries.items():
            assert entry.get("cases") or entry.get("never"), f"{role}: {name}"


@pytest.mark.parametrize("case", CASES)
def test_what_a_role_refuses_is_refused_first_with_file_line_and_key(tmp_path: Path, case: dict[str, Any]) -> None:
    project = Project(root=tmp_path)
    if "servers" in case:
        project.bare_metal()
        project.edit(*case["servers"])
    if "stack" in case:
        old, new = case["stack"]
        project.edit(old, new.replace("KEY", KEY))
    if "system" in case:
        project.edit_system(*case["system"])
    errors = project.errors()
    assert any(case["error"] in error for error in errors), errors
    for error in errors:
        file, line, *_ = error.split(":")
        assert file in ("inventories/clinic/stack.yml", "systems/taaleem.yml")
        assert line.isdigit()
