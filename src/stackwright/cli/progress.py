"""What a person sees while native tools run: phases with their time, one line per host, one log file for the rest."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stackwright.infra import engine


@dataclass
class HostProgress:
    """How far one host is."""

    done: int = 0
    changed: int = 0
    task: str = ""
    failure: dict[str, str] | None = None


@dataclass
class Recap:
    """What a run of ansible-playbook came to."""

    code: int
    hosts: dict[str, HostProgress] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        return sum(host.changed for host in self.hosts.values())

    @property
    def failures(self) -> list[tuple[str, dict[str, str]]]:
        return [(name, host.failure) for name, host in sorted(self.hosts.items()) if host.failure]


class CommandFailedError(RuntimeError):
    """A native command ended with an error; the message is for a person."""


class Runner:
    """Runs native commands, prints each before it runs, and keeps their output in one log file."""

    def __init__(self, console: Console, log: Path, *, verbose: bool) -> None:
        self.console, self.log, self.verbose = console, log, verbose
        log.parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A named part of the work; its time is printed at its end."""
        self.console.print(Text(name, style="bold"))
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
            if self.verbose:
                code = subprocess.run(argv, env=dict(environment), cwd=folder, check=False).returncode
            else:
                start = file.tell()
                code = subprocess.run(
                    argv, env=dict(environment), cwd=folder, check=False, stdout=file, stderr=subprocess.STDOUT
                ).returncode
        if code != 0:
            if not self.verbose:
                tail = self.log.read_bytes()[start:].decode(errors="replace").splitlines()[-30:]
                self.console.print(Text("\n".join(f"  | {line}" for line in tail)), soft_wrap=True)
            raise CommandFailedError(f"`{argv[0]} {argv[1] if len(argv) > 1 else ''}` failed with exit code {code}")

    def attempt(self, argv: Sequence[str]) -> None:
        """Run a command whose failure is part of the answer."""
        self.say(argv)
        with self.log.open("ab") as file:
            subprocess.run(argv, check=False, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def pulumi(self, *commands: engine.Command) -> None:
        """Run Pulumi's commands one after the other."""
        for command in commands:
            self.run(command.argv, {**os.environ, **command.variables}, command.folder)

    def converge(self, argv: Sequence[str], environment: Mapping[str, str]) -> Recap:
        """Run ansible-playbook and show one line per host."""
        self.say(argv)
        read, write = os.pipe()
        process_environment = dict(environment) | {
            "STACKWRIGHT_EVENTS_FD": str(write),
            "ANSIBLE_CALLBACKS_ENABLED": "stackwright_events",
            "ANSIBLE_FORCE_COLOR": "0",
        }
        with self.log.open("ab") as file:
            output = None if self.verbose else file
            process = subprocess.Popen(
                argv, env=process_environment, pass_fds=(write,), stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
            os.close(write)
            recap = Recap(code=0)
            with os.fdopen(read) as events:
                if self.console.is_terminal and not self.verbose:
                    self._show_live(events, recap)
                else:
                    self._show_lines(events, recap)
            recap.code = process.wait()
        return recap

    def _show_live(self, events: IO[str], recap: Recap) -> None:
        started, plays = time.monotonic(), [""]
        done = threading.Event()
        with Live(console=self.console, refresh_per_second=4, transient=False) as live:

            def draw() -> None:
                while not done.wait(0.25):
                    live.update(_table(recap, plays[-1], time.monotonic() - started))

            painter = threading.Thread(target=draw, daemon=True)
            painter.start()
            for event in _read(events):
                if event["event"] == "play":
                    plays.append(event["name"])
                _apply(event, recap)
            done.set()
            painter.join()
            live.update(_table(recap, plays[-1], time.monotonic() - started))

    def _show_lines(self, events: IO[str], recap: Recap) -> None:
        started, play = time.monotonic(), ""
        for event in _read(events):
            if event["event"] == "play" and event["name"] != play:
                play = event["name"]
                self.console.print(f"  {time.monotonic() - started:5.0f} s  {play}")
            _apply(event, recap)
        for name, host in sorted(recap.hosts.items()):
            self.console.print(f"  {name:<12} {host.done:>4} tasks  {host.changed:>4} changed")


def _read(events: IO[str]) -> Iterator[dict[str, Any]]:
    for line in events:
        yield json.loads(line)


def _apply(event: dict[str, Any], recap: Recap) -> None:
    if event["event"] != "result":
        return
    host = recap.hosts.setdefault(event["host"], HostProgress())
    host.task = event["task"]
    host.done += event["status"] != "skipped"
    host.changed += event["status"] == "changed"
    if event["status"] in {"failed", "unreachable"}:
        host.failure = {"task": event["task"], "message": event["message"], "place": event["place"] or ""}


def _table(recap: Recap, play: str, seconds: float) -> Table:
    table = Table(title=f"{play}  {seconds:.0f} s", title_justify="left", box=None, pad_edge=False)
    for heading in ("host", "tasks", "changed", "now at"):
        table.add_column(heading, justify="right" if heading in {"tasks", "changed"} else "left", no_wrap=True)
    for name, host in sorted(recap.hosts.items()):
        now = Text(f"failed: {host.failure['task']}", style="red") if host.failure else Text(host.task, style="dim")
        table.add_row(name, str(host.done), str(host.changed), now)
    return table
