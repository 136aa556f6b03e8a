"""The price file: per region and kind, each price with its unit, its source, and whether it was verified.

A kind is a service and the counted unit, such as `ec2/t3.micro` or `nat/gb`. The file is written by
`stackwright.cost.refresh`, sorted, with one price per line, so that a changed price is a changed line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "aws-prices.json"
SCHEMA = "../../../schemas/aws-prices.schema.json"
#: Prices of services that have no region.
GLOBAL = "global"
UNITS = ("gb", "gb-month", "hour", "iops-month", "mbps-month", "million", "month", "thousand")


@dataclass(frozen=True, kw_only=True)
class Price:
    """One price of AWS's list, on demand, without tax and free allowances."""

    unit: str
    usd: float
    #: The source of the price, in words or as an address.
    source: str
    #: Whether it was read from AWS's list; otherwise it is from memory.
    verified: bool
    #: Date of the list, or of the remembered price: `2026-11` or `2026-11-23`.
    date: str


@dataclass(frozen=True, kw_only=True)
class Prices:
    """All known prices: region -> kind -> price."""

    regions: Mapping[str, Mapping[str, Price]]

    def find(self, region: str, kind: str) -> Price | None:
        """Return the price in that region, or the one that is valid everywhere."""
        return self.regions.get(region, {}).get(kind) or self.regions.get(GLOBAL, {}).get(kind)

    def knows(self, region: str) -> bool:
        return region in self.regions


def read(path: Path = FILE) -> Prices:
    """Return the prices of a file. Raises ValueError if it is not a price file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        regions = {
            region: {kind: Price(**price) for kind, price in kinds.items()}
            for region, kinds in content["regions"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: no file of prices ({error}), accepted: what {SCHEMA} describes") from error
    problems = [
        f"{path}: regions.{region}.{kind}.{problem}"
        for region, kinds in regions.items()
        for kind, price in kinds.items()
        for problem in _problems(price)
    ]
    if problems:
        raise ValueError("\n".join(problems))
    return Prices(regions=regions)


def _problems(price: Price) -> Iterator[str]:
    """Yield the problems that would lead to wrong results."""
    if isinstance(price.usd, bool) or not isinstance(price.usd, int | float) or not price.usd > 0:
        yield f"usd is {price.usd!r}, accepted: a number above 0"
    if price.unit not in UNITS:
        yield f"unit is {price.unit!r}, accepted: {', '.join(UNITS)}"
    if not isinstance(price.verified, bool):
        yield f"verified is {price.verified!r}, accepted: true or false"


@cache
def shipped() -> Prices:
    """Return the prices that are shipped with stackwright."""
    return read()


def text(prices: Prices) -> str:
    """Return the text of the price file; the same prices always give the same bytes."""
    regions = []
    for region in sorted(prices.regions):
        kinds = prices.regions[region]
        lines = [f"   {_json(kind)}: {_json(asdict(kinds[kind]))}" for kind in sorted(kinds)]
        regions.append(f"  {_json(region)}: {{\n" + ",\n".join(lines) + "\n  }")
    head = f' "$schema": {_json(SCHEMA)},\n "currency": "USD",\n "regions": {{\n'
    return "{\n" + head + ",\n".join(regions) + "\n }\n}\n"


def write(prices: Prices, path: Path = FILE) -> None:
    """Replace the file atomically."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text(prices), encoding="utf-8")
    partial.replace(path)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
