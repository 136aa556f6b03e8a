"""What the rules found, for people and for programs."""

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
    """One line: how many rules there are, and how many violations of each severity."""
    if not violations:
        return f"{len(RULES)} rules, no violation"
    counts = Counter(violation.severity for violation in violations)
    severity_counts = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts[severity])
    return f"{len(RULES)} rules, {len(violations)} violation{'s' if len(violations) > 1 else ''}: {severity_counts}"


def print_report(console: Console, violations: Sequence[Violation]) -> None:
    """A table of the violations, and the summary below."""
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
            # Not as markup: messages hold brackets.
            table.add_row(severity, *(Text(cell) for cell in cells))
        console.print(table)
    console.print(Text(summary(violations), style="" if violations else "green"))


def to_json(violations: Sequence[Violation]) -> str:
    """The same for programs."""
    counts = Counter(violation.severity for violation in violations)
    document = {
        "rules": len(RULES),
        "counts": {severity: counts[severity] for severity in SEVERITIES},
        "references": STATUS,
        "violations": [asdict(violation) for violation in violations],
    }
    return json.dumps(document, indent=2)
