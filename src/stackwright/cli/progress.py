"""Output while native tools run: phases with their duration, one line per host, and one log file for the rest."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stackwright import processes, state_files
from stackwright.cli.run_record import LockedError, RunRecord
from stackwright.infra import engine


@dataclass
class HostProgress:
    """The progress of one host."""

    done: int = 0
    task: str = ""
    """The last task that has ended."""
    current: str = ""
    """The running task; empty between two tasks."""
    since: float = 0.0
    """When the running task began, by the monotonic clock."""
    changes: Counter[str] = field(default_factory=Counter)
    """Changed results by role, or by play for a task outside of a role."""
    failure: dict[str, str] | None = None

    @property
    def changed(self) -> int:
        """Return the number of changed results."""
        return self.changes.total()


@dataclass
class Recap:
    """The outcome of a run of ansible-playbook."""

    code: int
    hosts: dict[str, HostProgress] = field(default_factory=dict)
    play: str = ""
    #: The description of the run that holds the lock of the hosts.
    locked: str | None = None

    @property
    def changed(self) -> int:
        return sum(host.changed for host in self.hosts.values())

    @property
    def changes(self) -> list[tuple[str, str]]:
        """Return each host that changed, with the number of changes by role."""
        return [
            (name, ", ".join(f"{role} {count}" for role, count in host.changes.items()))
            for name, host in sorted(self.hosts.items())
            if host.changes
        ]

    @property
    def failures(self) -> list[tuple[str, dict[str, str]]]:
        return [(name, host.failure) for name, host in sorted(self.hosts.items()) if host.failure]


class CommandFailedError(RuntimeError):
    """A native command failed; the message is meant for the user."""


#: The log and one older file are kept: a converge with all its output writes about 2 MB.
_LOG_BYTES = 20 * 1024 * 1024


class Runner:
    """Runs native commands, prints each before it runs, and keeps their output in one log file."""

    def __init__(self, console: Console, log: Path, *, verbose: bool) -> None:
        self.console, self.log, self.verbose = console, log, verbose
        self.record: RunRecord | None = None
        open_log(log)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run the block as a named phase and print its duration at the end."""
        self.console.print(Text(name, style="bold"))
        if self.record is not None:
            self.record.enter(name)
        started = time.monotonic()
        yield
        self.console.print(Text(f"  done in {time.monotonic() - started:.0f} s", style="green"))

    def say(self, argv: Sequence[str], folder: str | None = None) -> None:
        """Print the native command, so that it can be repeated by hand."""
        shown = shlex.join(argv)
        self.console.print(Text(f"  $ {f'cd {folder} && ' if folder else ''}{shown}", style="dim"), soft_wrap=True)

    def run(self, argv: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> None:
        """Run a command to its end; its output goes to the log (and to the terminal if verbose)."""
        self.say(argv, folder.name if folder else None)
        with self.log.open("ab") as file:
            file.write(f"\n$ {shlex.join(argv)}\n".encode())
            file.flush()
            start = file.tell()
            code = self._wait(argv, environment, file, folder)
        if code != 0:
            if not self.verbose:
                tail = self.log.read_bytes()[start:].decode(errors="replace").splitlines()[-30:]
                self.console.print(Text("\n".join(f"  | {line}" for line in tail)), soft_wrap=True)
            raise CommandFailedError(f"`{argv[0]} {argv[1] if len(argv) > 1 else ''}` failed with exit code {code}")

    def _wait(
        self, argv: Sequence[str], environment: Mapping[str, str], file: IO[bytes], folder: Path | None = None
    ) -> int:
        with self._child(argv, environment, file, folder=folder) as process:
            return process.wait()

    @contextmanager
    def _child(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        file: IO[bytes],
        *,
        folder: Path | None = None,
        pass_fds: Sequence[int] = (),
        with_terminal: bool = True,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a child process that does not outlive this process; an interruption of the block ends it.

        A child whose output is shown may use the terminal; any other has its own process group.
        """
        own_group = not (self.verbose and with_terminal)
        output = None if self.verbose else file
        process = subprocess.Popen(
            argv,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL if own_group else None,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            pass_fds=pass_fds,
            process_group=0 if own_group else None,
            preexec_fn=processes.child_setup(),  # noqa: PLW1509 - one call of the kernel, before any thread starts
        )
        try:
            yield process
        except BaseException:
            processes.stop(process, own_group=own_group)
            raise

    def pulumi(self, *commands: engine.Command) -> None:
        """Run Pulumi commands one after the other."""
        for command in commands:
            engine.remember_machine(command.variables["PULUMI_STACK"])
            self.run(command.argv, {**os.environ, **command.variables}, command.folder)

    def converge(self, argv: Sequence[str], environment: Mapping[str, str]) -> Recap:
        """Run ansible-playbook and show one line per host."""
        recap = Recap(code=0)
        with self._events(argv, environment) as (events, process):
            if self.console.is_terminal and not self.verbose:
                self._show_live(events, recap)
            else:
                self._show_lines(events, recap)
            recap.code = process.wait()
        if recap.locked:
            raise LockedError(recap.locked)
        return recap

    def results(self, argv: Sequence[str], environment: Mapping[str, str], seconds: float) -> list[dict[str, Any]]:
        """Run ansible-playbook and return the result of each task and host; a failure is part of the results.

        Raise CommandFailedError if it has not ended after `seconds`.
        """
        with self._events(argv, environment) as (events, process):
            late = threading.Event()

            def end() -> None:
                late.set()
                # This closes the event stream.
                processes.stop(process, own_group=True)

            limit = threading.Timer(seconds, end)
            limit.start()
            try:
                results = [event for event in _read(events) if event["event"] == "result"]
                process.wait()
            finally:
                limit.cancel()
        if late.is_set():
            raise CommandFailedError(f"not all hosts answered within {seconds:.0f} s; detail: {self.log}")
        return results

    @contextmanager
    def _events(
        self, argv: Sequence[str], environment: Mapping[str, str]
    ) -> Iterator[tuple[IO[str], subprocess.Popen[bytes]]]:
        """Start ansible-playbook; yield the stream that `stackwright_events` writes, and the process."""
        self.say(argv)
        read, write = os.pipe()
        process_environment = dict(environment) | {
            "STACKWRIGHT_EVENTS_FD": str(write),
            "ANSIBLE_CALLBACKS_ENABLED": "stackwright_events",
            "ANSIBLE_FORCE_COLOR": "0",
        }
        with (
            os.fdopen(read) as events,
            self.log.open("ab") as file,
            self._child(argv, process_environment, file, pass_fds=(write,), with_terminal=False) as process,
        ):
            os.close(write)
            yield events, process

    def _note(self, event: Mapping[str, Any], recap: Recap) -> None:
        """Record the position of the converge in the run record."""
        if self.record is None:
            return
        if event["event"] == "play":
            self.record.play(event["name"])
        self.record.position({name: host.task for name, host in recap.hosts.items()})

    def _show_live(self, events: IO[str], recap: Recap) -> None:
        started = time.monotonic()
        done = threading.Event()
        with Live(console=self.console, refresh_per_second=4, transient=False) as live:

            def draw() -> None:
                while not done.wait(0.25):
                    live.update(_table(recap, started))

            painter = threading.Thread(target=draw, daemon=True)
            painter.start()
            try:
                for event in _read(events):
                    _apply(event, recap)
                    self._note(event, recap)
            finally:
                done.set()
                painter.join()
            live.update(_table(recap, started))

    def _show_lines(self, events: IO[str], recap: Recap) -> None:
        started, play = time.monotonic(), ""
        for event in _read(events):
            _apply(event, recap)
            if event["event"] == "task" and recap.play != play:
                play = recap.play
                self.console.print(f"  {time.monotonic() - started:5.0f} s  {play}")
            self._note(event, recap)
        for name, host in sorted(recap.hosts.items()):
            self.console.print(f"  {name:<12} {host.done:>4} tasks  {host.changed:>4} changed")


def open_log(log: Path) -> None:
    """Make the log readable by its owner only, and start a new one if it has grown large."""
    state_files.create_folder(log.parent.parent)
    log.parent.mkdir(mode=0o700, exist_ok=True)
    if log.is_file() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    log.touch(mode=0o600)
    for path in log.parent.glob(f"{log.name}*"):
        path.chmod(0o600)


def _read(events: IO[str]) -> Iterator[dict[str, Any]]:
    for line in events:
        yield json.loads(line)


def _apply(event: dict[str, Any], recap: Recap) -> None:
    if event["event"] == "reason" and event["host"] in recap.hosts:
        failure = recap.hosts[event["host"]].failure
        if failure is not None:
            failure["message"] = event["message"]
    if event["event"] == "stats":
        for name, host in recap.hosts.items():
            # A failure that a `rescue` handled is not a failure of the run.
            if not any(event["hosts"].get(name, {}).get(count) for count in ("failures", "unreachable")):
                host.failure = None
    if event["event"] == "play":
        recap.play = event["name"]
    if event["event"] not in ("start", "result"):
        return
    host = recap.hosts.setdefault(event["host"], HostProgress())
    if event["event"] == "start":
        host.current, host.since = event["task"], time.monotonic()
        return
    host.task, host.current = event["task"], ""
    host.done += event["status"] != "skipped"
    if event["status"] == "changed":
        role, separator, _ = event["task"].partition(" : ")
        host.changes[role if separator else recap.play] += 1
    if event["status"] in {"failed", "unreachable"}:
        host.failure = {"task": event["task"], "message": event["message"], "place": event["place"] or ""}
        if event.get("locked"):
            recap.locked = event["message"]


def _table(recap: Recap, started: float) -> Table:
    now = time.monotonic()
    table = Table(title=f"{recap.play}  {now - started:.0f} s", title_justify="left", box=None, pad_edge=False)
    for heading in ("host", "tasks", "changed", "now at", "s"):
        table.add_column(heading, justify="right" if heading in {"tasks", "changed", "s"} else "left", no_wrap=True)
    for name, host in sorted(recap.hosts.items()):
        at = (
            Text(f"failed: {host.failure['task']}", style="red")
            if host.failure
            else Text(host.current or host.task, style="dim")
        )
        seconds = f"{now - host.since:.0f}" if host.current and not host.failure else ""
        table.add_row(name, str(host.done), str(host.changed), at, seconds)
    return table
