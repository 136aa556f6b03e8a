"""Update the price file from AWS's public price list: over HTTPS, without an account.

`python -m stackwright.cost.refresh [--check] [--region R]... [--from-folder F]`

Each service's index names the newest list. That list's address, which never changes, becomes the source of a price,
and its publication date becomes the price's date. The list of EC2 is some hundred megabytes for each region;
`--from-folder` reads files that were downloaded before, as `F/<offer>/<region>.csv` (`F/<offer>/global.csv` for
services without a region). A price that the list does not contain stays unchanged, as does its `verified` mark.
"""

from __future__ import annotations

import argparse
import http.client
import io
import re
import sys
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from stackwright.cost import offers, prices
from stackwright.cost.prices import GLOBAL, Price, Prices

#: (Offer, region) -> its file. Raises OSError if there is none, ValueError if the index does not list it.
Opener = Callable[[str, str], AbstractContextManager[TextIO]]
_TIMEOUT_SECONDS = 60
_REGION = r"[a-z]{2}(-[a-z]+)+-\d"
_FAILURES = (OSError, ValueError, http.client.HTTPException)


@dataclass(kw_only=True)
class Outcome:
    """The result of a refresh; the texts are `region kind`, with what happened."""

    changed: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    #: Kept as they were: no row, or more than one price.
    unchanged: list[str] = field(default_factory=list)
    #: Files that could not be read.
    missing: list[str] = field(default_factory=list)


def refresh(known: Prices, regions: Iterable[str], open_offer: Opener) -> tuple[Prices, Outcome]:
    """Return the prices, updated from the list; the same files always give the same prices."""
    outcome = Outcome()
    templates = {kind: price for kinds in known.regions.values() for kind, price in sorted(kinds.items())}
    updated = {region: dict(kinds) for region, kinds in known.regions.items()}
    same_scope = {*known.regions.get(GLOBAL, {})}
    for region in sorted(set(regions)):
        mine = updated.setdefault(region, {})
        listings = _read_region(region, open_offer, outcome)
        for kind in sorted(templates):
            if (kind in same_scope) != (region == GLOBAL):
                continue
            listed = listings.get(kind)
            why = listed.price.problem(templates[kind].unit) if listed else _unheard(kind, region)
            if listed is None or why:
                outcome.unchanged.append(f"{region} {kind}: {why}")
                continue
            [usd] = listed.price.usd
            price = Price(unit=templates[kind].unit, usd=usd, source=listed.source, verified=True, date=listed.date)
            before, mine[kind] = mine.get(kind), price
            if before is not None and before.usd == usd:
                outcome.confirmed.append(f"{region} {kind}")
            else:
                outcome.changed.append(f"{region} {kind}: {before.usd if before else 'none'} -> {usd}")
        if not mine:
            del updated[region]
    return replace(known, regions=updated), outcome


def _unheard(kind: str, region: str) -> str:
    ruled = any(re.fullmatch(re.sub(r"\{\w+\}", ".+", rule.kind), kind) for rule in offers.rules(region))
    return "not in the list" if ruled else "no rule reads it from the list"


@dataclass(frozen=True, kw_only=True)
class _Listed:
    price: offers.Found
    source: str
    date: str


def _read_region(region: str, open_offer: Opener, outcome: Outcome) -> Mapping[str, _Listed]:
    listings: dict[str, _Listed] = {}
    rules = offers.rules(region)
    for offer in sorted({rule.offer for rule in rules}):
        try:
            with open_offer(offer, region) as stream:
                content = offers.read(stream, [rule for rule in rules if rule.offer == offer])
        except _FAILURES as error:
            outcome.missing.append(f"{offers.address(offer, region)}: {error or type(error).__name__}")
            continue
        source = offers.address(offer, region, content.version)
        for kind, kind_prices in content.prices.items():
            listings[kind] = _Listed(price=kind_prices, source=source, date=content.date)
    return listings


def from_folder(folder: Path) -> Opener:
    """Return an opener for files that were downloaded before."""
    return lambda offer, region: (folder / offer / f"{region}.csv").open(encoding="utf-8", newline="")


def from_aws(offer: str, region: str) -> AbstractContextManager[TextIO]:
    """Open AWS's list itself, which is read while it arrives."""
    address = offers.address(offer, region)
    if region != GLOBAL:
        with _open(offers.index_address(offer)) as index:
            address = offers.newest(index.read(), offer, region)
    return _open(address)


def _open(address: str) -> TextIO:
    # S310: the address is always HTTPS (offers.HOST).
    answer = urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS)  # noqa: S310
    return io.TextIOWrapper(io.BufferedReader(_Whole(answer)), encoding="utf-8", newline="")


class _Whole(io.RawIOBase):
    """A response that raises an error if it ends early; `http.client` does not when it is read in parts."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer, self._left = answer, answer.length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        read = self._answer.readinto(buffer)
        if self._left is not None:
            self._left -= read
            if not read and len(buffer) and self._left:
                raise ConnectionError(f"the answer ended {self._left} bytes too early")
        return read

    def close(self) -> None:
        self._answer.close()
        super().close()


def main(arguments: Sequence[str]) -> int:
    """Rewrite the file, or with `--check` report whether it would change; return 2 if nothing could be read."""
    parser = argparse.ArgumentParser(
        prog="python -m stackwright.cost.refresh", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if a price is another one")
    parser.add_argument("--region", action="append", help="besides the regions of the file; may be given several times")
    parser.add_argument("--from-folder", type=Path, help="files as <offer>/<region>.csv instead of the network")
    parser.add_argument("--file", type=Path, default=prices.FILE, help="the file of prices")
    chosen = parser.parse_args(arguments)
    for region in chosen.region or ():
        if not re.fullmatch(_REGION, region):
            parser.error(f"--region is {region!r}, accepted: a region's name, as eu-central-1")
    try:
        known = prices.read(chosen.file)
    except (OSError, ValueError) as error:
        parser.error(f"--file: {error}")
    opener = from_folder(chosen.from_folder) if chosen.from_folder else from_aws
    updated, outcome = refresh(known, {*known.regions, *(chosen.region or ())}, opener)
    for title, items in (("changed", outcome.changed), ("kept", outcome.unchanged), ("not read", outcome.missing)):
        sys.stdout.writelines(f"{title}: {item}\n" for item in items)
    sys.stdout.write(
        f"{len(outcome.changed)} changed, {len(outcome.confirmed)} confirmed, {len(outcome.unchanged)} kept as they were\n"
    )
    if not outcome.changed and not outcome.confirmed:
        return 2
    if not chosen.check:
        prices.write(updated, chosen.file)
    return 1 if chosen.check and outcome.changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
