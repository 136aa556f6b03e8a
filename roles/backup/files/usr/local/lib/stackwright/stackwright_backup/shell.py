"""Settings, the running of commands, and the data structure of a check."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path("/etc/stackwright/backup")
#: State that is kept between runs.
STATE = Path("/var/lib/stackwright-backup")
#: Without a limit, restic would wait a quarter of an hour for an unreachable repository.
ANSWER_SECONDS = 60
#: The status is bad if less free space is left than this share of the disk or these bytes, whichever is less.
FREE_PERCENT = 10
FREE_BYTES = 20 * 2**30


class BackupError(Exception):
    """An error that is shown without a traceback."""


def config() -> dict[str, Any]:
    return dict(json.loads((FOLDER / "backup.json").read_text()))


def now() -> float:
    return dt.datetime.now(dt.UTC).timestamp()


def utc(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def run(
    *command: str,
    user: str | None = None,
    environment: dict[str, str] | None = None,
    seconds: int | None = None,
    accept: tuple[int, ...] = (0,),
) -> str:
    """Return the standard output of a command, run as `user` and within `seconds` if given, or raise BackupError."""
    account: dict[str, Any] = {}
    if user and os.geteuid() == 0:
        account = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    try:
        process = subprocess.run(
            command,
            text=True,
            # The message may quote a file that was decrypted with a wrong key, which is not valid text.
            errors="replace",
            capture_output=True,
            check=False,
            cwd="/",
            env={**os.environ, **(environment or {})},
            timeout=seconds,
            **account,
        )
    except subprocess.TimeoutExpired:
        raise BackupError(f"{Path(command[0]).name}: no answer within {seconds} s") from None
    if process.returncode not in accept:
        text = (process.stderr.strip() + "\n" + process.stdout.strip()).strip()
        lines = [_words(line) for line in text.splitlines()[-20:]]
        raise BackupError(f"{Path(command[0]).name} failed ({process.returncode}): " + "\n".join(lines))
    return str(process.stdout)


def _words(line: str) -> str:
    """Return one line of error output as text; restic writes errors as JSON when JSON output is requested."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        line = str(json.loads(line)["message"])
    return "".join(char for char in line if char.isprintable())


def check(kind: str, name: str, problem: str = "", **values: Any) -> dict[str, Any]:
    """Return one check of the status; an empty `problem` means that the check passed."""
    return {"kind": kind, "name": name, "ok": not problem, "detail": problem, **values}


def age_check(kind: str, name: str, hours: int, when: float | None, detail: str = "") -> dict[str, Any]:
    """Return the check of the age of a backup."""
    age = None if when is None else round(now() - when)
    problem = detail
    if not problem and (when is None or age is None):
        problem = "there is no backup"
    elif not problem and when is not None and age is not None and age < -FUTURE_SECONDS:
        problem = f"dated {utc(when)}, in the future: a clock is ahead, or somebody forged it"
    elif not problem and age is not None and age > hours * 3600:
        problem = f"the newest backup is {age // 3600} h old; must be at most {hours} h"
    return check(kind, name, problem, age_seconds=age, max_age_seconds=hours * 3600)


#: A date may be this far ahead of this host's clock.
FUTURE_SECONDS = 3600


def space_check(path: str) -> dict[str, Any]:
    """Return the check of the free space on the disk of `path`."""
    try:
        usage = shutil.disk_usage(path)
    except OSError as error:
        return check("space", path, f"cannot read the free space: {error.strerror}")
    least = min(usage.total * FREE_PERCENT // 100, FREE_BYTES)
    free, needed = usage.free // 2**20, least // 2**20
    problem = f"{free} MiB free; must be at least {needed} MiB" if usage.free < least else ""
    return check("space", path, problem, free_bytes=usage.free, min_free_bytes=least)


def service_check(unit: str) -> dict[str, Any]:
    """Return the check that a server on this host is running."""
    try:
        run("systemctl", "is-active", "--quiet", unit, seconds=ANSWER_SECONDS)
    except BackupError:
        return check("service", unit, f"{unit} is not running")
    return check("service", unit)


def report(checks: list[dict[str, Any]], host: str) -> dict[str, Any]:
    """Return the document that `backup-status` and `backup-verify` print; docs/how-to/restore.md describes it."""
    problems = [f"{entry['kind']} {entry['name']}: {entry['detail']}" for entry in checks if not entry["ok"]]
    return {"host": host, "ok": not problems, "problems": problems, "checks": checks}
