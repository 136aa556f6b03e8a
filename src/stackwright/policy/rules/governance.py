"""Rules for ownership and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.policy.resources import UNKNOWN, Graph, Resource, as_list, is_taggable
from stackwright.policy.rule import Finding, Rules, Settings

RULES = Rules()
#: The tags that `stackwright.infra.aws.context.Context.tags` sets.
REQUIRED_TAGS = ("Name", "stackwright:class", "stackwright:environment", "stackwright:system")


def tags(resource: Resource) -> Any:
    """Return a resource's tags, in whichever form it declares them; UNKNOWN if only AWS knows them."""
    resource_tags = resource.get("tags")
    if isinstance(resource_tags, list):
        return {tag.get("key"): tag.get("value") for tag in resource_tags if isinstance(tag, Mapping)}
    return resource_tags


@RULES.resource(
    "tags",
    "medium",
    fix="set tags=context.tags(name)",
)
def _tags(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Each resource has the ownership tags: costs, permissions and Ansible's groups depend on tags."""
    if not is_taggable(resource.type):
        return
    resource_tags = tags(resource)
    if resource_tags is not UNKNOWN:
        missing = [name for name in REQUIRED_TAGS if not (resource_tags or {}).get(name)]
        if missing:
            yield f"missing: {', '.join(missing)}"


@RULES.resource(
    "launched-things-have-tags",
    "medium",
    "ec2/launchTemplate",
    "autoscaling/group",
    fix="set tagSpecifications for instance and volume; propagateAtLaunch of a group's tags",
)
def _launched(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Resources that a launch template or an Auto Scaling group creates have the ownership tags, too."""
    if resource.kind == "autoscaling/group":
        for tag in as_list(resource.get("tags")):
            if isinstance(tag, Mapping) and tag.get("propagateAtLaunch") is False:
                yield f"tag {tag.get('key')} does not reach the instances"
        return
    if resource.get("tagSpecifications") is UNKNOWN:
        return
    tags_by_kind = {
        specification.get("resourceType"): specification.get("tags") or {}
        for specification in as_list(resource.get("tagSpecifications"))
    }
    for kind in ("instance", "volume"):
        kind_tags = tags_by_kind.get(kind, {})
        missing = [] if kind_tags is UNKNOWN else [name for name in REQUIRED_TAGS if not kind_tags.get(name)]
        if missing:
            yield f"{kind}: missing: {', '.join(missing)}"


@RULES.graph("budget", "medium", fix="declare a Budget with a notification that somebody reads")
def _budget(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """A budget notifies a subscriber before an environment costs more than it may."""
    if not any(resource.is_aws for resource in graph.resources):
        return
    budgets = list(graph.of("budgets/budget"))
    if not budgets:
        yield None, "the stack has no budget"
    for budget in budgets:
        notifications = budget.get("notifications")
        if notifications is UNKNOWN:
            continue
        subscribed = [
            notification
            for notification in as_list(notifications)
            if notification.get("subscriberEmailAddresses") or notification.get("subscriberSnsTopicArns")
        ]
        if not subscribed:
            yield budget, "it tells nobody"


@RULES.graph("cost-within-budget", "medium", fix="choose smaller sizes, or raise the budget")
def _cost(graph: Graph, settings: Settings) -> Iterator[Finding]:
    """The estimated monthly cost is within the budget."""
    if settings.monthly_usd is None:
        return
    for budget in graph.of("budgets/budget"):
        limit = budget.get("limitAmount")
        if budget.get("timeUnit") == "MONTHLY" and limit not in (None, UNKNOWN) and settings.monthly_usd > float(limit):
            yield budget, f"the estimate is {settings.monthly_usd:.2f} USD a month, the budget {float(limit):.2f}"
