"""Where a system runs and how big it is there. The schema of `inventories/<env>/stack.yml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stackwright.model.aws.stackfile import Aws
from stackwright.model.schema_types import (
    Address,
    Cidr,
    Cpus,
    Days,
    Domain,
    Line,
    MaxConnections,
    MegaBytes,
    Name,
    Parameter,
    Port,
    Positive,
    ProjectPath,
    ProxyCidr,
    PublicKey,
    Seconds,
    SourceCidr,
    TimeOfDay,
    User,
    Variable,
    schema,
    words,
)
from stackwright.model.system import EvenHours, LogLimits, Purpose, RateLimit, Weekday

_HTTPS = r"^https://[^\s/]+(/[^\s]*[^\s/])?$"

Provider = Literal["local", "bare_metal", "aws"]
EnvironmentClass = Literal["development", "staging", "production"]
Tier = Literal["edge", "app", "database", "cache", "ops"]
SizedTier = Literal["server", "edge", "app", "database", "cache", "ops"]
Group = Literal["edge", "app", "database", "cache", "ops", "consensus"]
OperatingSystem = Literal["debian-12", "debian-13", "ubuntu-24.04", "windows-2022", "windows-2025"]


@schema
class Edge:
    """What is in front of the load balancers."""

    trusted_proxies: tuple[ProxyCidr, ...] = ()
    """Networks of a CDN or a balancer: what it says of the client's address is believed. Anybody else is the client."""
    proxy_protocol: bool = False
    """The balancer in front passes TCP on and speaks the PROXY protocol, to ports 80 and 443; wants `trusted_proxies`."""


@schema
class Network:
    """The environment's own network."""

    cidr: Cidr
    """All hosts are in it."""
    subnets: dict[Tier, Cidr] = Field(default_factory=dict)
    """A part of the network for the hosts of a tier; tiers without one share the whole."""


@schema
class Topology:
    """How many hosts do what."""

    size: Literal["A", "B", "C"]
    """A: one server; B: a load balancer, application servers, primary and replica; C: load balancer and data run by the cloud."""
    edge: Annotated[int, Field(ge=1, le=9)] | None = None
    """Load balancers; 1 if not said."""
    app: Annotated[int, Field(ge=1, le=90)] | None = None
    """Application servers; 2 if not said."""
    database: Annotated[int, Field(ge=1, le=9)] | None = None
    """Primary and replicas; 2 if not said."""
    cache: Annotated[int, Field(ge=1, le=9)] | None = None
    """1 if not said."""
    ops: Annotated[int, Field(ge=0, le=9)] | None = None
    """Backups, and the vote that makes an even number of database hosts odd; 1 if not said."""


@schema
class Size:
    """What a host of a tier has; what is not said comes from the table of the environment's class."""

    cpus: Cpus | None = None
    memory_mb: MegaBytes | None = None
    disk_gb: Positive | None = None


@schema
class Server:
    """A server that exists already."""

    name: Name
    address: Address
    groups: Annotated[tuple[Group, ...], Field(min_length=1)]
    cpus: Cpus
    memory_mb: MegaBytes
    disk_gb: Positive | None = None
    os: OperatingSystem = "debian-13"
    user: User = "root"
    """Who may log in by key at first contact."""
    port: Port = 22
    host_key: PublicKey | None = None
    """What the server identifies itself with: a line such as `ssh-ed25519 AAAA...`."""
    host_key_file: ProjectPath | None = None
    """The same, in a file."""
    takeover: bool = False
    """Whether a server that is not empty may be taken all the same: what it has is replaced then."""


@schema
class CertificateFiles:
    """A certificate that was bought or made elsewhere."""

    certificate: ProjectPath
    """The full chain, PEM."""
    key: ProjectPath


@schema
class AccountBinding:
    """An external account binding of an ACME account."""

    key_id: Annotated[str, Field(pattern=r"^[!-~]+$")]
    hmac_key_file: ProjectPath
    """A file with the key in base64url, as the authority gives it out."""


@schema
class Certificates:
    """Who issues the certificate that browsers see. Inside, the environment's own CA always does."""

    issuer: Literal["internal", "acme", "files"] = "internal"
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    """For `acme`: where the authority writes to."""
    directory: Annotated[str, Field(pattern=r"^https://[^\s]+$")] = "https://acme-v02.api.letsencrypt.org/directory"
    """For `acme`: the authority."""
    directory_ca: ProjectPath | None = None
    """For `acme`: the CA of a private authority's own HTTPS."""
    eab: AccountBinding | None = None
    """For `acme`: what an authority gives out that admits known accounts only."""
    files: CertificateFiles | None = None
    """For `files`."""


@schema
class Admin:
    """A person who may log in to every host and become root."""

    name: User
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1)]


@schema
class Access:
    """Who may log in, and from where."""

    admins: tuple[Admin, ...] = ()
    ssh_from: tuple[SourceCidr, ...] = ()
    """Networks that may reach SSH; none named: all."""
    ssh_private_key: ProjectPath | None = None
    """Key of the control machine; otherwise one is made for the environment."""


@schema
class Secrets:
    """How the file with the environment's secrets is opened."""

    password_command: Line | None = None
    """Prints the password; otherwise it is in a file in the state folder."""


@schema
class AppOverride:
    """How an application differs here from what its system says."""

    instances: Positive | Literal["per_cpu"] | None = None
    memory_mb: MegaBytes | None = None
    database_pool: Annotated[int, Field(ge=1, le=500)] | None = None
    environment: dict[Variable, str | int | bool] = Field(default_factory=dict)
    artifact: ProjectPath | None = None
    """Description of another release than the system's own."""


@schema
class SiteOverride:
    """How a site differs here."""

    method: Literal["least_conn", "round_robin", "ip_hash", "weighted"] | None = None
    weights: dict[Name, Annotated[int, Field(ge=1, le=100)]] = Field(default_factory=dict)
    body_limit_mb: Annotated[int, Field(ge=1, le=10_240)] | None = None
    rate_limits: tuple[RateLimit, ...] | None = None
    """Replaces those of the system."""


@schema
class DatabaseOverride:
    """How the database differs here."""

    max_connections: MaxConnections | None = None
    server_connections: Positive | None = None
    """What PgBouncer of one application host may open; otherwise an even share of `max_connections`."""
    synchronous: bool | None = None
    """A commit waits for the replica; otherwise so in production only."""
    parameters: dict[Parameter, str | int | float | bool] = Field(default_factory=dict)
    """Settings of PostgreSQL by their names in `pg_settings`; those that stackwright decides are refused."""


@schema
class CacheOverride:
    """How a cache instance differs here."""

    memory_mb: MegaBytes


@schema
class CopyTo:
    """A store outside the environment, to which the repository host copies all backups every hour."""

    type: Literal["s3", "sftp", "none"]
    """`none` says that there is to be no copy, which `class: production` does not assume."""
    endpoint: Annotated[str, words("a URL such as https://s3.eu-central-1.amazonaws.com", pattern=_HTTPS)] | None = None
    """For `s3`: the service. Its login is the secrets `backup/s3/access_key` and `backup/s3/secret_key`.

    On AWS `s3` without `endpoint` and `bucket` is a bucket that the program creates, with the repository host's role as login.
    """
    bucket: Annotated[str, words("a bucket's name", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    """For `s3`: a bucket that exists, best with object lock or versions."""
    region: Annotated[str, words("a region such as eu-central-1", pattern=r"^[a-z0-9-]+$")] | None = None
    """For `s3`; otherwise us-east-1. Of the bucket that the program creates: another region, in which S3 keeps one more copy."""
    host: Annotated[str, words("a host name or an address", pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")] | None = None
    """For `sftp`: the server. The private key of the login is the secret `backup/sftp/key`."""
    port: Port = 22
    """For `sftp`."""
    user: User | None = None
    """For `sftp`: the login."""
    path: Annotated[str, words("an absolute path", pattern=r"^/[A-Za-z0-9._/-]+$")] | None = None
    """For `sftp`: a directory."""
    host_key: PublicKey | None = None
    """For `sftp`: what the server identifies itself with: a line such as `ssh-ed25519 AAAA...`."""
    keep_days: Days = 35
    """Days of which a state is kept; of the last two days all."""
    keep_months: Annotated[int, Field(ge=0, le=120)] = 12
    """Months of which a state is kept, with its full backups."""


@schema
class Backups:
    """Where the environment differs from its system's schedule of backups, and where a second copy goes."""

    full_day: Weekday | None = None
    time: TimeOfDay | None = None
    keep_full: Positive | None = None
    keep_differential: Positive | None = None
    files_every_hours: EvenHours | None = None
    files_keep_days: Days | None = None
    archive_timeout_seconds: Seconds | None = None
    copy_to: CopyTo | None = None
    """A copy that survives the loss of all servers; `class: production` requires one, or `{type: none}`."""


@schema
class StackFile:
    """An environment: which system, where, how big."""

    system: Name
    provider: Provider
    class_: Annotated[EnvironmentClass, Field(alias="class")]
    domain: Domain
    aliases: tuple[Domain, ...] = ()
    network: Network
    edge: Edge = Field(default_factory=Edge)
    topology: Topology | None = None
    os: OperatingSystem = "debian-13"
    """Of hosts that are created."""
    tier_os: dict[SizedTier, OperatingSystem] = Field(default_factory=dict)
    """Of the hosts of a tier where it is another; Windows is for `edge` and `app` on AWS."""
    hosts: tuple[Server, ...] = ()
    """For `bare_metal`: the servers that exist."""
    sizes: dict[SizedTier, Size] = Field(default_factory=dict)
    """Hosts of a tier; `server` is the one of size A."""
    aws: Aws | None = None
    """For `aws`."""
    certificates: Certificates = Field(default_factory=Certificates)
    access: Access = Field(default_factory=Access)
    secrets: Secrets = Field(default_factory=Secrets)
    apps: dict[Name, AppOverride] = Field(default_factory=dict)
    sites: dict[Name, SiteOverride] = Field(default_factory=dict)
    database: DatabaseOverride = Field(default_factory=DatabaseOverride)
    cache: dict[Purpose, CacheOverride] = Field(default_factory=dict)
    logs: LogLimits | None = None
    backups: Backups = Field(default_factory=Backups)
