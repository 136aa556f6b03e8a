"""Runs commands for a measurement: their output goes to a log, and no command outlives its measurement."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackwright import processes, project

#: A command that hangs must not block the whole run.
LIMIT_SECONDS = 1800
_SHOWN_LINES = 30
_EVENTS = {"ANSIBLE_CALLBACKS_ENABLED": "stackwright_events", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}

#: Set for every ansible command, and so for all processes that it starts: its workers and shared SSH connections have
#: their own sessions and outlive it. They are found by this mark.
_MARK = ("STACKWRIGHT_RUN", uuid.uuid4().hex)

#: (time of reading, in seconds since 1970; the event that the callback `stackwright_events` wrote).
Event = tuple[float, dict[str, Any]]


class BenchError(RuntimeError):
    """Raised if a measurement could not be made; the message is for the user."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that succeeded."""

    seconds: float
    #: Standard output and standard error, combined.
    output: str
    events: tuple[Event, ...] = ()


def run(
    argv: Sequence[str],
    *,
    folder: Path,
    log: Path,
    variables: Mapping[str, str] | None = None,
    stdin: str = "",
    watch: bool = False,
) -> Finished:
    """Run a command to its end; raise BenchError with the end of its output if it fails.

    The command has its own session, which is killed as a whole if this process is interrupted. With `watch` it is an
    ansible-playbook, whose progress events are recorded.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab+") as file:
        file.write(f"\n$ {shlex.join(argv)}\n".encode())
        file.flush()
        begin = file.tell()
        code, seconds, events = _run(argv, folder, file.fileno(), variables or {}, stdin, watch=watch)
        file.seek(begin)
        output = file.read().decode(errors="replace")
    if code != 0:
        tail = "\n".join(f"  | {line}" for line in output.splitlines()[-_SHOWN_LINES:])
        raise BenchError(f"`{shlex.join(argv)[:300]}` ended with {code}; all of it: {log}\n{tail}")
    return Finished(seconds=seconds, output=output, events=tuple(events))


def _run(
    argv: Sequence[str], folder: Path, output: int, variables: Mapping[str, str], stdin: str, *, watch: bool
) -> tuple[int, float, list[Event]]:
    events: list[Event] = []
    environment = {**os.environ, "PATH": search_path(), **variables}
    if argv[0].startswith("ansible"):
        environment |= dict([_MARK])
    descriptors: tuple[int, ...] = ()
    reader = None
    if watch:
        read, write = os.pipe()
        environment |= _EVENTS | {"STACKWRIGHT_EVENTS_FD": str(write)}
        descriptors = (write,)
        reader = threading.Thread(target=_read, args=(read, events), daemon=True)
    started = time.monotonic()
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=descriptors,
        start_new_session=True,
        # An interruption may come before the `try` below, or be one that cannot be caught.
        preexec_fn=processes.child_setup(),  # noqa: PLW1509 - one call of the kernel
    )
    for descriptor in descriptors:
        os.close(descriptor)
    if reader:
        reader.start()
    try:
        process.communicate(stdin.encode(), timeout=LIMIT_SECONDS)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        end_marked()
        raise
    seconds = time.monotonic() - started
    if reader:
        # A shared SSH connection outlives the run and may hold the pipe open.
        reader.join(timeout=10)
    return process.returncode, seconds, events


def end_marked() -> None:
    """End the processes that ansible has left running for hosts that are being removed, or are gone."""
    mark = "=".join(_MARK).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)


def _read(descriptor: int, events: list[Event]) -> None:
    with os.fdopen(descriptor) as lines:
        # A killed run leaves an incomplete line.
        events.extend((time.time(), json.loads(line)) for line in lines if line.endswith("\n"))


def search_path() -> str:
    """Return PATH with the programs of this interpreter's environment and those that set-up built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    first = [str(Path(sys.executable).parent), str(cache / "stackwright" / "bin")]
    return os.pathsep.join([*first, os.environ.get("PATH", os.defpath)])


def results_folder() -> Path:
    """Return the directory for samples, logs and downloaded packages; git ignores it."""
    return Path(__file__).resolve().parents[1] / ".state" / "bench"


def checkout() -> Path:
    """Return the project that is measured, regardless of a temporary STACKWRIGHT_ROOT."""
    return Path(project.__file__).resolve().parents[2]
