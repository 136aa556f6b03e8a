#!/usr/bin/env python3
"""Run the project's tests: `scripts/test.py check|aws|molecule [ROLE...]|e2e|all|long [STAGE...]`.

`all` is what CI runs: each promise once. The checks and whole environments run in one lane, everything else in a
second one, since CI has two cores. `long` runs the tests marked `long` (src/stackwright/testing/depth.py) and the
scenarios on Debian 12, and writes docs/long-report.md. The output of every stage is kept in `.state/test/`; for a
failed stage, its first failure and the end of its output are printed. The summary counts tests, and skips with their
reasons.
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
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / ".state" / "test"
#: A scenario that hangs must not block the whole run.
SCENARIO_SECONDS = 1500
#: Tests that need neither engine nor container; a test that does not end within seconds hangs.
QUICK = ("-n", "2", "-m", "ci and not cli", "--timeout", "120")

#: `make test` leaves the check after the converge to e2e local, which checks all roles at once.
LONG_SEQUENCE = ("-c", ".config/molecule/config.yml", "-c", ".config/molecule/long.yml")

#: Seconds that a stage of `all` may take on two idle cores. A unit test limits the sum of each lane to an hour.
BUDGET = {
    "ruff": 5,
    "ruff format": 5,
    "yamllint": 15,
    "shellcheck": 5,
    "mypy": 65,
    "generated files": 5,
    "unit, render, contract": 320,
    "aws": 300,
    "ansible-lint": 165,
    "pulumi engine": 255,
    "application": 240,
    "e2e baremetal": 580,
    "e2e local": 1000,
    "e2e single": 250,
    "aws engine": 520,
    "molecule app_release": 290,
    "molecule backup": 495,
    "molecule baseline": 95,
    "molecule database_proxy": 80,
    "molecule etcd": 235,
    "molecule firewall": 145,
    "molecule host_metrics": 40,
    "molecule log_rotation": 60,
    "molecule managed_postgresql": 215,
    "molecule nginx": 265,
    "molecule nodejs": 50,
    "molecule pgbouncer": 135,
    "molecule pm2": 125,
    "molecule postgresql": 495,
    "molecule redis": 125,
    "molecule static_files": 40,
    "molecule tls": 105,
}
#: Factor by which a stage may exceed its budget on a busy machine before it is reported.
TOLERANCE = 1.5
LONG_REPORT = ROOT / "docs" / "long-report.md"

#: How Ansible, Molecule and pytest begin the line that names the failure.
_REASON = re.compile(r"\[ERROR\]|fatal: |Idempotence test failed|^(?:\x1b\[\d+m)*(?:E   |FAILED )")
#: Time for a stopped stage to remove its hosts.
_TIDY_SECONDS = 90
#: Exit code of a stage that was not started.
_NOT_RUN = 125
#: pytest's exit code if no test was selected.
_NOTHING_COLLECTED = 5
_running: list[subprocess.Popen[bytes]] = []
_stopped = threading.Event()
#: Held from the start of a process until its entry in `_running`, so that a stop knows of every started process.
_starting = threading.Lock()


@dataclass
class Result:
    """The result of one stage."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)
    measured: list[str] = field(default_factory=list)
    seconds: float = 0.0
    log: Path = Path()


class Suite:
    """Runs stages, which may run in parallel, and collects their results."""

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
                print(_failure(log), flush=True)

    def command(self, name: str, *argv: str) -> None:
        """Run a stage that is one command; it passes if the command exits with 0."""

        def work(log: Path) -> Result:
            code = _call(list(argv), log)
            return Result(name=name, passed=int(code == 0), failed=int(code != 0))

        self.run(name, work)

    def pytest(self, name: str, *argv: str) -> None:
        """Run pytest as a stage; it fails if no test is collected."""

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
        """Run a Molecule scenario (`ROLE` or `ROLE@IMAGE`); `configuration` holds Molecule's `-c` options.

        If the sequence has a check after the converge, that check must report no changes.
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
        """Print the summary; return 0 only if no test failed and none was skipped."""
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
    """Return the changes of the last check: Molecule accepts them, but after a converge each one is a defect.

    Molecule writes `➜ check: Executing` if the terminal's encoding has the arrow, otherwise `> check] Executing`.
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
        result.measured += [
            line for line in (case.findtext("system-out") or "").splitlines() if re.match(r"\S.*: ", line)
        ]
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
        with _starting:
            if _stopped.is_set():
                return _NOT_RUN
            # In its own session, so that ending it ends all processes that it started.
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
        # Not if the run is being stopped: then the process still has to be ended.
        _running.remove(process)
        return code


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a stage: first like Ctrl-C, so that tests remove their hosts, then by killing it and all that it started."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TIDY_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def stoppable(work: Callable[[], int]) -> int:
    """Run `work`; a stop signal ends its stages first, as remaining processes would collide with the next run."""

    def stop(number: int, _frame: object) -> None:
        raise _StoppedError(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    codes: list[int] = []
    # Signals interrupt the main thread, so it does nothing that must not be left half done.
    worker = threading.Thread(target=lambda: codes.append(work()), daemon=True)
    try:
        worker.start()
        # In short waits: a signal that arrives just before a wait is handled only when the wait ends.
        while worker.is_alive():
            worker.join(1)
        return codes[0] if codes else 1
    except _StoppedError as stopped:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with _starting:
            _stopped.set()
        name = signal.Signals(stopped.number).name
        print(
            f"{name}: the stages that run are ended, and their hosts removed (at most {_TIDY_SECONDS} s each)",
            flush=True,
        )
        for process in tuple(_running):
            _end(process)
        # The output of the other lane does not matter any more.
        os._exit(128 + stopped.number)


class _StoppedError(BaseException):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _failure(log: Path) -> str:
    """Return the output around a stage's first failure, as Molecule still destroys the hosts after it, and the end."""
    lines = log.read_text(errors="replace").splitlines()
    end = max(len(lines) - 40, 0)
    first = next((number for number, line in enumerate(lines) if _REASON.search(line)), end)
    begin, behind = max(first - 5, 0), first + 40
    shown = [*lines[begin:behind], "...", *lines[end:]] if behind < end else lines[min(begin, end) :]
    return "\n".join(f"  | {line}" for line in [*shown, f"(all of it: {log.relative_to(ROOT)})"])


def scenarios() -> list[str]:
    """Return every directory with a molecule.yml, so that none is forgotten; the longest scenario first."""
    names = [path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")]
    if not names:
        raise SystemExit("no Molecule scenario found")
    return sorted(names, key=lambda name: (-BUDGET.get(f"molecule {name}", 0), name))


def long_scenarios(name: str) -> list[tuple[str, str]]:
    """Return (scenario, depth): with tests marked `long`, and again, on Debian 12 if its platforms accept it."""
    folder = ROOT / "molecule" / name
    deep = any("mark.long" in path.read_text() for path in folder.glob("tests/*.py"))
    other_image = "STACKWRIGHT_IMAGE" in (folder / "molecule.yml").read_text()
    again = (f"{name}@debian-12" if other_image else name, "ci")
    return [(name, "long"), again] if deep else [again]


def check(suite: Suite) -> None:
    """Run the checks that need no container."""
    suite.command("ruff", "ruff", "check", ".")
    suite.command("ruff format", "ruff", "format", "--check", ".")
    suite.command("yamllint", "yamllint", "--strict", ".")
    suite.command("shellcheck", "shellcheck", *[str(path) for path in sorted((ROOT / "scripts").glob("*.sh"))])
    suite.command("mypy", "mypy")
    suite.command("generated files", sys.executable, "scripts/docs.py", "--check")
    places = ("tests/unit", "tests/render", "tests/contract", "tests/pulumi", "--ignore=tests/pulumi/aws")
    suite.pytest("unit, render, contract", *QUICK, *places)


def aws(suite: Suite) -> None:
    """Test the AWS programs, which take too long for a check: recorded, without an account or a container."""
    suite.pytest("aws", *QUICK, "tests/pulumi/aws")


def molecule(suite: Suite, names: list[str]) -> None:
    """Run scenarios one after the other."""
    for name in names:
        suite.molecule(name)


def e2e(suite: Suite) -> None:
    """Run the tests with the real engine and with whole environments."""
    suite.pytest("pulumi engine", "tests/pulumi", "-m", "ci and cli", "--ignore", "tests/pulumi/aws")
    suite.pytest("application", "tests/app", "-m", "ci")
    for path in sorted((ROOT / "tests/e2e").glob("test_*.py")):
        if has_tests("ci", str(path)):
            suite.pytest(f"e2e {path.stem.removeprefix('test_')}", "-x", "-m", "ci", str(path))


def has_tests(depth: str, *places: str) -> bool:
    """Return whether pytest would select a test of this depth; an unreadable file counts, so that its stage fails."""
    code = subprocess.run(
        ["pytest", "-q", "--collect-only", "-m", depth, *places], capture_output=True, cwd=ROOT
    ).returncode
    return code != _NOTHING_COLLECTED


def aws_engine(suite: Suite) -> None:
    """Test AWS programs on the real engine, and a server that boots from its bundle."""
    suite.pytest("aws engine", "tests/pulumi/aws", "-m", "ci and cli")


def ansible_lint(suite: Suite) -> None:
    """Lint playbooks, roles and scenarios, on one core."""
    # ansible-lint checks playbooks without an environment, which the project's inventory plugin refuses.
    lenient = ("env", "ANSIBLE_INVENTORY_ENABLED=host_list,yaml,ini", "ANSIBLE_INVENTORY_UNPARSED_FAILED=false")
    suite.command("ansible-lint", *lenient, "ansible-lint", "--offline", "--nocolor")


def long(suite: Suite, only: Sequence[str]) -> None:
    """Run what `all` leaves out, or the given stages; both runs of a scenario share its hosts, so they share a lane."""

    def scenario(name: str) -> None:
        for variant, depth in long_scenarios(name):
            if not only or f"molecule {variant}" in only:
                suite.molecule(variant, depth, configuration=LONG_SEQUENCE)

    def tests(name: str, target: str) -> None:
        if (not only or f"long {name}" in only) and has_tests("long", target):
            suite.pytest(f"long {name}", "-m", "long", "-o", "junit_logging=system-out", target)

    environments = sorted((ROOT / "tests/e2e").glob("test_*.py"), reverse=True)
    places = ("tests/unit", "tests/render", "tests/contract", "tests/app", "tests/pulumi")
    side_by_side(
        [partial(tests, f"e2e {path.stem.removeprefix('test_')}", str(path)) for path in environments],
        [*(partial(scenario, name) for name in scenarios()), *(partial(tests, folder, folder) for folder in places)],
    )


def write_long_report(suite: Suite) -> None:
    """Write the result of each stage, with date and commit, to the report that docs/proofs.md links; others stay."""
    commit = subprocess.run(["git", "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout
    date = time.strftime("%Y-%m-%d", time.gmtime())
    earlier = LONG_REPORT.read_text().splitlines() if LONG_REPORT.exists() else []
    rows = {line.split(" | ")[0]: line for line in earlier if line.startswith("| ") and " | 2" in line}
    run = tuple(f"* {stage.name}: " for stage in suite.results)
    figures = [line for line in earlier if line.startswith("* ") and not line.startswith(run)]
    for stage in suite.results:
        figures += [f"* {stage.name}: {line}" for line in stage.measured]
        counts = f"{stage.passed} | {stage.failed} | {len(stage.skipped)} | {stage.seconds:.0f}"
        rows[f"| {stage.name}"] = f"| {stage.name} | {date} | {commit.strip()} | {counts} |"
    lines = [
        "# The last run of each stage of `make test-long`",
        "",
        "Written by `scripts/test.py long`.",
        "",
        "| stage | date | commit | passed | failed | skipped | seconds |",
        "|---|---|---|---|---|---|---|",
        *(rows[name] for name in sorted(rows)),
        *(["", "What tests of these stages measured:", "", *sorted(figures)] if figures else []),
    ]
    LONG_REPORT.write_text("\n".join(lines) + "\n")


def side_by_side(environments: Sequence[Callable[[], None]], independent: Sequence[Callable[[], None]]) -> None:
    """Run two lanes: stages in order, as environments share a release, and the rest; the first to end helps."""
    waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    for work in independent:
        waiting.put(work)

    def take() -> None:
        with suppress(queue.Empty):
            while True:
                waiting.get_nowait()()

    beside = threading.Thread(target=take)
    beside.start()
    for work in environments:
        work()
    take()
    beside.join()


def main(arguments: list[str]) -> int:
    """Run the requested tests; return 0 if all of them passed."""
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
            side_by_side(
                [partial(check, suite), partial(e2e, suite)],
                [partial(aws, suite), partial(ansible_lint, suite), partial(aws_engine, suite)]
                + [partial(suite.molecule, name) for name in scenarios()],
            )
        case ["long", *names]:
            long(suite, names)
            write_long_report(suite)
        case unknown:
            print(f"scripts/test.py: unknown: {' '.join(unknown)}", file=sys.stderr)
            return 2
    return suite.finish()


if __name__ == "__main__":
    sys.exit(stoppable(lambda: main(sys.argv[1:])))
