"""Checks of the cluster's pgBackRest backups: their age, the archiver, the chain of WAL segments and the checksums."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stackwright_backup import wal
from stackwright_backup.shell import (
    ANSWER_SECONDS,
    FOLDER,
    BackupError,
    age_check,
    check,
    config,
    run,
    service_check,
    space_check,
)

#: WAL that waits longer than this to be archived is a problem.
WAITING_SECONDS = 300
#: The file name of a complete segment in the archive; other names are those of backups and partial segments.
ARCHIVED = re.compile(r"([0-9A-F]{24})-[0-9a-f]{40}")
STATUS_OK = re.compile(r"^\s*status: ok\s*$", re.MULTILINE)
STATUS_ERROR = re.compile(r"status: (error|invalid)|(missing|invalid|other): [1-9]")
FAULT = re.compile(r"\b(ERROR|WARN): |INFO: (invalid|missing|unable|no |file |path )")
#: Segments are pushed in parallel, so they may arrive out of order.
SETTLE_SECONDS = 20

ARCHIVER = """
SELECT pg_catalog.json_build_object(
  'recovery', pg_catalog.pg_is_in_recovery(),
  'mode', pg_catalog.current_setting('archive_mode'),
  'system', (SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
  'failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
  'failed', last_failed_wal, 'failed_at', last_failed_time, 'last', last_archived_wal,
  'waiting', (SELECT count(*) FROM pg_catalog.pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  'waiting_seconds', (SELECT extract(epoch FROM pg_catalog.now() - min(modification))
                      FROM pg_catalog.pg_ls_archive_statusdir() WHERE name LIKE '%.ready'))
FROM pg_catalog.pg_stat_archiver
"""


def pgbackrest(*arguments: str, seconds: int | None = None) -> str:
    stanza = config()["postgresql"]["stanza"]
    return run("pgbackrest", f"--stanza={stanza}", "--log-level-file=off", *arguments, user="postgres", seconds=seconds)


def info() -> dict[str, Any]:
    try:
        return dict(json.loads(pgbackrest("--output=json", "info", seconds=ANSWER_SECONDS))[0])
    except (ValueError, IndexError) as error:
        raise BackupError(f"pgbackrest: the answer of `info` cannot be read: {error}") from None


def status() -> list[dict[str, Any]]:
    """Return the checks of the cluster's backups that apply to this host."""
    settings = config()["postgresql"]
    # A repository that does not answer is one problem and must not hide what this host knows without it.
    answer: dict[str, Any] | None = None
    times: list[float] = []
    try:
        answer = info()
        detail = "" if answer["status"]["code"] == 0 else f"pgbackrest: {answer['status']['message']}"
        times = [backup["timestamp"]["stop"] for backup in answer.get("backup", []) if not backup.get("error")]
    except BackupError as error:
        detail = str(error)
    checks = [age_check("postgresql", settings["stanza"], settings["max_age_hours"], max(times, default=None), detail)]
    if settings["server"]:
        checks.append(service_check("pgbackrest.service"))
    if settings["cluster"]:
        checks += archiver_status(settings, answer)
    if settings["directory"]:
        checks.append(space_check(settings["directory"]))
        checks += chain_status(settings, answer) if answer is not None else []
    return checks


# --- on database hosts ----------------------------------------------------------------------------------------------


def archiver_status(settings: dict[str, Any], answer: dict[str, Any] | None) -> list[dict[str, Any]]:
    cluster, stanza = settings["cluster"], settings["stanza"]
    checks = [space_check(cluster["data_directory"])]
    command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--dbname=postgres", f"--port={cluster['port']}"]
    try:
        text = run(
            *command,
            f"--host={cluster['socket_directory']}",
            f"--command={ARCHIVER}",
            user="postgres",
            environment={"PGCONNECT_TIMEOUT": "10"},
            seconds=ANSWER_SECONDS,
        )
    except BackupError as error:
        return [*checks, check("archiver", stanza, f"PostgreSQL does not answer: {error}")]
    values = json.loads(text)
    if values["recovery"]:
        return checks
    problem = archiver_problem(values, answer)
    return [*checks, check("archiver", stanza, problem, last_archived=values["last"], waiting=values["waiting"])]


def archiver_problem(values: dict[str, Any], answer: dict[str, Any] | None) -> str:
    """Return the problem of the primary's archiver, or an empty string. `answer` is the answer of the repository."""
    database = max((answer or {}).get("db", []), key=lambda entry: entry["id"], default=None)
    if values["mode"] == "off":
        return "archive_mode is off: nothing is archived"
    if database is not None and str(database["system-id"]) != values["system"]:
        return (
            f"the repository belongs to another cluster (system identifier {database['system-id']}, this one is"
            f" {values['system']}): nothing is archived"
        )
    if values["failing"] and values["waiting"]:
        return (
            f"WAL {values['failed']} could not be archived at {values['failed_at']}; {values['waiting']} segments wait"
        )
    if (values["waiting_seconds"] or 0) > WAITING_SECONDS:
        return f"{values['waiting']} segments wait to be archived, the oldest for {round(values['waiting_seconds'])} s"
    if answer is None:
        return ""
    archives = [entry for entry in answer.get("archive", []) if database and entry["database"]["id"] == database["id"]]
    newest = max((entry["max"] for entry in archives if entry["max"]), default="")
    if wal.SEGMENT.fullmatch(values["last"] or "") and values["last"] > newest:
        return (
            f"WAL up to {values['last']} was archived, the repository has it up to {newest or 'nothing'}: WAL is lost"
        )
    return ""


# --- on the repository host -----------------------------------------------------------------------------------------


def chain_status(settings: dict[str, Any], answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the checks that no WAL segment since the oldest backup is missing."""
    checks = []
    for database in answer.get("db", []):
        name = f"{settings['stanza']}/{database['version']}-{database['id']}"
        try:
            gaps = _gaps(settings, answer, database)
            if gaps:
                time.sleep(SETTLE_SECONDS)
                gaps &= _gaps(settings, info(), database)
        except (BackupError, OSError) as error:
            checks.append(check("wal", name, str(error)))
            continue
        gaps -= accepted_gaps()
        problem = ""
        if gaps:
            ranges = ", ".join(first if first == last else f"{first} to {last}" for first, last in sorted(gaps)[:5])
            problem = f"WAL is missing in the archive: {ranges}; no backup before it can be restored to a time after it"
        checks.append(check("wal", name, problem, gaps=len(gaps)))
    return checks


def accepted_gaps() -> set[tuple[str, str]]:
    """Return the gaps that an operator has accepted, read from lines with the first and the last segment of a gap."""
    file = FOLDER / "accepted-gaps"
    lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return {(fields[0], fields[-1]) for fields in lines if fields}


def _gaps(settings: dict[str, Any], answer: dict[str, Any], database: dict[str, Any]) -> set[tuple[str, str]]:
    archive = f"{settings['stanza']}/{database['version']}-{database['id']}"
    folder = Path(settings["directory"]) / "archive" / archive
    spans = [
        (backup["archive"]["start"], backup["archive"]["stop"])
        for backup in answer.get("backup", [])
        if backup["database"]["id"] == database["id"] and backup["archive"]["start"]
    ]
    if not spans:
        return set()
    if not folder.is_dir():
        raise BackupError(f"{folder} is missing: there are backups, and no WAL")
    # This runs as root, so it can read the files of postgres.
    names = (ARCHIVED.match(path.name) for log in folder.iterdir() if log.is_dir() for path in log.iterdir())
    archived = {match[1] for match in names if match}
    histories = sorted(path.name for path in folder.glob("*.history"))
    text = repository_file(f"archive/{archive}/{histories[-1]}") if histories else ""
    return set(wal.missing_segments(archived, spans, wal.parse_history(text)))


def repository_file(path: str) -> str:
    return pgbackrest("repo-get", path, seconds=ANSWER_SECONDS)


def verify() -> list[dict[str, Any]]:
    """Return the checks of the checksums of all backups and WAL, of the lists of backups, and of the WAL chain."""
    settings = config()["postgresql"]
    try:
        # The command exits with 0 regardless of its findings and prints file names only at this log level.
        text = pgbackrest("--output=text", "--verbose", "--log-level-console=info", "verify")
        answer = info()
    except BackupError as error:
        return [check("postgresql", settings["stanza"], str(error))]
    problem = "; ".join(filter(None, (verify_problem(text), *_lists_problems(settings))))
    return [check("postgresql", settings["stanza"], problem), *chain_status(settings, answer)]


def verify_problem(text: str) -> str:
    """Return the problem that `pgbackrest verify` reports; empty only if it reports that all is well."""
    wrong = [line.split("INFO: ")[-1].strip() for line in text.splitlines() if FAULT.search(line)]
    if STATUS_OK.search(text) and not STATUS_ERROR.search(text) and not wrong:
        return ""
    return "pgbackrest verify: " + "; ".join(wrong[:10] or text.strip().splitlines()[-10:] or ["no answer"])


def _lists_problems(settings: dict[str, Any]) -> Iterator[str]:
    """Yield the lists of backups that differ from their copies; pgBackRest silently reads the copy in that case."""
    root, stanza = Path(settings["directory"]), settings["stanza"]
    lists = [root / "archive" / stanza / "archive.info", root / "backup" / stanza / "backup.info"]
    lists += sorted((root / "backup" / stanza).glob("*/backup.manifest"))
    for file in lists:
        # A backup that is still running or being removed has only one of the two files.
        pair = [path for path in (file, file.with_name(f"{file.name}.copy")) if path.exists()]
        try:
            texts = {repository_file(str(path.relative_to(root))) for path in pair}
        except BackupError as error:
            if all(path.exists() for path in pair):
                yield f"{file.relative_to(root)} or its copy is damaged: {error}"
            continue
        if len(texts) > 1:
            yield f"{file.relative_to(root)} differs from its copy: one of them is damaged"
    for file in sorted((root / "archive" / stanza).glob("*/*.history")):
        try:
            if not wal.parse_history(repository_file(str(file.relative_to(root)))):
                yield f"{file.relative_to(root)} is damaged"
        except BackupError as error:
            yield f"{file.relative_to(root)} is damaged: {error}"
