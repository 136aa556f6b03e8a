"""Copies of the repositories, out of reach of the hosts that write to them: a protected one here, and one elsewhere.

Each copy is a restic repository with its own key. Only root can read the key and the files of the protected copy.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from stackwright_backup import files, snapshots
from stackwright_backup.shell import (
    ANSWER_SECONDS,
    FOLDER,
    STATE,
    BackupError,
    age_check,
    check,
    config,
    now,
    run,
    space_check,
)

SETTINGS = FOLDER / "copies"
PASSWORD = SETTINGS / "password"
#: If a backup ends while a copy is made, the copy is repeated, so that its list of backups matches its WAL.
TRIES = 3


def settings(name: str) -> dict[str, Any]:
    copies = dict(json.loads((SETTINGS / "copies.json").read_text()))
    if name not in copies:
        raise BackupError(f"no copy is called {name}; must be one of: {', '.join(sorted(copies))}")
    return dict(copies[name])


def names() -> list[str]:
    file = SETTINGS / "copies.json"
    return sorted(json.loads(file.read_text())) if file.exists() else []


def environment(name: str, password: Path = PASSWORD) -> dict[str, str]:
    copy = settings(name)
    return {
        **copy["environment"],
        "RESTIC_REPOSITORY": str(copy["repository"]),
        "RESTIC_PASSWORD_FILE": str(password),
        "RESTIC_CACHE_DIR": "/var/cache/restic",
        "RESTIC_PROGRESS_FPS": "0.01",
    }


def restic(name: str, *command: str, seconds: int | None = None, accept: tuple[int, ...] = (0,)) -> str:
    options = [word for option in settings(name)["options"] for word in ("-o", option)]
    return run("restic", *options, *command, environment=environment(name), seconds=seconds, accept=accept)


def _created(name: str) -> Path:
    return STATE / f"copy-{name}.created"


def init(name: str, *, dry_run: bool = False) -> None:
    """Create the repository of a copy once: a repository that has vanished is an error and is not created again."""
    marker, repository = _created(name), str(settings(name)["repository"])
    if marker.exists() and marker.read_text() == repository:
        return
    try:
        restic(name, "cat", "config", "--no-lock", seconds=ANSWER_SECONDS)
    except BackupError as error:
        if not files.is_missing(error):
            raise
        if not dry_run:
            restic(name, "init")
        print(f"created {name}")
    if not dry_run:
        marker.write_text(repository)


def copy(name: str) -> None:
    init(name)
    paths = [path for path in settings(name)["paths"] if Path(path).exists()]
    if not paths:
        return
    for _ in range(TRIES):
        before = _lists(paths)
        # 3: a file, such as expired WAL, vanished while it was read. The snapshot contains the other files.
        print(
            restic(
                name, "backup", *config()["copies"]["options"], "--host=copy", "--tag=copy", "--", *paths, accept=(0, 3)
            )
        )
        if _lists(paths) == before:
            break
    marker = STATE / f"copy-{name}.pruned"
    if not marker.exists() or now() - marker.stat().st_mtime > snapshots.DAY:
        prune(name)
        marker.touch()


def _lists(paths: list[str]) -> list[int]:
    """Return when each list of backups changed."""
    return [file.stat().st_mtime_ns for path in paths for file in sorted(Path(path).glob("backup/*/backup.info"))]


def listing(name: str, seconds: int | None = None) -> list[snapshots.Snapshot]:
    return snapshots.parse(json.loads(restic(name, "snapshots", "--json", "--no-lock", seconds=seconds)))


def prune(name: str) -> None:
    surplus = snapshots.to_remove(listing(name), settings(name)["keep"], now())
    options = config()["copies"]["options"]
    if surplus:
        restic(name, "forget", *options, *(entry.id for entry in surplus), "--quiet")
    restic(name, "prune", *options, "--quiet")
    for key in json.loads(restic(name, "key", "list", "--json", "--no-lock")):
        if not key["current"]:
            restic(name, "key", "remove", key["id"])


def rekey(*, dry_run: bool = False) -> None:
    """Change the key of the copies to the requested one."""
    requested = SETTINGS / "requested"
    text = requested.read_text()
    if PASSWORD.exists() and PASSWORD.read_text() == text:
        return
    print("changed copies")
    if dry_run:
        return
    if PASSWORD.exists():
        for name in names():
            if _created(name).exists():
                restic(name, "key", "add", f"--new-password-file={requested}")
    partial = PASSWORD.with_suffix(".new")
    partial.touch(0o600)
    partial.write_text(text)
    partial.rename(PASSWORD)


def status() -> list[dict[str, Any]]:
    checks = []
    for name in names():
        copy_settings = settings(name)
        hours = copy_settings["max_age_hours"]
        try:
            entries = listing(name, ANSWER_SECONDS)
        except (BackupError, ValueError) as error:
            checks.append(age_check("copy", name, hours, None, str(error)))
            continue
        checks.append(age_check("copy", name, hours, max((entry.dated for entry in entries), default=None)))
        if Path(copy_settings["repository"]).is_dir():
            checks.append(space_check(copy_settings["repository"]))
    return checks


def verify(*, everything: bool) -> list[dict[str, Any]]:
    checks = []
    for name in names():
        parts = settings(name)["parts"]
        read = "--read-data" if everything else f"--read-data-subset={int(time.time() // 86_400) % parts + 1}/{parts}"
        try:
            restic(name, "check", *config()["copies"]["options"], read)
            checks.append(check("copy", name))
        except BackupError as error:
            checks.append(check("copy", name, str(error)))
    return checks


def restore(name: str, snapshot: str, target: str, path: str) -> None:
    """Restore `path` of a copy below `target`."""
    print(restic(name, "restore", snapshot, "--host=copy", f"--include={path}", f"--target={target}"))


def execute(name: str, *command: str) -> None:
    options = [word for option in settings(name)["options"] for word in ("-o", option)]
    os.execvpe("restic", ["restic", *options, *command], {**os.environ, **environment(name)})
