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


def argv(task: dict[str, Any]) -> str:
    arguments = task.get("ansible.builtin.command") or {}
    return str(arguments.get("argv") if isinstance(arguments, dict) else arguments)


@pytest.mark.parametrize("role", ROLES)
def test_every_task_that_runs_in_check_mode_was_read(role: str) -> None:
    running = [task["name"] for task in tasks(role) if task.get("check_mode") is False]
    assert sorted(running) == sorted(load(ROOT / "tests/contract/queries.yml").get(role, []))


@pytest.mark.parametrize("role", ROLES)
def test_a_program_that_changes_something_is_told_to_look(role: str) -> None:
    """Such a program is told so in check mode; drift asks as a run does, and tells it by its list."""
    variables = load(ROOT / "roles" / role / "vars/main.yml") or {}
    for task in tasks(role):
        if task.get("check_mode") is False and re.search(r"dry.run|ansible_check_mode", argv(task)):
            (program,) = {variables[name] for name in re.findall(r"__\w+(?:program|publish|tool)\b", argv(task))}
            assert program in recorded_calls.DRY_RUN, task["name"]
            assert "changed_when" in task


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
