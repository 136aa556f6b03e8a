"""Alarms of every part of an environment, and the SNS topics that notify people of them."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import alarm_sets, alarm_sets_data, alarm_sets_edge, dashboard
from stackwright.infra.aws.alarm_args import GLOBAL_REGION, AlarmsArgs, DatabaseAlarmsArgs
from stackwright.infra.aws.alarm_sets import Alarm, Metric
from stackwright.infra.aws.context import Context

#: Version 2 is SHA-256, version 1 is SHA-1.
_SIGNATURE_VERSION = 2
#: Maximum characters of a topic's display name.
_LONGEST_SENDER = 100
#: Alarms in a composite alarm, whose rule has at most 10 240 characters, and an alarm's name 255.
_MOST_IN_ONE = 35
#: Event categories of databases, without those that report every backup and every change (RDS user guide, "Amazon RDS
#: event categories").
_EVENTS = (
    "availability",
    "deletion",
    "failover",
    "failure",
    "low storage",
    "maintenance",
    "notification",
    "read replica",
    "recovery",
    "restoration",
)


class Alarms(pulumi.ComponentResource):
    """An encrypted SNS topic with e-mail subscribers, an alarm for each thing that can go wrong, and a dashboard.

    Only this environment's alarms, and RDS for its databases, may publish to the topic, and only over TLS. Each alarm
    also notifies when it is over. If there are addresses for urgent alarms, one composite alarm notifies them of
    everything that leaves users without the service.
    """

    topic_arn: pulumi.Output[str]
    #: The topic for urgent alarms.
    urgent_topic_arn: pulumi.Output[str | None]
    alarm_names: pulumi.Output[Sequence[str]]
    dashboard_name: pulumi.Output[str | None]

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Alarms", name, None, opts)
        self._args = args
        self._context = args.context
        topics = self._create_topics(name)
        alarms = list(chosen(args))
        made = [self._create_alarm(name, alarm, topics[self._region(alarm) or ""].arn) for alarm in alarms]
        if args.databases:
            self._create_events(name, args.databases, topics[""].arn)
        urgent = self._create_urgent(name, [pair for pair in zip(alarms, made, strict=True) if pair[0].urgent])
        self.topic_arn = topics[""].arn
        self.urgent_topic_arn = pulumi.Output.from_input(urgent.arn if urgent else None)
        self.alarm_names = pulumi.Output.all(*(resource.name for resource in made))
        self.dashboard_name = pulumi.Output.from_input(self._create_dashboard(name, alarms))
        self.register_outputs(
            {
                "topicArn": self.topic_arn,
                "urgentTopicArn": self.urgent_topic_arn,
                "alarmNames": self.alarm_names,
                "dashboardName": self.dashboard_name,
            }
        )

    def _region(self, alarm: Alarm) -> str | None:
        # The provider's own region needs no setting.
        return None if alarm.region == self._context.region else alarm.region

    def _create_topics(self, name: str) -> dict[str, aws.sns.Topic]:
        """Create a topic per region ("" is the environment's own), as an alarm can only notify topics in its region."""
        args = self._args
        topics = {"": self._create_topic(name, "alarms", args.notify, args.kms_key_arn, databases=bool(args.databases))}
        if args.watches_global and args.global_kms_key_arn is not None:
            key = args.global_kms_key_arn
            topics[GLOBAL_REGION] = self._create_topic(name, "global", args.notify, key, region=GLOBAL_REGION)
        return topics

    def _create_topic(
        self,
        name: str,
        part: str,
        addresses: Sequence[str],
        key: pulumi.Input[str],
        *,
        region: str | None = None,
        databases: bool = False,
    ) -> aws.sns.Topic:
        context = self._context
        own_name = context.name("topic", part)
        # The main topic has no suffix.
        suffix = "" if part == "alarms" else f"-{part}"
        topic = aws.sns.Topic(
            f"{name}-topic{suffix}",
            name=own_name,
            # The sender name of the e-mails.
            display_name=f"{context.system} {context.environment}"[:_LONGEST_SENDER],
            kms_master_key_id=key,
            # Not a separate resource: AWS checks a publisher as soon as it is given the topic.
            policy=json.dumps(topic_policy(context, own_name, region or context.region, databases=databases)),
            signature_version=_SIGNATURE_VERSION,
            region=region,
            tags=context.tags(own_name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        for address in addresses:
            aws.sns.TopicSubscription(
                f"{name}-mail{suffix}-{address}",
                topic=topic.arn,
                protocol="email",
                endpoint=address,
                region=region,
                opts=pulumi.ResourceOptions(parent=self),
            )
        return topic

    def _create_events(
        self, name: str, databases: Mapping[str, DatabaseAlarmsArgs], topic_arn: pulumi.Input[str]
    ) -> None:
        own_name = self._context.name("event_subscription", "databases")
        aws.rds.EventSubscription(
            f"{name}-events",
            name=own_name,
            sns_topic=topic_arn,
            source_type="db-instance",
            source_ids=[database.identifier for database in databases.values()],
            event_categories=list(_EVENTS),
            tags=self._context.tags(own_name),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_urgent(
        self, name: str, pairs: Sequence[tuple[Alarm, aws.cloudwatch.MetricAlarm]]
    ) -> aws.sns.Topic | None:
        args, context = self._args, self._context
        # A composite alarm only covers alarms in its own region; failures behind CloudFront also show up here.
        made = [resource for alarm, resource in pairs if self._region(alarm) is None]
        names = [context.name("alarm", *alarm.name) for alarm, _ in pairs if self._region(alarm) is None]
        if args.urgent_notify is None or not made:
            return None
        topic = self._create_topic(name, "urgent", args.urgent_notify, args.kms_key_arn)
        for start in range(0, len(names), _MOST_IN_ONE):
            number = () if start == 0 else (str(start // _MOST_IN_ONE + 1),)
            own_name = context.name("alarm", "urgent", *number)
            aws.cloudwatch.CompositeAlarm(
                "-".join((name, "urgent", *number)),
                alarm_name=own_name,
                alarm_description="Users are, or will soon be, without the service; the alarms in this one say by what",
                alarm_rule=" OR ".join(f'ALARM("{alarm_name}")' for alarm_name in names[start : start + _MOST_IN_ONE]),
                alarm_actions=[topic.arn],
                ok_actions=[topic.arn],
                tags=context.tags(own_name),
                # The rule contains only their names, from which Pulumi cannot see the dependency.
                opts=pulumi.ResourceOptions(parent=self, depends_on=made[start : start + _MOST_IN_ONE]),
            )
        return topic

    def _create_dashboard(self, name: str, alarms: Sequence[Alarm]) -> pulumi.Output[str] | None:
        if not self._args.has_dashboard or not alarms:
            return None
        return aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=self._context.name("dashboard", "overview"),
            dashboard_body=pulumi.Output.json_dumps(dashboard.body(self._context, alarms)),
            opts=pulumi.ResourceOptions(parent=self),
        ).dashboard_name

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
            region=self._region(alarm),
            tags=self._context.tags(own_name),
            opts=pulumi.ResourceOptions(parent=self),
            **_measured(alarm),
        )


def chosen(args: AlarmsArgs) -> Iterator[Alarm]:
    """Yield the alarms of everything that the args name."""
    yield from alarm_sets.hosts(args.hosts or {})
    yield from alarm_sets.nat(args.nat_gateway_ids or {})
    yield from alarm_sets_data.databases(args.databases or {})
    yield from alarm_sets_data.caches(args.caches or {})
    yield from alarm_sets_data.backups(args.backup_vaults or {})
    if args.load_balancer is not None:
        yield from alarm_sets_edge.load_balancer(args.load_balancer)
    yield from alarm_sets_edge.groups(args.groups or {})
    yield from alarm_sets_edge.certificates(args.certificates or {})
    if args.cdn is not None:
        yield from alarm_sets_edge.cdn(args.cdn)
    if args.web_firewall is not None:
        yield from alarm_sets_edge.web_firewall(args.web_firewall, args.context.region)


def topic_policy(context: Context, topic: str, region: str, *, databases: bool) -> dict[str, Any]:
    """Return the policy of a topic, which says who may publish.

    The account's own users need no statement here: their IAM policies decide. The source that RDS states is from AWS's
    guide ("Granting permissions to publish notifications to an Amazon SNS topic"), not verified against an account.
    """
    arn = context.arn("sns", topic, region=region)
    alarms = context.arn("cloudwatch", f"alarm:{context.environment}-*", region=region)
    statements = [_publisher("PublishByAlarms", "cloudwatch.amazonaws.com", arn, context.account, [alarms])]
    if databases:
        sources = [context.arn("rds", f"{kind}:{context.environment}-*", region=region) for kind in ("db", "es")]
        statements.append(_publisher("PublishByDatabases", "events.rds.amazonaws.com", arn, context.account, sources))
    tls = {
        "Sid": "OnlyWithTls",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [*statements, tls]}


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
    # A percentile of a few requests is meaningless.
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
