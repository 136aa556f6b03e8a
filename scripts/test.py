#!/usr/bin/env python3
"""Run the project's tests: `scripts/test.py check|aws|molecule [ROLE...]|e2e|all|long`.

`all` is what CI runs: each promise once. Whole environments run in one lane and scenarios in a second one, since CI has two
cores. `long` runs what is marked `long` (src/stackwright/testing/depth.py) and the scenarios on Debian 12, and writes
docs/long-report.md. The output of every stage is kept in `.state/test/`; a failed stage shows the end of it. The summary
counts tests, and skips with their reasons.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / ".state" / "test"
#: A scenario that hangs must not take the whole run with it.
SCENARIO_SECONDS = 1500
#: Tests that need neither engine nor container; each ends within seconds or has hung.
QUICK = ("-n", "2", "-m", "ci and not cli", "--timeout", "120")

#: `make test` leaves the check after the converge to e2e local, where it looks at all roles at once.
LONG_SEQUENCE = ("-c", ".config/molecule/config.yml", "-c", ".config/molecule/long.yml")

#: Seconds that a stage of `all` may take on two quiet cores. A unit test holds the sums of the lanes to an hour.
BUDGET = {
    "ruff": 5,
    "ruff format": 5,
    "yamllint": 15,
    "shellcheck": 5,
    "mypy": 60,
    "generated files": 20,
    "unit, render, contract": 120,
    "aws": 180,
    "ansible-lint": 90,
    "pulumi engine": 170,
    "application": 150,
    "e2e baremetal": 420,
    "e2e local": 1500,
    "e2e single": 230,
    "aws engine": 600,
    "molecule app_release": 180,
    "molecule backup": 420,
    "molecule baseline": 90,
    "molecule database_proxy": 75,
    "molecule etcd": 150,
    "molecule firewall": 140,
    "molecule host_metrics": 60,
    "molecule log_rotation": 75,
    "molecule managed_postgresql": 180,
    "molecule nginx": 300,
    "molecule nodejs": 50,
    "molecule pgbouncer": 170,
    "molecule pm2": 130,
    "molecule postgresql": 260,
    "molecule redis": 120,
    "molecule static_files": 60,
    "molecule tls": 90,
}
#: A busy machine takes this much longer before a stage is named as over its budget.
TOLERANCE = 1.5
LONG_REPORT = ROOT / "docs" / "long-report.md"

#: For a stage that is stopped to remove its hosts.
_TIDY_SECONDS = 90
#: What a stage that was not begun comes to.
_NOT_RUN = 125
#: pytest's exit code where no test was selected.
_NOTHING_COLLECTED = 5
_running: list[subprocess.Popen[bytes]] = []
_stopped = threading.Event()


@dataclass
class Result:
    """What one stage came to."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0
    log: Path = Path()


class Suite:
    """Collects results of stages that may run side by side."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self._lock = threading.Lock()
        LOGS.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, work: Callable[[Path], Result]) -> None:
        """Run one stage and print its line."""
        log = LOGS / f"{name.replace(' ', '-').replace('/', '-')}.log"
        started = time.monotonic()
        result = work(log)
        result.seconds, result.log = time.monotonic() - started, log
        with self._lock:
            self.results.append(result)
            mark = "ok    " if not result.failed else "FAILED"
            skips = f", {len(result.skipped)} skipped" if result.skipped else ""
            budget = f" of {BUDGET[name]:>4} s" if name in BUDGET else ""
            over = "  OVER BUDGET" if result.seconds > TOLERANCE * BUDGET.get(name, float("inf")) else ""
            timing = f"{result.seconds:7.1f} s{budget}{over}"
            print(f"{mark} {name:<34} {result.passed:>4} passed{skips} {timing}", flush=True)
            if result.failed:
                print(_tail(log), flush=True)

    def command(self, name: str, *argv: str) -> None:
        """A stage that is one command: passed if it exits with 0."""

        def work(log: Path) -> Result:
            code = _call(list(argv), log)
            return Result(name=name, passed=int(code == 0), failed=int(code != 0))

        self.run(name, work)

    def pytest(self, name: str, *argv: str) -> None:
        """A stage of pytest; no test collected is a failure."""

        def work(log: Path) -> Result:
            report = log.with_suffix(".xml")
            report.unlink(missing_ok=True)
            code = _call(["pytest", "-q", "--durations=10", f"--junitxml={report}", *argv], log)
            result = _read_junit(name, report)
            if (code != 0 or result.passed == 0) and result.failed == 0:
                result.failed = 1
            return result

        self.run(name, work)

    def molecule(self, scenario: str, depth: str = "ci", *, configuration: Sequence[str] = ()) -> None:
        """A Molecule scenario (`ROLE` or `ROLE@IMAGE`); `configuration` stands for Molecule's options of that name.

        Where the sequence checks after the converge, that check reports no change.
        """
        role, _, image = scenario.partition("@")
        variables = {"STACKWRIGHT_TEST_DEPTH": depth} | ({"STACKWRIGHT_IMAGE": image} if image else {})

        def work(log: Path) -> Result:
            code = _call(
                ["molecule", *configuration, "test", "-s", role], log, seconds=SCENARIO_SECONDS, variables=variables
            )
            text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
            result = Result(name=f"molecule {scenario}")
            result.passed = sum(int(n) for n in re.findall(r"\b(\d+) passed", text))
            result.failed = sum(int(n) for n in re.findall(r"\b(\d+) failed(?:,| in)", text))
            result.skipped = re.findall(r"SKIPPED \[\d+\] (.*)", text)
            problems = _changes_in_last_check(text) if configuration else []
            if result.passed == 0:
                problems.append("no test was collected by verify")
            if problems:
                with log.open("a") as file:
                    file.write("\n" + "\n".join(problems) + "\n")
            if (code != 0 or problems) and result.failed == 0:
                result.failed = 1
            return result

        self.run(f"molecule {scenario}", work)

    def finish(self) -> int:
        """Print the sum; 0 only where nothing failed and nothing was skipped."""
        passed = sum(result.passed for result in self.results)
        failed = sum(result.failed for result in self.results)
        skipped = [f"{result.name}: {reason}" for result in self.results for reason in result.skipped]
        for reason in skipped:
            print(f"skipped: {reason}")
        minutes = sum(result.seconds for result in self.results) / 60
        print(f"{len(self.results)} stages, {minutes:.1f} minutes of stages")
        print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
        return int(bool(failed or skipped or not passed))


def _changes_in_last_check(text: str) -> list[str]:
    """Molecule takes changes in `check` for a success; after a converge each of them is a defect.

    Molecule writes `➜ check: Executing` to a terminal's encoding that has the arrow, `> check] Executing` elsewhere.
    """
    checks = re.findall(r"(?:➜ check:|> check\]) Executing(.*?)(?:➜ check:|> check\]) Executed", text, re.DOTALL)
    if len(checks) < 2:
        return ["the sequence has no check after the converge"]
    recap = re.findall(r"^.*?(\S+)\s+: ok=\d+\s+changed=(\d+)", checks[-1], re.MULTILINE)
    if not recap:
        return ["the check after the converge printed no recap"]
    return [f"{host}: the check after the converge reports changed={n}" for host, n in recap if n != "0"]


def _read_junit(name: str, report: Path) -> Result:
    result = Result(name=name)
    if not report.exists():
        return result
    for case in ET.parse(report).iter("testcase"):
        skip = case.find("skipped")
        if skip is not None:
            result.skipped.append(f"{case.get('name')}: {skip.get('message')}")
        elif case.find("failure") is not None or case.find("error") is not None:
            result.failed += 1
        else:
            result.passed += 1
    return result


def _call(argv: list[str], log: Path, seconds: int | None = None, variables: Mapping[str, str] | None = None) -> int:
    environment = {**os.environ, **(variables or {})}
    with log.open("w") as file:
        if _stopped.is_set():
            return _NOT_RUN
        # A session of its own: whoever ends it, ends all that it started.
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
        _running.append(process)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            file.write(f"\nended after {seconds} s\n")
            code = 124
        # Not where the run is stopped: then somebody has to end it.
        _running.remove(process)
        return code


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a stage: first as Ctrl-C would, so that tests remove their hosts, then for good with all that it started."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TIDY_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def stoppable(work: Callable[[], int]) -> int:
    """Run `work`; a signal to stop ends its stages first: what outlives them would collide with the next run."""

    def stop(number: int, _frame: object) -> None:
        raise _StoppedError(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        return work()
    except _StoppedError as stopped:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _stopped.set()
        name = signal.Signals(stopped.number).name
        print(
            f"{name}: the stages that run are ended, and their hosts removed (at most {_TIDY_SECONDS} s each)",
            flush=True,
        )
        for process in tuple(_running):
            _end(process)
        # The other lane has nothing to say any more.
        os._exit(128 + stopped.number)


class _StoppedError(BaseException):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _tail(log: Path, lines: int = 80) -> str:
    shown = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(["  | " + line for line in shown] + [f"  | (all of it: {log.relative_to(ROOT)})"])


def scenarios() -> list[str]:
    """Every folder with a molecule.yml, so that none can be forgotten; the longest first."""
    names = [path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")]
    if not names:
        raise SystemExit("no Molecule scenario found")
    return sorted(names, key=lambda name: (-BUDGET.get(f"molecule {name}", 0), name))


def long_scenarios() -> list[tuple[str, str]]:
    """(scenario, depth): those with tests marked `long`, and all once more, on Debian 12 where their platforms take the image."""
    runs = []
    for name in scenarios():
        folder = ROOT / "molecule" / name
        if any("mark.long" in path.read_text() for path in folder.glob("tests/*.py")):
            runs.append((name, "long"))
        other_image = "STACKWRIGHT_IMAGE" in (folder / "molecule.yml").read_text()
        runs.append((f"{name}@debian-12" if other_image else name, "ci"))
    return runs


def check(suite: Suite) -> None:
    """What needs no container."""
    suite.command("ruff", "ruff", "check", ".")
    suite.command("ruff format", "ruff", "format", "--check", ".")
    suite.command("yamllint", "yamllint", "--strict", ".")
    suite.command("shellcheck", "shellcheck", *[str(path) for path in sorted((ROOT / "scripts").glob("*.sh"))])
    suite.command("mypy", "mypy")
    suite.command("generated files", sys.executable, "scripts/docs.py", "--check")
    places = ("tests/unit", "tests/render", "tests/contract", "tests/pulumi", "--ignore=tests/pulumi/aws")
    suite.pytest("unit, render, contract", *QUICK, *places)


def aws(suite: Suite) -> None:
    """Programs for AWS, which take longer than a check may: recorded, no account and no container."""
    suite.pytest("aws", *QUICK, "tests/pulumi/aws")


def molecule(suite: Suite, names: list[str]) -> None:
    """Scenarios one after the other."""
    for name in names:
        suite.molecule(name)


def e2e(suite: Suite) -> None:
    """The real engine and whole environments."""
    suite.pytest("pulumi engine", "tests/pulumi", "-m", "ci and cli", "--ignore", "tests/pulumi/aws")
    suite.pytest("application", "tests/app", "-m", "ci")
    for path in sorted((ROOT / "tests/e2e").glob("test_*.py")):
        if has_tests("ci", str(path)):
            suite.pytest(f"e2e {path.stem.removeprefix('test_')}", "-x", "-m", "ci", str(path))


def has_tests(depth: str, *places: str) -> bool:
    """Whether pytest would select a test of this depth there; a file that cannot be read counts, so that its stage fails."""
    code = subprocess.run(
        ["pytest", "-q", "--collect-only", "-m", depth, *places], capture_output=True, cwd=ROOT
    ).returncode
    return code != _NOTHING_COLLECTED


def aws_engine(suite: Suite) -> None:
    """Programs for AWS on the real engine, and a server that boots from its bundle."""
    suite.pytest("aws engine", "tests/pulumi/aws", "-m", "ci and cli")


def ansible_lint(suite: Suite) -> None:
    """Lint playbooks, roles and scenarios, on one core."""
    # It checks playbooks without an environment, which the project's own inventory plugin refuses to do.
    lenient = ("env", "ANSIBLE_INVENTORY_ENABLED=host_list,yaml,ini", "ANSIBLE_INVENTORY_UNPARSED_FAILED=false")
    suite.command("ansible-lint", *lenient, "ansible-lint", "--offline", "--nocolor")


def long(suite: Suite) -> None:
    """What `all` leaves out, one stage after the other."""
    for name, depth in long_scenarios():
        suite.molecule(name, depth, configuration=LONG_SEQUENCE)
    for place in ("tests/unit", "tests/render", "tests/contract", "tests/app", "tests/pulumi"):
        if has_tests("long", place):
            suite.pytest(f"long {place}", "-m", "long", place)
    for path in sorted((ROOT / "tests/e2e").glob("test_*.py")):
        if has_tests("long", str(path)):
            suite.pytest(f"long e2e {path.stem.removeprefix('test_')}", "-m", "long", str(path))


def write_long_report(suite: Suite) -> None:
    """Write what `long` came to, with date and commit, where docs/proofs.md links to it."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    lines = [
        "# The last run of `make test-long`",
        "",
        "Written by `scripts/test.py long`.",
        "",
        f"* Date: {time.strftime('%Y-%m-%d', time.gmtime())}",
        f"* Commit: {commit}",
        "",
        "| stage | passed | failed | skipped | seconds |",
        "|---|---|---|---|---|",
    ]
    for stage in suite.results:
        counts = f"{stage.passed} | {stage.failed} | {len(stage.skipped)} | {stage.seconds:.0f}"
        lines.append(f"| {stage.name} | {counts} |")
    LONG_REPORT.write_text("\n".join(lines) + "\n")


def side_by_side(suite: Suite) -> None:
    """Whole environments one after the other, as they share a release, and scenarios in a second lane."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in scenarios():
        waiting.put(name)

    def take() -> None:
        with suppress(queue.Empty):
            while True:
                molecule(suite, [waiting.get_nowait()])

    def scenarios_after_aws() -> None:
        ansible_lint(suite)
        aws_engine(suite)
        take()

    beside = threading.Thread(target=scenarios_after_aws)
    beside.start()
    e2e(suite)
    take()
    beside.join()


def main(arguments: list[str]) -> int:
    """Run what is asked for; 0 where all of it passed."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    suite = Suite()
    match arguments or ["all"]:
        case ["check"]:
            check(suite)
        case ["molecule", *names]:
            molecule(suite, names or scenarios())
        case ["aws"]:
            aws(suite)
        case ["e2e"]:
            e2e(suite)
            aws_engine(suite)
        case ["all"]:
            check(suite)
            aws(suite)
            side_by_side(suite)
        case ["long"]:
            long(suite)
            write_long_report(suite)
        case unknown:
            print(f"scripts/test.py: unknown: {' '.join(unknown)}", file=sys.stderr)
            return 2
    return suite.finish()


if __name__ == "__main__":
    sys.exit(stoppable(lambda: main(sys.argv[1:])))
