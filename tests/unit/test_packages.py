"""`stackwright_packages`: when apt is called, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stackwright.ansible.action import stackwright_packages as action
from stackwright.ansible.modules import stackwright_packages as module

STATES = """\
Package: libc-ares2
Architecture: amd64
Auto-Installed: 1

Package: nginx
Architecture: amd64
Auto-Installed: 0
"""


def test_apt_is_asked_for_what_is_missing_and_for_what_it_may_remove_again() -> None:
    removable = module.automatic(STATES)
    assert removable == {"libc-ares2"}
    present = {"nginx", "libc-ares2"}
    assert module.wanting(["nginx", "certbot", "libc-ares2"], present, removable) == ["certbot", "libc-ares2"]
    assert module.wanting(["nginx"], present, removable) == []


def test_only_a_unit_that_nobody_wrote_is_masked(tmp_path: Path) -> None:
    (tmp_path / "ours.service").write_text("[Service]\n")
    module.mask(["ours.service", "new.service"], tmp_path)
    module.mask(["ours.service", "new.service"], tmp_path)
    assert (tmp_path / "ours.service").read_text() == "[Service]\n"
    assert str((tmp_path / "new.service").readlink()) == "/dev/null"


class Task:
    def __init__(self) -> None:
        self.args = {"name": ["nginx"]}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, dict[str, Any]]]:
    found: list[tuple[str | None, dict[str, Any]]] = []
    monkeypatch.setattr(action.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(action.ActionBase, "run", lambda *_: {})
    return found


def outcome(
    calls: list[tuple[str | None, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, *results: dict[str, Any]
) -> dict[str, Any]:
    answers = iter(results)

    def execute(self: Any, module_name: str | None = None, module_args: Any = None, task_vars: Any = None) -> Any:
        calls.append((module_name, module_args))
        return next(answers)

    monkeypatch.setattr(action.ActionBase, "_execute_module", execute)
    plugin = action.ActionModule.__new__(action.ActionModule)
    plugin._task = Task()
    return plugin.run(task_vars={})


def test_apt_is_not_started_where_nothing_is_wanting(calls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(calls, monkeypatch, {"wanting": [], "changed": False})["changed"] is False
    assert [name for name, _ in calls] == [None]


def test_a_mirror_that_fails_is_tried_again(calls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"failed": True, "msg": "no route"}
    assert outcome(calls, monkeypatch, {"wanting": ["nginx"]}, failed, {"changed": True}) == {"changed": True}
    assert [name for name, _ in calls] == [None, "ansible.builtin.apt", "ansible.builtin.apt"]
    assert calls[-1][1] == {
        "name": ["nginx"],
        "state": "present",
        "install_recommends": False,
        "update_cache": True,
        "cache_valid_time": 3600,
    }


def test_the_last_failure_is_the_result(calls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"failed": True, "msg": "no route"}
    assert outcome(calls, monkeypatch, {"wanting": ["nginx"]}, failed, failed, failed) == failed
    assert len(calls) == 1 + action.ATTEMPTS
