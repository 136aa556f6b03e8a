"""What an environment's alarms watch, in plain types: each part of it is optional."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws.context import Context

#: Where AWS keeps the metrics of what is in no region.
GLOBAL_REGION = "us-east-1"
CLOUDFRONT, REGIONAL = "CLOUDFRONT", "REGIONAL"
#: Of ElastiCache: a primary and five replicas.
_MOST_NODES = 6
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_WORD = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class HostAlarmsArgs:
    """A server that has a name."""

    instance_id: pulumi.Input[str]
    #: Those with rationed CPUs have an alarm more.
    instance_type: str
    #: File systems to watch, and with them the memory. Needs the role `host_metrics` on the host, or CloudWatch's agent with
    #: `append_dimensions` of InstanceId and `aggregation_dimensions` of [InstanceId] and [InstanceId, path].
    agent_paths: Sequence[str] | None = None
    #: Whether the role `host_metrics` sends how many of its units have failed.
    failed_units: bool | None = None
    #: Whether it sends how many problems its backups have.
    backups: bool | None = None
    #: Whether it sends how far its database is behind the leader.
    replication: bool | None = None


@dataclass(frozen=True, kw_only=True)
class DatabaseAlarmsArgs:
    """An instance of RDS; thresholds go by what it has."""

    identifier: pulumi.Input[str]
    #: Such as `db.t4g.medium`; those with rationed CPUs have an alarm more.
    instance_class: str
    memory_mb: int
    storage_gb: int
    max_connections: int
    #: What its disk can do a second; otherwise 3000, as gp3 has for its price.
    iops: int | None = None
    #: Whether it follows another, and may lag behind.
    replica: bool | None = None


@dataclass(frozen=True, kw_only=True)
class CacheAlarmsArgs:
    """A replication group of ElastiCache."""

    group_id: pulumi.Input[str]
    #: The primary and its replicas.
    nodes: int
    #: It must not lose anything by eviction: sessions, queues. Otherwise it is a cache, whose work is to evict.
    keeps: bool | None = None
    #: Of a node; otherwise 65 000, the engine's own.
    max_connections: int | None = None


@dataclass(frozen=True, kw_only=True)
class LoadBalancerAlarmsArgs:
    """An application load balancer."""

    arn_suffix: pulumi.Input[str]
    #: Word -> ARN suffix.
    target_groups: Mapping[str, pulumi.Input[str]]
    #: That one request of twenty may take longer than; otherwise 1.
    latency_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class GroupAlarmsArgs:
    """A group of servers that grows and shrinks; it has to publish its own metrics, as `ScalingGroup` does."""

    name: pulumi.Input[str]
    min_size: int
    max_size: int
    #: File systems to watch, and with them memory and units. Needs the role `host_metrics` on the servers.
    agent_paths: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class CertificateAlarmsArgs:
    """A certificate of ACM."""

    arn: pulumi.Input[str]
    #: Otherwise the environment's; `us-east-1` for CloudFront's.
    region: str | None = None


@dataclass(frozen=True, kw_only=True)
class CdnAlarmsArgs:
    """A distribution of CloudFront."""

    distribution_id: pulumi.Input[str]
    #: How long the origin may take. Only a distribution with additional metrics (`MonitoringSubscription`, which costs)
    #: says how long it does; without this there is no such alarm.
    origin_latency_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class WebFirewallAlarmsArgs:
    """A web ACL."""

    metric_name: pulumi.Input[str]
    #: `REGIONAL` or `CLOUDFRONT`.
    scope: str
    #: In five minutes, from which on they are worth a look; otherwise 1000.
    blocked_requests: int | None = None


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """Who is told, and of what; each mapping's keys are words that the alarms are named by.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: Of the topics; its policy lets CloudWatch use it, and RDS where there is a database (`KeyArgs.services`).
    kms_key_arn: pulumi.Input[str]
    #: E-mail addresses; AWS asks each to confirm, and tells it nothing before.
    notify: Sequence[str]
    #: By host.
    hosts: Mapping[str, HostAlarmsArgs] | None = None
    #: Zone -> id of its NAT gateway.
    nat_gateway_ids: Mapping[str, pulumi.Input[str]] | None = None
    databases: Mapping[str, DatabaseAlarmsArgs] | None = None
    #: By purpose.
    caches: Mapping[str, CacheAlarmsArgs] | None = None
    load_balancer: LoadBalancerAlarmsArgs | None = None
    #: By tier.
    groups: Mapping[str, GroupAlarmsArgs] | None = None
    certificates: Mapping[str, CertificateAlarmsArgs] | None = None
    cdn: CdnAlarmsArgs | None = None
    web_firewall: WebFirewallAlarmsArgs | None = None
    #: Names of vaults of AWS Backup, in which there has to be a new backup each day.
    backup_vaults: Mapping[str, pulumi.Input[str]] | None = None
    #: A key of us-east-1, for a topic there: an alarm is where its metric is and can tell topics of its own region alone, and
    #: those of CloudFront are there. Needed for `cdn` and what belongs to it, where the environment is elsewhere.
    global_kms_key_arn: pulumi.Input[str] | None = None
    #: Addresses, such as a paging service's, that hear only of what leaves users without the service: one composite alarm.
    urgent_notify: Sequence[str] | None = None
    #: Otherwise in production: AWS takes money for each from the fourth of an account on.
    dashboard: bool | None = None

    @property
    def has_dashboard(self) -> bool:
        """`dashboard`, or what the class of the environment asks for."""
        return self.context.environment_class == "production" if self.dashboard is None else self.dashboard

    @property
    def watches_global(self) -> bool:
        """Whether an alarm is in us-east-1, and the environment is not."""
        firewall, certificates = self.web_firewall, (self.certificates or {}).values()
        return self.context.region != GLOBAL_REGION and (
            self.cdn is not None
            or (firewall is not None and firewall.scope == CLOUDFRONT)
            or any(certificate.region == GLOBAL_REGION for certificate in certificates)
        )

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("\n".join(f"AlarmsArgs.{problem}" for problem in problems))


def address_problems(name: str, addresses: Sequence[str], most: int | None = None) -> Iterator[str]:
    """What is wrong with e-mail addresses of which there has to be one at least."""
    if not addresses:
        yield f"{name} is empty, accepted: at least one e-mail address"
    if most is not None and len(addresses) > most:
        yield f"{name} has {len(addresses)}, accepted: at most {most}"
    for address in addresses:
        if not _EMAIL.fullmatch(address):
            yield f"{name} has {address!r}, accepted: an e-mail address"
    for duplicate in sorted({email for email in addresses if addresses.count(email) > 1}):
        yield f"{name} has {duplicate!r} twice, accepted: each once"


def _problems(args: AlarmsArgs) -> Iterator[str]:
    yield from address_problems("notify", args.notify)
    if args.urgent_notify is not None:
        yield from address_problems("urgent_notify", args.urgent_notify)
    for name in ("hosts", "nat_gateway_ids", "databases", "caches", "groups", "certificates", "backup_vaults"):
        yield from _label_problems(name, getattr(args, name) or {})
    for host, server in (args.hosts or {}).items():
        yield from _path_problems(f"hosts.{host}", server.agent_paths)
    yield from _data_problems(args)
    yield from _edge_problems(args)
    if args.watches_global and args.global_kms_key_arn is None:
        yield f"global_kms_key_arn is missing, accepted: a key of {GLOBAL_REGION}, where alarms of CloudFront are"


def _path_problems(name: str, paths: Sequence[str] | None) -> Iterator[str]:
    for path in paths or ():
        if not path.startswith("/"):
            yield f"{name}.agent_paths has {path!r}, accepted: paths such as /var"


def _label_problems(name: str, labels: Iterable[str]) -> Iterator[str]:
    for label in labels:
        if not _WORD.fullmatch(label):
            yield f"{name} has {label!r}, accepted: lower-case letters, digits and hyphens"


def _data_problems(args: AlarmsArgs) -> Iterator[str]:
    for label, database in (args.databases or {}).items():
        figures = {
            "memory_mb": database.memory_mb,
            "storage_gb": database.storage_gb,
            "max_connections": database.max_connections,
            "iops": database.iops,
        }
        for name, value in figures.items():
            if value is not None and value < 1:
                yield f"databases.{label}.{name} is {value}, accepted: 1 or more"
    for label, cache in (args.caches or {}).items():
        if not 1 <= cache.nodes <= _MOST_NODES:
            yield f"caches.{label}.nodes is {cache.nodes}, accepted: 1 to {_MOST_NODES}"
        if cache.max_connections is not None and cache.max_connections < 1:
            yield f"caches.{label}.max_connections is {cache.max_connections}, accepted: 1 or more"


def _edge_problems(args: AlarmsArgs) -> Iterator[str]:
    balancer, cdn, firewall = args.load_balancer, args.cdn, args.web_firewall
    if balancer is not None:
        yield from _label_problems("load_balancer.target_groups", balancer.target_groups)
        if balancer.latency_seconds is not None and not balancer.latency_seconds > 0:
            yield f"load_balancer.latency_seconds is {balancer.latency_seconds}, accepted: a number above 0"
    if cdn is not None and cdn.origin_latency_seconds is not None and not cdn.origin_latency_seconds > 0:
        yield f"cdn.origin_latency_seconds is {cdn.origin_latency_seconds}, accepted: a number above 0"
    if firewall is not None and firewall.scope not in (CLOUDFRONT, REGIONAL):
        yield f"web_firewall.scope is {firewall.scope!r}, accepted: {CLOUDFRONT}, {REGIONAL}"
    if firewall is not None and firewall.blocked_requests is not None and firewall.blocked_requests < 1:
        yield f"web_firewall.blocked_requests is {firewall.blocked_requests}, accepted: 1 or more"
    for label, group in (args.groups or {}).items():
        yield from _path_problems(f"groups.{label}", group.agent_paths)
        if not 0 <= group.min_size <= group.max_size:
            yield f"groups.{label} has min_size {group.min_size} and max_size {group.max_size}, accepted: 0 to max_size"
    regions = (args.context.region, GLOBAL_REGION)
    for label, certificate in (args.certificates or {}).items():
        if certificate.region not in (None, *regions):
            yield f"certificates.{label}.region is {certificate.region!r}, accepted: {', '.join(dict.fromkeys(regions))}"
