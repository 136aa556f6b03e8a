"""What two things that were measured in turn come to: ratios, and how far they can be trusted. Pure functions."""

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
    """Median, least and greatest of some numbers."""

    median: float
    low: float
    high: float


def spread(numbers: Sequence[float]) -> Spread:
    """Sum numbers up; there has to be one at least."""
    return Spread(median=statistics.median(numbers), low=min(numbers), high=max(numbers))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Something of ours and its peer, measured in turn, so that what disturbed one disturbed the other."""

    #: Heading that it is shown under.
    section: str
    name: str
    peer: str
    #: Of the samples: seconds, requests/s, ms.
    unit: str
    #: Which way is good for us.
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
        """Ours divided by the peer's, pair by pair."""
        return spread([mine / peer for mine, peer in zip(self.ours, self.peers, strict=True)])

    @property
    def noise(self) -> float:
        """How far apart the peer's own samples are: greatest divided by least. 1 is a quiet machine."""
        return max(self.peers) / min(self.peers)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The raw samples, and what they come to."""
    return asdict(comparison) | {"ratio": asdict(comparison.ratio), "noise": comparison.noise}


def from_json(data: Mapping[str, Any]) -> Comparison:
    """The comparison of raw samples; what they come to is reckoned anew."""
    fields = {key: value for key, value in data.items() if key not in {"ratio", "noise"}}
    return Comparison(**fields | {"ours": tuple(data["ours"]), "peers": tuple(data["peers"])})


def in_turn(rounds: int, ours: Callable[[], T], peer: Callable[[], U]) -> list[tuple[T, U]]:
    """Measure both `rounds` times; who is first changes each time, so that a drift favours neither."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            theirs = peer()
            pairs.append((ours(), theirs))
        else:
            mine = ours()
            pairs.append((mine, peer()))
    return pairs
