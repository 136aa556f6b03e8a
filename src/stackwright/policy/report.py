"""Reports of violations, as a table and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackwright.policy.references import STATUS
from stackwright.policy.rule import SEVERITIES, Violation
from stackwright.policy.rules import RULES

_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def summary(violations: Sequence[Violation]) -> str:
    """Return one line with the number of rules and the number of violations of each severity."""
    if not violations:
        return f"{len(RULES)} rules, no violation"
    counts = Counter(violation.severity for violation in violations)
    severity_counts = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts[severity])
    return f"{len(RULES)} rules, {len(violations)} violation{'s' if len(violations) > 1 else ''}: {severity_counts}"


def print_report(console: Console, violations: Sequence[Violation]) -> None:
    """Print a table of the violations, followed by the summary."""
    if violations:
        table = Table(box=None, pad_edge=False)
        for heading in ("severity", "rule", "resource", "what is wrong", "fix", f"reference ({STATUS})"):
            table.add_column(heading, overflow="fold")
        for violation in violations:
            severity = Text(violation.severity, style=_STYLES[violation.severity])
            cells = (
                violation.rule,
                violation.resource or "(the stack)",
                violation.message,
                violation.remediation,
                violation.reference,
            )
            # Not as markup: messages contain brackets.
            table.add_row(severity, *(Text(cell) for cell in cells))
        console.print(table)
    console.print(Text(summary(violations), style="" if violations else "green"))


def to_json(violations: Sequence[Violation]) -> str:
    """Return the violations as JSON."""
    counts = Counter(violation.severity for violation in violations)
    document = {
        "rules": len(RULES),
        "counts": {severity: counts[severity] for severity in SEVERITIES},
        "references": STATUS,
        "violations": [asdict(violation) for violation in violations],
    }
    return json.dumps(document, indent=2)
