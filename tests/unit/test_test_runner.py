"""The runner of tests: what it makes of Molecule's output, with a terminal and without; how it is stopped."""

from __future__ import annotations

import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNNER = runpy.run_path(str(ROOT / "scripts" / "test.py"))
changes_in_last_check = RUNNER["_changes_in_last_check"]

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
    # A killed process is gone a moment after its signal, on a busy machine.
    deadline = time.monotonic() + 10
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(process)


def test_a_failure_is_shown_although_much_was_printed_after_it(tmp_path: Path) -> None:
    log = ROOT / ".state" / "test" / f"{tmp_path.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    before, after = [f"TASK before {n}" for n in range(100)], [f"TASK destroy {n}" for n in range(300)]
    try:
        log.write_text("\n".join([*before, "  \x1b[2m│\x1b[0m fatal: [db1]: FAILED! => {}", *after]))
        shown = RUNNER["_failure"](log)
        log.write_text("\n".join([*before, "E   assert 1 == 2"]))
        short = RUNNER["_failure"](log)
    finally:
        log.unlink()
    for text in ("fatal: [db1]", "TASK before 99\n", "TASK destroy 0\n", "TASK destroy 299\n"):
        assert text in shown
    assert "TASK destroy 100\n" not in shown
    assert short.count("E   assert 1 == 2") == 1


def test_every_stage_has_a_budget_and_both_lanes_fit_into_an_hour() -> None:
    budget = RUNNER["BUDGET"]
    molecule = {f"molecule {name}" for name in RUNNER["scenarios"]()}
    environments = {f"e2e {path.stem.removeprefix('test_')}" for path in (ROOT / "tests/e2e").glob("test_*.py")}
    assert {name for name in budget if name.startswith("molecule ")} == molecule
    assert {name for name in budget if name.startswith("e2e ")} <= environments
    # Both lanes end together: whichever ends first takes what is left of the second.
    assert sum(budget.values()) / 2 <= 3600


@pytest.mark.parametrize(("expression", "selected"), [("ci", {"test_a", "test_c"}), ("long", {"test_b"})])
def test_every_test_is_run_by_exactly_one_of_the_two_commands(
    tmp_path: Path, expression: str, selected: set[str]
) -> None:
    suite = tmp_path / "test_suite.py"
    suite.write_text(
        "import pytest\n\ndef test_a(): pass\n\n@pytest.mark.long\ndef test_b(): pass\n\n"
        "@pytest.mark.timeout(5)\ndef test_c(): pass\n"
    )
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--collect-only",
        "-m",
        expression,
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    shown = subprocess.run([*argv, str(suite)], capture_output=True, text=True, cwd=ROOT, check=False).stdout
    assert {line.rpartition("::")[2] for line in shown.splitlines() if "::" in line} == selected


def test_scenarios_with_long_tests_and_a_second_distribution_are_of_the_long_run() -> None:
    for name in RUNNER["scenarios"]():
        runs = RUNNER["long_scenarios"](name)
        tests = (ROOT / "molecule" / name / "tests").glob("*.py")
        assert ((name, "long") in runs) == any("mark.long" in path.read_text() for path in tests)
        assert len([depth for _, depth in runs if depth == "ci"]) == 1
    assert ("nginx@debian-12", "ci") in RUNNER["long_scenarios"]("nginx")


def test_the_long_report_keeps_the_stages_that_were_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = tmp_path / "long-report.md"
    monkeypatch.setitem(RUNNER["write_long_report"].__globals__, "LONG_REPORT", report)
    stage = RUNNER["Result"]

    def write(*results: Any) -> list[str]:
        RUNNER["write_long_report"](SimpleNamespace(results=list(results)))
        return [line for line in report.read_text().splitlines() if re.match(r"\| .* \| 20", line)]

    write(
        stage(name="molecule redis", passed=3, seconds=61.4),
        stage(name="long e2e local", passed=4, measured=["a: 1 s"]),
    )
    rows = write(stage(name="molecule redis", passed=2, failed=1, skipped=["why"]))
    date = r"20\d\d-\d\d-\d\d \| [0-9a-f]{8}"
    assert len(rows) == 2
    assert re.match(rf"\| long e2e local \| {date} \| 4 \| 0 \| 0 \| 0 \|$", rows[0])
    assert re.match(rf"\| molecule redis \| {date} \| 2 \| 1 \| 1 \| 0 \|$", rows[1])
    assert report.read_text().endswith("\n\n* long e2e local: a: 1 s\n")
