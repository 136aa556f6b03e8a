"""What `stackwright plan` says of a change is stated by each role, and about things that the role really has."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from test_queries import tasks
from test_roles import ROLES, ROOT, defaults, load

from stackwright.model.plan_report import Effect


def rules(role: str) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = load(ROOT / "roles" / role / "meta/effects.yml")
    return entries


def things(role: str) -> set[str]:
    """Names of tasks, and what their arguments name, with the role's constants in place of its variables."""
    constants = {**defaults(role), **(load(ROOT / "roles" / role / "vars/main.yml") or {})}

    def plain(text: str) -> str:
        for _ in range(4):
            text = re.sub(r"\{\{ (\w+) \}\}", lambda match: str(constants.get(match[1], "x")), text)
        return re.sub(r"\{\{.*?\}\}", "x", text)

    def texts(value: object) -> set[str]:
        if isinstance(value, dict):
            return {text for entry in value.values() for text in texts(entry)}
        if isinstance(value, list):
            return {text for entry in value for text in texts(entry)}
        return {plain(str(value))}

    known = {text for task in tasks(role) for text in texts(task)}
    # Loops over names of files and of units.
    return {f"{folder}{text}" for text in known for folder in ("", "/", "/etc/", "/etc/systemd/system/")}


@pytest.mark.parametrize("role", ROLES)
def test_every_role_states_the_effect_of_its_changes(role: str) -> None:
    for rule in rules(role):
        assert rule["effect"] in get_args(Effect)
        assert rule.keys() <= {"match", "effect", "service"}
        assert ("service" in rule) == (rule["effect"] != "none"), rule
        re.compile(rule["match"])
    assert rules(role)[-1] == {"match": ".", "effect": "none"}


@pytest.mark.parametrize("role", ROLES)
def test_every_effect_is_of_something_that_the_role_has(role: str) -> None:
    known = things(role)
    for rule in rules(role)[:-1]:
        for alternative in re.split(r"\|(?![^(]*\))", rule["match"]):
            if not alternative.startswith(("^postgresql", "^[a-z_]+")):
                assert any(re.search(alternative, text) for text in known), alternative
