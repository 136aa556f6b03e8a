"""The alarms of each part of an environment, as data: threshold, duration, meaning of missing data, and reason.

Metrics and dimensions are those of each service's guide ("CloudWatch metrics for ..."), from memory in 2026-11 and not
verified against an account. Where AWS itself recommends an alarm (CloudWatch user guide, "Recommended alarms"), its
duration is used; the other values are ours.
"""

# No postponed annotations, as in the modules of the args.
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws.alarm_args import HostAlarmsArgs
from stackwright.model.aws.names import AGENT_NAMESPACE

AT_LEAST, ABOVE = "GreaterThanOrEqualToThreshold", "GreaterThanThreshold"
AT_MOST, BELOW = "LessThanOrEqualToThreshold", "LessThanThreshold"
#: How missing data is treated.
SILENCE_IS_FINE, SILENCE_IS_BAD, SILENCE_CHANGES_NOTHING = "notBreaching", "breaching", "ignore"

#: One credit is one minute of one fully used CPU.
_CREDITS_PER_HOUR: Mapping[str, Mapping[str, float]] = {
    # User guide of EC2, "Key concepts for burstable performance instances".
    "t2": {"nano": 3, "micro": 6, "small": 12, "medium": 24, "large": 36, "xlarge": 54, "2xlarge": 81.6},
    "t3": {"nano": 6, "micro": 12, "small": 24, "medium": 24, "large": 36, "xlarge": 96, "2xlarge": 192},
}
#: Memory and disk usage at which an alarm goes off, in per cent.
MEMORY_PERCENT, DISK_PERCENT = 90, 85
_RATIONED = re.compile(r"(?:db\.|cache\.)?(t\d)[a-z]*\.(\w+)")

Dimensions = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric and the statistic that aggregates a period: `Average`, `Sum`, ..., or a percentile such as `p95`."""

    namespace: str
    name: str
    dimensions: Dimensions
    statistic: str


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """The definition of an alarm, without a topic."""

    #: The parts that follow the environment's name in the name of the alarm.
    name: tuple[str, ...]
    #: Part of the message; explains what the alarm means to people.
    reason: str
    #: By id; more than one if `expression` combines them into one value.
    metrics: Mapping[str, Metric]
    expression: str = ""
    comparison: str
    threshold: float
    period_seconds: int = 300
    #: Number of consecutive periods.
    periods: int = 3
    silence: str = SILENCE_IS_FINE
    #: Users are, or will soon be, without the service: an operator has to act at once.
    urgent: bool = False
    #: The region of the metric; defaults to the environment's.
    region: str | None = None
    #: Alarms with the same chart are drawn together.
    chart: str


def credits_per_hour(instance_type: str) -> float | None:
    """Return the CPU credits that an instance type earns per hour; None if it is not burstable."""
    match = _RATIONED.fullmatch(instance_type)
    if match is None:
        return None
    family, size = match.groups()
    # The same size of t3, t3a and t4g earns the same.
    return _CREDITS_PER_HOUR["t2" if family == "t2" else "t3"].get(size)


def hosts(args: Mapping[str, HostAlarmsArgs]) -> Iterator[Alarm]:
    """Yield the alarms of the named servers."""
    for host, server in args.items():
        of = {"InstanceId": server.instance_id}
        yield Alarm(
            name=(host, "cpu"),
            reason=f"{host}: its CPUs are busy for a quarter of an hour, so that requests and jobs wait",
            metrics={"cpu": Metric(namespace="AWS/EC2", name="CPUUtilization", dimensions=of, statistic="Average")},
            comparison=AT_LEAST,
            threshold=90,
            chart="Hosts: CPU, %",
        )
        yield Alarm(
            name=(host, "status"),
            reason=f"{host}: it, or the machine below it, does not answer AWS's checks, or it is stopped",
            metrics={
                "checks": Metric(namespace="AWS/EC2", name="StatusCheckFailed", dimensions=of, statistic="Maximum")
            },
            comparison=AT_LEAST,
            threshold=1,
            # The checks run every minute, even with basic monitoring.
            period_seconds=60,
            periods=5,
            # A stopped host sends nothing. Neither does a new one in its first minutes, so its alarm may go off once.
            silence=SILENCE_IS_BAD,
            urgent=True,
            chart="Hosts: failed status checks",
        )
        earned = credits_per_hour(server.instance_type)
        if earned is not None:
            yield _credits(host, of, earned)
        if server.agent_paths is not None:
            yield from _agent(host, of, server.agent_paths)
        yield from _services(host, of, server)


def _credits(host: str, of: Dimensions, earned: float) -> Alarm:
    metric = Metric(namespace="AWS/EC2", name="CPUCreditBalance", dimensions=of, statistic="Minimum")
    return Alarm(
        name=(host, "credits"),
        reason=(
            f"{host}: it has used its CPU credits up, and is slow or, as `unlimited`, is charged for more: "
            "the type is too small for what it does"
        ),
        metrics={"credits": metric},
        comparison=AT_MOST,
        # A new host of type t3 or t4g starts with none; one hour of low use lifts it above half of an hour's credits.
        threshold=earned / 2,
        periods=12,
        chart="Hosts: CPU credits",
    )


def path_label(path: str) -> str:
    """Return the label of a path for the name of an alarm."""
    return path.strip("/").replace("/", "-") or "root"


def sent(name: str, of: Dimensions, statistic: str) -> Metric:
    """Return a metric that the agent, or the role `host_metrics` in its place, sends from the host."""
    return Metric(namespace=AGENT_NAMESPACE, name=name, dimensions=of, statistic=statistic)


def _agent(host: str, of: Dimensions, paths: Sequence[str]) -> Iterator[Alarm]:
    yield Alarm(
        name=(host, "memory"),
        reason=f"{host}: its memory is all but used; the kernel will kill what is largest",
        metrics={"memory": sent("mem_used_percent", of, "Average")},
        comparison=AT_LEAST,
        threshold=MEMORY_PERCENT,
        chart="Hosts: memory, %",
    )
    for path in paths:
        metric = sent("disk_used_percent", {**of, "path": path}, "Maximum")
        yield Alarm(
            name=(host, "disk", path_label(path)),
            reason=f"{host}: {path} is all but full",
            metrics={"disk": metric},
            comparison=AT_LEAST,
            threshold=DISK_PERCENT,
            # An agent that has stopped sending would hide a full disk.
            silence=SILENCE_IS_BAD,
            urgent=True,
            chart="Hosts: disk, %",
        )


def _services(host: str, of: Dimensions, args: HostAlarmsArgs) -> Iterator[Alarm]:
    """Yield the alarms of the metrics that only the role `host_metrics` sends, not the agent."""
    if args.failed_units:
        yield Alarm(
            name=(host, "units"),
            reason=f"{host}: a service has failed, or starts again and again; `systemctl --failed` says which",
            metrics={"units": sent("failed_units", of, "Minimum")},
            comparison=AT_LEAST,
            threshold=1,
            chart="Hosts: failed units",
        )
    if args.backups:
        yield Alarm(
            name=(host, "backups"),
            reason=(
                f"{host}: a backup is too old, missing or damaged, or nobody checks them any more; "
                "`backup-status` says what it is"
            ),
            metrics={"problems": sent("backup_problems", of, "Minimum")},
            comparison=AT_LEAST,
            threshold=1,
            # The check sends nothing if its timer has stopped.
            silence=SILENCE_IS_BAD,
            chart="Hosts: problems of backups",
        )
    if args.replication:
        yield Alarm(
            name=(host, "replication"),
            reason=(
                f"{host}: its database is too far behind the leader to take its place, does not run, or has no leader; "
                "`patronictl list` says which"
            ),
            metrics={"lag": sent("replication_lag_mb", of, "Minimum")},
            comparison=AT_LEAST,
            # One WAL segment.
            threshold=16,
            # A member that does not run, or follows no leader, sends nothing.
            silence=SILENCE_IS_BAD,
            urgent=True,
            chart="Hosts: replication lag, MB",
        )


def nat(gateway_ids: Mapping[str, pulumi.Input[str]]) -> Iterator[Alarm]:
    """Yield the alarms of the NAT gateways, by zone."""
    for zone, gateway_id in gateway_ids.items():
        metric = Metric(
            namespace="AWS/NATGateway",
            name="ErrorPortAllocation",
            dimensions={"NatGatewayId": gateway_id},
            statistic="Sum",
        )
        yield Alarm(
            name=("nat", zone, "ports"),
            reason=(
                f"NAT gateway of zone {zone}: it has no port left for connections to one destination (55 000 each), "
                "and refuses new ones: who opens so many?"
            ),
            metrics={"errors": metric},
            comparison=ABOVE,
            threshold=0,
            # Recommended by AWS.
            period_seconds=60,
            periods=15,
            chart="NAT: port allocation errors",
        )
