"""The schema of the section `aws` of `inventories/<env>/stack.yml`: settings that only an environment on AWS has."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from stackwright.model.aws import regions
from stackwright.model.schema_types import Cidr, Days, Domain, Positive, ProjectPath, TimeOfDay, refuse, schema, words
from stackwright.model.system import Purpose


def _region(value: str) -> str:
    if value not in regions.ZONES:
        raise refuse("is not a region that is known here", ", ".join(regions.ZONES))
    return value


#: Values that CloudWatch Logs accepts (API reference of PutRetentionPolicy).
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def _retention(value: int) -> int:
    if value not in RETENTION_DAYS:
        raise refuse("is not a time that CloudWatch keeps logs", ", ".join(map(str, RETENTION_DAYS)))
    return value


def _months_price(value: float) -> float:
    if value <= 0:
        raise refuse("is not an amount", "US dollars a month, more than 0")
    return value


def _moment(value: str) -> str:
    try:
        datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - Z is UTC, and only the form is asked for
    except ValueError:
        raise refuse("is not a time", "such as 2026-11-22T10:00:00Z, in UTC") from None
    return value


Region = Annotated[str, AfterValidator(_region), words("a region such as eu-central-1")]
Account = Annotated[str, words("the 12 digits of an AWS account, in quotes", pattern=r"^[0-9]{12}$")]
Email = Annotated[str, words("an e-mail address", pattern=r"^[^@\s]+@[^@\s]+$")]
LogDays = Annotated[int, AfterValidator(_retention)]
Percent = Annotated[int, Field(ge=1, le=100)]
Usd = Annotated[float | int, AfterValidator(_months_price)]
_CACHE_SNAPSHOT = r"^[A-Za-z][A-Za-z0-9.-]*$"
Checksum = Annotated[str, words("64 hexadecimal digits", pattern=r"^[0-9a-f]{64}$")]
SecretArn = Annotated[
    str,
    words(
        "the ARN of a secret",
        pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$",
    ),
]
Image = Annotated[str, words("an image such as ami-0123456789abcdef0", pattern=r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$")]
Schedule = Annotated[str, words("five fields of cron, such as 0 6 * * MON-FRI", pattern=r"^\S+( \S+){4}$")]


@schema
class HostedZone:
    """The existing public zone in Route 53 that the domain is in."""

    name: Domain
    id: Annotated[str, words("an id such as Z0123456789ABCDEFGHIJ", pattern=r"^Z[A-Z0-9]{6,31}$")]


@schema
class ScheduledSize:
    """A size of the group at scheduled times."""

    name: Annotated[str, words("lower-case letters, digits and hyphens", pattern=r"^[a-z][a-z0-9-]{0,29}$")]
    at: Schedule
    min: Positive
    max: Positive
    time_zone: str = "Etc/UTC"


@schema
class Spot:
    """Part of the group on Spot capacity, which AWS may reclaim with two minutes' notice."""

    on_demand: Annotated[int, Field(ge=0, le=90)] = 1
    """Number of instances that are always On-Demand."""
    percent_on_demand: Annotated[int, Field(ge=0, le=100)] = 50
    """Percentage of On-Demand instances among those above `on_demand`."""
    types: tuple[str, ...] = ()
    """Further suitable instance types; with more types, instances are reclaimed less often."""


@schema
class ScalingGroup:
    """An Auto Scaling group of application servers that configure themselves."""

    min: Positive = 2
    max: Positive = 6
    cpu_percent: Percent = 55
    """Average CPU utilization that the group scales to."""
    requests_per_instance: Positive | None = None
    """Requests per minute and server that the group scales to as well."""
    warm: Annotated[int, Field(ge=0, le=90)] = 0
    """Servers kept stopped and configured, so that a new one serves sooner."""
    schedules: tuple[ScheduledSize, ...] = ()
    spot: Spot | None = None


@schema
class SsmAgent:
    """The agent of Systems Manager, through which servers are reached; Debian's images have none.

    Only a package with a checksum given here is installed: take both values from a version that you have tried.
    """

    version: Annotated[str, words("a version such as 3.3.2299.0", pattern=r"^[0-9]+(\.[0-9]+){3}$")]
    sha256: Annotated[dict[Literal["x86_64", "arm64"], Checksum], Field(min_length=1)]
    """Checksum of amazon-ssm-agent.deb, by architecture."""


@schema
class AwsApp:
    """The application servers."""

    instance_type: str | None = None
    """Instance type; default: the smallest that has what `sizes.app` requires."""
    image: Image | None = None
    """Image of the servers; default: the newest of the operating system."""
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    group: ScalingGroup | None = None
    """Auto Scaling group; by default there are `topology.app` named servers, which Ansible configures."""


@schema
class AwsLoadBalancer:
    """The load balancer that users connect to."""

    kind: Literal["application", "network"] = "application"
    cdn: bool = True
    """Whether CloudFront is in front, which caches `/_next/static` and similar paths."""
    price_class: Literal["PriceClass_100", "PriceClass_200", "PriceClass_All"] | None = None
    """Where CloudFront serves from; default: the cheapest class with edge locations on the region's continent."""
    firewall: bool = True
    """Whether WAF is enabled, with AWS's managed rules and the system's rate limits."""
    sticky_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = None
    """Keep a client on its server for this time; not required, as sessions are in the cache."""
    log_days: Days = 90


@schema
class AwsRestore:
    """Initial content of the database; takes effect only when the database is created."""

    snapshot: Annotated[str, words("the name or ARN of a snapshot", pattern=r"^[A-Za-z][A-Za-z0-9:/_-]*$")] | None = (
        None
    )
    """An RDS snapshot in the region, manual or automated (`rds:...`); the ARN for one of another account."""
    source: (
        Annotated[str, words("an instance of RDS, or the ARN of its backups", pattern=r"^[a-z][A-Za-z0-9:-]*$")] | None
    ) = None
    """An instance in the region, or the ARN of its automated backups (`arn:...:auto-backup:ab-...`), kept after it."""
    time: Annotated[str, AfterValidator(_moment), words("a time such as 2026-11-22T10:00:00Z, in UTC")] | None = None
    """Point in time of `source`; default: the latest restorable time."""


@schema
class AwsDatabase:
    """PostgreSQL on AWS."""

    run_by: Literal["aws", "hosts"] = "aws"
    """`aws`: Amazon RDS; `hosts`: the environment's own servers with Patroni, as on bare metal."""
    instance_class: str | None = None
    """Instance class; default: the smallest that has what `sizes.database` requires."""
    storage_gb: Annotated[int, Field(ge=20, le=65_536)] | None = None
    max_storage_gb: Annotated[int, Field(ge=22, le=65_536)] | None = None
    """Limit for automatic growth of the storage; default: four times `storage_gb`."""
    multi_az: bool | None = None
    """Whether there is a standby in another zone; default: true, except in development."""
    replicas: Annotated[int, Field(ge=0, le=15)] | None = None
    """Read replicas; default: `topology.database` less the primary. RDS creates none before `master_secret` is set."""
    backup_days: Annotated[int, Field(ge=0, le=35)] | None = None
    """Any second of these days can be restored; default: 14 in production, 7 in staging, 1 in development."""
    restore: AwsRestore | None = None
    """Snapshot or other database to start from (docs/how-to/restore.md); default: an empty one. Keep it in the file."""
    copy_region: Region | None = None
    """Region that backups are copied to."""
    replica_region: Region | None = None
    """Region of one more replica, for use when the main region fails."""
    master_secret: SecretArn | None = None
    """ARN of the secret with the master's password, once it has been taken over from RDS (docs/adr/0010-aws.md)."""
    ca_file: ProjectPath | None = None
    """CA of RDS's servers in this region, in PEM format; by default `stackwright` fetches it from AWS once."""
    iam_authentication: bool = False
    blue_green: bool = True
    """Make changes that need a restart on a copy, then switch to it, if RDS can: not with replicas or remote copies."""
    maintenance: Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] = "Sun"
    maintenance_time: TimeOfDay = "04:00"
    """Start of the maintenance window, in UTC like the time of backups."""


@schema
class AwsCache:
    """Redis or its successor Valkey, with one replication group per purpose."""

    engine: Literal["valkey", "redis"] = "valkey"
    node_type: str | None = None
    """Node type; default: the smallest that has the memory of the purpose."""
    replicas: Annotated[int, Field(ge=0, le=5)] | None = None
    """Replicas of each primary; default: 1, except in development."""
    snapshot_days: Annotated[int, Field(ge=0, le=35)] | None = None
    """Retention of snapshots for instances that persist data; default: as long as the database's backups."""
    restore: dict[Purpose, Annotated[str, words("the name of a snapshot", pattern=_CACHE_SNAPSHOT)]] = Field(
        default_factory=dict
    )
    """Purpose -> ElastiCache snapshot in the region to start from (docs/how-to/restore.md). Keep it in the file."""


@schema
class AwsBudget:
    """When to warn about cost."""

    usd: Usd
    """Limit per month in US dollars."""


@schema
class Aws:
    """An environment on AWS."""

    region: Region
    account: Account
    """AWS account of the environment; nothing is done in any other."""
    example: bool = False
    """Whether the environment is documentation: placeholders are accepted, and nothing is ever created."""
    hosted_zone: HostedZone
    zones: Annotated[int, Field(ge=2, le=6)] | tuple[Annotated[str, Field(pattern=r"^[a-f]$")], ...] = 3
    """Number of availability zones, or their letters; two are enough for staging."""
    ipv6: bool = False
    nat: Literal["single", "per_zone"] | None = None
    """NAT gateways, through which servers reach packages; default: one per zone in production, else a single one."""
    peers: tuple[Cidr, ...] = ()
    """Networks that will be connected to this one, and must not overlap with it."""
    flow_log_days: LogDays = 30
    notify: tuple[Email, ...] = ()
    """Addresses that receive alarms; each has to confirm once."""
    budget: AwsBudget | None = None
    ssm_agent: SsmAgent | None = None
    """For servers with Debian."""
    app: AwsApp = Field(default_factory=AwsApp)
    load_balancer: AwsLoadBalancer = Field(default_factory=AwsLoadBalancer)
    database: AwsDatabase = Field(default_factory=AwsDatabase)
    cache: AwsCache = Field(default_factory=AwsCache)
