"""An estimate for people: a table by tier, what is left out, what stands in one zone, what a deletion would destroy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from stackwright.cost.assumptions import Assumptions
from stackwright.cost.estimate import Estimate
from stackwright.cost.lines import FREE, Line

#: Beside a price that nobody looked up, and beside a quantity that is an assumption.
UNVERIFIED, ASSUMED = "?", "~"
_MONTHS_A_YEAR = 12


def show(estimate: Estimate, console: Console, *, budget_usd: float | None = None, details: bool = True) -> None:
    """Print all of it; `details=False` leaves the lines out and keeps the totals."""
    console.print(renderable(estimate, budget_usd=budget_usd, details=details))


def renderable(estimate: Estimate, *, budget_usd: float | None = None, details: bool = True) -> Group:
    """All of it, for a console of one's own."""
    parts: list[RenderableType] = [_lines(estimate)] if details else []
    parts += [_tiers(estimate), _summary(estimate, budget_usd)]
    parts += [_unknown(estimate.unknown)] if estimate.unknown else []
    if estimate.single_zones:
        parts.append(_listed("In one zone only", [f"{each.what}: {each.why}" for each in estimate.single_zones]))
    if estimate.losses:
        parts.append(_losses(estimate))
    return Group(*parts)


def assumptions_table(assumptions: Assumptions) -> Table:
    """Every assumption by its name, as it can be changed (`nat_gb=100`)."""
    found = Table("Assumption", "Value", title="Assumptions", title_justify="left", box=None)
    for field in fields(assumptions):
        found.add_row(field.name, f"{getattr(assumptions, field.name):g}")
    return found


def _lines(estimate: Estimate) -> Table:
    found = Table(title=f"Cost a month in {estimate.region}", title_justify="left", box=None)
    found.add_column("Tier")
    found.add_column("Resource", overflow="fold")
    found.add_column("What", overflow="fold")
    for name in ("Quantity", "USD each", "USD a month"):
        found.add_column(name, justify="right", no_wrap=True)
    tiers = list(estimate.tiers)
    shown = [line for line in estimate.lines if line.state != FREE]
    for line in sorted(shown, key=lambda line: tiers.index(line.tier)):
        found.add_row(line.tier, line.resource, line.what, _quantity(line), _each(line), _usd(line))
    return found


def _quantity(line: Line) -> str:
    if line.quantity is None:
        return ""
    return f"{ASSUMED if line.assumed else ''}{line.quantity:,.6g} {line.unit}".rstrip()


def _each(line: Line) -> str:
    return "" if line.unit_usd is None else f"{line.unit_usd:g}{'' if line.verified else UNVERIFIED}"


def _usd(line: Line) -> Text:
    return Text("unknown", style="bold red") if line.usd is None else Text(f"{line.usd:,.2f}")


def _tiers(estimate: Estimate) -> Table:
    found = Table("Tier", title="By tier", title_justify="left", box=None, show_footer=True)
    found.columns[0].footer = "total"
    found.add_column("USD a month", justify="right", footer=f"{estimate.total_usd:,.2f}")
    for tier, usd in estimate.tiers.items():
        found.add_row(tier, f"{usd:,.2f}")
    return found


def _summary(estimate: Estimate, budget_usd: float | None) -> Text:
    total, at_least = estimate.total_usd, "at least " if estimate.unknown else ""
    found = Text(
        f"{at_least}{total:,.2f} USD a month, {total * _MONTHS_A_YEAR:,.0f} a year, without tax and free allowances"
    )
    found.append(f"; {estimate.assumed_usd:,.2f} of it by assumptions ({ASSUMED})\n")
    free = sum(1 for line in estimate.lines if line.state == FREE)
    if free:
        found.append(f"{free} more resources are free of charge\n")
    if estimate.unverified:
        found.append(f"{len(estimate.unverified)} prices are unverified ({UNVERIFIED}): ", style="yellow")
        found.append("python -m stackwright.cost.refresh reads AWS's own\n", style="yellow")
    if budget_usd is not None:
        over = estimate.over_usd(budget_usd)
        said = f"over the budget of {budget_usd:,.2f} USD by {over:,.2f}" if over else _within(estimate, budget_usd)
        found.append(f"{said}\n", style="bold red" if over else "green" if not estimate.unknown else "yellow")
    return found


def _within(estimate: Estimate, budget_usd: float) -> str:
    left = f"{budget_usd - estimate.total_usd:,.2f} left"
    but = f", but {len(estimate.unknown)} parts are unknown" if estimate.unknown else ""
    return f"within the budget of {budget_usd:,.2f} USD: {left}{but}"


def _unknown(lines: Sequence[Line]) -> Text:
    return _listed("Not in the total", [f"{line.resource}, {line.what}: {line.note}" for line in lines])


def _listed(title: str, items: Sequence[str]) -> Text:
    return Text.assemble((f"{title}\n", "bold"), *(f"  {item}\n" for item in items))


def _losses(estimate: Estimate) -> Table:
    found = Table(title="What a deletion would destroy", title_justify="left", box=None)
    for name in ("Resource", "What", "Outcome", "Refused at first by"):
        found.add_column(name, overflow="fold")
    for loss in estimate.losses:
        guards = " and ".join(loss.protected_by) or Text("nobody", style="bold red" if loss.destroyed else "")
        outcome = Text(loss.outcome, style="red" if loss.destroyed else "")
        found.add_row(loss.resource, loss.what, outcome, guards)
    return found


__all__ = ["ASSUMED", "UNVERIFIED", "assumptions_table", "renderable", "show"]
