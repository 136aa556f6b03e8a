"""Select the snapshots of files to keep, and find suspicious ones. Nothing here accesses the disk.

The time of a snapshot is written by its host, so a compromised host can choose any date. The time at which the file of
the snapshot arrived on the repository host is used instead.
"""

from __future__ import annotations

import datetime as dt
import statistics
from dataclasses import dataclass
from typing import Any

from stackwright_backup.shell import FUTURE_SECONDS, utc

DAY = 86_400
#: The longest time between the start of a backup and the arrival of its snapshot: the unit's time limit plus a night.
LAG_SECONDS = 2 * DAY
#: The most snapshots of a set in a day: a multiple of those that its timer creates, plus those added by hand.
MOST_TIMES, MOST_MORE = 3, 10
#: A change of the size is not reported below this size and below this growth.
SMALL_BYTES, GROWTH_BYTES = 100 * 2**20, 2**30
RECENT = 7


@dataclass(frozen=True)
class Snapshot:
    """A snapshot, with the date set by its host and the time of its arrival."""

    id: str
    tag: str
    dated: float
    arrived: float
    size: int | None = None


def parse(listing: list[dict[str, Any]], arrivals: dict[str, float] | None = None) -> list[Snapshot]:
    """Return the snapshots of `restic snapshots --json`; without `arrivals`, only the date is known."""
    snapshots = []
    for entry in listing:
        dated = dt.datetime.fromisoformat(_microseconds(entry["time"])).timestamp()
        snapshots.append(
            Snapshot(
                id=entry["id"],
                tag=(entry.get("tags") or ["untagged"])[0],
                dated=dated,
                arrived=(arrivals or {}).get(entry["id"], dated),
                size=(entry.get("summary") or {}).get("total_bytes_processed"),
            )
        )
    return snapshots


def _microseconds(time: str) -> str:
    """Return a time without the nanoseconds, which Python cannot parse."""
    head, dot, tail = time.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}{dot}{tail[: min(digits, 6)]}{tail[digits:]}"


def misdated(snapshot: Snapshot) -> bool:
    """Return whether the date of a snapshot does not match its arrival."""
    lag = snapshot.arrived - snapshot.dated
    return lag < -FUTURE_SECONDS or lag > LAG_SECONDS


def to_remove(snapshots: list[Snapshot], keep: dict[str, int], now: float) -> list[Snapshot]:
    """Return the snapshots to remove.

    Snapshots that arrived within `keep["within_days"]` stay. For as many days, weeks and months as `keep` says, the
    last snapshot of each stays, not counting those with a wrong date. If a clock that is ahead makes all snapshots
    look old, these counts still apply.
    """
    stays: set[str] = set()
    for tag in {snapshot.tag for snapshot in snapshots}:
        group = sorted(
            (entry for entry in snapshots if entry.tag == tag), key=lambda entry: entry.arrived, reverse=True
        )
        stays |= {entry.id for entry in group if now - entry.arrived <= keep["within_days"] * DAY}
        genuine = [entry for entry in group if not misdated(entry)]
        for period, form in (("days", "%Y-%m-%d"), ("weeks", "%G-%V"), ("months", "%Y-%m")):
            last: dict[str, str] = {}
            for entry in genuine:
                last.setdefault(dt.datetime.fromtimestamp(entry.arrived, dt.UTC).strftime(form), entry.id)
            stays |= set(list(last.values())[: keep[period]])
        # A set that is no longer backed up keeps its last snapshot.
        stays |= {entry.id for entry in genuine[:1]}
    return [snapshot for snapshot in snapshots if snapshot.id not in stays]


def problems(snapshots: list[Snapshot], every_hours: int, now: float) -> str:
    """Return the problems of the snapshots of one set, or an empty string."""
    return "; ".join(filter(None, (_dates(snapshots, now), _count(snapshots, every_hours, now), _sizes(snapshots))))


def _dates(snapshots: list[Snapshot], now: float) -> str:
    wrong = [
        entry
        for entry in snapshots
        # An old snapshot with a wrong date is reported until it is removed.
        if misdated(entry) or entry.dated > now + FUTURE_SECONDS
    ]
    if not wrong:
        return ""
    entry = max(wrong, key=lambda entry: abs(entry.arrived - entry.dated))
    return (
        f"{len(wrong)} snapshots bear a wrong date, such as {entry.id[:8]}: dated {utc(entry.dated)}, arrived"
        f" {utc(entry.arrived)}; the clock of the host is wrong, or somebody forged them"
    )


def _count(snapshots: list[Snapshot], every_hours: int, now: float) -> str:
    recent = sum(1 for entry in snapshots if 0 <= now - entry.arrived <= DAY)
    most = MOST_TIMES * -(-24 // every_hours) + MOST_MORE
    return f"{recent} snapshots arrived within a day; expected are at most {most}" if recent > most else ""


def _sizes(snapshots: list[Snapshot]) -> str:
    sizes = [
        entry.size
        for entry in sorted(snapshots, key=lambda entry: entry.arrived)
        if entry.size is not None and not misdated(entry)
    ]
    if len(sizes) < 2:
        return ""
    newest, usual = sizes[-1], statistics.median(sizes[-1 - RECENT : -1])
    shrank = usual >= SMALL_BYTES and newest < usual / 2
    grew = newest > usual * 2 and newest - usual > GROWTH_BYTES
    if not shrank and not grew:
        return ""
    return f"the newest snapshot has {newest // 2**20} MiB; the {RECENT} before it had {int(usual) // 2**20} MiB"
