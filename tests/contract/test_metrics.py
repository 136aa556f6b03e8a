"""Budgets of what a stranger stumbles over; a budget may fall, and never rises."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import metrics  # noqa: E402 - below the folder that it is in


def test_variables_are_named_after_what_they_are() -> None:
    assert metrics.names_among(metrics.FORBIDDEN) == []


def test_names_that_say_little_become_no_more() -> None:
    assert len(metrics.names_among(metrics.EMPTY)) <= 412


def test_functions_fit_a_screen() -> None:
    assert len(metrics.long_functions()) <= 17


def test_commands_are_the_exception() -> None:
    called = [metrics.module_of(task) for task in metrics.tasks()]
    assert sum(name in metrics.COMMANDS for name in called) <= 74


def test_prose_is_at_most_100_columns_wide() -> None:
    # Both are generated.
    written = ("docs/benchmarks.md", "docs/long-report.md")
    assert [line for line in metrics.wide_markdown() if not line.startswith(written)] == []
