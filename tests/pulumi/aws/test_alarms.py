"""Alarms without an engine: every resource with all of its inputs, and each set by what it watches."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pulumi
import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws import alarm_sets
from stackwright.infra.aws.alarm_args import (
    AlarmsArgs,
    CacheAlarmsArgs,
    CdnAlarmsArgs,
    CertificateAlarmsArgs,
    DatabaseAlarmsArgs,
    GroupAlarmsArgs,
    HostAlarmsArgs,
    LoadBalancerAlarmsArgs,
    WebFirewallAlarmsArgs,
)
from stackwright.infra.aws.alarms import Alarms, chosen
from stackwright.policy import evaluate
from stackwright.testing.aws_models import botocore_checks, iam
from stackwright.testing.recording import Properties, Recording, Registered, record

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
EVENTS = "aws:rds/eventSubscription:EventSubscription"
TOPIC = "aws:sns/topic:Topic"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
SCHEMA = json.loads((Path(__file__).parent / "dashboard.schema.json").read_text())
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
    recording = run(hosts={"edge1": EDGE, "db1": DATABASE}, nat_gateway_ids={"a": "nat-1"}, dashboard=False)
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


def test_services_backups_and_replication_are_watched_where_the_host_sends_them() -> None:
    watched = HostAlarmsArgs(
        instance_id="i-1", instance_type="m7i.large", failed_units=True, backups=True, replication=True
    )
    found = {alarm.name[1]: alarm for alarm in alarm_sets.hosts({"db1": watched})}
    assert list(found) == ["cpu", "status", "units", "backups", "replication"]
    said = {name: [(each.name, each.namespace) for each in alarm.metrics.values()] for name, alarm in found.items()}
    assert said["units"] == [("failed_units", "CWAgent")]
    assert said["backups"] == [("backup_problems", "CWAgent")]
    assert said["replication"] == [("replication_lag_mb", "CWAgent")]
    assert (found["replication"].threshold, found["replication"].urgent) == (16, True)


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
    found = run(hosts={"edge1": EDGE}, dashboard=False).component_outputs["alarms"]
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


PRIMARY = DatabaseAlarmsArgs(
    identifier="test-primary", instance_class="db.m7g.large", memory_mb=8192, storage_gb=100, max_connections=400
)
READER = DatabaseAlarmsArgs(
    identifier="test-reader",
    instance_class="db.t4g.medium",
    memory_mb=4096,
    storage_gb=100,
    max_connections=200,
    iops=6000,
    replica=True,
)
SESSIONS = CacheAlarmsArgs(group_id="test-sessions", nodes=2, keeps=True)
PAGES = CacheAlarmsArgs(group_id="test-pages", nodes=1, max_connections=1000)
BALANCER = LoadBalancerAlarmsArgs(arn_suffix="app/test-web/1", target_groups={"app": "targetgroup/test-app/2"})
GROUP = GroupAlarmsArgs(name="test-app", min_size=2, max_size=6, agent_paths=["/"])
CERTIFICATE_ARN = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"
GLOBAL_CERTIFICATE_ARN = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/2"
CERTIFICATES = {
    "web": CertificateAlarmsArgs(arn=CERTIFICATE_ARN),
    "cdn": CertificateAlarmsArgs(arn=GLOBAL_CERTIFICATE_ARN, region="us-east-1"),
}
CDN = CdnAlarmsArgs(distribution_id="E123", origin_latency_seconds=2)
FIREWALL = WebFirewallAlarmsArgs(metric_name="test-regional", scope="REGIONAL")
GLOBAL_KEY = KEY.replace(REGION, "us-east-1")
GLOBAL_TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:test-global"
URGENT_TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:test-urgent"


def everything() -> dict[str, Any]:
    """All sets at once."""
    watched = HostAlarmsArgs(instance_id="i-00000000000000003", instance_type="t4g.small", agent_paths=["/"])
    return {
        "hosts": {"edge1": EDGE, "db1": DATABASE, "cache1": watched},
        "nat_gateway_ids": {"a": "nat-0123456789abcdef0"},
        "databases": {"primary": PRIMARY, "reader": READER},
        "caches": {"sessions": SESSIONS, "pages": PAGES},
        "load_balancer": BALANCER,
        "groups": {"app": GROUP},
        "certificates": CERTIFICATES,
        "cdn": CDN,
        "web_firewall": FIREWALL,
        "backup_vaults": {"main": "test-main"},
        "global_kms_key_arn": GLOBAL_KEY,
        "urgent_notify": ["pager@example.org"],
    }


def by_name(**more: Any) -> dict[str, Properties]:
    """Inputs of each alarm by its name without the environment's."""
    return {each.inputs["name"].removeprefix("test-"): each.inputs for each in alarms(run(**more))}


#: Name -> metric, statistic, comparison, threshold, seconds, what silence means.
Told = dict[str, tuple[str, str, str, float, int, str]]


def told(found: dict[str, Properties]) -> Told:
    signs = {
        "GreaterThanOrEqualToThreshold": ">=",
        "GreaterThanThreshold": ">",
        "LessThanThreshold": "<",
        "LessThanOrEqualToThreshold": "<=",
    }
    return {
        name: (
            each["metricName"],
            each.get("statistic") or each["extendedStatistic"],
            signs[each["comparisonOperator"]],
            each["threshold"],
            int(each["period"] * each["evaluationPeriods"]),
            each["treatMissingData"],
        )
        for name, each in found.items()
    }


def test_databases() -> None:
    found = by_name(databases={"primary": PRIMARY})
    assert {json.dumps(each["dimensions"]) for each in found.values()} == {'{"DBInstanceIdentifier": "test-primary"}'}
    assert {each["namespace"] for each in found.values()} == {"AWS/RDS"}
    fine, bad = "notBreaching", "breaching"
    assert told(found) == {
        "database-primary-memory": ("FreeableMemory", "Average", "<", pytest.approx(858_993_459.2), 900, fine),
        "database-primary-storage": ("FreeStorageSpace", "Minimum", "<", pytest.approx(8 * 1024**3), 900, fine),
        "database-primary-connections": ("DatabaseConnections", "Maximum", ">=", 320, 900, fine),
        "database-primary-transactions": ("MaximumUsedTransactionIDs", "Maximum", ">=", 1e9, 900, fine),
        "database-primary-cpu": ("CPUUtilization", "Average", ">=", 90, 900, bad),
        "database-primary-read-latency": ("ReadLatency", "Average", ">=", 0.02, 900, fine),
        "database-primary-write-latency": ("WriteLatency", "Average", ">=", 0.05, 900, fine),
        "database-primary-disk-queue": ("DiskQueueDepth", "Average", ">=", 60, 900, fine),
    }


def test_replicas_may_lag_and_small_classes_run_out_of_credits() -> None:
    found = told(by_name(databases={"reader": READER}))
    assert found["database-reader-lag"] == ("ReplicaLag", "Maximum", ">=", 60, 900, "breaching")
    assert found["database-reader-credits"] == ("CPUCreditBalance", "Minimum", "<", 12, 3600, "notBreaching")
    assert found["database-reader-disk-queue"][3] == 120


def test_what_rds_says_reaches_the_topic() -> None:
    recording = run(databases={"primary": PRIMARY, "reader": READER})
    events = recording.named("alarms-events")
    assert events.type == EVENTS
    categories = events.inputs.pop("eventCategories")
    assert {"failure", "failover", "low storage"} <= set(categories)
    # Every backup and every change of an hour is no news.
    assert not {"backup", "configuration change", "creation"} & set(categories)
    assert events.inputs == {
        "name": "test-databases",
        "snsTopic": TOPIC_ARN,
        "sourceType": "db-instance",
        "sourceIds": ["test-primary", "test-reader"],
        "tags": tags("test-databases"),
    }
    (statement,) = (
        each
        for each in json.loads(recording.named("alarms-topic").inputs["policy"])["Statement"]
        if each["Sid"] == "PublishByDatabases"
    )
    assert statement["Principal"] == {"Service": "events.rds.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": [f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:test-*" for kind in ("db", "es")]},
    }


def test_a_store_that_keeps_must_not_evict() -> None:
    found = by_name(caches={"sessions": SESSIONS})
    nodes = {each["dimensions"]["CacheClusterId"] for each in found.values()}
    assert nodes == {"test-sessions-001", "test-sessions-002"}
    fine, bad = "notBreaching", "breaching"
    assert {name: each for name, each in told(found).items() if "-002-" in name} == {
        "cache-sessions-002-cpu": ("CPUUtilization", "Average", ">=", 90, 900, bad),
        "cache-sessions-002-engine-cpu": ("EngineCPUUtilization", "Average", ">=", 90, 900, fine),
        "cache-sessions-002-memory": ("DatabaseMemoryUsagePercentage", "Maximum", ">=", 80, 900, fine),
        "cache-sessions-002-evictions": ("Evictions", "Sum", ">", 0, 300, fine),
        "cache-sessions-002-lag": ("ReplicationLag", "Maximum", ">=", 30, 900, fine),
        "cache-sessions-002-connections": ("CurrConnections", "Maximum", ">=", 52_000, 900, fine),
    }


def test_a_cache_evicts_and_one_node_has_no_lag() -> None:
    found = told(by_name(caches={"pages": PAGES}))
    assert set(found) == {f"cache-pages-001-{part}" for part in ("cpu", "engine-cpu", "memory", "connections")}
    assert found["cache-pages-001-memory"][3] == 95
    assert found["cache-pages-001-connections"][3] == 800


def test_nodes_of_a_group_that_is_yet_to_be_made() -> None:
    def program() -> None:
        group = pulumi.Output.from_input("test-pages")
        Alarms("alarms", args(caches={"pages": CacheAlarmsArgs(group_id=group, nodes=1)}))

    found = alarms(record(program, stack="test", computed=COMPUTED))
    assert {each.inputs["dimensions"]["CacheClusterId"] for each in found} == {"test-pages-001"}


def test_the_load_balancer() -> None:
    found = by_name(load_balancer=BALANCER)
    ratios = {name: found.pop(f"load-balancer-{name}") for name in ("errors", "target-errors")}
    fine, bad = "notBreaching", "breaching"
    assert told(found) == {
        "load-balancer-latency": ("TargetResponseTime", "p95", ">=", 1, 900, fine),
        "load-balancer-rejected": ("RejectedConnectionCount", "Sum", ">", 0, 300, fine),
        "load-balancer-app-unhealthy": ("UnHealthyHostCount", "Maximum", ">=", 1, 300, fine),
        "load-balancer-app-none-healthy": ("HealthyHostCount", "Maximum", "<", 1, 180, bad),
    }
    assert found["load-balancer-latency"]["evaluateLowSampleCountPercentiles"] == "ignore"
    of = {"LoadBalancer": "app/test-web/1"}
    assert found["load-balancer-app-unhealthy"]["dimensions"] == {**of, "TargetGroup": "targetgroup/test-app/2"}
    for each in ratios.values():
        errors, requests, result = each["metricQueries"]
        assert not {"metricName", "period", "dimensions", "statistic"} & set(each)
        assert [query["returnData"] for query in (errors, requests, result)] == [False, False, True]
        assert errors["metric"]["dimensions"] == requests["metric"]["dimensions"] == of
        assert requests["metric"]["metricName"] == "RequestCount"
        assert (each["threshold"], each["evaluationPeriods"]) == (5, 5)
    assert ratios["errors"]["metricQueries"][0]["metric"]["metricName"] == "HTTPCode_ELB_5XX_Count"
    assert ratios["target-errors"]["metricQueries"][2]["expression"] == (
        "IF((FILL(requests, 0)) >= 20, 100 * FILL(errors, 0) / (FILL(requests, 0)), 0)"
    )
    # Without any target every answer is an error, and no request is counted.
    total = "(FILL(requests, 0) + FILL(errors, 0))"
    assert (
        ratios["errors"]["metricQueries"][2]["expression"] == f"IF({total} >= 20, 100 * FILL(errors, 0) / {total}, 0)"
    )


def test_a_group() -> None:
    found = by_name(groups={"app": GROUP})
    assert found["group-app-disk-root"]["dimensions"].pop("path") == "/"
    assert all(each["dimensions"] == {"AutoScalingGroupName": "test-app"} for each in found.values())
    fine, bad = "notBreaching", "breaching"
    assert told(found) == {
        "group-app-cpu": ("CPUUtilization", "Average", ">=", 85, 900, fine),
        "group-app-status": ("StatusCheckFailed", "Maximum", ">=", 1, 1200, fine),
        "group-app-in-service": ("GroupInServiceInstances", "Minimum", "<", 2, 600, bad),
        "group-app-largest": ("GroupDesiredCapacity", "Minimum", ">=", 6, 1800, fine),
        "group-app-memory": ("mem_used_percent", "Maximum", ">=", 90, 900, fine),
        "group-app-disk-root": ("disk_used_percent", "Maximum", ">=", 85, 900, bad),
        "group-app-units": ("failed_units", "Maximum", ">=", 1, 900, fine),
    }


def test_a_group_of_a_fixed_size_is_always_at_its_largest() -> None:
    fixed = GroupAlarmsArgs(name="test-app", min_size=2, max_size=2)
    assert set(by_name(groups={"app": fixed})) == {f"group-app-{part}" for part in ("cpu", "status", "in-service")}
    empty = GroupAlarmsArgs(name="test-app", min_size=0, max_size=1)
    assert "group-app-in-service" not in by_name(groups={"app": empty})


def test_certificates_web_firewall_and_backups() -> None:
    found = by_name(
        certificates={"web": CERTIFICATES["web"]}, web_firewall=FIREWALL, backup_vaults={"main": "test-main"}
    )
    assert told(found) == {
        "certificate-web-days": ("DaysToExpiry", "Minimum", "<", 30, 86400, "ignore"),
        "web-firewall-blocked": ("BlockedRequests", "Sum", ">=", 1000, 300, "notBreaching"),
        "backup-main-failed": ("NumberOfBackupJobsFailed", "Sum", ">", 0, 300, "notBreaching"),
        "backup-main-age": ("NumberOfBackupJobsCompleted", "Sum", "<", 1, 86400, "breaching"),
    }
    assert found["web-firewall-blocked"]["dimensions"] == {"WebACL": "test-regional", "Rule": "ALL", "Region": REGION}
    assert found["certificate-web-days"]["dimensions"] == {"CertificateArn": CERTIFICATE_ARN}


def cloudfront() -> dict[str, Any]:
    firewall = WebFirewallAlarmsArgs(metric_name="test-cloudfront", scope="CLOUDFRONT", blocked_requests=50)
    return {
        "cdn": CDN,
        "web_firewall": firewall,
        "certificates": {"cdn": CERTIFICATES["cdn"]},
        "global_kms_key_arn": GLOBAL_KEY,
    }


def test_alarms_of_cloudfront_are_where_its_metrics_are() -> None:
    recording = run(**cloudfront())
    found = {each.inputs["name"].removeprefix("test-"): each.inputs for each in alarms(recording)}
    assert told(found) == {
        "certificate-cdn-days": ("DaysToExpiry", "Minimum", "<", 30, 86400, "ignore"),
        "cdn-errors": ("5xxErrorRate", "Average", ">=", 5, 300, "notBreaching"),
        "cdn-origin-latency": ("OriginLatency", "p90", ">=", 2000, 900, "notBreaching"),
        "web-firewall-blocked": ("BlockedRequests", "Sum", ">=", 50, 300, "notBreaching"),
    }
    for each in found.values():
        assert each["region"] == "us-east-1"
        assert each["alarmActions"] == each["okActions"] == [GLOBAL_TOPIC]
    assert found["cdn-errors"]["dimensions"] == {"DistributionId": "E123", "Region": "Global"}
    assert found["web-firewall-blocked"]["dimensions"] == {"WebACL": "test-cloudfront", "Rule": "ALL"}
    topic_there = recording.named("alarms-topic-global").inputs
    assert (topic_there["region"], topic_there["kmsMasterKeyId"]) == ("us-east-1", GLOBAL_KEY)
    assert f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:test-*" in topic_there["policy"]
    there = {each.inputs["endpoint"]: each.inputs for each in recording.resources if "-mail-global-" in each.name}
    assert set(there) == set(PEOPLE)
    assert {(each["topic"], each["region"]) for each in there.values()} == {(GLOBAL_TOPIC, "us-east-1")}


def test_an_environment_in_us_east_1_has_one_topic_for_both() -> None:
    home = dataclasses.replace(context(), region="us-east-1")
    recording = run(**(cloudfront() | {"global_kms_key_arn": None, "context": home}))
    assert [each.name for each in recording.resources if each.type == TOPIC] == ["alarms-topic"]
    assert not any("region" in each.inputs for each in recording.resources)


def test_what_is_urgent_is_said_to_others_once() -> None:
    recording = run(**everything())
    composite = recording.named("alarms-urgent")
    rule = composite.inputs.pop("alarmRule")
    assert composite.inputs.pop("alarmDescription")
    assert composite.inputs == {
        "alarmName": "test-urgent",
        "alarmActions": [URGENT_TOPIC],
        "okActions": [URGENT_TOPIC],
        "tags": tags("test-urgent"),
    }
    names = re.findall(r'ALARM\("([^"]+)"\)', rule)
    assert rule == " OR ".join(f'ALARM("{each}")' for each in names)
    assert set(names) == {
        *(f"test-{host}-status" for host in ("edge1", "db1", "cache1")),
        "test-cache1-disk-root",
        *(f"test-database-{each}-{part}" for each in ("primary", "reader") for part in ("cpu", "storage")),
        *(f"test-cache-sessions-{node}-{part}" for node in ("001", "002") for part in ("memory", "evictions")),
        *(f"test-load-balancer-{part}" for part in ("errors", "target-errors", "app-none-healthy")),
        "test-group-app-in-service",
    }
    # It exists after them, as AWS asks for.
    assert {f"alarms-{each.removeprefix('test-')}" for each in names} < set(composite.depends_on)
    (mail,) = (each for each in recording.resources if "-mail-urgent-" in each.name)
    assert (mail.inputs["topic"], mail.inputs["endpoint"]) == (URGENT_TOPIC, "pager@example.org")
    assert recording.component_outputs["alarms"]["urgentTopicArn"] == URGENT_TOPIC


def test_many_urgent_alarms_are_several_composite_ones() -> None:
    hosts = {f"app{number}": DATABASE for number in range(80)}
    found = [
        each.inputs["alarmRule"].count("ALARM(")
        for each in run(hosts=hosts, urgent_notify=["pager@example.org"]).resources
        if each.type == COMPOSITE
    ]
    assert found == [35, 35, 10]


def test_without_people_for_it_there_is_no_composite_alarm() -> None:
    recording = run(hosts={"edge1": EDGE})
    assert not any(each.type == COMPOSITE for each in recording.resources)
    # Neither where nothing is urgent.
    assert not any(each.type == COMPOSITE for each in run(urgent_notify=["p@example.org"]).resources)


def dashboard(recording: Recording) -> Any:
    return json.loads(recording.named("alarms-dashboard").inputs["dashboardBody"])


def test_the_dashboard_is_one_that_cloudwatch_draws() -> None:
    recording = run(**everything())
    body = dashboard(recording)
    jsonschema.Draft202012Validator(SCHEMA).validate(body)
    assert recording.named("alarms-dashboard").inputs["dashboardName"] == "test-overview"
    assert recording.component_outputs["alarms"]["dashboardName"] == "test-overview"
    (status,) = (each["properties"] for each in body["widgets"] if each["type"] == "alarm")
    assert {each.rpartition(":")[2] for each in status["alarms"]} == {each.inputs["name"] for each in alarms(recording)}
    for each in alarms(recording):
        where = each.inputs.get("region", REGION)
        assert f"arn:aws:cloudwatch:{where}:{ACCOUNT}:alarm:{each.inputs['name']}" in status["alarms"]


def test_the_widgets_of_the_dashboard_do_not_overlap() -> None:
    cells = [
        (x, y)
        for each in dashboard(run(**everything()))["widgets"]
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_every_metric_of_an_alarm_is_drawn_once_with_its_threshold() -> None:
    charts = [each["properties"] for each in dashboard(run(**everything()))["widgets"] if each["type"] == "metric"]
    assert len({each["title"] for each in charts}) == len(charts)
    found = list(chosen(args(**everything())))
    drawn = [line for chart in charts for line in chart["metrics"]]
    assert len(drawn) == sum(len(each.metrics) + bool(each.expression) for each in found)
    for chart in charts:
        ids = [line[-1]["id"] for line in chart["metrics"]]
        assert len(set(ids)) == len(ids)
        assert chart["annotations"]["horizontal"]
    (ratio,) = (each for each in charts if each["title"].startswith("Load balancer: errors"))
    expressions = [line[0]["expression"] for line in ratio["metrics"] if len(line) == 1]
    known = {line[-1]["id"] for line in ratio["metrics"]}
    used = {word for each in expressions for word in re.findall(r"\b[a-z]\w*", each)}
    assert len(expressions) == 2
    assert used == {"errors0", "requests0", "errors1", "requests1"} <= known


@pytest.mark.parametrize(
    ("environment_class", "asked", "there"),
    [("production", None, True), ("staging", None, False), ("staging", True, True), ("production", False, False)],
)
def test_a_dashboard_is_in_production(environment_class: str, asked: bool | None, there: bool) -> None:
    recording = run(context=context(environment_class), hosts={"edge1": EDGE}, dashboard=asked)
    assert any(each.type == DASHBOARD for each in recording.resources) is there
    name = recording.component_outputs["alarms"].get("dashboardName")
    assert name == ("test-overview" if there else None)


def test_all_is_declared_before_anything_is_known() -> None:
    known = {(each.type, each.name) for each in run(**everything()).resources}
    preview = record(lambda: _program(**everything()), stack="test", computed=COMPUTED, preview=True)
    assert {(each.type, each.name) for each in preview.resources} == known


COMPONENTS = {
    "autoscaling/group:Group": {"name": "test-app"},
    "cloudfront/distribution:Distribution": {},
    "ec2/instance:Instance": {},
    "elasticache/replicationGroup:ReplicationGroup": {"replicationGroupId": "test-sessions"},
    "lb/loadBalancer:LoadBalancer": {"name": "test-web"},
    "rds/instance:Instance": {"identifier": "test-primary"},
}


@pytest.mark.parametrize("watched", [True, False])
def test_each_component_is_one_that_the_policy_finds_watched(watched: bool) -> None:
    """The dimensions are what the resources are called by."""

    def program() -> None:
        made = {
            token: pulumi.CustomResource(f"aws:{token}", token.partition("/")[0], inputs)
            for token, inputs in COMPONENTS.items()
        }
        one = HostAlarmsArgs(instance_id=made["ec2/instance:Instance"].id, instance_type="m7i.large")
        distribution = CdnAlarmsArgs(distribution_id=made["cloudfront/distribution:Distribution"].id)
        parts = {
            "groups": {"app": GROUP},
            "cdn": distribution,
            "hosts": {"edge1": one},
            "caches": {"sessions": SESSIONS},
            "load_balancer": BALANCER,
            "databases": {"primary": PRIMARY},
            "global_kms_key_arn": GLOBAL_KEY,
        }
        Alarms("alarms", args(**parts if watched else {}))

    found = evaluate(record(program, stack="test", computed=COMPUTED).resources, "production")
    missing = [each for each in found if each.rule == "alarm-per-component"]
    assert len(missing) == (0 if watched else len(COMPONENTS))


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
        (
            {"groups": {"app": dataclasses.replace(GROUP, agent_paths=["var"])}},
            "AlarmsArgs.groups.app.agent_paths has 'var', accepted: paths such as /var",
        ),
        ({"urgent_notify": []}, "AlarmsArgs.urgent_notify is empty, accepted: at least one e-mail address"),
        (
            {"databases": {"db": dataclasses.replace(PRIMARY, memory_mb=0)}},
            "AlarmsArgs.databases.db.memory_mb is 0, accepted: 1 or more",
        ),
        (
            {"databases": {"db": dataclasses.replace(PRIMARY, iops=0)}},
            "AlarmsArgs.databases.db.iops is 0, accepted: 1 or more",
        ),
        (
            {"caches": {"pages": dataclasses.replace(PAGES, nodes=7)}},
            "AlarmsArgs.caches.pages.nodes is 7, accepted: 1 to 6",
        ),
        (
            {"caches": {"pages": dataclasses.replace(PAGES, max_connections=0)}},
            "AlarmsArgs.caches.pages.max_connections is 0, accepted: 1 or more",
        ),
        (
            {"load_balancer": dataclasses.replace(BALANCER, latency_seconds=0)},
            "AlarmsArgs.load_balancer.latency_seconds is 0, accepted: a number above 0",
        ),
        (
            {"load_balancer": dataclasses.replace(BALANCER, target_groups={"A": "x"})},
            "AlarmsArgs.load_balancer.target_groups has 'A', accepted: lower-case letters, digits and hyphens",
        ),
        (
            {"groups": {"app": dataclasses.replace(GROUP, max_size=1)}},
            "AlarmsArgs.groups.app has min_size 2 and max_size 1, accepted: 0 to max_size",
        ),
        (
            {"certificates": {"web": dataclasses.replace(CERTIFICATES["web"], region="eu-west-1")}},
            "AlarmsArgs.certificates.web.region is 'eu-west-1', accepted: eu-central-1, us-east-1",
        ),
        (
            {"cdn": CDN},
            "AlarmsArgs.global_kms_key_arn is missing, accepted: a key of us-east-1, where alarms of CloudFront are",
        ),
        (
            {"cdn": dataclasses.replace(CDN, origin_latency_seconds=0), "global_kms_key_arn": GLOBAL_KEY},
            "AlarmsArgs.cdn.origin_latency_seconds is 0, accepted: a number above 0",
        ),
        (
            {"web_firewall": dataclasses.replace(FIREWALL, scope="GLOBAL")},
            "AlarmsArgs.web_firewall.scope is 'GLOBAL', accepted: CLOUDFRONT, REGIONAL",
        ),
        (
            {"web_firewall": dataclasses.replace(FIREWALL, blocked_requests=0)},
            "AlarmsArgs.web_firewall.blocked_requests is 0, accepted: 1 or more",
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
