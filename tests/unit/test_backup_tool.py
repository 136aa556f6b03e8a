"""What the tool of the role backup makes of WAL names, snapshots, and the words of pgBackRest."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "roles/backup/files/usr/local/lib/stackwright"))

import backup_tool
from stackwright_backup import postgresql, shell, snapshots, wal
from stackwright_backup.snapshots import DAY, Snapshot

NOW = 1_800_000_000.0
KEEP = {"within_days": 30, "days": 30, "weeks": 8, "months": 12}


def segments(line: int, first: int, last: int) -> list[str]:
    return [wal.name(line, position) for position in range(first, last + 1)]


# --- the chain of WAL -----------------------------------------------------------------------------------------------


def test_a_whole_chain_has_no_gap() -> None:
    assert wal.missing_segments(segments(1, 3, 600), [(wal.name(1, 5), wal.name(1, 6))], []) == []


@pytest.mark.parametrize("missing", [5, 6, 7, 300, 599])
def test_every_segment_between_the_oldest_backup_and_now_is_needed(missing: int) -> None:
    archived = [name for name in segments(1, 3, 600) if name != wal.name(1, missing)]
    gap = (wal.name(1, missing), wal.name(1, missing))
    assert wal.missing_segments(archived, [(wal.name(1, 5), wal.name(1, 6))], []) == [gap]


def test_what_is_older_than_the_oldest_backup_is_not_needed() -> None:
    assert wal.missing_segments(segments(1, 5, 9), [(wal.name(1, 5), wal.name(1, 6))], []) == []


def test_a_segment_after_the_end_of_a_log_file() -> None:
    assert wal.name(1, 256) == "000000010000000100000000"
    assert wal.number("0000000100000001000000FF") == 511


def test_a_new_timeline_takes_over_at_its_switch() -> None:
    history = wal.parse_history("1\t0/9000000\tno recovery target specified\n")
    archived = segments(1, 5, 8) + segments(2, 9, 12)
    backups = [(wal.name(1, 5), wal.name(1, 6))]
    assert history == [(1, 9)]
    assert wal.missing_segments(archived, backups, history) == []
    for lost in (wal.name(1, 8), wal.name(2, 9), wal.name(2, 11)):
        rest = [name for name in archived if name != lost]
        assert wal.missing_segments(rest, backups, history) == [(lost, lost)]


def test_what_an_old_leader_wrote_after_the_switch_fills_no_gap() -> None:
    archived = segments(1, 5, 10) + segments(2, 10, 12)
    backups = [(wal.name(1, 5), wal.name(1, 6))]
    assert wal.missing_segments(archived, backups, [(1, 9)]) == [(wal.name(2, 9), wal.name(2, 9))]


def test_a_timeline_that_was_left_is_needed_for_its_own_backups_alone() -> None:
    history = [(1, 9)]  # Timeline 3 follows 1; timeline 2 was left.
    archived = segments(1, 5, 8) + segments(2, 9, 10) + segments(3, 9, 12)
    backups = [(wal.name(1, 5), wal.name(1, 5)), (wal.name(2, 9), wal.name(2, 10))]
    assert wal.missing_segments(archived, backups, history) == []
    archived.remove(wal.name(2, 10))
    assert wal.missing_segments(archived, backups, history) == [(wal.name(2, 10), wal.name(2, 10))]


def test_a_long_gap_is_one_range() -> None:
    archived = segments(1, 3, 10) + segments(1, 5000, 5001)
    gap = (wal.name(1, 11), wal.name(1, 4999))
    assert wal.missing_segments(archived, [(wal.name(1, 3), wal.name(1, 3))], []) == [gap]


def test_without_a_backup_nothing_is_needed() -> None:
    assert wal.missing_segments(segments(1, 3, 5), [], []) == []


def test_an_empty_archive_lacks_what_backups_need() -> None:
    assert wal.missing_segments([], [(wal.name(1, 3), wal.name(1, 4))], []) == [(wal.name(1, 3), wal.name(1, 4))]


@pytest.mark.parametrize(
    "name",
    [
        "000000010000000000000003.00000028.backup",
        "000000010000000000000003.partial-3e154d6f6f6a071f7b415acce04ca805e15079e5.zst",
        "00000002.history",
    ],
)
def test_only_a_complete_segment_counts(name: str) -> None:
    assert not postgresql.ARCHIVED.match(name)


def test_a_complete_segment() -> None:
    name = "000000010000000000000003-3e154d6f6f6a071f7b415acce04ca805e15079e5.zst"
    match = postgresql.ARCHIVED.match(name)
    assert match is not None
    assert match[1] == "000000010000000000000003"


# --- the archiver ---------------------------------------------------------------------------------------------------

ARCHIVER = {
    "recovery": False,
    "mode": "on",
    "system": "7",
    "failing": False,
    "failed": None,
    "failed_at": None,
    "last": wal.name(1, 9),
    "waiting": 0,
    "waiting_seconds": None,
}
INFO = {
    "db": [{"id": 1, "system-id": 6, "version": "17"}, {"id": 2, "system-id": 7, "version": "17"}],
    "archive": [
        {"database": {"id": 1}, "max": wal.name(5, 99)},
        {"database": {"id": 2}, "max": wal.name(1, 9)},
    ],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"failing": True}, ""),
        ({"failing": True, "waiting": 2, "failed": wal.name(1, 10)}, "could not be archived"),
        ({"waiting": 3, "waiting_seconds": 301.0}, "wait to be archived"),
        ({"waiting": 3, "waiting_seconds": 20.0}, ""),
        ({"system": "8"}, "another cluster"),
        ({"mode": "off"}, "archive_mode is off"),
        ({"last": wal.name(1, 10)}, "WAL is lost"),
        ({"last": None}, ""),
        ({"last": "00000002.history"}, ""),
    ],
)
def test_an_archiver_that_does_not_archive(change: dict[str, object], words: str) -> None:
    problem = postgresql.archiver_problem(ARCHIVER | change, INFO)
    assert words in problem
    assert bool(words) == bool(problem)


def test_a_repository_that_does_not_answer_hides_nothing_that_the_host_knows_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away() -> dict[str, Any]:
        raise shell.BackupError("pgbackrest: no answer within 60 s")

    cluster = {"data_directory": "/", "port": 5432, "socket_directory": "/run"}
    settings = {"stanza": "main", "max_age_hours": 26, "server": False, "cluster": cluster, "directory": "/"}
    behind = ARCHIVER | {"failing": True, "waiting": 2, "failed": wal.name(1, 10)}
    monkeypatch.setattr(postgresql, "config", lambda: {"postgresql": settings})
    monkeypatch.setattr(postgresql, "info", away)
    monkeypatch.setattr(postgresql, "run", lambda *_, **__: json.dumps(behind))
    problems = shell.report(postgresql.status(), "db1")["problems"]
    assert [problem.split(":")[0] for problem in problems] == ["postgresql main", "archiver main"]
    assert postgresql.archiver_problem(ARCHIVER, None) == ""


# --- pgbackrest verify ----------------------------------------------------------------------------------------------

GOOD = """stanza: main
status: ok
  archiveId: 17-1, total WAL checked: 3, total valid WAL: 3
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261129-181122F, status: valid, total files checked: 963, total valid files: 963
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
"""
BAD = """2026-11-29 18:13:01.772 P02   INFO: invalid checksum '20261129-181122F/bundle/1'
stanza: main
status: error
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
"""


def test_a_good_verification() -> None:
    assert postgresql.verify_problem(GOOD) == ""


def test_a_flipped_byte_is_named_with_its_file() -> None:
    assert "20261129-181122F/bundle/1" in postgresql.verify_problem(BAD)


@pytest.mark.parametrize("text", ["", "stanza: main\n", GOOD.replace("status: ok", "status: error")])
def test_only_the_word_ok_is_good(text: str) -> None:
    assert postgresql.verify_problem(text)


def test_a_backup_that_is_not_valid_is_a_problem_even_if_the_stanza_is_ok() -> None:
    assert postgresql.verify_problem(GOOD.replace("status: valid", "status: invalid"))
    assert postgresql.verify_problem(GOOD.replace("    missing: 0", "    missing: 2"))


# --- snapshots of files ---------------------------------------------------------------------------------------------


def snapshot(name: str, dated: float, arrived: float | None = None, size: int | None = None) -> Snapshot:
    return Snapshot(id=name, tag="uploads", dated=dated, arrived=dated if arrived is None else arrived, size=size)


def genuine(days: int, start: int = 0) -> list[Snapshot]:
    return [snapshot(f"good-{day}", NOW - day * DAY) for day in range(start, start + days)]


def test_forged_dates_displace_no_genuine_snapshot() -> None:
    """42 snapshots of junk, dated years ahead and on every past day."""
    ahead = [snapshot(f"ahead-{number}", NOW + number * 30 * DAY, NOW - 60) for number in range(1, 43)]
    back = [snapshot(f"back-{number}", NOW - number * DAY + 3600, NOW - 60) for number in range(1, 43)]
    old = genuine(21)
    removed = snapshots.to_remove(old + ahead + back, KEEP, NOW)
    assert not set(removed) & set(old)
    # A year later they are gone, and the genuine ones that counted stay.
    later = snapshots.to_remove(old + ahead + back + [snapshot("new", NOW + 400 * DAY)], KEEP, NOW + 400 * DAY)
    assert {entry.id for entry in later} >= {entry.id for entry in ahead + back}
    assert not set(later) & set(old)


def test_a_snapshot_that_arrived_lately_stays_whatever_its_date() -> None:
    assert snapshots.to_remove([snapshot("odd", NOW - 900 * DAY, NOW - DAY)], KEEP, NOW) == []


def test_old_snapshots_go_by_day_week_and_month() -> None:
    history = genuine(800)
    stays = {entry.id for entry in history} - {entry.id for entry in snapshots.to_remove(history, KEEP, NOW)}
    assert {f"good-{day}" for day in range(31)} <= stays
    assert 31 + 3 + 9 <= len(stays) <= 31 + 8 + 12


def test_a_clock_that_is_years_ahead_removes_no_day() -> None:
    history = genuine(30)
    removed = snapshots.to_remove([*history, snapshot("ahead", NOW + 900 * DAY)], KEEP, NOW + 900 * DAY)
    assert len(history) - len(removed) >= 29


def test_a_set_that_ended_keeps_its_last_state() -> None:
    history = genuine(3, start=3000)
    removed = snapshots.to_remove(history, KEEP | {"days": 0, "weeks": 0, "months": 0}, NOW)
    assert [entry.id for entry in removed] == ["good-3001", "good-3002"]


def test_good_snapshots_are_no_problem() -> None:
    assert snapshots.problems(genuine(20), 6, NOW) == ""


@pytest.mark.parametrize(
    "odd",
    [
        snapshot("odd", NOW + 2 * 3600, NOW),
        snapshot("odd", NOW - 10 * DAY, NOW),
        snapshot("odd", NOW - 29 * DAY, NOW - 40 * DAY),
    ],
)
def test_a_wrong_date_is_named(odd: Snapshot) -> None:
    assert "wrong date" in snapshots.problems([*genuine(20), odd], 6, NOW)


def test_more_snapshots_than_the_timer_makes() -> None:
    many = [snapshot(f"junk-{number}", NOW - number) for number in range(23)]
    assert "within a day" in snapshots.problems(many, 6, NOW)
    assert snapshots.problems(many[:22], 6, NOW) == ""


@pytest.mark.parametrize(("newest", "words"), [(300, ""), (140, "140 MiB"), (600, ""), (1400, "1400 MiB")])
def test_a_jump_of_the_size(newest: int, words: str) -> None:
    sizes = [300] * 8 + [newest]
    entries = [snapshot(str(day), NOW - (10 - day) * DAY, size=size * 2**20) for day, size in enumerate(sizes)]
    problem = snapshots.problems(entries, 24, NOW)
    assert words in problem
    assert bool(words) == bool(problem)


def test_what_restic_prints_is_read() -> None:
    entries = snapshots.parse(
        [
            {"id": "a", "time": "2026-11-29T18:13:01.123456789+01:00", "tags": ["uploads"]},
            {"id": "b", "time": "2026-11-29T17:13:01Z", "summary": {"total_bytes_processed": 5}},
        ],
        {"a": 1.0},
    )
    assert [(entry.tag, entry.arrived, entry.size) for entry in entries] == [
        ("uploads", 1.0, None),
        ("untagged", entries[1].dated, 5),
    ]
    assert entries[0].dated == pytest.approx(entries[1].dated + 0.123456)


# --- the document ---------------------------------------------------------------------------------------------------


def test_a_date_in_the_future_is_no_young_backup() -> None:
    assert "in the future" in shell.age_check("client", "app1/uploads", 30, shell.now() + 2 * 3600)["detail"]
    assert shell.age_check("client", "app1/uploads", 30, shell.now() - 60)["ok"]
    assert "31 h old" in shell.age_check("client", "app1/uploads", 30, shell.now() - 31 * 3600 - 60)["detail"]


def test_words_that_are_no_text_are_an_error_like_any_other() -> None:
    with pytest.raises(shell.BackupError, match=r"sh failed \(3\)"):
        shell.run("sh", "-c", r"printf '\377\376' >&2; exit 3")


def test_the_document_names_what_is_wrong() -> None:
    checks = [shell.check("wal", "main/17-1", "WAL is missing"), shell.check("clock", "db1")]
    document = shell.report(checks, "ops1")
    assert document["problems"] == ["wal main/17-1: WAL is missing"]
    assert not document["ok"]
    assert shell.report(checks[1:], "ops1")["ok"]


# --- the last answer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ok", "age", "asked"),
    [(True, 60, False), (True, 1201, True), (False, 60, True), (True, -60, True), (None, 0, True)],
    ids=["good", "old", "bad", "of the future", "none"],
)
def test_a_recent_good_answer_is_not_asked_for_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ok: bool | None,
    age: int,
    asked: bool,
) -> None:
    parts = ("postgresql", "files", "repository")
    monkeypatch.setattr(backup_tool, "config", lambda: {"host": "db1", "clock": True} | dict.fromkeys(parts))
    monkeypatch.setattr(backup_tool.files, "clock_status", lambda: [shell.check("clock", "asked now")])
    monkeypatch.setattr(backup_tool, "ANSWERED", tmp_path / "status.json")
    monkeypatch.setattr(backup_tool, "COUNTED", tmp_path / "problems.json")
    if ok is not None:
        backup_tool.keep(backup_tool.ANSWERED, {"host": "db1", "ok": ok, "problems": [], "checks": []})
        moment = shell.now() - age
        os.utime(backup_tool.ANSWERED, (moment, moment))
    assert backup_tool.main(["status", "--recent"]) == 0
    assert ("asked now" in capsys.readouterr().out) is asked
    assert ("asked now" in backup_tool.ANSWERED.read_text()) is asked


@pytest.mark.parametrize("verb", [["init"], ["init-copy", "protected"], ["rekey"]])
def test_a_dry_run_says_what_would_change_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    def run(*command: str, **_: Any) -> str:
        asked.append(" ".join(command))
        if "cat" in command:
            raise shell.BackupError("restic failed (10): no repository")
        return ""

    asked: list[str] = []
    copy = {"environment": {}, "repository": "/copies", "options": []}
    for name, text in {
        "requested/db1": "new",
        "clients/db1": "old",
        "copies/requested": "new",
        "copies/password": "old",
        "copies/copies.json": json.dumps({"protected": copy}),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    settings = {"files": {"ca": "/ca"}, "repository": {"clients": ["db1"], "directory": str(tmp_path)}}
    for module in (backup_tool.files, backup_tool.copies):
        monkeypatch.setattr(module, "run", run)
        monkeypatch.setattr(module, "FOLDER", tmp_path)
        monkeypatch.setattr(module, "config", lambda: settings)
    monkeypatch.setattr(backup_tool.copies, "SETTINGS", tmp_path / "copies")
    monkeypatch.setattr(backup_tool.copies, "PASSWORD", tmp_path / "copies" / "password")
    monkeypatch.setattr(backup_tool.copies, "STATE", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert backup_tool.main([*verb, "--dry-run"]) == 0
    expected = {"init": "created\n", "init-copy": "created protected\n", "rekey": "changed db1\nchanged copies\n"}
    assert capsys.readouterr().out == expected[verb[0]]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert all("cat config --no-lock" in command for command in asked)
