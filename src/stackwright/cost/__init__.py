"""Estimates the monthly cost of an AWS environment from its declaration and a dated price file; no account, no network.

from stackwright.cost import estimate, report

found = estimate(recording, "eu-central-1")
report.show(found, Console(), budget_usd=250)

`python -m stackwright.cost.refresh` updates the prices.
"""

from stackwright.cost.assumptions import Assumptions
from stackwright.cost.estimate import Estimate, estimate, lines_for
from stackwright.cost.lines import Line

__all__ = ["Assumptions", "Estimate", "Line", "estimate", "lines_for"]
