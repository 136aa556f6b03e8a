"""References from rules to the controls of published standards.

**From memory, unverified** (2026-11, no network): the identifiers of AWS Foundational Security Best Practices (FSBP) in
Security Hub, and the numbers of the CIS AWS Foundations Benchmark 3.0.0. Compare them with both before you quote them
to an auditor. This is the one place that says so; rules only name the identifiers.
"""

from __future__ import annotations

STATUS = "references from memory, unverified"
FSBP = "AWS FSBP"
CIS = "CIS AWS 3.0.0"


def fsbp(*controls: str) -> tuple[str, ...]:
    """Return controls of AWS Foundational Security Best Practices, such as `RDS.3`."""
    return tuple(f"{FSBP} {control}" for control in controls)


def cis(*items: str) -> tuple[str, ...]:
    """Return recommendations of the CIS benchmark, such as `2.3.1`."""
    return tuple(f"{CIS} {recommendation}" for recommendation in items)
