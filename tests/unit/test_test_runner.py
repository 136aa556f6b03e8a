"""The runner of tests: what it makes of Molecule's output, with a terminal and without; how it is stopped."""

from __future__ import annotations

import runpy
import signal
import subprocess
import sys
import time
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


#: A stage that starts a process of its own and then waits; loaded as a module, as `scripts` is no package.
STAGE = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("runner", sys.argv[1])
runner = sys.modules["runner"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runner)
runner.LOGS, runner._TIDY_SECONDS = pathlib.Path(sys.argv[2]), 2
script = "sleep 300 & echo $! > " + sys.argv[2] + "/child; wait"
suite = runner.Suite()
runner.stoppable(lambda: suite.command("a stage", "sh", "-c", script))
"""


def alive(process: int) -> bool:
    """Whether it runs; one that has ended may still be waited for by whoever adopted it."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_a_stopped_run_had_started_is_ended_with_it(tmp_path: Path, number: signal.Signals) -> None:
    argv = [sys.executable, "-c", STAGE, str(ROOT / "scripts" / "test.py"), str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as runner:
        child = tmp_path / "child"
        deadline = time.monotonic() + 30
        while not (child.exists() and child.read_text().strip()) and time.monotonic() < deadline:
            time.sleep(0.05)
        process = int(child.read_text())
        runner.send_signal(number)
        said, _ = runner.communicate(timeout=30)
    assert runner.returncode == 128 + number
    assert said.startswith(f"{number.name}: the stages that run are ended")
    assert not alive(process)
