#!/usr/bin/python3
"""Back up this host, maintain the repositories and report their status. Managed by stackwright.

backup_tool.py init                    create the repository of this host's files if there is none
backup_tool.py files                   back up every set of files; fail if one of them fails, after all were tried
backup_tool.py prune                   remove old snapshots and check the repositories (on the repository host)
backup_tool.py rekey                   change to the requested keys of the repositories (on the repository host)
backup_tool.py init-copy NAME          create the copy NAME if there is none (on the repository host)
backup_tool.py copy NAME               copy the repositories to the copy NAME (on the repository host)
backup_tool.py restore-copy NAME SNAPSHOT TARGET PATH  restore PATH of a copy below TARGET
backup_tool.py status [--recent]       print JSON about every backup; exit code 1 if there is a problem;
                                       --recent: print the last result again if it was good, at most 20 minutes ago
backup_tool.py verify [--all]          read the backups (a seventh of the files unless --all) and print JSON; exit code
                                       1 if there is a problem
backup_tool.py restic ...              run restic with the credentials of this host, which appear on no command line
backup_tool.py restic-copy NAME ...    run restic on a copy
backup_tool.py test-pgbackrest FILE    fail if pgBackRest refuses this configuration

init, init-copy and rekey accept --dry-run: print what would change, and change nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True

from stackwright_backup import copies, files, postgresql  # noqa: E402
from stackwright_backup.shell import STATE, BackupError, check, config, now, report, run  # noqa: E402

# The codes of pgBackRest's errors about options; pgBackRest only warns about an unknown key.
OPTION_ERROR = re.compile(r"ERROR: \[03[1-8]\]|WARN: configuration file contains")
VERIFIED = STATE / "verify.json"
#: The number of problems, for the role host_metrics; readable by all users.
COUNTED = STATE / "problems.json"
#: A verification that is older than this is overdue.
VERIFY_HOURS = 50
ANSWERED = STATE / "status.json"
#: Twice the interval of the timer.
RECENT_SECONDS = 1200

Collector = Callable[[], list[dict[str, Any]]]


def collect(collectors: list[tuple[str, Collector]]) -> list[dict[str, Any]]:
    """Return the checks of all collectors; a collector that raises becomes a failed check, so JSON is still printed."""
    checks = []
    for kind, collector in collectors:
        try:
            checks += collector()
        except Exception as error:  # noqa: BLE001
            checks.append(check(kind, config()["host"], f"{type(error).__name__}: {error}"))
    return checks


def status() -> int:
    settings = config()
    collectors: list[tuple[str, bool, Collector]] = [
        ("postgresql", bool(settings["postgresql"]), postgresql.status),
        ("files", bool(settings["files"]), files.client_status),
        ("client", bool(settings["repository"]), files.repository_status),
        ("copy", bool(settings["repository"]), copies.status),
        ("verify", bool(settings["repository"]), verified),
        ("clock", bool(settings["clock"]), files.clock_status),
    ]
    document = report(
        collect([(kind, collector) for kind, enabled, collector in collectors if enabled]), settings["host"]
    )
    keep(ANSWERED, document)
    keep(COUNTED, {"problems": len(document["problems"])}, mode=0o644)
    return answer(document)


def recent() -> int:
    """Print the result of the timer's last run if all was good, because opening every repository takes a while."""
    try:
        age, document = now() - ANSWERED.stat().st_mtime, json.loads(ANSWERED.read_text())
    except (OSError, ValueError):
        return status()
    return answer(document) if document["ok"] and 0 <= age <= RECENT_SECONDS else status()


def verified() -> list[dict[str, Any]]:
    """Return the check of the last verification."""
    installed = STATE / "installed"
    if VERIFIED.exists():
        verification, age = json.loads(VERIFIED.read_text()), now() - VERIFIED.stat().st_mtime
        problem = "; ".join(verification["problems"])
    else:
        problem, age = "", now() - installed.stat().st_mtime
    if not problem and age > VERIFY_HOURS * 3600:
        problem = f"the backups were last verified {round(age / 3600)} h ago; must be at most {VERIFY_HOURS} h"
    return [check("verify", config()["host"], problem, age_seconds=round(age))]


def verify(*, everything: bool) -> int:
    settings = config()
    if not settings["repository"]:
        raise BackupError("backups are verified on the repository host")
    collectors: list[tuple[str, Collector]] = [("postgresql", postgresql.verify)] if settings["postgresql"] else []
    collectors += [
        ("files", lambda: files.verify(everything=everything)),
        ("copy", lambda: copies.verify(everything=everything)),
    ]
    document = report(collect(collectors), settings["host"])
    keep(VERIFIED, document)
    return answer(document)


def keep(path: Path, document: dict[str, Any], *, mode: int = 0o600) -> None:
    """Write a file atomically."""
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(document))
    partial.chmod(mode)
    partial.rename(path)


def answer(document: dict[str, Any]) -> int:
    print(json.dumps(document, indent=2))
    return 0 if document["ok"] else 1


def test_pgbackrest(path: Path) -> None:
    """Let pgBackRest load a copy of the configuration: only root and postgres can read the original."""
    folder = Path(tempfile.mkdtemp(prefix="pgbackrest-test-"))
    copy = folder / "pgbackrest.conf"
    copy.touch(0o600)
    try:
        for owned in (folder, copy):
            shutil.chown(owned, "postgres", "postgres")
        copy.write_text(path.read_text())
        stanza = next(line.strip("[]") for line in reversed(copy.read_text().split()) if line.startswith("["))
        options = [f"--config={copy}", f"--stanza={stanza}", f"--lock-path={folder}"]
        options += ["--log-level-file=off", "--reset-repo1-host", "--repo1-path=/nonexistent"]
        # Together these commands know most options; both stop at the missing repository before they do anything.
        for command in (["expire", "--dry-run"], ["archive-push", "--no-archive-async", "/nonexistent"]):
            try:
                output = run("pgbackrest", *options, *command, user="postgres")
            except BackupError as error:
                output = str(error)
            wrong = [line for line in output.splitlines() if OPTION_ERROR.search(line)]
            if wrong:
                raise BackupError("pgBackRest refuses this configuration:\n" + "\n".join(wrong))
    finally:
        shutil.rmtree(folder)


def rekey(*, dry_run: bool) -> None:
    files.rekey(dry_run=dry_run)
    copies.rekey(dry_run=dry_run)


def prepare(verb: str, words: list[str]) -> None:
    dry_run = words[-1:] == ["--dry-run"]
    names = words[:-1] if dry_run else words
    {"init": files.init, "rekey": rekey, "init-copy": copies.init}[verb](*names, dry_run=dry_run)


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["files" | "prune" as verb]:
                {"files": files.backup, "prune": files.prune}[verb]()
            case ["init" | "rekey" | "init-copy" as verb, *words]:
                prepare(verb, words)
            case ["copy", name]:
                copies.copy(name)
            case ["restore-copy", name, snapshot, target, path]:
                copies.restore(name, snapshot, target, path)
            case ["status"]:
                return status()
            case ["status", "--recent"]:
                return recent()
            case ["verify"] | ["verify", "--all"]:
                return verify(everything="--all" in arguments)
            case ["restic", *restic_arguments]:
                os.execvpe("restic", ["restic", *restic_arguments], {**os.environ, **files.login()})
            case ["restic-copy", name, *restic_arguments]:
                copies.execute(name, *restic_arguments)
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
