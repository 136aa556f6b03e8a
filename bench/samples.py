"""Statistics of two things that were measured alternately: ratios, and how reliable they are. Pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

Better = Literal["lower", "higher"]
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median, minimum and maximum of some numbers."""

    median: float
    low: float
    high: float


def spread(numbers: Sequence[float]) -> Spread:
    """Summarize numbers, of which there must be at least one."""
    return Spread(median=statistics.median(numbers), low=min(numbers), high=max(numbers))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Our samples and those of a peer, measured alternately, so that disturbances affect both."""

    #: Heading under which it is shown.
    section: str
    name: str
    peer: str
    #: Unit of the samples: seconds, requests/s, ms.
    unit: str
    #: Whether lower or higher values are better.
    better: Better
    ours: tuple[float, ...]
    peers: tuple[float, ...]
    note: str = ""

    def __post_init__(self) -> None:
        if not self.ours or len(self.ours) != len(self.peers):
            pairs = f"{len(self.ours)} samples against {len(self.peers)}"
            raise ValueError(f"{self.section}, {self.name}: {pairs}; accepted: pairs, one at least")
        if min(self.peers) <= 0:
            raise ValueError(f"{self.section}, {self.name}: a peer of {min(self.peers)} {self.unit} has no ratio")

    @property
    def ratio(self) -> Spread:
        """Return ours divided by the peer's, pair by pair."""
        return spread([mine / peer for mine, peer in zip(self.ours, self.peers, strict=True)])

    @property
    def noise(self) -> float:
        """Return the spread of the peer's own samples: maximum divided by minimum. 1 is an idle machine."""
        return max(self.peers) / min(self.peers)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return the raw samples and the values computed from them."""
    return asdict(comparison) | {"ratio": asdict(comparison.ratio), "noise": comparison.noise}


def from_json(data: Mapping[str, Any]) -> Comparison:
    """Return the comparison of raw samples; computed values are computed again."""
    fields = {key: value for key, value in data.items() if key not in {"ratio", "noise"}}
    return Comparison(**fields | {"ours": tuple(data["ours"]), "peers": tuple(data["peers"])})


def in_turn(rounds: int, ours: Callable[[], T], peer: Callable[[], U]) -> list[tuple[T, U]]:
    """Measure both `rounds` times; the order alternates, so that a drift favours neither."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            theirs = peer()
            pairs.append((ours(), theirs))
        else:
            mine = ours()
            pairs.append((mine, peer()))
    return pairs
