"""The budget without an engine."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aws_context import ACCOUNT, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws.budget import Budget, BudgetArgs
from stackwright.policy import evaluate
from stackwright.testing.aws_models import botocore_checks
from stackwright.testing.recording import Recording, record

PEOPLE = ["operations@example.org", "owner@example.org"]


def args(**more: Any) -> BudgetArgs:
    fixed: dict[str, Any] = {"context": context(), "monthly_usd": 250, "notify": PEOPLE}
    return BudgetArgs(**(fixed | more))


def run(**more: Any) -> Recording:
    return record(lambda: _program(**more), stack="test")


def _program(**more: Any) -> None:
    Budget("budget", args(**more))


def notification(kind: str, percent: float) -> dict[str, Any]:
    return {
        "notificationType": kind,
        "comparisonOperator": "GREATER_THAN",
        "threshold": percent,
        "thresholdType": "PERCENTAGE",
        "subscriberEmailAddresses": PEOPLE,
    }


def test_a_budget_is_these_resources_and_no_other() -> None:
    recording = run(monthly_usd=250.5)
    recording.seal(
        {
            ("stackwright:aws:Budget", "budget"): {},
            ("aws:budgets/budget:Budget", "budget-monthly"): {
                "name": "test-monthly",
                "accountId": ACCOUNT,
                "budgetType": "COST",
                "timeUnit": "MONTHLY",
                "limitAmount": "250.50",
                "limitUnit": "USD",
                "costFilters": [{"name": "TagKeyValue", "values": ["user:stackwright:environment$test"]}],
                "notifications": [
                    notification("ACTUAL", 50),
                    notification("ACTUAL", 80),
                    notification("ACTUAL", 100),
                    notification("FORECASTED", 100),
                ],
                "tags": tags("test-monthly"),
            },
        }
    )
    (budget,) = (each for each in recording.resources if each.name == "budget-monthly")
    assert budget.parent == "budget"
    assert not budget.secrets
    assert recording.component_outputs["budget"] == {"budgetName": "test-monthly"}


def test_aws_takes_it_and_no_policy_is_violated() -> None:
    recording = run()
    report = botocore_checks.check(recording.resources)
    assert [str(each) for each in report.findings] == []
    assert report.resources == 1
    assert evaluate(recording.resources, "production") == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"monthly_usd": 0}, "BudgetArgs.monthly_usd is 0, accepted: a number above 0"),
        ({"monthly_usd": float("nan")}, "BudgetArgs.monthly_usd is nan, accepted: a number above 0"),
        ({"notify": []}, "BudgetArgs.notify is empty, accepted: at least one e-mail address"),
        ({"notify": ["x"]}, "BudgetArgs.notify has 'x', accepted: an e-mail address"),
        (
            {"notify": [f"p{number}@example.org" for number in range(11)]},
            "BudgetArgs.notify has 11, accepted: at most 10",
        ),
        (
            {"monthly_usd": -1, "notify": []},
            (
                "BudgetArgs.monthly_usd is -1, accepted: a number above 0\n"
                "BudgetArgs.notify is empty, accepted: at least one e-mail address"
            ),
        ),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        args(**wrong)


def test_other_languages_can_use_the_component() -> None:
    found = Analyzer("stackwright").analyze([Budget])
    definition = found["component_definitions"]["Budget"]
    assert set(definition.inputs) == {"context", "monthlyUsd", "notify"}
    assert set(definition.outputs) == {"budgetName"}
