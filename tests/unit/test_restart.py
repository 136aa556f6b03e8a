"""A unit is restarted where its files are younger than its process, and a failure shows the unit's last words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stackwright.ansible.modules import stackwright_restart


class Failed(Exception):  # noqa: N818 - what a module's end is called in a test
    """The module has failed."""


class Module:
    """An Ansible module on a host whose unit was started at a time."""

    def __init__(self, started: int, files: list[Path], *, starts: bool = True) -> None:
        self.params = {"unit": "haproxy.service", "files": [str(file) for file in files]}
        self.started, self.starts = started, starts

    def run_command(self, command: list[str], **_: Any) -> tuple[int, str, str]:
        if command[:2] == ["systemctl", "show"]:
            running = f"ExecMainStartTimestamp=@{self.started}\nMainPID=7\n"
            return 0, running if self.started else "ExecMainStartTimestamp=\nMainPID=0\n", ""
        if command[:2] == ["systemctl", "restart"] and not self.starts:
            return 1, "", "Job failed."
        return 0, "no such group\n", ""

    def fail_json(self, msg: str) -> None:
        raise Failed(msg)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    file = tmp_path / "haproxy.service"
    file.touch()
    os.utime(file, (1000, 1000))
    return file


@pytest.mark.parametrize(("started", "expected"), [(999, True), (1000, False), (1001, False), (0, False)])
def test_a_unit_is_stale_where_a_file_is_younger_than_its_process(unit: Path, started: int, expected: bool) -> None:
    module: Any = Module(started, [unit, unit.with_name("absent")])
    assert stackwright_restart.stale(module) is expected


def test_a_unit_that_does_not_start_says_why(unit: Path) -> None:
    module: Any = Module(999, [unit], starts=False)
    with pytest.raises(Failed, match=r"haproxy.service does not start: Job failed. no such group"):
        stackwright_restart.restart(module)
