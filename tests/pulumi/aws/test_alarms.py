"""Alarms without an engine: every resource with all of its inputs, and each set by what it watches."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws import alarm_sets
from stackwright.infra.aws.alarm_args import AlarmsArgs, HostAlarmsArgs
from stackwright.infra.aws.alarms import Alarms, chosen
from stackwright.policy import evaluate
from stackwright.testing.aws_models import botocore_checks, iam
from stackwright.testing.recording import Properties, Recording, Registered, record

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
TOPIC = "aws:sns/topic:Topic"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"
TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:test-alarms"
PEOPLE = ["operations@example.org", "owner@example.org"]
COMPUTED = {
    TOPIC: lambda inputs: {"arn": f"arn:aws:sns:{inputs.get('region', REGION)}:{ACCOUNT}:{inputs['name']}"},
}
EDGE = HostAlarmsArgs(instance_id="i-00000000000000001", instance_type="t3.medium")
DATABASE = HostAlarmsArgs(instance_id="i-00000000000000002", instance_type="m7i.large")


def args(**more: Any) -> AlarmsArgs:
    fixed: dict[str, Any] = {"context": context(), "kms_key_arn": KEY, "notify": PEOPLE}
    return AlarmsArgs(**(fixed | more))


def run(**more: Any) -> Recording:
    return record(lambda: _program(**more), stack="test", computed=COMPUTED)


def _program(**more: Any) -> None:
    Alarms("alarms", args(**more))


def topic(environment_class: str = "production") -> dict[tuple[str, str], Properties]:
    subscriptions = {
        (SUBSCRIPTION, f"alarms-mail-{each}"): {"topic": TOPIC_ARN, "protocol": "email", "endpoint": each}
        for each in PEOPLE
    }
    return {
        ("stackwright:aws:Alarms", "alarms"): {},
        (TOPIC, "alarms-topic"): {
            "name": "test-alarms",
            "displayName": "taaleem test",
            "kmsMasterKeyId": KEY,
            "policy": json.dumps(POLICY),
            "signatureVersion": 2,
            "tags": tags("test-alarms", environment_class),
        },
        **subscriptions,
    }


POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "PublishByAlarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": TOPIC_ARN,
            "Condition": {
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnLike": {"aws:SourceArn": [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:test-*"]},
            },
        },
        {
            "Sid": "OnlyWithTls",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "sns:Publish",
            "Resource": TOPIC_ARN,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ],
}


def alarm(part: str, **inputs: Any) -> dict[tuple[str, str], Properties]:
    """All inputs but the description, which a person writes."""
    fixed = {
        "name": f"test-{part}",
        "comparisonOperator": "GreaterThanOrEqualToThreshold",
        "evaluationPeriods": 3,
        "period": 300,
        "treatMissingData": "notBreaching",
        "alarmActions": [TOPIC_ARN],
        "okActions": [TOPIC_ARN],
        "tags": tags(f"test-{part}"),
    }
    found = fixed | inputs
    return {(ALARM, f"alarms-{part}"): {"datapointsToAlarm": found["evaluationPeriods"]} | found}


def alarms(recording: Recording) -> list[Registered]:
    return [each for each in recording.resources if each.type == ALARM]


def sealed(recording: Recording, expected: dict[tuple[str, str], Properties]) -> None:
    """Every alarm says why; the words are the set's own business."""
    for each in alarms(recording):
        why = each.inputs.pop("alarmDescription")
        assert 30 <= len(why) <= 1024
    recording.seal(expected)


def host(instance: str) -> Properties:
    return {"namespace": "AWS/EC2", "dimensions": {"InstanceId": instance}}


def test_hosts_and_gateways_are_these_resources_and_no_other() -> None:
    recording = run(hosts={"edge1": EDGE, "db1": DATABASE}, nat_gateway_ids={"a": "nat-1"})
    children = [each for each in recording.resources if each.name != "alarms"]
    assert {each.parent for each in children} == {"alarms"}
    assert not any(each.secrets or each.protect for each in children)
    one, two = host("i-00000000000000001"), host("i-00000000000000002")
    cpu = {"metricName": "CPUUtilization", "statistic": "Average", "threshold": 90.0}
    status = {
        "metricName": "StatusCheckFailed",
        "statistic": "Maximum",
        "threshold": 1.0,
        "period": 60,
        "evaluationPeriods": 5,
        "treatMissingData": "breaching",
    }
    ports = {
        "namespace": "AWS/NATGateway",
        "metricName": "ErrorPortAllocation",
        "dimensions": {"NatGatewayId": "nat-1"},
        "statistic": "Sum",
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": 0.0,
        "period": 60,
        "evaluationPeriods": 15,
    }
    credit = {
        "metricName": "CPUCreditBalance",
        "statistic": "Minimum",
        "comparisonOperator": "LessThanOrEqualToThreshold",
        "threshold": 12.0,
        "evaluationPeriods": 12,
    }
    sealed(
        recording,
        {
            **topic(),
            **alarm("edge1-cpu", **one, **cpu),
            **alarm("edge1-status", **one, **status),
            **alarm("edge1-credits", **one, **credit),
            **alarm("db1-cpu", **two, **cpu),
            **alarm("db1-status", **two, **status),
            **alarm("nat-a-ports", **ports),
        },
    )


def test_memory_and_disks_are_watched_where_the_agent_is() -> None:
    watched = HostAlarmsArgs(instance_id="i-1", instance_type="m7i.large", agent_paths=["/", "/var/lib/postgresql"])
    recording = run(hosts={"db1": watched})
    found = {each.inputs["name"]: each.inputs for each in alarms(recording)}
    assert set(found) == {
        f"test-db1-{part}" for part in ("cpu", "status", "memory", "disk-root", "disk-var-lib-postgresql")
    }
    disk = found["test-db1-disk-var-lib-postgresql"]
    assert disk["dimensions"] == {"InstanceId": "i-1", "path": "/var/lib/postgresql"}
    assert disk["treatMissingData"] == "breaching"
    assert found["test-db1-memory"]["namespace"] == disk["namespace"] == "CWAgent"


def test_the_outputs() -> None:
    found = run(hosts={"edge1": EDGE}).component_outputs["alarms"]
    assert found == {
        "topicArn": TOPIC_ARN,
        "alarmNames": ["test-edge1-cpu", "test-edge1-status", "test-edge1-credits"],
    }


@pytest.mark.parametrize(
    ("instance_type", "earned"),
    [
        ("t3.micro", 12),
        ("t4g.medium", 24),
        ("t3a.2xlarge", 192),
        ("t2.large", 36),
        ("db.t4g.large", 36),
        ("cache.t4g.small", 24),
        ("m7i.large", None),
        ("trn1.2xlarge", None),
    ],
)
def test_rationed_types_earn_credits(instance_type: str, earned: float | None) -> None:
    assert alarm_sets.credits_per_hour(instance_type) == earned


def everything() -> dict[str, Any]:
    """All sets at once."""
    watched = HostAlarmsArgs(instance_id="i-00000000000000003", instance_type="t4g.small", agent_paths=["/"])
    return {
        "hosts": {"edge1": EDGE, "db1": DATABASE, "cache1": watched},
        "nat_gateway_ids": {"a": "nat-0123456789abcdef0"},
    }


def test_every_input_is_one_that_aws_takes() -> None:
    recording = run(**everything())
    report = botocore_checks.check(recording.resources)
    assert [str(each) for each in report.findings] == []
    assert report.resources > len(alarms(recording))


def test_every_policy_is_exact() -> None:
    report = iam.check_resources(run(**everything()).resources)
    assert [str(each) for each in report.findings] == []
    assert report.documents


def test_no_policy_of_ours_is_violated() -> None:
    found = evaluate(run(**everything()).resources, "production")
    # The program is no whole environment: it has no budget.
    assert [each.rule for each in found] == ["budget"]


def test_every_alarm_can_be_evaluated() -> None:
    """CloudWatch looks back over a day at most, or a week where a period is an hour or longer."""
    found = list(chosen(args(**everything())))
    assert len({each.name for each in found}) == len(found)
    for each in found:
        most = 7 * 86400 if each.period_seconds >= 3600 else 86400
        assert each.period_seconds % 60 == 0
        assert each.period_seconds * each.periods <= most
        assert len(each.metrics) == 1 or each.expression


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"notify": []}, "AlarmsArgs.notify is empty, accepted: at least one e-mail address"),
        ({"notify": ["nobody"]}, "AlarmsArgs.notify has 'nobody', accepted: an e-mail address"),
        ({"notify": ["a@b.c", "a@b.c"]}, "AlarmsArgs.notify has 'a@b.c' twice, accepted: each once"),
        (
            {"hosts": {"Edge 1": EDGE}},
            "AlarmsArgs.hosts has 'Edge 1', accepted: lower-case letters, digits and hyphens",
        ),
        (
            {"nat_gateway_ids": {"": "nat-1"}},
            "AlarmsArgs.nat_gateway_ids has '', accepted: lower-case letters, digits and hyphens",
        ),
        (
            {"hosts": {"db1": HostAlarmsArgs(instance_id="i-1", instance_type="m7i.large", agent_paths=["var"])}},
            "AlarmsArgs.hosts.db1.agent_paths has 'var', accepted: paths such as /var",
        ),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        args(**wrong)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ValueError, match=r"^AlarmsArgs\.notify .*\nAlarmsArgs\.hosts [^\n]*$"):
        args(notify=[], hosts={"A": EDGE})


def test_other_languages_can_use_the_component() -> None:
    found = Analyzer("stackwright").analyze([Alarms])
    definition = found["component_definitions"]["Alarms"]
    assert {"context", "kmsKeyArn", "notify", "hosts", "natGatewayIds"} <= set(definition.inputs)
    assert {"alarmNames", "topicArn"} <= set(definition.outputs)
    assert all(each.properties for each in found["type_definitions"].values())
