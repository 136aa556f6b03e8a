"""A unit is stale where its files are younger than its process, or an update has replaced what it runs.

One that has not read its files since they changed is reloaded.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stackwright.ansible.module_utils import stackwright_units as units
from stackwright.ansible.modules import stackwright_reload

MAPS = """\
55d0c9000000-55d0c9100000 r-xp 00001000 fe:00 131  {program}
7f0000000000-7f0000001000 rw-s 00000000 00:01 7    /dev/zero (deleted)
7f0000001000-7f0000002000 r-xp 00000000 00:01 8    /memfd:doublemapper (deleted)
7f0000002000-7f0000003000 r-xp 00000000 fe:00 132  /usr/lib/x86_64-linux-gnu/libssl.so.3{library}
7f0000004000-7f0000005000 rw-p 00000000 00:00 0
"""
PROGRAM = "/usr/bin/redis-check-rdb"


def shown(seconds: float) -> str:
    """A time as `systemctl show --timestamp=us+utc` prints it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%a %Y-%m-%d %H:%M:%S.%f UTC") if seconds else ""


class Module:
    """A host whose unit was started, and has last changed its state, at a time."""

    def __init__(self, started: float, state: str = "active") -> None:
        self.started, self.state = started, state

    def run_command(self, command: list[str], **_: Any) -> tuple[int, str, str]:
        values = {
            "ActiveState": self.state,
            "ExecMainStartTimestamp": shown(self.started),
            "StateChangeTimestamp": shown(self.started),
            "MainPID": "7" if self.started else "0",
            "ControlGroup": "/system.slice/redis.service" if self.started else "",
        }
        return 0, "\n\n".join("\n".join(f"{key}={value}" for key, value in values.items()) for _ in command[4:]), ""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    file = tmp_path / "redis.service"
    file.touch()
    os.utime(file, (1000.5, 1000.5))
    return file


STARTS = pytest.mark.parametrize(
    ("started", "expected"), [(999, True), (1000.4, True), (1000.6, False), (1001, False), (0, False)]
)


@STARTS
def test_a_unit_is_stale_where_a_file_is_younger_than_its_process(unit: Path, started: float, expected: bool) -> None:
    files = [str(unit), str(unit.with_name("absent"))]
    assert units.stale(Module(started), "redis.service", files) is expected


@STARTS
@pytest.mark.parametrize("state", ["active", "inactive", "failed"])
def test_a_unit_that_runs_is_reloaded_where_a_file_is_younger(
    unit: Path, started: float, expected: bool, state: str
) -> None:
    wanted = [{"name": "redis.service", "files": [str(unit), str(unit.with_name("absent"))], "state": "reloaded"}]
    module = Module(started, state if started else "inactive")
    assert stackwright_reload.outdated(module, wanted) == (wanted if expected and state == "active" else [])


@pytest.mark.parametrize(
    "cgroup",
    [
        "0::/system.slice/redis.service",
        "12:pids:/system.slice\n1:name=systemd:/machine.slice/libpod-1/system.slice/redis.service/below",
    ],
)
@pytest.mark.parametrize(
    ("program", "library", "expected"),
    [
        (PROGRAM, "", False),
        (f"{PROGRAM} (deleted)", "", True),
        # Bound into the unit's mounts by ExecPaths, which ended with the file.
        ("/ (deleted)", "", True),
        (PROGRAM, " (deleted)", True),
    ],
)
def test_a_unit_is_stale_where_an_update_has_replaced_what_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cgroup: str, program: str, library: str, expected: bool
) -> None:
    maps = MAPS.format(program=program, library=library)
    deleted = MAPS.format(program=f"{PROGRAM} (deleted)", library="")
    for number, group, text in (("8", cgroup, maps), ("9", "0::/system.slice/redis.service2", deleted)):
        process = tmp_path / number
        process.mkdir()
        (process / "cgroup").write_text(f"{group}\n")
        (process / "maps").write_text(text)
    # It has ended.
    (tmp_path / "10").mkdir()
    monkeypatch.setattr(units, "_PROCESSES", tmp_path)
    assert units.stale(Module(1000), "redis.service", [], updates=True) is expected
    assert not units.stale(Module(1000), "redis.service", [])
