"""Arguments of an environment's alarms, in plain types; each part to watch is optional."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws.context import Context

#: The region in which AWS keeps the metrics of services without a region.
GLOBAL_REGION = "us-east-1"
CLOUDFRONT, REGIONAL = "CLOUDFRONT", "REGIONAL"
#: Maximum nodes of an ElastiCache replication group: a primary and five replicas.
_MOST_NODES = 6
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_WORD = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class HostAlarmsArgs:
    """A named server."""

    instance_id: pulumi.Input[str]
    #: Burstable types, which use CPU credits, have one more alarm.
    instance_type: str
    #: File systems to watch; memory is then watched as well. Requires the role `host_metrics` on the host, or the
    #: CloudWatch agent with `append_dimensions` of InstanceId and `aggregation_dimensions` of [InstanceId] and
    #: [InstanceId, path].
    agent_paths: Sequence[str] | None = None
    #: Whether the role `host_metrics` sends the number of its failed units.
    failed_units: bool | None = None
    #: Whether it sends the number of problems of its backups.
    backups: bool | None = None
    #: Whether it sends how far its database is behind the leader.
    replication: bool | None = None


@dataclass(frozen=True, kw_only=True)
class DatabaseAlarmsArgs:
    """An RDS instance; the thresholds depend on its resources."""

    identifier: pulumi.Input[str]
    #: Such as `db.t4g.medium`; burstable classes, which use CPU credits, have one more alarm.
    instance_class: str
    memory_mb: int
    storage_gb: int
    max_connections: int
    #: Operations per second of its disk; defaults to 3000, which the price of gp3 includes.
    iops: int | None = None
    #: Whether it replicates another instance and may lag behind it.
    replica: bool | None = None


@dataclass(frozen=True, kw_only=True)
class CacheAlarmsArgs:
    """An ElastiCache replication group."""

    group_id: pulumi.Input[str]
    #: Number of nodes: the primary and its replicas.
    nodes: int
    #: Whether it must not lose data by eviction (sessions, queues). Otherwise it is a cache, which evicts by design.
    keeps: bool | None = None
    #: Of one node; defaults to 65 000, the engine's default.
    max_connections: int | None = None


@dataclass(frozen=True, kw_only=True)
class LoadBalancerAlarmsArgs:
    """An application load balancer."""

    arn_suffix: pulumi.Input[str]
    #: Label -> ARN suffix.
    target_groups: Mapping[str, pulumi.Input[str]]
    #: The alarm goes off if one request in twenty takes this long or longer; defaults to 1.
    latency_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class GroupAlarmsArgs:
    """An Auto Scaling group; it must publish its group metrics, as `ScalingGroup` does."""

    name: pulumi.Input[str]
    min_size: int
    max_size: int
    #: File systems to watch; memory and units are then watched, too. Requires the role `host_metrics` on the servers.
    agent_paths: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class CertificateAlarmsArgs:
    """An ACM certificate."""

    arn: pulumi.Input[str]
    #: Defaults to the environment's region; `us-east-1` for a certificate of CloudFront.
    region: str | None = None


@dataclass(frozen=True, kw_only=True)
class CdnAlarmsArgs:
    """A CloudFront distribution."""

    distribution_id: pulumi.Input[str]
    #: How long the origin may take. Only a distribution with additional metrics (`MonitoringSubscription`, which costs
    #: extra) reports this latency; if unset, there is no such alarm.
    origin_latency_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class WebFirewallAlarmsArgs:
    """A web ACL."""

    metric_name: pulumi.Input[str]
    #: `REGIONAL` or `CLOUDFRONT`.
    scope: str
    #: Blocked requests in five minutes at which the alarm goes off; defaults to 1000.
    blocked_requests: int | None = None


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """What to watch and whom to notify; the keys of each mapping become part of the names of the alarms.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: The key of the topics; its policy must admit CloudWatch, and RDS if there is a database (`KeyArgs.services`).
    kms_key_arn: pulumi.Input[str]
    #: E-mail addresses; AWS asks each to confirm and sends it nothing before that.
    notify: Sequence[str]
    #: By host name.
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
    #: Names of AWS Backup vaults, which must receive a new backup every day.
    backup_vaults: Mapping[str, pulumi.Input[str]] | None = None
    #: A key in us-east-1, for a topic there: an alarm is in the region of its metric and can only notify topics in that
    #: region, and the metrics of CloudFront are in us-east-1. Required for `cdn` and what belongs to it if the
    #: environment is in another region.
    global_kms_key_arn: pulumi.Input[str] | None = None
    #: Addresses, such as a paging service's, that one composite alarm notifies only if users are without the service.
    urgent_notify: Sequence[str] | None = None
    #: Defaults to true in production only: AWS charges for each dashboard from the fourth of an account on.
    dashboard: bool | None = None

    @property
    def has_dashboard(self) -> bool:
        """`dashboard`, or the default of the environment class."""
        return self.context.environment_class == "production" if self.dashboard is None else self.dashboard

    @property
    def watches_global(self) -> bool:
        """Whether an alarm is in us-east-1 while the environment is in another region."""
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
    """Yield the problems of e-mail addresses, of which at least one is required."""
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
