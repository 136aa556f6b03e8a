"""One run at a time of an environment on this machine, and what the next one has to know of a run that did not end."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stackwright import state_files


class LockedError(RuntimeError):
    """Another run is at work on the environment; the message says whose."""


class RunRecord:
    """Where a run is: `.state/ENV/run.json`, written as it goes on and removed when it ends well."""

    def __init__(self, path: Path, verb: str) -> None:
        self._path, self.verb = path, verb
        self._fields: dict[str, Any] = {
            "verb": verb,
            "user": getpass.getuser(),
            "pid": os.getpid(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        }
        self._write()

    def enter(self, phase: str) -> None:
        """A phase of the verb begins."""
        self._fields |= {"phase": phase, "play": None, "hosts": {}}
        self._write()

    def play(self, name: str) -> None:
        """A play of the converge begins."""
        self._fields |= {"play": name}
        self._write()

    def position(self, hosts: dict[str, str]) -> None:
        """Each host has come to a task; written once a second at most."""
        self._fields["hosts"] = hosts
        if time.monotonic() - self._written > 1:
            self._write()

    def finish(self) -> None:
        """The run has ended well."""
        self._path.unlink(missing_ok=True)

    def stop(self) -> str:
        """Write down where the run stopped, and return it in words."""
        self._write()
        return position(self._fields)

    def _write(self) -> None:
        self._written = time.monotonic()
        state_files.write(self._path, json.dumps(self._fields) + "\n", mode=0o600)


def position(fields: dict[str, Any]) -> str:
    """Return in words where a run is or was."""
    parts = [f"in {fields['phase']}"] if fields.get("phase") else ["before its first step"]
    if fields.get("play"):
        parts.append(f"play {fields['play']}")
    tasks: dict[str, list[str]] = {}
    for host, task in (fields.get("hosts") or {}).items():
        tasks.setdefault(task, []).append(host)
    # The task that most hosts are at comes last: the others had gone ahead or stay behind.
    if tasks:
        task, hosts = max(tasks.items(), key=lambda entry: len(entry[1]))
        parts.append(f"after task `{task}` on {', '.join(sorted(hosts))}")
    return ", ".join(parts)


@contextmanager
def exclusive(state_folder: Path, verb: str) -> Iterator[tuple[RunRecord, str | None]]:
    """Hold the environment's lock on this machine; yields the run's record, and what a dead run left, in words.

    Raises LockedError where another run holds it. The kernel takes the lock from a process that ends.
    """
    state_files.create_folder(state_folder)
    path = state_folder / "run.json"
    with (state_folder / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(path) or {}
            raise LockedError(
                f"{state_folder.name} is locked: `stackwright {holder.get('verb', '?')}` of {holder.get('user', '?')}"
                f" (process {holder.get('pid', '?')}) runs since {holder.get('since', '?')}, {position(holder)}.\n"
                "fix: wait for its end, or stop it with Ctrl-C there"
            ) from None
        earlier = _read(path)
        record = RunRecord(path, verb)
        yield record, None if earlier is None else _words(earlier)


def _words(fields: dict[str, Any]) -> str:
    return (
        f"`stackwright {fields.get('verb', '?')}` of {fields.get('user', '?')}, begun {fields.get('since', '?')},"
        f" did not finish: it stopped {position(fields)}"
    )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        fields = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
