"""Rules for logs, alarms and monitoring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.policy.references import cis, fsbp
from stackwright.policy.resources import UNKNOWN, Graph, Resource, as_list
from stackwright.policy.rule import Finding, Rules, Settings

RULES = Rules()
#: Kind -> its name in messages; each resource of these kinds has at least one alarm.
_WATCHED: Mapping[str, str] = {
    "autoscaling/group": "group of servers",
    "cloudfront/distribution": "distribution",
    "ec2/instance": "host",
    "elasticache/replicationGroup": "cache",
    "lb/loadBalancer": "load balancer",
    "rds/instance": "database",
}
_WEB_FIREWALL_SCOPES = ("lb/loadBalancer", "cloudfront/distribution")


@RULES.graph(
    "flow-logs",
    "medium",
    fix="declare a FlowLog of the VPC with trafficType ALL",
    references=(*fsbp("EC2.6"), *cis("3.7")),
)
def _flow_logs(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """A VPC records its network traffic in a flow log."""
    for vpc in graph.of("ec2/vpc"):
        kinds = [flow_log.get("trafficType") for flow_log in graph.pointing_at(vpc, "ec2/flowLog", "vpcId")]
        if not any(kind in ("ALL", "REJECT", UNKNOWN) for kind in kinds):
            yield vpc, f"its flow log has {kinds[0]}" if kinds else "it has no flow log"


@RULES.resource(
    "log-retention",
    "medium",
    "cloudwatch/logGroup",
    fix="set retentionInDays",
    references=fsbp("CloudWatch.16"),
)
def _retention(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Log groups have an explicit retention: without one AWS keeps, and bills, logs for ever."""
    if not resource.get("retentionInDays"):
        yield "retentionInDays is missing: for ever"


@RULES.resource(
    "load-balancer-logs", "medium", "lb/loadBalancer", fix="set accessLogs with a bucket", references=fsbp("ELB.5")
)
def _access_logs(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A load balancer logs each request."""
    if not resource.on("accessLogs.enabled"):
        yield "accessLogs is off"


@RULES.graph(
    "cdn-logs",
    "medium",
    fix="declare a LogDelivery of the distribution, or loggingConfig",
    references=fsbp("CloudFront.5"),
)
def _cdn_logs(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """A distribution logs each request."""
    for distribution in graph.of("cloudfront/distribution"):
        delivered = any(True for _ in graph.pointing_at(distribution, "cloudwatch/logDeliverySource", "resourceArn"))
        if not delivered and not distribution.given("loggingConfig"):
            yield distribution, "it has no log"


@RULES.graph(
    "web-firewall",
    "medium",
    fix="declare a WebAclAssociation, or webAclId of the distribution in front",
    references=fsbp("ELB.16", "CloudFront.6"),
)
def _firewall(graph: Graph, settings: Settings) -> Iterator[Finding]:
    """In production, the first component that the Internet reaches is behind a web firewall."""
    if not settings.is_production:
        return
    guarded = [cdn for cdn in graph.of("cloudfront/distribution") if cdn.given("webAclId")]
    for distribution in graph.of("cloudfront/distribution"):
        if not distribution.given("webAclId"):
            yield distribution, "webAclId is missing"
    for balancer in graph.of("lb/loadBalancer"):
        # A network load balancer does not read requests, and an internal one has a distribution in front.
        if balancer.get("loadBalancerType") in ("network", UNKNOWN) or balancer.on("internal") or guarded:
            continue
        if not any(True for _ in graph.pointing_at(balancer, "wafv2/webAclAssociation", "resourceArn")):
            yield balancer, "it has no web firewall"


@RULES.graph(
    "web-firewall-logs",
    "low",
    fix="declare a WebAclLoggingConfiguration",
    references=fsbp("WAF.11"),
)
def _firewall_logs(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """A web firewall logs the requests that it refuses."""
    for acl in graph.of("wafv2/webAcl"):
        if not any(True for _ in graph.pointing_at(acl, "wafv2/webAclLoggingConfiguration", "resourceArn")):
            yield acl, "it has no log"


@RULES.resource(
    "database-logs",
    "medium",
    "rds/instance",
    fix="set enabledCloudwatchLogsExports",
    references=fsbp("RDS.9"),
)
def _database_logs(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A database's log is exported to where the other logs are."""
    exports = as_list(resource.get("enabledCloudwatchLogsExports"))
    if exports != [UNKNOWN] and "postgresql" not in exports:
        yield f"enabledCloudwatchLogsExports is {exports}"


@RULES.resource(
    "database-monitoring",
    "low",
    "rds/instance",
    fix="set monitoringInterval with monitoringRoleArn, and performanceInsightsEnabled",
    references=fsbp("RDS.6"),
)
def _monitoring(resource: Resource, settings: Settings) -> Iterator[str]:
    """In production, the cause of a slow database can be determined afterwards."""
    if not settings.is_production:
        return
    if not resource.get("monitoringInterval"):
        yield "monitoringInterval is 0"
    if not resource.on("performanceInsightsEnabled") and resource.get("databaseInsightsMode") not in (
        "advanced",
        "standard",
    ):
        yield "performanceInsightsEnabled is off"


@RULES.graph(
    "alarm-per-component",
    "medium",
    fix="declare a MetricAlarm with the component in its dimensions",
)
def _alarms(graph: Graph, settings: Settings) -> Iterator[Finding]:
    """Outside development, every component that can fail has an alarm."""
    if not settings.keeps_data:
        return
    watched = [value for alarm in graph.of("cloudwatch/metricAlarm") for value in _dimensions(alarm)]
    for resource in graph.of(*_WATCHED):
        if not any(_is_of(resource, value) for value in watched):
            yield resource, f"no alarm watches this {_WATCHED[resource.kind]}"


def _dimensions(alarm: Resource) -> Iterator[Any]:
    maps = [alarm.get("dimensions")]
    for query in as_list(alarm.get("metricQueries")):
        if query is UNKNOWN:
            yield UNKNOWN
        metric = query.get("metric") if isinstance(query, Mapping) else None
        maps.append(metric.get("dimensions") if isinstance(metric, Mapping) else None)
    for dimensions in maps:
        if dimensions is UNKNOWN:
            yield UNKNOWN
        elif isinstance(dimensions, Mapping):
            yield from dimensions.values()


def _is_of(resource: Resource, value: Any) -> bool:
    if resource.is_meant_by(value):
        return True
    # Members of a replication group are named after it: `<group>-001`.
    return (
        resource.kind == "elasticache/replicationGroup"
        and isinstance(value, str)
        and any(value.startswith(f"{identity}-0") for identity in resource.identities)
    )


@RULES.resource(
    "alarm-is-heard",
    "high",
    "cloudwatch/metricAlarm",
    fix="set alarmActions to the environment's topic",
    references=fsbp("CloudWatch.15", "CloudWatch.17"),
)
def _heard(resource: Resource, _settings: Settings) -> Iterator[str]:
    """An alarm notifies a recipient."""
    if resource.get("actionsEnabled") is False:
        yield "actionsEnabled is off"
    elif not resource.given("alarmActions"):
        yield "alarmActions is empty"
