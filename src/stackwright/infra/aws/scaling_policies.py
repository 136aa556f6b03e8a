"""Scaling of a group of servers: by its load, and at scheduled times."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context

_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
#: Minute, hour, day, month and weekday, as Auto Scaling accepts them: numbers, names, lists, ranges, steps.
_CRON = re.compile(r"[0-9A-Za-z*,/-]+( [0-9A-Za-z*,/-]+){4}")
#: Format of IANA time zones; only AWS checks whether the zone exists.
_TIME_ZONE = re.compile(r"[A-Z][A-Za-z]+(/[A-Za-z0-9_+-]+){0,2}")


@dataclass(frozen=True, kw_only=True)
class ScheduledSizeArgs:
    """A size of the group from a scheduled time on."""

    name: str
    #: A cron expression with five fields.
    at: str
    min: int
    max: int
    #: Defaults to `Etc/UTC`.
    time_zone: str | None = None


@dataclass(frozen=True, kw_only=True)
class RequestsArgs:
    """The group's target for the requests of the load balancer."""

    #: Requests per minute and server.
    per_instance: int
    #: Last parts of the ARNs of the load balancer and of its target group; together they identify the metric.
    load_balancer_suffix: pulumi.Input[str]
    target_group_suffix: pulumi.Input[str]


def schedule_problems(schedules: Sequence[ScheduledSizeArgs], least: int, most: int) -> Iterator[str]:
    """Yield problems of scheduled sizes, for a group from `least` to `most`."""
    names = [schedule.name for schedule in schedules]
    for position, size in enumerate(schedules):
        where = f"schedules[{position}]"
        if not _NAME.fullmatch(size.name) or names.count(size.name) > 1:
            yield f"{where}.name is {size.name!r}, accepted: lower-case letters, digits and hyphens, each name once"
        if not _CRON.fullmatch(size.at):
            yield f"{where}.at is {size.at!r}, accepted: five fields of cron such as 0 6 * * MON-FRI"
        if not least <= size.min <= size.max <= most:
            yield f"{where} is {size.min} to {size.max}, accepted: sizes within {least} to {most}, `min` not above `max`"
        if size.time_zone is not None and not _TIME_ZONE.fullmatch(size.time_zone):
            yield f"{where}.time_zone is {size.time_zone!r}, accepted: names such as Europe/Berlin"


def create_cpu_policy(
    owner: pulumi.Resource, name: str, context: Context, group: aws.autoscaling.Group, part: str, percent: int
) -> None:
    """Keep the average CPU utilization near `percent`."""
    aws.autoscaling.Policy(
        name,
        name=context.name("scaling_policy", part, "cpu"),
        autoscaling_group_name=group.name,
        policy_type="TargetTrackingScaling",
        target_tracking_configuration={
            "target_value": float(percent),
            "predefined_metric_specification": {"predefined_metric_type": "ASGAverageCPUUtilization"},
        },
        opts=pulumi.ResourceOptions(parent=owner),
    )


def create_requests_policy(
    owner: pulumi.Resource, name: str, context: Context, group: aws.autoscaling.Group, part: str, requests: RequestsArgs
) -> None:
    """Keep the requests that each server gets near a number; of two policies the one with more servers wins."""
    label = pulumi.Output.concat(requests.load_balancer_suffix, "/", requests.target_group_suffix)
    aws.autoscaling.Policy(
        name,
        name=context.name("scaling_policy", part, "requests"),
        autoscaling_group_name=group.name,
        policy_type="TargetTrackingScaling",
        target_tracking_configuration={
            "target_value": float(requests.per_instance),
            "predefined_metric_specification": {
                "predefined_metric_type": "ALBRequestCountPerTarget",
                "resource_label": label,
            },
        },
        opts=pulumi.ResourceOptions(parent=owner),
    )


def create_schedule(
    owner: pulumi.Resource,
    name: str,
    context: Context,
    group: aws.autoscaling.Group,
    part: str,
    schedule: ScheduledSizeArgs,
) -> None:
    """Set another size from a time on; the desired number between the two limits still depends on the load."""
    aws.autoscaling.Schedule(
        name,
        scheduled_action_name=context.name("scheduled_action", part, schedule.name),
        autoscaling_group_name=group.name,
        recurrence=schedule.at,
        time_zone=schedule.time_zone or "Etc/UTC",
        min_size=schedule.min,
        max_size=schedule.max,
        # Left unchanged: the provider uses -1 for this.
        desired_capacity=-1,
        opts=pulumi.ResourceOptions(parent=owner),
    )
