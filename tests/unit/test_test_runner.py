"""What the runner of tests makes of Molecule's output, with a terminal and without."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
changes_in_last_check = runpy.run_path(str(ROOT / "scripts" / "test.py"))["_changes_in_last_check"]

TERMINAL = ("INFO     nginx ➜ check: {}", "  │ ")
PLAIN = ("INFO     [nginx > check] {}", "")


def output(style: tuple[str, str], *changes: int) -> str:
    line, prefix = style
    checks = (
        f"{line.format('Executing')}\n{prefix}PLAY RECAP ****\n"
        f"{prefix}edge1                      : ok=15   changed={n}    unreachable=0    failed=0\n"
        f"{line.format('Executed: Successful')}\n"
        for n in changes
    )
    converge = f"{prefix}edge1                      : ok=17   changed=10   unreachable=0    failed=0\n"
    return converge.join(checks)


@pytest.mark.parametrize("style", [TERMINAL, PLAIN])
def test_only_the_check_after_the_converge_has_to_change_nothing(style: tuple[str, str]) -> None:
    assert changes_in_last_check(output(style, 8, 0)) == []
    assert changes_in_last_check(output(style, 0, 2)) == ["edge1: the check after the converge reports changed=2"]
    assert changes_in_last_check(output(style, 0)) == ["the sequence has no check after the converge"]
