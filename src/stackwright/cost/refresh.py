"""Bring the file of prices up to date from AWS's public price list: over HTTPS, without an account.

`python -m stackwright.cost.refresh [--check] [--region R]... [--from-folder F]`

The list of EC2 is some hundred megabytes for each region; `--from-folder` reads files that were downloaded before, as `F/<offer>/<region>.csv`
(`F/<offer>/global.csv` for services without a region). What the list does not say keeps its price and its mark.
"""

from __future__ import annotations

import argparse
import io
import sys
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from stackwright.cost import offers, prices
from stackwright.cost.prices import GLOBAL, Price, Prices

#: (Offer, region) -> its file. Raises OSError where there is none.
Opener = Callable[[str, str], AbstractContextManager[TextIO]]
_TIMEOUT_SECONDS = 60


@dataclass(kw_only=True)
class Outcome:
    """What a refresh did; the texts are `region kind`, with what happened."""

    changed: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    #: Kept as they were: no row, or more than one price.
    kept: list[str] = field(default_factory=list)
    #: Files that could not be read.
    missing: list[str] = field(default_factory=list)


def refresh(known: Prices, regions: Iterable[str], open_offer: Opener) -> tuple[Prices, Outcome]:
    """The prices with all that the list says; the same files always give the same prices."""
    outcome = Outcome()
    templates = {kind: price for kinds in known.regions.values() for kind, price in sorted(kinds.items())}
    updated = {region: dict(kinds) for region, kinds in known.regions.items()}
    for region in sorted(set(regions)):
        mine = updated.setdefault(region, {})
        found, ambiguous = _read_region(region, open_offer, outcome)
        same_scope = {*known.regions.get(GLOBAL, {})}
        wanted = [kind for kind in sorted(templates) if (kind in same_scope) == (region == GLOBAL)]
        for kind in wanted:
            if kind not in found:
                why = f"the list has {ambiguous[kind]} prices" if kind in ambiguous else "not in the list"
                outcome.kept.append(f"{region} {kind}: {why}")
                continue
            usd, source, date = found[kind]
            price = Price(unit=templates[kind].unit, usd=usd, source=source, verified=True, date=date)
            before = mine.get(kind)
            mine[kind] = price
            if before is not None and before.usd == usd:
                outcome.confirmed.append(f"{region} {kind}")
            else:
                outcome.changed.append(f"{region} {kind}: {before.usd if before else 'none'} -> {usd}")
    return replace(known, regions=updated), outcome


def _read_region(
    region: str, open_offer: Opener, outcome: Outcome
) -> tuple[dict[str, tuple[float, str, str]], dict[str, int]]:
    found: dict[str, tuple[float, str, str]] = {}
    ambiguous: dict[str, int] = {}
    rules = offers.rules(region)
    for offer in sorted({rule.offer for rule in rules}):
        source = offers.address(offer, region)
        try:
            with open_offer(offer, region) as stream:
                content = offers.read(stream, [rule for rule in rules if rule.offer == offer])
        except (OSError, ValueError) as error:
            outcome.missing.append(f"{source}: {error}")
            continue
        for kind, several in content.found.items():
            if len(several) == 1:
                found[kind] = (next(iter(several)), source, content.date)
            else:
                ambiguous[kind] = len(several)
    return found, ambiguous


def from_folder(folder: Path) -> Opener:
    """Files that were downloaded before."""
    return lambda offer, region: (folder / offer / f"{region}.csv").open(encoding="utf-8", newline="")


def from_aws(offer: str, region: str) -> AbstractContextManager[TextIO]:
    """The list itself, read while it arrives."""
    # S310: the address is HTTPS by construction (offers.HOST).
    answer = urllib.request.urlopen(offers.address(offer, region), timeout=_TIMEOUT_SECONDS)  # noqa: S310
    return io.TextIOWrapper(answer, encoding="utf-8", newline="")


def main(arguments: Sequence[str]) -> int:
    """Rewrite the file, or with `--check` say whether it would change; 2 where nothing could be read."""
    parser = argparse.ArgumentParser(
        prog="python -m stackwright.cost.refresh", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if a price is another one")
    parser.add_argument("--region", action="append", help="besides the regions of the file; may be given several times")
    parser.add_argument("--from-folder", type=Path, help="files as <offer>/<region>.csv instead of the network")
    parser.add_argument("--file", type=Path, default=prices.FILE, help="the file of prices")
    chosen = parser.parse_args(arguments)
    known = prices.read(chosen.file)
    opener = from_folder(chosen.from_folder) if chosen.from_folder else from_aws
    updated, outcome = refresh(known, {*known.regions, *(chosen.region or ())}, opener)
    for title, items in (("changed", outcome.changed), ("kept", outcome.kept), ("not read", outcome.missing)):
        sys.stdout.writelines(f"{title}: {item}\n" for item in items)
    sys.stdout.write(
        f"{len(outcome.changed)} changed, {len(outcome.confirmed)} confirmed, {len(outcome.kept)} kept as they were\n"
    )
    if not outcome.changed and not outcome.confirmed:
        return 2
    if not chosen.check:
        prices.write(updated, chosen.file)
    return 1 if chosen.check and outcome.changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
