"""What an environment on AWS says beyond what it says anywhere: the section `aws` of `inventories/<env>/stack.yml`."""

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


#: What CloudWatch Logs takes (API reference of PutRetentionPolicy).
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
    """The public zone in Route 53 that the domain is in; it exists before."""

    name: Domain
    id: Annotated[str, words("an id such as Z0123456789ABCDEFGHIJ", pattern=r"^Z[A-Z0-9]{6,31}$")]


@schema
class ScheduledSize:
    """A size of the group at known times."""

    name: Annotated[str, words("lower-case letters, digits and hyphens", pattern=r"^[a-z][a-z0-9-]{0,29}$")]
    at: Schedule
    min: Positive
    max: Positive
    time_zone: str = "Etc/UTC"


@schema
class Spot:
    """Part of the group on capacity that AWS may take back with two minutes' notice."""

    on_demand: Annotated[int, Field(ge=0, le=90)] = 1
    """Instances that are never of that kind."""
    percent_on_demand: Annotated[int, Field(ge=0, le=100)] = 50
    """Of those above `on_demand`."""
    types: tuple[str, ...] = ()
    """Further instance types that will do; the more, the less often one is taken back."""


@schema
class ScalingGroup:
    """Application servers that come and go with the load, and configure themselves."""

    min: Positive = 2
    max: Positive = 6
    cpu_percent: Percent = 55
    """Average that the group aims at."""
    requests_per_instance: Positive | None = None
    """Requests a minute and server that it aims at, too."""
    warm: Annotated[int, Field(ge=0, le=90)] = 0
    """Servers kept stopped and configured, so that a new one serves sooner."""
    schedules: tuple[ScheduledSize, ...] = ()
    spot: Spot | None = None


@schema
class SsmAgent:
    """The agent of Systems Manager, through which servers are reached; Debian's images have none.

    Nothing is installed whose checksum is not the one here: take both from a version that you have tried.
    """

    version: Annotated[str, words("a version such as 3.3.2299.0", pattern=r"^[0-9]+(\.[0-9]+){3}$")]
    sha256: Annotated[dict[Literal["x86_64", "arm64"], Checksum], Field(min_length=1)]
    """Of amazon-ssm-agent.deb, by architecture."""


@schema
class AwsApp:
    """The application servers."""

    instance_type: str | None = None
    """Otherwise the smallest that has what `sizes.app` says."""
    image: Image | None = None
    """Otherwise the newest of the operating system."""
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    group: ScalingGroup | None = None
    """Otherwise `topology.app` servers with names, which Ansible configures."""


@schema
class AwsLoadBalancer:
    """What users reach."""

    kind: Literal["application", "network"] = "application"
    cdn: bool = True
    """CloudFront in front, which keeps `/_next/static` and the like."""
    price_class: Literal["PriceClass_100", "PriceClass_200", "PriceClass_All"] | None = None
    """Where CloudFront serves from; otherwise the cheapest class with edge locations on the region's continent."""
    firewall: bool = True
    """WAF with AWS's managed rules and the system's rate limits."""
    sticky_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = None
    """Keep a client on its server that long; sessions are in the cache, so that none needs it."""
    log_days: Days = 90


@schema
class AwsRestore:
    """What the database begins with; it has an effect only when the database is created."""

    snapshot: Annotated[str, words("the name or ARN of a snapshot", pattern=r"^[A-Za-z][A-Za-z0-9:/_-]*$")] | None = (
        None
    )
    """A snapshot of RDS in the region, by hand or by itself (`rds:...`); of another account by its ARN."""
    source: (
        Annotated[str, words("an instance of RDS, or the ARN of its backups", pattern=r"^[a-z][A-Za-z0-9:-]*$")] | None
    ) = None
    """An instance in the region, or the ARN of its automated backups (`arn:...:auto-backup:ab-...`), which outlive it."""
    time: Annotated[str, AfterValidator(_moment), words("a time such as 2026-11-22T10:00:00Z, in UTC")] | None = None
    """Of `source`; otherwise the newest that can be restored."""


@schema
class AwsDatabase:
    """PostgreSQL."""

    run_by: Literal["aws", "hosts"] = "aws"
    """`hosts`: our own under Patroni, as on bare metal."""
    instance_class: str | None = None
    """Otherwise the smallest that has what `sizes.database` says."""
    storage_gb: Annotated[int, Field(ge=20, le=65_536)] | None = None
    max_storage_gb: Annotated[int, Field(ge=22, le=65_536)] | None = None
    """It grows by itself up to here; otherwise four times `storage_gb`."""
    multi_az: bool | None = None
    """A standby in another zone; otherwise so outside development."""
    replicas: Annotated[int, Field(ge=0, le=15)] | None = None
    """For reading; otherwise `topology.database` less the primary. RDS makes none before `master_secret` is there."""
    backup_days: Annotated[int, Field(ge=0, le=35)] | None = None
    """Any second of these days can be restored; otherwise 14 in production, 7 in staging, 1 in development."""
    restore: AwsRestore | None = None
    """Begin with a snapshot, or with another database as it was (docs/how-to/restore.md); otherwise empty. It stays in the file."""
    copy_region: Region | None = None
    """Backups are copied there."""
    replica_region: Region | None = None
    """One more replica there, to go on with when the region fails."""
    master_secret: SecretArn | None = None
    """Of the secret with the master's password, once somebody has taken it over from RDS (docs/adr/0010-aws.md)."""
    ca_file: ProjectPath | None = None
    """The authority of RDS's servers in this region, PEM; otherwise `stackwright` fetches it from AWS once."""
    iam_authentication: bool = False
    blue_green: bool = True
    """Changes that need a restart are made on a copy, and then switched to, wherever RDS can: not with replicas, or copies elsewhere."""
    maintenance: Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] = "Sun"
    maintenance_time: TimeOfDay = "04:00"
    """UTC, as the time of backups."""


@schema
class AwsCache:
    """Redis or its successor Valkey, a replication group per purpose."""

    engine: Literal["valkey", "redis"] = "valkey"
    node_type: str | None = None
    """Otherwise the smallest that has the memory of the purpose."""
    replicas: Annotated[int, Field(ge=0, le=5)] | None = None
    """Of each primary; otherwise 1 outside development."""
    snapshot_days: Annotated[int, Field(ge=0, le=35)] | None = None
    """For what persists; otherwise as long as the database's backups."""
    restore: dict[Purpose, Annotated[str, words("the name of a snapshot", pattern=_CACHE_SNAPSHOT)]] = Field(
        default_factory=dict
    )
    """The snapshot of ElastiCache in the region that a purpose begins with (docs/how-to/restore.md). It stays in the file."""


@schema
class AwsBudget:
    """When to be warned of cost."""

    usd: Usd
    """A month."""


@schema
class Aws:
    """An environment on AWS."""

    region: Region
    account: Account
    """Nothing is done in any other."""
    example: bool = False
    """The environment is documentation: placeholders are accepted, and nothing is ever created."""
    hosted_zone: HostedZone
    zones: Annotated[int, Field(ge=2, le=6)] | tuple[Annotated[str, Field(pattern=r"^[a-f]$")], ...] = 3
    """How many, or which by letter; two will do for staging."""
    ipv6: bool = False
    nat: Literal["single", "per_zone"] | None = None
    """How servers reach the Internet, where packages come from; otherwise one in each zone in production, one in all elsewhere."""
    peers: tuple[Cidr, ...] = ()
    """Networks that this one will be connected with, and must not overlap."""
    flow_log_days: LogDays = 30
    notify: tuple[Email, ...] = ()
    """Who gets alarms; each address has to confirm once."""
    budget: AwsBudget | None = None
    ssm_agent: SsmAgent | None = None
    """For servers of Debian."""
    app: AwsApp = Field(default_factory=AwsApp)
    load_balancer: AwsLoadBalancer = Field(default_factory=AwsLoadBalancer)
    database: AwsDatabase = Field(default_factory=AwsDatabase)
    cache: AwsCache = Field(default_factory=AwsCache)
