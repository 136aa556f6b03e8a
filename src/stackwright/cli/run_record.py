"""The lock that allows one run per environment on this machine, and the record of a run that did not finish."""

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
    """Another run holds the environment's lock; the message says whose."""


class RunRecord:
    """The position of a run in `.state/ENV/run.json`, updated while it runs and removed when it succeeds."""

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
        """Record the start of a phase of the command."""
        self._fields |= {"phase": phase, "play": None, "hosts": {}}
        self._write()

    def play(self, name: str) -> None:
        """Record the start of a play of the converge."""
        self._fields |= {"play": name}
        self._write()

    def position(self, hosts: dict[str, str]) -> None:
        """Record the current task of each host; write the file at most once a second."""
        self._fields["hosts"] = hosts
        if time.monotonic() - self._written > 1:
            self._write()

    def finish(self) -> None:
        """Remove the record, because the run has succeeded."""
        self._path.unlink(missing_ok=True)

    def stop(self) -> str:
        """Record where the run stopped, and return the position in words."""
        self._write()
        return position(self._fields)

    def _write(self) -> None:
        self._written = time.monotonic()
        state_files.write(self._path, json.dumps(self._fields) + "\n", mode=0o600)


def position(fields: dict[str, Any]) -> str:
    """Return the position of a run in words."""
    parts = [f"in {fields['phase']}"] if fields.get("phase") else ["before its first step"]
    if fields.get("play"):
        parts.append(f"play {fields['play']}")
    tasks: dict[str, list[str]] = {}
    for host, task in (fields.get("hosts") or {}).items():
        tasks.setdefault(task, []).append(host)
    # The task with the most hosts comes last: the other hosts are ahead or behind.
    if tasks:
        task, hosts = max(tasks.items(), key=lambda entry: len(entry[1]))
        parts.append(f"after task `{task}` on {', '.join(sorted(hosts))}")
    return ", ".join(parts)


@contextmanager
def exclusive(state_folder: Path, verb: str) -> Iterator[tuple[RunRecord, str | None]]:
    """Hold the environment's lock on this machine; yield the run record, and in words where a dead run stopped.

    Raise LockedError if another run holds the lock. The kernel releases the lock when the process ends.
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
