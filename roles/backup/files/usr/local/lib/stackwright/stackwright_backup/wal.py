"""Find missing WAL segments in the archive. Nothing here accesses the disk."""

from __future__ import annotations

import re
from collections.abc import Iterable

SEGMENT = re.compile(r"[0-9A-F]{24}")
#: For segments of 16 MiB, the size with which every cluster here is created.
SEGMENTS_PER_LOG = 256
SEGMENT_BYTES = 16 * 2**20


def timeline(segment: str) -> int:
    return int(segment[:8], 16)


def number(segment: str) -> int:
    """Return the position of a segment; consecutive segments have consecutive positions."""
    return int(segment[8:16], 16) * SEGMENTS_PER_LOG + int(segment[16:24], 16)


def name(line: int, position: int) -> str:
    return f"{line:08X}{position // SEGMENTS_PER_LOG:08X}{position % SEGMENTS_PER_LOG:08X}"


def parse_history(text: str) -> list[tuple[int, int]]:
    """Return (timeline, segment at which the next timeline begins) for each line of a history file, oldest first."""
    ancestors = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[0].isdigit() and "/" in fields[1]:
            high, low = fields[1].split("/")
            ancestors.append((int(fields[0]), (int(high, 16) * 2**32 + int(low, 16)) // SEGMENT_BYTES))
    return ancestors


def holes(positions: set[int], first: int, end: int) -> list[tuple[int, int]]:
    """Return the ranges within [first, end) that are missing from `positions`, as (first, last)."""
    present = sorted(position for position in positions if first <= position < end)
    missing, expected = [], first
    for position in [*present, end]:
        if position > expected:
            missing.append((expected, position - 1))
        expected = position + 1
    return missing


def missing_segments(
    archived: Iterable[str], backups: Iterable[tuple[str, str]], ancestors: list[tuple[int, int]]
) -> list[tuple[str, str]]:
    """Return the ranges of missing segments, as (first, last) names.

    `backups` are the first and last segment of each backup; `ancestors` are those of the newest timeline. Every backup
    needs its own segments; from the oldest backup until now, no segment may be missing.
    """
    lines: dict[int, set[int]] = {}
    for segment in archived:
        lines.setdefault(timeline(segment), set()).add(number(segment))
    spans = list(backups)
    if not spans:
        return []
    gaps = set()
    for start, stop in spans:
        line = timeline(start)
        gaps |= {(line, *hole) for hole in holes(lines.get(line, set()), number(start), number(stop) + 1)}
    newest = max([*lines, *(line + 1 for line, _ in ancestors), *(timeline(stop) for _, stop in spans)])
    way = [*ancestors, (newest, max(lines.get(newest, {-1})) + 1)]
    on_way = [start for start, _ in spans if timeline(start) in {line for line, _ in way}]
    if on_way:
        oldest = min(on_way, key=number)
        begin = number(oldest)
        for line, end in way:
            if line >= timeline(oldest):
                gaps |= {(line, *hole) for hole in holes(lines.get(line, set()), begin, end)}
                begin = max(begin, end)
    merged = sorted(gaps)
    return [(name(line, first), name(line, last)) for line, first, last in _outer(merged)]


def _outer(gaps: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return the ranges without those that lie within another range."""
    return [
        gap
        for gap in gaps
        if not any(gap != wide and gap[0] == wide[0] and wide[1] <= gap[1] and gap[2] <= wide[2] for wide in gaps)
    ]
