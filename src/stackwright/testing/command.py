"""Runs the commands that users type, each with a time limit, and shows the end of their output if they fail."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_SHOWN_LINES = 60


class CommandError(AssertionError):
    """Raised if a command does not end as a test expects; the message contains the end of its output."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command that has ended; standard output and standard error are combined."""

    code: int
    output: str


@dataclass(frozen=True, kw_only=True)
class Recap:
    """The recap of a converge."""

    output: str
    #: {host: {ok, changed, failures, unreachable, ...}}
    hosts: Mapping[str, Mapping[str, int]]
    #: (host, task) of each change.
    changes: Sequence[tuple[str, str]]

    @property
    def changed(self) -> dict[str, int]:
        """Return the number of changes per host."""
        return {host: counts["changed"] for host, counts in self.hosts.items()}


def run(
    argv: Sequence[str],
    *,
    folder: Path,
    seconds: float,
    variables: Mapping[str, str] | None = None,
    expect: int | None = 0,
) -> Done:
    """Run a command without a terminal; raise CommandError for an exit code other than `expect` (None: any)."""
    with tempfile.TemporaryFile() as output:
        process = _start(argv, folder, output, variables or {}, ())
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise CommandError(f"{shlex.join(argv)}: no end within {seconds:.0f} s\n{_tail(_text(output))}") from None
        done = Done(code=code, output=_text(output))
    if expect is not None and done.code != expect:
        raise CommandError(f"{shlex.join(argv)}: exit code {done.code}\n{_tail(done.output)}")
    return done


def converge(argv: Sequence[str], *, folder: Path, seconds: float) -> Recap:
    """Run an `ansible-playbook` to its end; raise CommandError if it fails."""
    events: list[dict[str, Any]] = []
    done = _watch(argv, folder, seconds, lambda event, _kill_it: events.append(event))
    stats = next((event["hosts"] for event in events if event["event"] == "stats"), None)
    if done.code != 0 or stats is None:
        raise CommandError(f"{shlex.join(argv)}: exit code {done.code}\n{_tail(done.output)}")
    changes = [(event["host"], event["task"]) for event in events if event.get("status") == "changed"]
    return Recap(output=done.output, hosts=stats, changes=changes)


def interrupt(argv: Sequence[str], *, folder: Path, seconds: float, host: str, task: str) -> None:
    """Start an `ansible-playbook` and kill it, with all its processes, as soon as `task` has changed `host`."""
    hit = threading.Event()

    def look(event: dict[str, Any], kill_it: Callable[[], None]) -> None:
        if event.get("status") == "changed" and (event["host"], event["task"]) == (host, task):
            hit.set()
            kill_it()

    done = _watch(argv, folder, seconds, look)
    if not hit.is_set():
        raise CommandError(f"{shlex.join(argv)}: {task!r} did not change {host}\n{_tail(done.output)}")
    if done.code != -signal.SIGKILL:
        raise CommandError(f"{shlex.join(argv)}: it ended by itself, with {done.code}\n{_tail(done.output)}")


Look = Callable[[dict[str, Any], Callable[[], None]], None]


@dataclass
class _Events:
    """Reads the progress events that the callback plugin `stackwright_events` writes."""

    look: Look
    kill_it: Callable[[], None] = field(default=lambda: None)

    def read(self, descriptor: int) -> None:
        with os.fdopen(descriptor) as lines:
            for line in lines:
                # A killed run leaves an incomplete line.
                if line.endswith("\n"):
                    self.look(json.loads(line), self.kill_it)


def _watch(argv: Sequence[str], folder: Path, seconds: float, look: Look) -> Done:
    read, write = os.pipe()
    variables = {"STACKWRIGHT_EVENTS_FD": str(write), "ANSIBLE_CALLBACKS_ENABLED": "stackwright_events"}
    with tempfile.TemporaryFile() as output:
        process = _start(argv, folder, output, variables, (write,))
        os.close(write)
        reader = threading.Thread(target=_Events(look, lambda: _kill(process)).read, args=(read,), daemon=True)
        reader.start()
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise CommandError(f"{shlex.join(argv)}: no end within {seconds:.0f} s\n{_tail(_text(output))}") from None
        # A process of the run that outlives it may hold the pipe open.
        reader.join(timeout=10)
        return Done(code=code, output=_text(output))


class _Process(subprocess.Popen[bytes]):
    """A command; `mark` is in its environment and in that of all processes that it starts."""

    mark = b""


def _start(
    argv: Sequence[str], folder: Path, output: IO[bytes], variables: Mapping[str, str], descriptors: Sequence[int]
) -> _Process:
    mark = f"STACKWRIGHT_RUN={uuid.uuid4().hex}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    # A test that proves that a converge changes nothing has to run the converge.
    plain = {"NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1", "STACKWRIGHT_REPLAY": "0"}
    # A variable of pytest itself, which changes from test to test.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    # Not through a pipe: ssh's shared connections outlive the command and would hold it open.
    process = _Process(
        argv,
        cwd=folder,
        env={**inherited, "PATH": path, **plain, **variables, **dict([mark.split("=")])},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=tuple(descriptors),
        start_new_session=True,
    )
    process.mark = mark.encode()
    return process


def _kill(process: _Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # Ansible's workers have sessions of their own and would finish their task.
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.mark in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)


def _text(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")


def _tail(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines()[-_SHOWN_LINES:])
