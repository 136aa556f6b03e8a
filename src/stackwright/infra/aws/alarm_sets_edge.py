"""Alarms of the parts that users reach first: load balancer, servers behind it, certificates, CDN, web firewall.

`alarm_sets` describes the kind of values and their sources.
"""

# No postponed annotations, as in the modules of the args.
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stackwright.infra.aws.alarm_args import (
    CLOUDFRONT,
    GLOBAL_REGION,
    CdnAlarmsArgs,
    CertificateAlarmsArgs,
    GroupAlarmsArgs,
    LoadBalancerAlarmsArgs,
    WebFirewallAlarmsArgs,
)
from stackwright.infra.aws.alarm_sets import (
    ABOVE,
    AT_LEAST,
    BELOW,
    DISK_PERCENT,
    MEMORY_PERCENT,
    SILENCE_CHANGES_NOTHING,
    SILENCE_IS_BAD,
    SILENCE_IS_FINE,
    Alarm,
    Dimensions,
    Metric,
    path_label,
    sent,
)

_DAY_SECONDS = 86400
#: Errors at which an alarm goes off, in per cent of requests.
_ERRORS = 5
#: Minimum requests in a period: with fewer, a single error is already a high percentage.
_FEWEST_REQUESTS = 20
#: ACM renews 60 days before expiry.
_CERTIFICATE_DAYS = 30
_BLOCKED = 1000


def load_balancer(args: LoadBalancerAlarmsArgs) -> Iterator[Alarm]:
    """Yield the alarms for missing, failed and slow responses to users."""
    of = {"LoadBalancer": args.arn_suffix}
    # RequestCount does not include requests that found no target (guide of the application load balancer, metrics):
    # without them an outage of all targets would be a division by zero.
    yield _errors(
        "errors", of, "HTTPCode_ELB_5XX_Count", "FILL(requests, 0) + FILL(errors, 0)", "the load balancer's own"
    )
    yield _errors("target-errors", of, "HTTPCode_Target_5XX_Count", "FILL(requests, 0)", "the application's")
    seconds = 1.0 if args.latency_seconds is None else args.latency_seconds
    yield Alarm(
        name=("load-balancer", "latency"),
        reason=f"Load balancer: one request of twenty takes {seconds:g} seconds and longer",
        metrics={"value": _balancer(of, "TargetResponseTime", "p95")},
        comparison=AT_LEAST,
        threshold=seconds,
        chart="Load balancer: p95 of the targets' answers, seconds",
    )
    yield Alarm(
        name=("load-balancer", "rejected"),
        reason="Load balancer: it has refused connections, as it had as many as it can have",
        metrics={"value": _balancer(of, "RejectedConnectionCount", "Sum")},
        comparison=ABOVE,
        threshold=0,
        periods=1,
        chart="Load balancer: rejected connections",
    )
    for label, suffix in args.target_groups.items():
        target = {**of, "TargetGroup": suffix}
        yield Alarm(
            name=("load-balancer", label, "unhealthy"),
            reason=f"Load balancer: a target of {label} fails its health checks for five minutes",
            metrics={"value": _balancer(target, "UnHealthyHostCount", "Maximum")},
            comparison=AT_LEAST,
            threshold=1,
            period_seconds=60,
            periods=5,
            chart="Load balancer: unhealthy targets",
        )
        yield Alarm(
            name=("load-balancer", label, "none-healthy"),
            reason=f"Load balancer: {label} has no healthy target: users get errors alone",
            metrics={"value": _balancer(target, "HealthyHostCount", "Maximum")},
            comparison=BELOW,
            threshold=1,
            period_seconds=60,
            periods=3,
            # A group without any target sends nothing.
            silence=SILENCE_IS_BAD,
            urgent=True,
            chart="Load balancer: healthy targets",
        )


def _balancer(of: Dimensions, name: str, statistic: str) -> Metric:
    return Metric(namespace="AWS/ApplicationELB", name=name, dimensions=of, statistic=statistic)


def _errors(part: str, of: Dimensions, name: str, total: str, whose: str) -> Alarm:
    return Alarm(
        name=("load-balancer", part),
        reason=f"Load balancer: {_ERRORS} % of requests and more are answered with an error 5xx of {whose}",
        metrics={"errors": _balancer(of, name, "Sum"), "requests": _balancer(of, "RequestCount", "Sum")},
        expression=f"IF(({total}) >= {_FEWEST_REQUESTS}, 100 * FILL(errors, 0) / ({total}), 0)",
        comparison=AT_LEAST,
        threshold=_ERRORS,
        period_seconds=60,
        periods=5,
        urgent=True,
        chart="Load balancer: errors 5xx, % of requests",
    )


def groups(args: Mapping[str, GroupAlarmsArgs]) -> Iterator[Alarm]:
    """Yield the alarms of Auto Scaling groups; single servers have none, because a failed one is replaced."""
    for label, group in args.items():
        yield from _group(label, group)


def _group(label: str, args: GroupAlarmsArgs) -> Iterator[Alarm]:
    of = {"AutoScalingGroupName": args.name}

    def alarm(part: str, namespace: str, name: str, statistic: str, **more: Any) -> Alarm:
        metric = Metric(namespace=namespace, name=name, dimensions=of, statistic=statistic)
        reason = f"Group {label}: {more.pop('reason')}"
        return Alarm(name=("group", label, part), reason=reason, metrics={"value": metric}, **more)

    yield alarm(
        "cpu",
        "AWS/EC2",
        "CPUUtilization",
        "Average",
        reason="its CPUs are busy for a quarter of an hour: it does not grow fast enough, or may not",
        comparison=AT_LEAST,
        threshold=85,
        chart="Groups: CPU, %",
    )
    yield alarm(
        "status",
        "AWS/EC2",
        "StatusCheckFailed",
        "Maximum",
        reason="a server fails AWS's checks, and the group has not replaced it",
        comparison=AT_LEAST,
        threshold=1,
        # The time that the group needs to replace a server.
        periods=4,
        chart="Groups: failed status checks",
    )
    if args.min_size:
        yield alarm(
            "in-service",
            "AWS/AutoScaling",
            "GroupInServiceInstances",
            "Minimum",
            reason=f"fewer than {args.min_size} of its servers are in service for ten minutes",
            comparison=BELOW,
            threshold=args.min_size,
            period_seconds=60,
            periods=10,
            silence=SILENCE_IS_BAD,
            urgent=True,
            chart="Groups: servers in service",
        )
    if args.max_size > args.min_size:
        yield alarm(
            "largest",
            "AWS/AutoScaling",
            "GroupDesiredCapacity",
            "Minimum",
            reason=f"it has {args.max_size} servers for half an hour, which is all that it may have: it cannot grow",
            comparison=AT_LEAST,
            threshold=args.max_size,
            periods=6,
            chart="Groups: wanted servers",
        )
    if args.agent_paths is not None:
        yield from _usage(label, args, args.agent_paths)


def _usage(label: str, args: GroupAlarmsArgs, paths: Sequence[str]) -> Iterator[Alarm]:
    """Yield the alarms of the metrics that the role `host_metrics` sends from each server; the highest value counts."""
    of = {"AutoScalingGroupName": args.name}

    def alarm(part: tuple[str, ...], metric: str, dimensions: Dimensions, **more: Any) -> Alarm:
        values = {"value": sent(metric, dimensions, "Maximum")}
        reason = f"Group {label}: {more.pop('reason')}"
        return Alarm(name=("group", label, *part), reason=reason, metrics=values, comparison=AT_LEAST, **more)

    yield alarm(
        ("memory",),
        "mem_used_percent",
        of,
        reason="the memory of a server is all but used; the kernel will kill what is largest",
        threshold=MEMORY_PERCENT,
        chart="Groups: memory, %",
    )
    for path in paths:
        yield alarm(
            ("disk", path_label(path)),
            "disk_used_percent",
            {**of, "path": path},
            reason=f"{path} of a server is all but full",
            threshold=DISK_PERCENT,
            # A group that may have no servers sends nothing while it has none.
            silence=SILENCE_IS_BAD if args.min_size else SILENCE_IS_FINE,
            chart="Groups: disk, %",
        )
    yield alarm(
        ("units",),
        "failed_units",
        of,
        reason="a service of a server has failed, or starts again and again; `systemctl --failed` there says which",
        threshold=1,
        chart="Groups: failed units",
    )


def certificates(args: Mapping[str, CertificateAlarmsArgs]) -> Iterator[Alarm]:
    """Yield the alarms of certificates that should have been renewed."""
    for label, certificate in args.items():
        metric = Metric(
            namespace="AWS/CertificateManager",
            name="DaysToExpiry",
            dimensions={"CertificateArn": certificate.arn},
            statistic="Minimum",
        )
        yield Alarm(
            name=("certificate", label, "days"),
            reason=(
                f"Certificate {label}: it ends within {_CERTIFICATE_DAYS} days and has not been renewed: are the records that "
                "prove its names still there, and is it in use?"
            ),
            metrics={"days": metric},
            comparison=BELOW,
            threshold=_CERTIFICATE_DAYS,
            period_seconds=_DAY_SECONDS,
            periods=1,
            # ACM sends it twice a day, at times that it chooses.
            silence=SILENCE_CHANGES_NOTHING,
            region=certificate.region,
            chart="Certificates: days to their end" + (f" ({certificate.region})" if certificate.region else ""),
        )


def cdn(args: CdnAlarmsArgs) -> Iterator[Alarm]:
    """Yield the alarms of the distribution, whose metrics are only in us-east-1."""
    of = {"DistributionId": args.distribution_id, "Region": "Global"}
    errors = Metric(namespace="AWS/CloudFront", name="5xxErrorRate", dimensions=of, statistic="Average")
    yield Alarm(
        name=("cdn", "errors"),
        reason=f"CDN: {_ERRORS} % of requests and more are answered with an error 5xx, its own or the origin's",
        metrics={"value": errors},
        comparison=AT_LEAST,
        threshold=_ERRORS,
        period_seconds=60,
        periods=5,
        urgent=True,
        region=GLOBAL_REGION,
        chart="CDN: errors 5xx, % of requests",
    )
    if args.origin_latency_seconds is not None:
        latency = Metric(namespace="AWS/CloudFront", name="OriginLatency", dimensions=of, statistic="p90")
        yield Alarm(
            name=("cdn", "origin-latency"),
            reason=f"CDN: for one request of ten the origin takes {args.origin_latency_seconds:g} seconds and longer",
            metrics={"value": latency},
            comparison=AT_LEAST,
            # The metric is in milliseconds.
            threshold=args.origin_latency_seconds * 1000,
            region=GLOBAL_REGION,
            chart="CDN: p90 of the origin's answers, ms",
        )


def web_firewall(args: WebFirewallAlarmsArgs, region: str) -> Iterator[Alarm]:
    """Yield the alarm for an attack, or a rule that blocks users; `region` is the environment's."""
    is_global = args.scope == CLOUDFRONT
    of: Dimensions = {"WebACL": args.metric_name, "Rule": "ALL"}
    if not is_global:
        of = {**of, "Region": region}
    blocked = _BLOCKED if args.blocked_requests is None else args.blocked_requests
    yield Alarm(
        name=("web-firewall", "blocked"),
        reason=f"Web firewall: it has refused {blocked} requests and more in five minutes: an attack, or a rule against users?",
        metrics={"value": Metric(namespace="AWS/WAFV2", name="BlockedRequests", dimensions=of, statistic="Sum")},
        comparison=AT_LEAST,
        threshold=blocked,
        periods=1,
        region=GLOBAL_REGION if is_global else None,
        chart="Web firewall: refused requests in five minutes",
    )
