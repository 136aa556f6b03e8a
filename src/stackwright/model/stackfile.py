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
    """Networks of a CDN or load balancer that is trusted to report the client address. Any other peer is the client."""
    proxy_protocol: bool = False
    """Whether the load balancer in front sends TCP with the PROXY protocol to 80 and 443; needs `trusted_proxies`."""


@schema
class Network:
    """The environment's own network."""

    cidr: Cidr
    """The network of all hosts."""
    subnets: dict[Tier, Cidr] = Field(default_factory=dict)
    """A part of the network for the hosts of a tier; tiers without one share the whole."""


@schema
class Topology:
    """How many hosts each tier has."""

    size: Literal["A", "B", "C"]
    """A: one server; B: load balancer, app servers, primary and replica; C: load balancer and data run by the cloud."""
    edge: Annotated[int, Field(ge=1, le=9)] | None = None
    """Number of load balancers; default 1."""
    app: Annotated[int, Field(ge=1, le=90)] | None = None
    """Number of application servers; default 2."""
    database: Annotated[int, Field(ge=1, le=9)] | None = None
    """Number of database hosts, primary and replicas; default 2."""
    cache: Annotated[int, Field(ge=1, le=9)] | None = None
    """Number of cache hosts; default 1."""
    ops: Annotated[int, Field(ge=0, le=9)] | None = None
    """Number of hosts for backups and for the vote that makes an even number of database hosts odd; default 1."""


@schema
class Size:
    """CPUs, memory and disk of a host of a tier; the table of the environment's class has the defaults."""

    cpus: Cpus | None = None
    memory_mb: MegaBytes | None = None
    disk_gb: Positive | None = None


@schema
class Server:
    """An existing server."""

    name: Name
    address: Address
    groups: Annotated[tuple[Group, ...], Field(min_length=1)]
    cpus: Cpus
    memory_mb: MegaBytes
    disk_gb: Positive | None = None
    os: OperatingSystem = "debian-13"
    user: User = "root"
    """The user that logs in by key at first contact."""
    port: Port = 22
    host_key: PublicKey | None = None
    """The server's public host key, a line such as `ssh-ed25519 AAAA...`."""
    host_key_file: ProjectPath | None = None
    """A file with the host key."""
    takeover: bool = False
    """Whether a server that is not empty may be used; what is on it is replaced."""


@schema
class CertificateFiles:
    """A certificate that was bought or created elsewhere."""

    certificate: ProjectPath
    """The full chain, in PEM format."""
    key: ProjectPath


@schema
class AccountBinding:
    """An external account binding of an ACME account."""

    key_id: Annotated[str, Field(pattern=r"^[!-~]+$")]
    hmac_key_file: ProjectPath
    """A file with the key in base64url, as the CA provides it."""


@schema
class Certificates:
    """Issuer of the certificate that browsers see. Internal certificates always come from the environment's CA."""

    issuer: Literal["internal", "acme", "files"] = "internal"
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    """For `acme`: the address that the CA writes to."""
    directory: Annotated[str, Field(pattern=r"^https://[^\s]+$")] = "https://acme-v02.api.letsencrypt.org/directory"
    """For `acme`: the directory URL of the CA."""
    directory_ca: ProjectPath | None = None
    """For `acme`: the CA certificate for the HTTPS of a private CA."""
    eab: AccountBinding | None = None
    """For `acme`: credentials of a CA that accepts known accounts only."""
    files: CertificateFiles | None = None
    """For `files`: the certificate and its key."""


@schema
class Admin:
    """A person who may log in to every host and become root."""

    name: User
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1)]


@schema
class Access:
    """Who may log in, and from which networks."""

    admins: tuple[Admin, ...] = ()
    ssh_from: tuple[SourceCidr, ...] = ()
    """Networks that may reach SSH; empty for all."""
    ssh_private_key: ProjectPath | None = None
    """SSH key of the control machine; generated for the environment by default."""


@schema
class Secrets:
    """How the file with the environment's secrets is decrypted."""

    password_command: Line | None = None
    """Command that prints the password; by default the password is in a file in the state directory."""


@schema
class AppOverride:
    """Settings of an application that differ from the system in this environment."""

    instances: Positive | Literal["per_cpu"] | None = None
    memory_mb: MegaBytes | None = None
    database_pool: Annotated[int, Field(ge=1, le=500)] | None = None
    environment: dict[Variable, str | int | bool] = Field(default_factory=dict)
    artifact: ProjectPath | None = None
    """Description of another release than that of the system."""


@schema
class SiteOverride:
    """Settings of a site that differ from the system in this environment."""

    method: Literal["least_conn", "round_robin", "ip_hash", "weighted"] | None = None
    weights: dict[Name, Annotated[int, Field(ge=1, le=100)]] = Field(default_factory=dict)
    body_limit_mb: Annotated[int, Field(ge=1, le=10_240)] | None = None
    rate_limits: tuple[RateLimit, ...] | None = None
    """Replaces the rate limits of the system."""


@schema
class DatabaseOverride:
    """Settings of the database that differ from the system in this environment."""

    max_connections: MaxConnections | None = None
    server_connections: Positive | None = None
    """Connections that PgBouncer of one application host may open; default: an even share of `max_connections`."""
    synchronous: bool | None = None
    """Whether a commit waits for the replica; default: only in production."""
    parameters: dict[Parameter, str | int | float | bool] = Field(default_factory=dict)
    """Settings of PostgreSQL by their names in `pg_settings`; those that stackwright sets itself are rejected."""


@schema
class CacheOverride:
    """Settings of a cache instance that differ from the system in this environment."""

    memory_mb: MegaBytes


@schema
class CopyTo:
    """A store outside the environment, to which the repository host copies all backups every hour."""

    type: Literal["s3", "sftp", "none"]
    """Type of the store; `none` for no copy, which has to be stated in `class: production`."""
    endpoint: Annotated[str, words("a URL such as https://s3.eu-central-1.amazonaws.com", pattern=_HTTPS)] | None = None
    """For `s3`: URL of the service. Its credentials are the secrets `backup/s3/access_key` and `backup/s3/secret_key`.

    On AWS, `s3` without `endpoint` and `bucket` is a bucket that the program creates; the login is the role of the
    repository host.
    """
    bucket: Annotated[str, words("a bucket's name", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    """For `s3`: an existing bucket, preferably with object lock or versioning."""
    region: Annotated[str, words("a region such as eu-central-1", pattern=r"^[a-z0-9-]+$")] | None = None
    """For `s3`; default us-east-1. For the bucket that the program creates: another region, for one more copy in S3."""
    host: Annotated[str, words("a host name or an address", pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")] | None = None
    """For `sftp`: the server. The private key for the login is the secret `backup/sftp/key`."""
    port: Port = 22
    """For `sftp`: the port."""
    user: User | None = None
    """For `sftp`: the user that logs in."""
    path: Annotated[str, words("an absolute path", pattern=r"^/[A-Za-z0-9._/-]+$")] | None = None
    """For `sftp`: a directory."""
    host_key: PublicKey | None = None
    """For `sftp`: the server's public host key, a line such as `ssh-ed25519 AAAA...`."""
    keep_days: Days = 35
    """Number of days of which one state is kept; of the last two days all states are kept."""
    keep_months: Annotated[int, Field(ge=0, le=120)] = 12
    """Number of months of which one state is kept, with its full backups."""


@schema
class Backups:
    """Backup settings that differ from the system's schedule, and the store of a second copy."""

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
    """An environment: which system runs, where, and how big it is."""

    system: Name
    provider: Provider
    class_: Annotated[EnvironmentClass, Field(alias="class")]
    domain: Domain
    aliases: tuple[Domain, ...] = ()
    network: Network
    edge: Edge = Field(default_factory=Edge)
    topology: Topology | None = None
    os: OperatingSystem = "debian-13"
    """Operating system of hosts that are created."""
    tier_os: dict[SizedTier, OperatingSystem] = Field(default_factory=dict)
    """Operating system of the hosts of a tier if it differs from `os`; Windows is for `edge` and `app` on AWS."""
    hosts: tuple[Server, ...] = ()
    """For `bare_metal`: the existing servers."""
    sizes: dict[SizedTier, Size] = Field(default_factory=dict)
    """Size of the hosts of a tier; `server` is the host of size A."""
    aws: Aws | None = None
    """For `aws`: settings of the environment on AWS."""
    certificates: Certificates = Field(default_factory=Certificates)
    access: Access = Field(default_factory=Access)
    secrets: Secrets = Field(default_factory=Secrets)
    apps: dict[Name, AppOverride] = Field(default_factory=dict)
    sites: dict[Name, SiteOverride] = Field(default_factory=dict)
    database: DatabaseOverride = Field(default_factory=DatabaseOverride)
    cache: dict[Purpose, CacheOverride] = Field(default_factory=dict)
    logs: LogLimits | None = None
    backups: Backups = Field(default_factory=Backups)
