#!/usr/bin/python3
"""Back up the files of this host, prune the repositories, and tell how old the backups are. Managed by stackwright.

backup_tool.py init        makes the repository of this host's files if there is none
backup_tool.py files       backs up every set; fails if one of them fails, after all were tried
backup_tool.py prune       removes old snapshots and checks the repositories (on the repository host)
backup_tool.py status      JSON of the age of every backup; exit code 1 if one is missing or too old
backup_tool.py restic ...  restic with the login of this host, which is on no command line
backup_tool.py test-pgbackrest FILE  fails if pgBackRest refuses this configuration
"""

from __future__ import annotations

import datetime as dt
import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path("/etc/stackwright/backup")
#: restic would ask a repository that is away for a quarter of an hour.
ANSWER_SECONDS = 60


# The codes of pgBackRest's errors about options; a key that it does not know is only a warning to it.
OPTION_ERROR = re.compile(r"ERROR: \[03[1-8]\]|WARN: configuration file contains")


class BackupError(Exception):
    """An error to show without a traceback."""


def config() -> dict[str, Any]:
    return dict(json.loads((FOLDER / "backup.json").read_text()))


def run(
    *command: str, user: str | None = None, environment: dict[str, str] | None = None, seconds: int | None = None
) -> str:
    """Standard output of a command, as another user and within `seconds` if wanted; its errors on failure."""
    account: dict[str, Any] = {}
    if user and os.geteuid() == 0:
        account = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    try:
        done = subprocess.run(
            command,
            text=True,
            capture_output=True,
            check=False,
            cwd="/",
            env={**os.environ, **(environment or {})},
            timeout=seconds,
            **account,
        )
    except subprocess.TimeoutExpired:
        raise BackupError(f"{Path(command[0]).name}: no answer within {seconds} s") from None
    if done.returncode:
        message = (done.stderr.strip() + "\n" + done.stdout.strip()).strip().splitlines()[-20:]
        raise BackupError(f"{Path(command[0]).name} failed ({done.returncode}): " + "\n".join(message))
    return str(done.stdout)


def login() -> dict[str, str]:
    return {
        "RESTIC_REPOSITORY_FILE": str(FOLDER / "repository"),
        "RESTIC_PASSWORD_FILE": str(FOLDER / "password"),
        "RESTIC_CACERT": str(config()["files"]["ca"]),
        "RESTIC_CACHE_DIR": "/var/cache/restic",
        "RESTIC_PROGRESS_FPS": "0.01",
    }


def init() -> None:
    try:
        run("restic", "cat", "config", environment=login())
        print("exists")
    except BackupError as error:
        # Code 10 since restic 0.17; before that only the message tells a missing repository from a wrong password.
        if "(10)" not in str(error) and "unable to open config file" not in str(error):
            raise
        run("restic", "init", environment=login())
        print("created")


def files() -> None:
    settings, failed = config(), []
    for each in settings["files"]["sets"]:
        try:
            if each["command"]:
                run(*shlex.split(each["command"]))
            exclude = [f"--exclude={pattern}" for pattern in each["exclude"]]
            options = [*settings["files"]["options"], f"--host={settings['host']}", f"--tag={each['name']}"]
            print(run("restic", "backup", *options, *exclude, "--", *each["paths"], environment=login()))
        except BackupError as error:
            failed.append(f"{each['name']}: {error}")
    if failed:
        raise BackupError("\n".join(failed))


def local(name: str, *command: str) -> str:
    """The output of restic on the repository of a client, on the repository host."""
    directory = config()["repository"]["directory"]
    where = [f"--repo={directory}/{name}", f"--password-file={FOLDER}/clients/{name}", "--no-cache"]
    return run("restic", *where, *command, user="restic")


def prune() -> None:
    repository, failed = config()["repository"], []
    for name in repository["clients"]:
        if not (Path(repository["directory"]) / name / "config").exists():
            continue
        keep = [f"--keep-{period}={count}" for period, count in repository["keep"].items()]
        try:
            print(local(name, "forget", *repository["options"], *keep, "--group-by=host,tags", "--prune", "--quiet"))
            local(name, "check", *repository["options"])
        except BackupError as error:
            failed.append(f"{name}: {error}")
    if failed:
        raise BackupError("\n".join(failed))


def newest(snapshots: list[dict[str, Any]]) -> dict[str, float]:
    """Time of the newest snapshot per tag."""
    times: dict[str, float] = {}
    for each in snapshots:
        when = dt.datetime.fromisoformat(each["time"]).timestamp()
        for tag in each.get("tags") or ["untagged"]:
            times[tag] = max(times.get(tag, 0), when)
    return times


def check(kind: str, name: str, hours: int, when: float | None, detail: str = "") -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC).timestamp()
    age = None if when is None else max(0, round(now - when))
    return {
        "kind": kind,
        "name": name,
        "ok": age is not None and age <= hours * 3600,
        "age_seconds": age,
        "max_age_seconds": hours * 3600,
        "detail": detail or ("" if age is not None else "there is none"),
    }


def of_postgresql(settings: dict[str, Any]) -> list[dict[str, Any]]:
    stanza, hours = settings["stanza"], settings["max_age_hours"]
    command = ["pgbackrest", f"--stanza={stanza}", "--output=json", "--log-level-file=off", "info"]
    try:
        found = json.loads(run(*command, user="postgres", seconds=ANSWER_SECONDS))[0]
    except BackupError as error:
        return [check("postgresql", stanza, hours, None, str(error))]
    good = [each["timestamp"]["stop"] for each in found.get("backup", []) if not each.get("error")]
    detail = "" if found["status"]["code"] == 0 else found["status"]["message"]
    return [check("postgresql", stanza, hours, max(good) if good and not detail else None, detail)]


def of_files(settings: dict[str, Any]) -> list[dict[str, Any]]:
    hours, sets = settings["max_age_hours"], [each["name"] for each in settings["sets"]]
    listing = ["restic", "snapshots", "--json", "--no-lock"]
    try:
        times = newest(json.loads(run(*listing, environment=login(), seconds=ANSWER_SECONDS)))
    except BackupError as error:
        return [check("files", name, hours, None, str(error)) for name in sets]
    return [check("files", name, hours, times.get(name)) for name in sets]


def of_clients(settings: dict[str, Any]) -> list[dict[str, Any]]:
    checks, hours = [], settings["max_age_hours"]
    for client in settings["clients"]:
        # A login that was never used: whether that host should have used it is what its own status says.
        if not (Path(settings["directory"]) / client).exists():
            continue
        try:
            times = newest(json.loads(local(client, "snapshots", "--json", "--no-lock")))
        except BackupError as error:
            checks.append(check("client", client, hours, None, str(error)))
            continue
        checks += [check("client", f"{client}/{tag}", hours, when) for tag, when in sorted(times.items())]
        if not times:
            checks.append(check("client", client, hours, None))
    return checks


def status() -> int:
    settings, checks = config(), []
    for key, collect in (("postgresql", of_postgresql), ("files", of_files), ("repository", of_clients)):
        if settings[key]:
            checks += collect(settings[key])
    good = all(each["ok"] for each in checks)
    print(json.dumps({"host": settings["host"], "ok": good, "checks": checks}, indent=2))
    return 0 if good else 1


def test_pgbackrest(path: Path) -> None:
    """Let pgBackRest load a copy: the real one is readable by root and postgres alone."""
    folder = Path(tempfile.mkdtemp(prefix="pgbackrest-test-"))
    copy = folder / "pgbackrest.conf"
    copy.touch(0o600)
    try:
        for each in (folder, copy):
            shutil.chown(each, "postgres", "postgres")
        copy.write_text(path.read_text())
        stanza = next(line.strip("[]") for line in reversed(copy.read_text().split()) if line.startswith("["))
        options = [f"--config={copy}", f"--stanza={stanza}", f"--lock-path={folder}"]
        options += ["--log-level-file=off", "--reset-repo1-host", "--repo1-path=/nonexistent"]
        # Between them they know most options; both end at a repository that does not exist, before anything is done.
        for command in (["expire", "--dry-run"], ["archive-push", "--no-archive-async", "/nonexistent"]):
            try:
                answer = run("pgbackrest", *options, *command, user="postgres")
            except BackupError as error:
                answer = str(error)
            wrong = [line for line in answer.splitlines() if OPTION_ERROR.search(line)]
            if wrong:
                raise BackupError("pgBackRest refuses this configuration:\n" + "\n".join(wrong))
    finally:
        shutil.rmtree(folder)


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["init" | "files" | "prune" as verb]:
                {"init": init, "files": files, "prune": prune}[verb]()
            case ["status"]:
                return status()
            case ["restic", *rest]:
                os.execvpe("restic", ["restic", *rest], {**os.environ, **login()})
            case ["test-pgbackrest", path]:
                test_pgbackrest(Path(path))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except BackupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
