"""Backups of this host's files with restic and, on the repository host, the repositories of all hosts."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import shlex
import shutil
import ssl
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from stackwright_backup import snapshots
from stackwright_backup.shell import (
    ANSWER_SECONDS,
    FOLDER,
    BackupError,
    age_check,
    check,
    config,
    now,
    run,
    service_check,
    space_check,
)

#: Each daily check reads one of this many parts of restic's data, so that all data is read in a week.
PARTS = 7
#: The largest accepted difference between the clocks of two hosts.
CLOCK_SECONDS = 60


def login() -> dict[str, str]:
    return {
        "RESTIC_REPOSITORY_FILE": str(FOLDER / "repository"),
        "RESTIC_PASSWORD_FILE": str(FOLDER / "password"),
        "RESTIC_CACERT": str(config()["files"]["ca"]),
        "RESTIC_CACHE_DIR": "/var/cache/restic",
        "RESTIC_PROGRESS_FPS": "0.01",
    }


def is_missing(error: BackupError) -> bool:
    """Return whether restic failed because the repository does not exist: code 10 since 0.17, a message before that."""
    return "(10)" in str(error) or "unable to open config file" in str(error)


def init(*, dry_run: bool = False) -> None:
    try:
        run("restic", "cat", "config", "--no-lock", environment=login())
        print("exists")
    except BackupError as error:
        if not is_missing(error):
            raise
        if not dry_run:
            run("restic", "init", environment=login())
        print("created")


def backup() -> None:
    settings, failures = config(), []
    for entry in settings["files"]["sets"]:
        try:
            if entry["command"]:
                run(*shlex.split(entry["command"]))
            exclude = [f"--exclude={pattern}" for pattern in entry["exclude"]]
            options = [*settings["files"]["options"], f"--host={settings['host']}", f"--tag={entry['name']}"]
            print(run("restic", "backup", *options, *exclude, "--", *entry["paths"], environment=login()))
        except BackupError as error:
            failures.append(f"{entry['name']}: {error}")
    if failures:
        raise BackupError("\n".join(failures))


# --- on the repository host -----------------------------------------------------------------------------------------


def local(client: str, *command: str) -> str:
    """Return the output of restic on the repository of a client."""
    directory = config()["repository"]["directory"]
    where = [f"--repo={directory}/{client}", f"--password-file={FOLDER}/clients/{client}", "--no-cache"]
    return run("restic", *where, *command, user="restic")


def clients() -> list[str]:
    """Return the hosts that have a repository. Whether a host should have one is part of the host's own status."""
    repository = config()["repository"]
    return [name for name in repository["clients"] if (Path(repository["directory"]) / name / "config").exists()]


def listing(client: str) -> list[snapshots.Snapshot]:
    """Return the snapshots of a client, with the time at which they arrived on this host."""
    folder = Path(config()["repository"]["directory"]) / client / "snapshots"
    arrivals = {path.name: path.stat().st_mtime for path in folder.iterdir()}
    return snapshots.parse(json.loads(local(client, "snapshots", "--json", "--no-lock")), arrivals)


def prune() -> None:
    repository, failures = config()["repository"], []
    for client in clients():
        try:
            surplus = snapshots.to_remove(listing(client), repository["keep"], now())
            if surplus:
                print(local(client, "forget", *repository["options"], *(entry.id for entry in surplus), "--quiet"))
            print(local(client, "prune", *repository["options"], "--quiet"))
            local(client, "check", *repository["options"])
            remove_old_keys(client)
        except BackupError as error:
            failures.append(f"{client}: {error}")
    if failures:
        raise BackupError("\n".join(failures))


def remove_old_keys(client: str) -> None:
    """Remove all unused keys of a repository; a rotation leaves the old ones so that running backups can finish."""
    for key in json.loads(local(client, "key", "list", "--json", "--no-lock")):
        if not key["current"]:
            local(client, "key", "remove", key["id"])


def rekey(*, dry_run: bool = False) -> None:
    """Change the key of each repository to the requested one; complete what an interrupted run left undone."""
    repository = config()["repository"]
    for client in repository["clients"]:
        requested, current = FOLDER / "requested" / client, FOLDER / "clients" / client
        text = requested.read_text()
        if current.exists() and current.read_text() == text:
            continue
        if dry_run:
            print(f"changed {client}")
            continue
        if current.exists() and (Path(repository["directory"]) / client / "config").exists():
            with tempfile.TemporaryDirectory() as folder:
                # The user restic has to be able to read it.
                Path(folder).chmod(0o700)
                password = Path(folder) / "password"
                password.touch(0o600)
                password.write_text(text)
                for path in (Path(folder), password):
                    shutil.chown(path, "restic", "restic")
                local(client, "key", "add", f"--new-password-file={password}")
        partial = current.with_suffix(".new")
        partial.touch(0o600)
        partial.write_text(text)
        shutil.chown(partial, "restic", "restic")
        partial.rename(current)
        print(f"changed {client}")


def verify(*, everything: bool) -> list[dict[str, Any]]:
    """Return a check of each repository, after reading all of its data or today's part of it."""
    part = int(now() // 86_400) % PARTS + 1
    read = "--read-data" if everything else f"--read-data-subset={part}/{PARTS}"
    checks = []
    for client in clients():
        try:
            local(client, "check", *config()["repository"]["options"], read)
            checks.append(check("files", client))
        except BackupError as error:
            checks.append(check("files", client, str(error)))
    return checks


# --- status ---------------------------------------------------------------------------------------------------------


def client_status() -> list[dict[str, Any]]:
    """Return the checks of the backups of this host's files."""
    settings = config()["files"]
    hours, sets = settings["max_age_hours"], [entry["name"] for entry in settings["sets"]]
    command = ["restic", "snapshots", "--json", "--no-lock"]
    try:
        entries = snapshots.parse(json.loads(run(*command, environment=login(), seconds=ANSWER_SECONDS)))
    except (BackupError, ValueError) as error:
        return [age_check("files", name, hours, None, str(error)) for name in sets]
    times = {name: [entry.dated for entry in entries if entry.tag == name] for name in sets}
    return [age_check("files", name, hours, max(times[name], default=None)) for name in sets]


def repository_status() -> list[dict[str, Any]]:
    """Return the checks of the repositories of all hosts."""
    settings = config()["repository"]
    hours = settings["max_age_hours"]
    checks = [service_check("restic-server.service"), space_check(settings["directory"])]
    for client in clients():
        try:
            entries = listing(client)
        except (BackupError, OSError, ValueError) as error:
            checks.append(age_check("client", client, hours, None, str(error)))
            continue
        for tag in sorted({entry.tag for entry in entries}):
            group = [entry for entry in entries if entry.tag == tag]
            problem = snapshots.problems(group, settings["every_hours"], now())
            newest = max((entry.arrived for entry in group if not snapshots.misdated(entry)), default=None)
            checks.append(age_check("client", f"{client}/{tag}", hours, newest, problem))
        if not entries:
            checks.append(age_check("client", client, hours, None))
    return checks


def clock_status() -> list[dict[str, Any]]:
    """Return the check that compares this host's clock with that of the repository host."""
    settings = config()["clock"]
    context = ssl.create_default_context(cafile=settings["ca"])
    try:
        with urllib.request.urlopen(settings["url"], context=context, timeout=10) as answer:
            date = answer.headers["Date"]
    except urllib.error.HTTPError as error:
        date = error.headers["Date"]
    except OSError as error:
        return [check("clock", config()["host"], f"cannot compare it with the repository host: {error}")]
    apart = round(now() - email.utils.parsedate_to_datetime(date).astimezone(dt.UTC).timestamp())
    problem = ""
    if abs(apart) > CLOCK_SECONDS:
        direction = "ahead of" if apart > 0 else "behind"
        problem = f"{abs(apart)} s {direction} the clock of the repository host; must be at most {CLOCK_SECONDS} s"
    return [check("clock", config()["host"], problem, seconds_ahead=apart)]
