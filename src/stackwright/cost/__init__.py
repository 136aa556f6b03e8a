"""What an environment on AWS costs a month, from what it declares and a dated file of prices; no account, no network.

from stackwright.cost import estimate, report

found = estimate(recording, "eu-central-1")
report.show(found, Console(), budget_usd=250)

`python -m stackwright.cost.refresh` brings the prices up to date.
"""

from stackwright.cost.assumptions import Assumptions
from stackwright.cost.estimate import Estimate, estimate, lines_for
from stackwright.cost.lines import Line

__all__ = ["Assumptions", "Estimate", "Line", "estimate", "lines_for"]
