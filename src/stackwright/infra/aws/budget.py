"""The monthly budget of an environment, with e-mails before its cost exceeds the budget."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.alarm_args import address_problems
from stackwright.infra.aws.context import TAG_PREFIX, Context

#: Thresholds in per cent of the budget: of the actual cost, and of AWS's forecast for the month.
ACTUAL, FORECAST = (50, 80, 100), (100,)
#: Maximum addresses of a notification (Budgets API reference, Notification: eleven subscribers, one of them a topic).
MOST_ADDRESSES = 10


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    """The limit of a month's cost and the addresses to notify.

    Raises ValueError with every problem at once.
    """

    context: Context
    monthly_usd: float
    #: E-mail addresses; AWS asks them for no confirmation.
    notify: Sequence[str]

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("\n".join(f"BudgetArgs.{problem}" for problem in problems))


class Budget(pulumi.ComponentResource):
    """A budget of the environment's cost, selected by tag, with e-mails at 50, 80 and 100 % and at a forecast of 100 %.

    The tag `stackwright:environment` must be activated once as a cost allocation tag in the paying account (Billing and
    Cost Management, "Cost allocation tags"); before that, and for resources without tags, the budget sees no cost.
    It only warns and stops nothing. The values are hours old: AWS computes them a few times a day.
    """

    #: The name of the budget.
    budget_name: pulumi.Output[str]

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Budget", name, None, opts)
        context = args.context
        own_name = context.name("budget", "monthly")
        notifications = [
            *(_notification("ACTUAL", percent, args.notify) for percent in ACTUAL),
            *(_notification("FORECASTED", percent, args.notify) for percent in FORECAST),
        ]
        budget = aws.budgets.Budget(
            f"{name}-monthly",
            name=own_name,
            account_id=context.account,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=f"{args.monthly_usd:.2f}",
            limit_unit="USD",
            cost_filters=[
                # A user-defined tag begins with `user:`, and a dollar sign precedes its value.
                {"name": "TagKeyValue", "values": [f"user:{TAG_PREFIX}:environment${context.environment}"]}
            ],
            notifications=notifications,
            tags=context.tags(own_name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.budget_name = budget.name
        self.register_outputs({"budgetName": self.budget_name})


def _notification(kind: str, percent: float, addresses: Sequence[str]) -> aws.budgets.BudgetNotificationArgsDict:
    return {
        "notification_type": kind,
        "comparison_operator": "GREATER_THAN",
        "threshold": percent,
        "threshold_type": "PERCENTAGE",
        "subscriber_email_addresses": list(addresses),
    }


def _problems(args: BudgetArgs) -> Iterator[str]:
    # One cent is the smallest amount that the API accepts.
    if not 0.01 <= args.monthly_usd < float("inf"):
        yield f"monthly_usd is {args.monthly_usd}, accepted: a number above 0"
    yield from address_problems("notify", args.notify, MOST_ADDRESSES)
