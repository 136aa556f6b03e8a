"""Prints an estimate: a table by tier, what is left out, what is in a single zone, what a deletion would destroy."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from stackwright.cost.assumptions import Assumptions
from stackwright.cost.estimate import Estimate
from stackwright.cost.lines import FREE, PRICED, Line
from stackwright.cost.risks import Loss

#: Marks of a price that was not verified, and of a quantity that is an assumption.
UNVERIFIED, ASSUMED = "?", "~"
_MONTHS_A_YEAR = 12
T = TypeVar("T")


def show(
    estimate: Estimate,
    console: Console,
    *,
    environment: str = "",
    budget_usd: float | None = None,
    details: bool = True,
) -> None:
    """Print the whole report; `details=False` leaves the lines out and keeps the totals."""
    console.print(renderable(estimate, environment=environment, budget_usd=budget_usd, details=details))


def renderable(
    estimate: Estimate, *, environment: str = "", budget_usd: float | None = None, details: bool = True
) -> Group:
    """Return the whole report for the caller's console. Names are shown without the environment's name as a prefix."""
    short = _Short(environment)
    sources = _sources(estimate)
    parts: list[RenderableType] = [_lines(estimate, short, sources)] if details else []
    parts += [_tiers(estimate), _summary(estimate, budget_usd)]
    if estimate.unknown:
        unknown = [f"{short(line.resource)}, {line.what}: {line.note}" for line in estimate.unknown]
        parts.append(_listed("Not in the total", unknown))
    if details:
        parts += _footnotes(estimate, sources)
    if estimate.single_zones:
        single_zones = [
            f"{short(single_zone.what)}: {short.within(single_zone.why)}" for single_zone in estimate.single_zones
        ]
        parts.append(_listed("In one zone only", single_zones))
    if estimate.losses:
        parts.append(_losses(estimate, short))
    return Group(*parts)


def assumptions_table(assumptions: Assumptions) -> Table:
    """Return a table of all assumptions by name, in the form in which they can be changed (`nat_gb=100`)."""
    table = Table("Assumption", "Value", title="Assumptions", title_justify="left", box=None)
    for field in fields(assumptions):
        table.add_row(field.name, f"{getattr(assumptions, field.name):g}")
    return table


class _Short:
    """Shortens names by their common prefix."""

    def __init__(self, environment: str) -> None:
        self.prefix = f"{environment}-" if environment else ""

    def __call__(self, name: str) -> str:
        return name.removeprefix(self.prefix)

    def within(self, text: str) -> str:
        return text.replace(self.prefix, "") if self.prefix else text

    def together(self, names: Sequence[str]) -> str:
        """Return the one name, or the number of names and their common prefix."""
        distinct = sorted({self(name) for name in names})
        if len(distinct) == 1:
            return distinct[0]
        # RUF071: a comparison letter by letter is intended; these are not paths.
        common = os.path.commonprefix(distinct)  # noqa: RUF071
        return f"{len(distinct)} x {common[: common.rfind('-') + 1]}*"


def _together(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Return groups of items with the same key, in the order of the first item of each."""
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _alike(line: Line) -> Hashable:
    return replace(line, resource="", quantity=None, usd=None)


def _sources(estimate: Estimate) -> dict[tuple[str, str], int]:
    """Return the AWS lists that prices are taken from, with the number of their footnote."""
    dated_sources = {(line.source, line.date) for line in estimate.lines if line.state == PRICED and line.verified}
    return {source: number for number, source in enumerate(sorted(dated_sources), start=1)}


def _lines(estimate: Estimate, short: _Short, sources: dict[tuple[str, str], int]) -> Table:
    table = Table(title=f"Cost a month in {estimate.region}", title_justify="left", box=None)
    table.add_column("Tier", no_wrap=True)
    table.add_column("Resource", overflow="fold")
    table.add_column("What", overflow="fold")
    for name in ("Quantity", "USD each", "USD a month"):
        table.add_column(name, justify="right", no_wrap=True)
    for tier in estimate.tiers:
        mine = [line for line in estimate.lines if line.tier == tier and line.state != FREE]
        for position, alike in enumerate(_together(mine, _alike)):
            line, resource = _sum(alike), short.together([alike_line.resource for alike_line in alike])
            first = Text("" if position else tier, style="bold")
            table.add_row(first, resource, line.what, _quantity(line), _each(line, sources), _usd(line))
        table.add_row("", "", "", "", "", Text(f"{estimate.tiers[tier]:,.2f}", style="bold"), end_section=True)
    return table


def _sum(alike: Sequence[Line]) -> Line:
    quantities = [line.quantity for line in alike if line.quantity is not None]
    costs = [line.usd for line in alike if line.usd is not None]
    return replace(
        alike[0], quantity=sum(quantities) if quantities else None, usd=sum(costs) if len(costs) == len(alike) else None
    )


def _quantity(line: Line) -> str:
    if line.quantity is None:
        return ""
    # Items that are charged by the month are counted in pieces.
    unit = "" if line.unit == "month" else line.unit
    return f"{ASSUMED if line.assumed else ''}{line.quantity:,.5g} {unit}".rstrip()


def _each(line: Line, sources: dict[tuple[str, str], int]) -> str:
    if line.unit_usd is None:
        return ""
    return f"{line.unit_usd:g}{f'[{sources[line.source, line.date]}]' if line.verified else UNVERIFIED}"


def _usd(line: Line) -> Text:
    return Text("unknown", style="bold red") if line.usd is None else Text(f"{line.usd:,.2f}")


def _tiers(estimate: Estimate) -> Table:
    table = Table("Tier", title="By tier", title_justify="left", box=None, show_footer=True)
    table.columns[0].footer = "total"
    table.add_column("USD a month", justify="right", footer=f"{estimate.total_usd:,.2f}")
    for tier, usd in estimate.tiers.items():
        table.add_row(tier, f"{usd:,.2f}")
    return table


def _summary(estimate: Estimate, budget_usd: float | None) -> Text:
    total, at_least = estimate.total_usd, "at least " if estimate.unknown else ""
    text = Text(
        f"{at_least}{total:,.2f} USD a month, {total * _MONTHS_A_YEAR:,.0f} a year, without tax and free allowances"
    )
    text.append(f"; {estimate.assumed_usd:,.2f} of it by assumptions ({ASSUMED})\n")
    free = sum(1 for line in estimate.lines if line.state == FREE)
    if free:
        text.append(f"{free} more resources are free of charge\n")
    if estimate.unverified:
        dates = sorted({line.date for line in estimate.unverified if line.date})
        when = f", {' and '.join(dates)}" if dates else ""
        priced = sum(1 for line in estimate.lines if line.state == PRICED)
        text.append(f"{len(estimate.unverified)} of {priced} prices are unverified ({UNVERIFIED}), from memory{when}: ")
        text.append("python -m stackwright.cost.refresh reads AWS's own\n")
        text.stylize("yellow", text.plain.index(f"{len(estimate.unverified)} of {priced} prices"))
    if budget_usd is not None:
        over = estimate.over_usd(budget_usd)
        verdict = f"over the budget of {budget_usd:,.2f} USD by {over:,.2f}" if over else _within(estimate, budget_usd)
        text.append(f"{verdict}\n", style="bold red" if over else "green" if not estimate.unknown else "yellow")
    return text


def _within(estimate: Estimate, budget_usd: float) -> str:
    left = f"{budget_usd - estimate.total_usd:,.2f} left"
    but = f", but {len(estimate.unknown)} parts are unknown" if estimate.unknown else ""
    return f"within the budget of {budget_usd:,.2f} USD: {left}{but}"


def _footnotes(estimate: Estimate, sources: dict[tuple[str, str], int]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if estimate.by_assumption:
        table = Table("Name", box=None)
        table.add_column("Value", justify="right")
        table.add_column("USD a month", justify="right")
        for name, usd in estimate.by_assumption.items():
            table.add_row(name, f"{getattr(estimate.assumptions, name):g}", f"{usd:,.2f}")
        parts += [Text(f"Assumptions ({ASSUMED}): --assume NAME=VALUE changes one", style="bold"), table, ""]
    noted = [line for line in estimate.lines if line.state == PRICED and line.note]
    notes = [
        f"{', '.join(dict.fromkeys(line.what for line in alike))}: {alike[0].note}"
        for alike in _together(noted, lambda line: line.note)
    ]
    if notes:
        parts.append(_listed("What the figures leave out", notes))
    if sources:
        source_lines = [
            f"[{number}] AWS's price list of {date}: {address}" for (address, date), number in sources.items()
        ]
        parts.append(_listed("Sources", source_lines))
    return parts


def _listed(title: str, items: Sequence[str]) -> Text:
    return Text.assemble((f"{title}\n", "bold"), *(f"  {item}\n" for item in items))


def _losses(estimate: Estimate, short: _Short) -> Table:
    table = Table(title="What a deletion would destroy", title_justify="left", box=None)
    for name in ("Resource", "What", "Outcome", "Refused at first by"):
        table.add_column(name, overflow="fold")
    for alike in _together(estimate.losses, lambda loss: replace(loss, resource="")):
        loss: Loss = alike[0]
        guards = " and ".join(loss.protected_by) or Text("nobody", style="bold red" if loss.destroyed else "")
        outcome = Text(loss.outcome, style="red" if loss.destroyed else "")
        # Each one by name, so that it is clear which database is meant.
        names = ", ".join(short(alike_loss.resource) for alike_loss in alike)
        table.add_row(names, f"{len(alike)} x {loss.what}" if len(alike) > 1 else loss.what, outcome, guards)
    return table


__all__ = ["ASSUMED", "UNVERIFIED", "assumptions_table", "renderable", "show"]
