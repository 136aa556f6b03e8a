"""Somebody hears of it: alarms of every part of an environment, and the topic that carries them to people."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import alarm_sets
from stackwright.infra.aws.alarm_args import AlarmsArgs
from stackwright.infra.aws.alarm_sets import Alarm, Metric
from stackwright.infra.aws.context import Context

#: SHA-256; the first is SHA-1.
_SIGNATURE_VERSION = 2


class Alarms(pulumi.ComponentResource):
    """An encrypted topic with people who subscribe to it, and an alarm for each thing that can go wrong.

    Only this environment's alarms may publish to the topic, and nothing without TLS. Each alarm says when it is over, too.
    """

    topic_arn: pulumi.Output[str]
    alarm_names: pulumi.Output[Sequence[str]]

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Alarms", name, None, opts)
        self._args = args
        self._context = args.context
        topic = self._create_topic(name)
        made = [self._create_alarm(name, each, topic.arn) for each in chosen(args)]
        self.topic_arn = topic.arn
        self.alarm_names = pulumi.Output.all(*(each.name for each in made))
        self.register_outputs({"topicArn": self.topic_arn, "alarmNames": self.alarm_names})

    def _create_topic(self, name: str) -> aws.sns.Topic:
        context, args = self._context, self._args
        own_name = context.name("topic", "alarms")
        topic = aws.sns.Topic(
            f"{name}-topic",
            name=own_name,
            # Of the sender of the mails.
            display_name=f"{context.system} {context.environment}"[:100],
            kms_master_key_id=args.kms_key_arn,
            # Not a resource of its own: a publisher is checked as soon as it is told of the topic.
            policy=json.dumps(topic_policy(context, own_name, context.region)),
            signature_version=_SIGNATURE_VERSION,
            tags=context.tags(own_name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        for address in args.notify:
            aws.sns.TopicSubscription(
                f"{name}-mail-{address}",
                topic=topic.arn,
                protocol="email",
                endpoint=address,
                opts=pulumi.ResourceOptions(parent=self),
            )
        return topic

    def _create_alarm(self, name: str, alarm: Alarm, topic_arn: pulumi.Input[str]) -> aws.cloudwatch.MetricAlarm:
        own_name = self._context.name("alarm", *alarm.name)
        return aws.cloudwatch.MetricAlarm(
            f"{name}-{'-'.join(alarm.name)}",
            name=own_name,
            alarm_description=alarm.reason,
            comparison_operator=alarm.comparison,
            threshold=alarm.threshold,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.periods,
            treat_missing_data=alarm.silence,
            alarm_actions=[topic_arn],
            ok_actions=[topic_arn],
            tags=self._context.tags(own_name),
            opts=pulumi.ResourceOptions(parent=self),
            **_measured(alarm),
        )


def chosen(args: AlarmsArgs) -> Iterator[Alarm]:
    """The alarms of what the args name."""
    yield from alarm_sets.hosts(args.hosts or {})
    yield from alarm_sets.nat(args.nat_gateway_ids or {})


def topic_policy(context: Context, topic: str, region: str) -> dict[str, Any]:
    """Who may publish.

    The account's own people need no word here: their IAM policies decide, and end-points of theirs subscribe by those.
    """
    arn = context.arn("sns", topic, region=region)
    alarms = context.arn("cloudwatch", f"alarm:{context.environment}-*", region=region)
    return {
        "Version": "2012-10-17",
        "Statement": [
            _publisher("PublishByAlarms", "cloudwatch.amazonaws.com", arn, context.account, [alarms]),
            {
                "Sid": "OnlyWithTls",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "sns:Publish",
                "Resource": arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


def _publisher(sid: str, service: str, topic_arn: str, account: str, sources: Sequence[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": list(sources)}},
    }


def _measured(alarm: Alarm) -> dict[str, Any]:
    if not alarm.expression:
        (metric,) = alarm.metrics.values()
        return {
            "namespace": metric.namespace,
            "metric_name": metric.name,
            "dimensions": dict(metric.dimensions),
            "period": alarm.period_seconds,
            **_statistic(metric),
        }
    queries = [_query(identity, metric, alarm.period_seconds) for identity, metric in alarm.metrics.items()]
    result = {"id": "result", "expression": alarm.expression, "label": "-".join(alarm.name), "return_data": True}
    return {"metric_queries": [*queries, result]}


def _statistic(metric: Metric) -> dict[str, str]:
    if not metric.statistic.startswith("p"):
        return {"statistic": metric.statistic}
    # A percentile of a few requests says nothing.
    return {"extended_statistic": metric.statistic, "evaluate_low_sample_count_percentiles": "ignore"}


def _query(identity: str, metric: Metric, period_seconds: int) -> dict[str, Any]:
    return {
        "id": identity,
        "metric": {
            "namespace": metric.namespace,
            "metric_name": metric.name,
            "dimensions": dict(metric.dimensions),
            "period": period_seconds,
            "stat": metric.statistic,
        },
        "return_data": False,
    }
