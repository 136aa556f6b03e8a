"""What `stackwright drift` runs on servers at work changes nothing there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_roles import ROLES, load

from stackwright.ansible import recorded_calls

ROOT = Path(__file__).resolve().parents[2]
OURS = {
    path.stem: path
    for pattern in ("src/stackwright/ansible/modules/*.py", "roles/*/library/*.py")
    for path in ROOT.glob(pattern)
}


def tasks(role: str) -> Iterator[dict[str, Any]]:
    def walk(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for task in entries or []:
            yield task
            for part in ("block", "rescue", "always"):
                yield from walk(task.get(part, []))

    for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml")):
        yield from walk(load(path))


@pytest.mark.parametrize("role", ROLES)
def test_every_task_that_runs_in_check_mode_was_read(role: str) -> None:
    running = [
        task["name"]
        for task in tasks(role)
        if task.get("check_mode") is False or task.get("stackwright_program", {}).get("read_only")
    ]
    assert sorted(running) == sorted(load(ROOT / "tests/contract/queries.yml").get(role, []))


@pytest.mark.parametrize("role", ROLES)
def test_programs_in_python_run_by_the_module_for_them(role: str) -> None:
    """`command` would start Python for each, and ask none of them with --dry-run in check mode."""
    variables = load(ROOT / "roles" / role / "vars/main.yml") or {}
    programs = {_stem(path.name) for path in python_programs(role)}
    for task in tasks(role):
        if task.get("check_mode") is False:
            command = re.sub(
                r"__\w+", lambda match: str(variables.get(match[0], match[0])), str(task.get("ansible.builtin.command"))
            )
            started = re.findall(r"/usr/local/(?:sbin|lib/stackwright)/([\w.-]+)", command)
            assert not programs & {_stem(name) for name in started}, task["name"]


@pytest.mark.parametrize("role", ROLES)
def test_a_program_that_changes_something_knows_dry_run(role: str) -> None:
    for task in tasks(role):
        if "stackwright_program" in task and not task["stackwright_program"].get("read_only"):
            assert any("--dry-run" in path.read_text() for path in python_programs(role)), task["name"]


def _stem(name: str) -> str:
    return name.removesuffix(".py").replace("_", "-")


def python_programs(role: str) -> list[Path]:
    files = [
        path for path in (ROOT / "roles" / role).rglob("*") if path.is_file() and path.parent.name != "__pycache__"
    ]
    return [path for path in files if path.read_bytes().startswith(b"#!/usr/bin/python3\n")]


@pytest.mark.parametrize("module", sorted((recorded_calls.CHECK_MODE | recorded_calls.READ_ONLY) & OURS.keys()))
def test_our_modules_have_a_check_mode(module: str) -> None:
    assert "supports_check_mode=True" in OURS[module].read_text()


def test_modules_that_are_asked_are_used() -> None:
    """A module that nobody uses any more would stay on the list unread."""
    used = {
        key.rpartition(".")[2] for role in ROLES for task in tasks(role) for key in task if "." in key or key in OURS
    }
    asked = recorded_calls.CHECK_MODE | recorded_calls.READ_ONLY
    # The action `copy` and the like call modules that no task names.
    assert asked - used <= {"copy"}
